/* SPDX-License-Identifier: MIT */
/* The longest block lists there may be, read as the link reads them: in parts of one answer. */
#include "service_help.h"

#include "blob/handle.h"

#define PART 100000

/* A part of a body, kept until its end because an entry may lie in two. */
static size_t count_entries(const char *text, size_t length)
{
	static const char entry[] = "<Block>";
	size_t count = 0;

	for (size_t i = 0; i + sizeof(entry) - 1 <= length; i++)
		count += !memcmp(text + i, entry, sizeof(entry) - 1);
	return count;
}

static size_t entries_by_handle(struct service *s, const char *target)
{
	struct handles *handles = handles_new(&(struct handles_config){ 0 });
	struct svc_answer *answer = service_do(s, "GET", target, "", 0);
	char id[HANDLE_ID_LENGTH + 1], *text;
	uint64_t length = answer->body_length;
	struct handle *handle;
	size_t count;

	assert_int_equal(answer->status, 200);
	assert_int_equal(handle_add_download(handles, service_session, answer, id), 0);
	text = malloc(length);
	for (uint64_t at = 0; at < length; at += PART) {
		uint64_t n = length - at < PART ? length - at : PART;
		struct iovec iov = { text + at, n };

		handle = handle_get(handles, service_session, HANDLE_DOWNLOAD, id, strlen(id));
		assert_non_null(handle);
		assert_int_equal(svc_answer_read(handle_answer(handle), at, &iov, 1), n);
		handle_put(handle);
	}
	count = count_entries(text, length);
	free(text);
	handles_free(handles);
	return count;
}

static void the_longest_lists_are_read_in_parts(void **state)
{
	struct service *s = *state;
	const char *name = "/cont/b?comp=blocklist&blocklisttype=all";
	struct svc_upload *upload = service_upload(s, "/cont/b?comp=block&blockid=MDAwMDAwMDA%3D",
						   "Content-Length: 1\r\n");
	struct iovec iov = { (void *)(uintptr_t) "x", 1 };
	struct svc_caller caller = service_caller(0);
	struct svc_answer *answer;

	assert_int_equal(svc_write(upload, 0, &iov, 1, 0, NULL, NULL), 0);
	assert_int_equal(svc_finish(upload, &caller, &answer), 0);
	assert_int_equal(answer->status, 201);
	svc_answer_put(answer);
	/* so many requests would take minutes: rows like the one that was made */
	query_number(&s->store,
		     "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
		     " WHERE i < 99999) INSERT INTO blocks(staged, id, length, crc64, chunk,"
		     " content, taken) SELECT staged, CAST(printf('%08d', i) AS BLOB), length,"
		     " crc64, chunk, content, taken FROM n, blocks WHERE true RETURNING 1");
	query_number(&s->store, "UPDATE staged SET count = 100000 RETURNING 1");
	query_number(&s->store, "UPDATE chunks SET refs = 100000 RETURNING 1");
	assert_int_equal(entries_by_handle(s, name), 100000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_longest_lists_are_read_in_parts, service_setup,
						service_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
