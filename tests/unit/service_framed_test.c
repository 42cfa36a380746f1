/* SPDX-License-Identifier: MIT */
/* Structured messages by the link, whose parts come and are read in any order. */
#include "service_help.h"

#include "base/crc64.h"
#include "blob/xsm.h"

#include <errno.h>

#define DATA 300000u
#define SEGMENT_BYTES 70000u

static uint8_t data[DATA], message[DATA + 1000];

/* Returns the message's length. */
static size_t encode(void)
{
	unsigned int segments = (DATA + SEGMENT_BYTES - 1) / SEGMENT_BYTES;
	uint8_t *at = message + XSM_HEADER;

	for (unsigned int i = 0; i < segments; i++) {
		size_t from = i * SEGMENT_BYTES;
		size_t n = DATA - from < SEGMENT_BYTES ? DATA - from : SEGMENT_BYTES;

		xsm_put(at, i + 1, 2);
		xsm_put(at + 2, n, 8);
		memcpy(at + XSM_SEGMENT, data + from, n);
		xsm_put(at + XSM_SEGMENT + n, azb_crc64(0, data + from, n), 8);
		at += XSM_SEGMENT + n + XSM_SUM;
	}
	xsm_put(at, azb_crc64(0, data, DATA), 8);
	at += XSM_SUM;
	message[0] = 1;
	xsm_put(message + 1, (uint64_t)(at - message), 8);
	xsm_put(message + 9, 1, 2);
	xsm_put(message + 11, segments, 2);
	return (size_t)(at - message);
}

static struct svc_upload *begin(struct service *s, size_t length)
{
	char lines[300];

	snprintf(lines, sizeof(lines),
		 "x-ms-blob-type: BlockBlob\r\nContent-Length: %zu\r\n"
		 "x-ms-structured-body: " XSM_VALUE "\r\nx-ms-structured-content-length: %u\r\n",
		 length, DATA);
	return service_upload(s, "/cont/b", lines);
}

static int bring(struct svc_upload *upload, size_t at, size_t end)
{
	struct iovec iov = { message + at, end - at };

	return svc_write(upload, at, &iov, 1, 0, NULL, NULL);
}

static void expect_data(struct service *s)
{
	struct svc_answer *answer = service_do(s, "GET", "/cont/b", "", 0);
	uint8_t *have = malloc(DATA);
	struct iovec iov = { have, DATA };

	assert_int_equal(answer->body_length, DATA);
	assert_int_equal(svc_answer_read(answer, 0, &iov, 1), DATA);
	assert_memory_equal(have, data, DATA);
	free(have);
	svc_answer_put(answer);
}

static void parts_come_in_any_order(void **state)
{
	struct service *s = *state;
	struct svc_caller caller = service_caller(1);
	size_t length, third;
	struct svc_upload *upload;
	struct svc_answer *answer;

	fill_bytes(data, DATA, 1);
	length = encode();
	third = length / 3;
	upload = begin(s, length);
	assert_int_equal(bring(upload, 2 * third, length), 0);
	assert_int_equal(bring(upload, 0, third), 0);
	assert_int_equal(svc_finish(upload, &caller, &answer), -ENODATA);
	assert_int_equal(bring(upload, third, 2 * third), 0);
	/* and again */
	assert_int_equal(bring(upload, 0, third), 0);
	assert_int_equal(svc_finish(upload, &caller, &answer), 0);
	assert_int_equal(answer->status, 201);
	assert_string_equal(svc_answer_header(answer, "x-ms-structured-body"), XSM_VALUE);
	svc_answer_put(answer);
	expect_data(s);
	assert_true(wait_for_number(&s->store, "SELECT count(*) FROM chunks", 1));
}

static void a_damaged_message_stores_nothing(void **state)
{
	struct service *s = *state;
	struct svc_caller caller = service_caller(0);
	struct svc_upload *upload;
	struct svc_answer *answer;
	size_t length;

	fill_bytes(data, DATA, 2);
	length = encode();
	message[150000] ^= 1;
	upload = begin(s, length);
	assert_int_equal(bring(upload, 0, length), 0);
	assert_int_equal(svc_finish(upload, &caller, &answer), 0);
	assert_int_equal(answer->status, 400);
	assert_string_equal(svc_answer_header(answer, "x-ms-error-code"), "Crc64Mismatch");
	svc_answer_put(answer);
	answer = service_do(s, "HEAD", "/cont/b", "", 0);
	assert_int_equal(answer->status, 404);
	svc_answer_put(answer);
	/* what was brought has gone too */
	assert_true(disk_used(&s->store) < 4096);
}

static int compare(void *context, uint64_t offset, const uint8_t *bytes, size_t length,
		   uint64_t *crc64)
{
	(void)context;
	assert_memory_equal(bytes, data + offset, length);
	*crc64 = azb_crc64(0, bytes, length);
	return 0;
}

/* The end first: its checksums need all that is before. */
static void a_message_is_read_from_any_place(void **state)
{
	struct service *s = *state;
	struct svc_upload *upload;
	struct svc_answer *answer;
	struct svc_caller caller = service_caller(0);
	size_t length, got;
	struct xsm xsm;

	fill_bytes(data, DATA, 3);
	length = encode();
	upload = begin(s, length);
	assert_int_equal(bring(upload, 0, length), 0);
	assert_int_equal(svc_finish(upload, &caller, &answer), 0);
	svc_answer_put(answer);
	answer = service_do(s, "GET", "/cont/b", "x-ms-structured-body: " XSM_VALUE "\r\n", 0);
	assert_int_equal(answer->status, 200);
	got = (size_t)answer->body_length;
	assert_int_equal(got, DATA + XSM_HEADER + XSM_SEGMENT + 2 * XSM_SUM);
	memset(message, 0, sizeof(message));
	for (size_t end = got; end;) {
		size_t from = end > 65537 ? end - 65537 : 0;
		struct iovec iov[2] = { { message + from, 5 },
					{ message + from + 5, end - from - 5 } };

		if (end - from <= 5)
			iov[0].iov_len = end - from, iov[1].iov_len = 0;
		assert_int_equal(svc_answer_read(answer, from, iov, 2), end - from);
		end = from;
	}
	svc_answer_put(answer);
	xsm_begin(&xsm, got, DATA);
	for (size_t at = 0; at < got; at += 777)
		assert_int_equal(xsm_feed(&xsm, message + at, got - at < 777 ? got - at : 777,
					  compare, NULL),
				 0);
	assert_true(xsm_complete(&xsm));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, service_setup, service_teardown)
		TEST(parts_come_in_any_order),
		TEST(a_damaged_message_stores_nothing),
		TEST(a_message_is_read_from_any_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
