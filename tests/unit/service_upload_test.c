/* SPDX-License-Identifier: MIT */
/* What the doors build on: bodies in parts, answers that stay, effects that are remembered. */
#include "service_help.h"

#include <errno.h>

#include "base/crc64.h"

#define BLOB "x-ms-blob-type: BlockBlob\r\n"

static int write_at(struct svc_upload *upload, uint64_t offset, const char *bytes, size_t length)
{
	/* two pieces, as guest pages would be */
	struct iovec iov[2] = { { (void *)(uintptr_t)bytes, length / 2 },
				{ (void *)(uintptr_t)(bytes + length / 2), length - length / 2 } };

	return svc_write(upload, offset, iov, 2, 0, NULL, NULL);
}

static struct svc_answer *finish(struct svc_upload *upload, uint64_t request)
{
	struct svc_caller caller = service_caller(request);
	struct svc_answer *answer = NULL;

	assert_int_equal(svc_finish(upload, &caller, &answer), 0);
	return answer;
}

static void expect_status(struct svc_answer *answer, unsigned int status, const char *code)
{
	const char *got = svc_answer_header(answer, "x-ms-error-code");

	if (answer->status != status)
		fail_msg("status %u (%s), not %u", answer->status, got ? got : "-", status);
	if (code)
		assert_string_equal(got, code);
	svc_answer_put(answer);
}

static void expect_body(struct service *s, const char *target, const char *want, size_t length)
{
	struct svc_answer *answer = service_do(s, "GET", target, "", 0);
	char *got = malloc(length + 1);
	struct iovec iov = { got, length + 1 };

	assert_non_null(got);
	assert_int_equal(answer->status, 200);
	assert_int_equal(answer->content_length, length);
	assert_int_equal(svc_answer_read(answer, 0, &iov, 1), length);
	assert_memory_equal(got, want, length);
	free(got);
	svc_answer_put(answer);
}

static void parts_in_any_order(void **state)
{
	struct service *s = *state;
	/* the MD5 of the whole, although no part came first to last */
	struct svc_upload *upload = service_upload(
		s, "/cont/order",
		BLOB "Content-Length: 10\r\nContent-MD5: eB5eJF1ptWaXm4bijSPyxw==\r\n");
	struct svc_answer *answer;

	assert_int_equal(svc_upload_length(upload), 10);
	assert_int_equal(write_at(upload, 7, "789", 3), 0);
	assert_int_equal(write_at(upload, 3, "3456", 4), 0);
	assert_int_equal(write_at(upload, 0, "012", 3), 0);
	answer = finish(upload, 0);
	assert_string_equal(svc_answer_header(answer, "Content-MD5"), "eB5eJF1ptWaXm4bijSPyxw==");
	expect_status(answer, 201, NULL);
	expect_body(s, "/cont/order", "0123456789", 10);
}

static void a_part_replaces_itself_and_nothing_else(void **state)
{
	struct service *s = *state;
	struct svc_upload *upload = service_upload(s, "/cont/again", BLOB "Content-Length: 8\r\n");

	assert_int_equal(write_at(upload, 0, "aaaa", 4), 0);
	assert_int_equal(write_at(upload, 2, "bbbb", 4), -EEXIST);
	expect_status(svc_upload_fail(upload, -EEXIST), 400, "InvalidInput");
	assert_int_equal(write_at(upload, 0, "bb", 2), -EEXIST);
	assert_int_equal(write_at(upload, 6, "bbbb", 4), -EINVAL);
	assert_int_equal(write_at(upload, 4, "dddd", 4), 0);
	assert_int_equal(write_at(upload, 0, "cccc", 4), 0);
	expect_status(finish(upload, 0), 201, NULL);
	expect_body(s, "/cont/again", "ccccdddd", 8);
}

static void missing_bytes_leave_the_upload_as_it_was(void **state)
{
	struct service *s = *state;
	struct svc_upload *upload = service_upload(s, "/cont/hole", BLOB "Content-Length: 4\r\n");
	struct svc_caller caller = service_caller(0);
	struct svc_answer *answer = NULL;

	assert_int_equal(write_at(upload, 0, "ab", 2), 0);
	assert_int_equal(svc_finish(upload, &caller, &answer), -ENODATA);
	assert_null(answer);
	assert_int_equal(write_at(upload, 2, "cd", 2), 0);
	expect_status(finish(upload, 0), 201, NULL);
	expect_body(s, "/cont/hole", "abcd", 4);
}

static void a_part_with_a_wrong_checksum_does_not_count(void **state)
{
	struct service *s = *state;
	struct svc_upload *upload = service_upload(s, "/cont/crc", BLOB "Content-Length: 4\r\n");
	struct iovec iov = { "abcd", 4 };
	struct svc_caller caller = service_caller(0);
	struct svc_answer *answer = NULL;
	uint64_t right = azb_crc64(0, "abcd", 4), wrong = right + 1, got = 0;

	assert_int_equal(svc_write(upload, 0, &iov, 1, 0, &wrong, NULL), -EBADMSG);
	expect_status(svc_upload_fail(upload, -EBADMSG), 400, "Crc64Mismatch");
	assert_int_equal(svc_finish(upload, &caller, &answer), -ENODATA);
	assert_int_equal(svc_write(upload, 0, &iov, 1, 0, &right, &got), 0);
	assert_true(got == right);
	expect_status(finish(upload, 0), 201, NULL);
}

static void a_block_list_comes_in_parts_too(void **state)
{
	static const char xml[] = "<BlockList><Latest>QUFB</Latest></BlockList>";
	struct service *s = *state;
	struct svc_caller caller = service_caller(0);
	struct svc_answer *answer = NULL;
	struct svc_upload *upload;
	uint64_t wrong = 1;
	struct iovec iov = { (void *)(uintptr_t)xml, 10 };
	char lines[64];

	upload = service_upload(s, "/cont/list?comp=block&blockid=QUFB", "Content-Length: 3\r\n");
	assert_int_equal(write_at(upload, 0, "xyz", 3), 0);
	expect_status(finish(upload, 0), 201, NULL);

	snprintf(lines, sizeof(lines), "Content-Length: %zu\r\n", sizeof(xml) - 1);
	upload = service_upload(s, "/cont/list?comp=blocklist", lines);
	assert_int_equal(svc_write(upload, 0, &iov, 1, 0, &wrong, NULL), -EBADMSG);
	assert_int_equal(write_at(upload, 10, xml + 10, sizeof(xml) - 11), 0);
	assert_int_equal(write_at(upload, 9, xml, 10), -EEXIST);
	assert_int_equal(write_at(upload, sizeof(xml) - 1, xml, 1), -EINVAL);
	assert_int_equal(svc_finish(upload, &caller, &answer), -ENODATA);
	assert_int_equal(write_at(upload, 0, "??????????", 10), 0);
	assert_int_equal(write_at(upload, 0, xml, 10), 0);
	expect_status(finish(upload, 0), 201, NULL);
	expect_body(s, "/cont/list", "xyz", 3);
}

static void an_abort_leaves_nothing(void **state)
{
	struct service *s = *state;
	struct svc_upload *upload = service_upload(s, "/cont/abort", BLOB "Content-Length: 4\r\n");

	assert_int_equal(write_at(upload, 0, "abcd", 4), 0);
	svc_abort(upload);
	svc_abort(NULL);
	expect_status(service_do(s, "GET", "/cont/abort", "", 0), 404, "BlobNotFound");
}

static void conditions_are_looked_at_again_in_the_end(void **state)
{
	struct service *s = *state;
	const char *only = BLOB "Content-Length: 1\r\nIf-None-Match: *\r\n";
	struct svc_upload *first = service_upload(s, "/cont/once", only);
	struct svc_upload *second = service_upload(s, "/cont/once", only);

	assert_int_equal(write_at(first, 0, "1", 1), 0);
	assert_int_equal(write_at(second, 0, "2", 1), 0);
	expect_status(finish(second, 0), 201, NULL);
	expect_status(finish(first, 0), 409, "BlobAlreadyExists");
	expect_body(s, "/cont/once", "2", 1);
}

static void an_answer_outlives_its_blob(void **state)
{
	struct service *s = *state;
	const size_t length = 3 * 1024 * 1024;
	char *bytes = malloc(length), *got = malloc(length), lines[96];
	struct svc_upload *upload;
	struct svc_answer *answer;
	struct svc_piece piece;
	struct iovec iov;

	assert_non_null(bytes);
	assert_non_null(got);
	fill_bytes(bytes, length, 5);
	snprintf(lines, sizeof(lines), BLOB "Content-Length: %zu\r\n", length);
	upload = service_upload(s, "/cont/old", lines);
	assert_int_equal(write_at(upload, 0, bytes, length), 0);
	expect_status(finish(upload, 0), 201, NULL);

	answer = service_do(s, "GET", "/cont/old", "x-ms-range: bytes=1000-2999999\r\n", 0);
	assert_int_equal(answer->status, 206);
	assert_int_equal(answer->body_length, 2999000);
	expect_status(service_do(s, "DELETE", "/cont/old", "", 0), 202, NULL);
	expect_status(service_do(s, "GET", "/cont/old", "", 0), 404, NULL);
	iov = (struct iovec){ got, length };
	assert_int_equal(svc_answer_read(answer, 0, &iov, 1), 2999000);
	assert_memory_equal(got, bytes + 1000, 2999000);
	/* the same by file and offset, as sendfile() takes it */
	assert_int_equal(svc_answer_pieces(answer, 2998000, &piece, 1), 1);
	assert_true(piece.fd >= 0);
	assert_int_equal(pread(piece.fd, got, piece.length, (off_t)piece.offset), piece.length);
	assert_memory_equal(got, bytes + 1000 + 2998000, piece.length);
	svc_answer_put(answer);
	free(bytes);
	free(got);
}

/* The kept bytes of @request are those of @answer. */
static void expect_kept(struct service *s, uint64_t request, const struct svc_answer *answer)
{
	char text[2048], *kept = NULL;
	size_t head_length = 0, length = 0, n;

	assert_true(answer->replayable);
	n = svc_answer_head(answer, NULL, 0, text, sizeof(text));
	assert_int_equal(svc_replay(s->svc, service_session, request, &kept, &head_length, &length),
			 1);
	assert_int_equal(head_length, n);
	assert_int_equal(length, n + answer->body_length);
	assert_memory_equal(kept, text, n);
	free(kept);
}

static void expect_nothing_kept(struct service *s, uint64_t request)
{
	size_t head_length, length;
	char *kept;

	assert_int_equal(svc_replay(s->svc, service_session, request, &kept, &head_length, &length),
			 0);
}

static void effects_are_remembered(void **state)
{
	static const struct {
		const char *method, *target, *lines;
		unsigned int status;
	} steps[] = {
		{ "PUT", "/kept?restype=container", "", 201 },
		{ "PUT", "/kept?restype=container&comp=metadata", "x-ms-meta-a: b\r\n", 200 },
		{ "PUT", "/kept/b?comp=metadata", "x-ms-meta-a: b\r\n", 200 },
		{ "PUT", "/kept/b?comp=properties", "x-ms-blob-content-type: a/b\r\n", 200 },
		{ "DELETE", "/kept/b", "", 202 },
		{ "DELETE", "/kept?restype=container", "", 202 },
	};
	struct service *s = *state;
	struct svc_upload *upload;
	struct svc_answer *answer;

	for (size_t i = 0; i < sizeof(steps) / sizeof(*steps); i++) {
		if (i == 2) {
			upload = service_upload(s, "/kept/b", BLOB "Content-Length: 2\r\n");
			assert_int_equal(write_at(upload, 0, "ab", 2), 0);
			answer = finish(upload, 100);
			expect_kept(s, 100, answer);
			expect_status(answer, 201, NULL);
		}
		answer = service_do(s, steps[i].method, steps[i].target, steps[i].lines, i + 1);
		expect_kept(s, i + 1, answer);
		expect_status(answer, steps[i].status, NULL);
	}
	svc_acknowledge(s->svc, service_session, 1);
	svc_session_end(s->svc, service_session);
}

static void what_had_no_effect_is_not_remembered(void **state)
{
	struct service *s = *state;
	struct svc_answer *answer;
	struct svc_upload *upload;

	answer = service_do(s, "PUT", "/cont?restype=container", "", 7);
	assert_false(answer->replayable);
	expect_status(answer, 409, NULL);
	expect_nothing_kept(s, 7);
	answer = service_do(s, "GET", "/cont?restype=container", "", 8);
	assert_false(answer->replayable);
	expect_status(answer, 200, NULL);
	expect_nothing_kept(s, 8);
	upload = service_upload(s, "/cont/md5",
				BLOB
				"Content-Length: 1\r\nContent-MD5: eB5eJF1ptWaXm4bijSPyxw==\r\n");
	assert_int_equal(write_at(upload, 0, "x", 1), 0);
	expect_status(finish(upload, 9), 400, "Md5Mismatch");
	expect_nothing_kept(s, 9);
}

static void a_list_fits_the_room_it_is_given(void **state)
{
	struct service *s = *state;
	struct svc_caller caller = service_caller(0);
	char name[16];
	unsigned int seen = 0, pages = 0;
	char marker[200] = "";

	for (int i = 0; i < 60; i++) {
		snprintf(name, sizeof(name), "/cont/room-%02d", i);
		expect_status(finish(service_upload(s, name, BLOB "Content-Length: 0\r\n"), 0), 201,
			      NULL);
	}
	caller.body_room = 16 * 1024;
	for (;;) {
		char path[300];
		struct svc_answer *answer;
		struct svc_upload *upload;
		struct svc_piece piece;
		const char *at, *next, *end;

		snprintf(path, sizeof(path),
			 "/cont?restype=container&comp=list&prefix=room-&marker=%s", marker);
		assert_int_equal(svc_start(s->svc, service_head(s, "GET", path, ""), &caller,
					   &answer, &upload),
				 SVC_ANSWER);
		assert_int_equal(answer->status, 200);
		assert_in_range(answer->body_length, 1, caller.body_room);
		assert_int_equal(svc_answer_pieces(answer, 0, &piece, 1), 1);
		for (at = piece.bytes; (at = strstr(at, "<Name>")); at++)
			seen++;
		pages++;
		next = strstr(piece.bytes, "<NextMarker>");
		if (!next) {
			svc_answer_put(answer);
			break;
		}
		next += strlen("<NextMarker>");
		end = strchr(next, '<');
		assert_in_range(end - next, 1, sizeof(marker) - 1);
		snprintf(marker, sizeof(marker), "%.*s", (int)(end - next), next);
		svc_answer_put(answer);
	}
	assert_int_equal(seen, 60);
	assert_in_range(pages, 3, 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_in_any_order),
		cmocka_unit_test(a_part_replaces_itself_and_nothing_else),
		cmocka_unit_test(missing_bytes_leave_the_upload_as_it_was),
		cmocka_unit_test(a_part_with_a_wrong_checksum_does_not_count),
		cmocka_unit_test(a_block_list_comes_in_parts_too),
		cmocka_unit_test(an_abort_leaves_nothing),
		cmocka_unit_test(conditions_are_looked_at_again_in_the_end),
		cmocka_unit_test(an_answer_outlives_its_blob),
		cmocka_unit_test(effects_are_remembered),
		cmocka_unit_test(what_had_no_effect_is_not_remembered),
		cmocka_unit_test(a_list_fits_the_room_it_is_given),
	};

	return cmocka_run_group_tests_name("upload", tests, service_setup, service_teardown);
}
