/* SPDX-License-Identifier: MIT */
/* What is read from a request's headers, and how answers are written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "blob/httpdate.h"
#include "blob/request.h"

static struct head_parser *parser;
static struct rq rq;

static int setup(void **state)
{
	(void)state;
	parser = head_parser_new();
	return parser ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	head_parser_free(parser);
	return 0;
}

/* A request with these header lines. */
static void request(const char *lines)
{
	char text[20000];
	size_t taken;

	head_parser_reset(parser);
	snprintf(text, sizeof(text), "GET /acct/cont/b HTTP/1.1\r\nHost: h\r\n%s\r\n", lines);
	assert_int_equal(head_parser_feed(parser, text, strlen(text), &taken), HEAD_DONE);
	memset(&rq, 0, sizeof(rq));
	rq.head = head_parser_head(parser);
	answer_to_init(&rq.to, rq.head);
}

/* The answer is an error with this status and code. */
static void is_error(struct svc_answer *answer, unsigned int status, const char *code)
{
	assert_non_null(answer);
	assert_int_equal(answer->status, status);
	assert_string_equal(svc_answer_header(answer, "X-Ms-Error-Code"), code);
	svc_answer_put(answer);
}

static void range_forms(void **state)
{
	static const char *const bad[] = {
		"",          "bytes=",     "bytes=-",       "bytes=-5",
		"bytes=5",   "bytes=5-4",  "bytes=1-2,4-5", "bytes=a-b",
		"lines=0-1", "bytes=0-1x", "bytes= 0-1",    "bytes=99999999999999999999-"
	};
	struct range range;

	(void)state;
	assert_true(range_parse("bytes=0-0", 9, &range));
	assert_int_equal(range.first, 0);
	assert_int_equal(range.last, 0);
	assert_true(range_parse("BYTES=10-", 9, &range));
	assert_int_equal(range.first, 10);
	assert_true(range.last == UINT64_MAX);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(range_parse(bad[i], strlen(bad[i]), &range));
}

static void x_ms_range_wins(void **state)
{
	struct range range;

	(void)state;
	request("Range: bytes=1-2\r\nx-ms-range: bytes=3-4\r\n");
	assert_null(range_of(&rq, &range));
	assert_int_equal(range.first, 3);
	request("Range: bytes=-2\r\n");
	assert_null(range_of(&rq, &range));
	assert_false(range.given);
	request("Range: bytes=1-2\r\nx-ms-range: nonsense\r\n");
	is_error(range_of(&rq, &range), 400, "InvalidHeaderValue");
}

static void conditions_are_read(void **state)
{
	struct conditions c;

	(void)state;
	request("");
	assert_null(conditions_parse(&rq, &c));
	assert_false(c.any);
	request("If-Match: \"0x8DA1\", 0x2,\"other\" , *\r\n"
		"If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
	assert_null(conditions_parse(&rq, &c));
	assert_int_equal(c.store.if_match_count, 4);
	assert_true(c.store.if_match[0] == 0x8da1);
	assert_true(c.store.if_match[1] == 2);
	assert_true(c.store.if_match[2] == STORE_ETAG_INVALID);
	assert_true(c.store.if_match[3] == STORE_ETAG_ANY);
	assert_true(c.store.has_if_unmodified_since);
	assert_int_equal(c.store.if_unmodified_since, 784111777);
}

static void bad_conditions_are_refused(void **state)
{
	struct conditions c;

	(void)state;
	request("If-Match: a\r\nIf-None-Match: b\r\n");
	is_error(conditions_parse(&rq, &c), 400, "MultipleConditionHeadersNotSupported");
	request("If-Match: a\r\nIf-Match: b\r\n");
	is_error(conditions_parse(&rq, &c), 400, "MultipleConditionHeadersNotSupported");
	request("If-Modified-Since: yesterday\r\n");
	is_error(conditions_parse(&rq, &c), 400, "InvalidHeaderValue");
	request("If-Match: ,\r\n");
	is_error(conditions_parse(&rq, &c), 400, "InvalidHeaderValue");
	request("If-Match: *\r\n");
	is_error(conditions_refuse(&rq), 400, "ConditionHeadersNotSupported");
}

static void metadata_is_read(void **state)
{
	const char *name, *value;
	struct azb_buf buf = { 0 };
	struct store_meta meta;
	size_t at = 0;

	(void)state;
	request("x-ms-meta-One: first value\r\nX-MS-META-_2: \r\n");
	assert_null(metadata_parse(&rq, &buf));
	meta = (struct store_meta){ buf.data, buf.length };
	assert_true(store_meta_next(&meta, &at, &name, &value));
	assert_string_equal(name, "One");
	assert_string_equal(value, "first value");
	assert_true(store_meta_next(&meta, &at, &name, &value));
	assert_string_equal(name, "_2");
	assert_string_equal(value, "");
	assert_false(store_meta_next(&meta, &at, &name, &value));
	azb_buf_free(&buf);
}

static void bad_metadata_is_refused(void **state)
{
	struct azb_buf buf = { 0 };
	char line[9000];

	(void)state;
	request("x-ms-meta-: v\r\n");
	is_error(metadata_parse(&rq, &buf), 400, "EmptyMetadataKey");
	request("x-ms-meta-1a: v\r\n");
	is_error(metadata_parse(&rq, &buf), 400, "InvalidMetadata");
	request("x-ms-meta-a-b: v\r\n");
	is_error(metadata_parse(&rq, &buf), 400, "InvalidMetadata");
	request("x-ms-meta-a: \xc3\xa9\r\n");
	is_error(metadata_parse(&rq, &buf), 400, "InvalidMetadata");
	request("x-ms-meta-a: v\r\nx-ms-meta-A: w\r\n");
	is_error(metadata_parse(&rq, &buf), 400, "InvalidMetadata");
	/* the name counts too: 8,192 bytes are the limit */
	snprintf(line, sizeof(line), "x-ms-meta-a: %08191d\r\n", 0);
	request(line);
	assert_null(metadata_parse(&rq, &buf));
	azb_buf_free(&buf);
	snprintf(line, sizeof(line), "x-ms-meta-ab: %08191d\r\n", 0);
	request(line);
	is_error(metadata_parse(&rq, &buf), 400, "MetadataTooLarge");
}

static void checksums_are_read(void **state)
{
	struct checksums sums;

	(void)state;
	request("Content-MD5: AAECAwQFBgcICQoLDA0ODw==\r\n");
	assert_null(checksums_parse(&rq, &sums));
	assert_true(sums.has_md5);
	assert_int_equal(sums.md5[15], 15);
	request("x-ms-content-crc64: AQIDBAUGBwg=\r\n");
	assert_null(checksums_parse(&rq, &sums));
	assert_true(sums.crc64 == UINT64_C(0x0807060504030201));
	request("Content-MD5: AAECAwQFBgcICQoLDA0OD\r\n");
	is_error(checksums_parse(&rq, &sums), 400, "InvalidMd5");
	request("x-ms-content-crc64: AQID\r\n");
	is_error(checksums_parse(&rq, &sums), 400, "InvalidHeaderValue");
	request("x-ms-content-crc64: AQIDBAUGBwg=\r\nContent-MD5: AAECAwQFBgcICQoLDA0ODw==\r\n");
	is_error(checksums_parse(&rq, &sums), 400, "InvalidHeaderValue");
}

static void dates_in_three_forms(void **state)
{
	static const char *const forms[] = { "Sun, 06 Nov 1994 08:49:37 GMT",
					     "Sunday, 06-Nov-94 08:49:37 GMT",
					     "Sun Nov  6 08:49:37 1994" };
	char text[HTTPDATE_ROOM];
	time_t seconds;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		assert_true(httpdate_parse(forms[i], strlen(forms[i]), &seconds));
		assert_int_equal(seconds, 784111777);
	}
	assert_false(httpdate_parse("Sun, 06 Nov 1994 08:49:37 CET", 29, &seconds));
	assert_false(httpdate_parse("", 0, &seconds));
	httpdate_format(text, 784111777);
	assert_string_equal(text, forms[0]);
	assert_int_equal(httpdate_seconds(1999999999), 1);
	assert_int_equal(httpdate_seconds(-1), -1);
}

static void an_answer_is_the_same_bytes_every_time(void **state)
{
	static const struct svc_extra extra = { "Connection", "close" };
	struct azb_buf body = { 0 };
	struct svc_piece piece;
	struct svc_answer *answer;
	char first[2000], second[2000];
	size_t n;

	(void)state;
	request("x-ms-version: 2023-11-03\r\nx-ms-client-request-id: mine\r\n");
	azb_buf_puts(&body, "0123456789");
	{
		struct answer *a = answer_new(&rq.to, 206);

		answer_add_etag(a, 0xabc);
		answer_set_body(a, &body, "text/plain");
		answer = answer_done(a, &rq.to);
	}
	n = svc_answer_head(answer, &extra, 1, first, sizeof(first));
	assert_true(n < sizeof(first));
	assert_int_equal(svc_answer_head(answer, &extra, 1, second, n), n);
	assert_memory_equal(first, second, n);
	/* too little room: the need is told and nothing is written */
	second[0] = '!';
	assert_int_equal(svc_answer_head(answer, &extra, 1, second, n - 1), n);
	assert_int_equal(second[0], '!');
	first[n] = 0;
	assert_ptr_equal(strstr(first, "HTTP/1.1 206 Partial Content\r\n"), first);
	assert_non_null(strstr(first, "\r\nx-ms-client-request-id: mine\r\n"));
	assert_non_null(strstr(first, "\r\nx-ms-version: 2023-11-03\r\n"));
	assert_non_null(strstr(first, "\r\nETag: \"0xABC\"\r\n"));
	assert_non_null(strstr(first, "\r\nContent-Length: 10\r\n"));
	assert_string_equal(first + n - strlen("\r\nConnection: close\r\n\r\n"),
			    "\r\nConnection: close\r\n\r\n");
	assert_int_equal(svc_answer_pieces(answer, 3, &piece, 1), 1);
	assert_int_equal(piece.fd, -1);
	assert_int_equal(piece.length, 7);
	assert_memory_equal(piece.bytes, "3456789", 7);
	assert_int_equal(svc_answer_pieces(answer, 10, &piece, 1), 0);
	svc_answer_put(answer);
}

static void a_body_is_read_into_scattered_memory(void **state)
{
	char a[3], b[1], c[20];
	struct iovec iov[4] = { { a, 3 }, { b, 0 }, { b, 1 }, { c, sizeof(c) } };
	struct azb_buf body = { 0 };
	struct svc_answer *answer;

	(void)state;
	request("");
	azb_buf_puts(&body, "0123456789");
	{
		struct answer *made = answer_new(&rq.to, 200);

		answer_set_body(made, &body, "text/plain");
		answer = answer_done(made, &rq.to);
	}
	assert_int_equal(svc_answer_read(answer, 1, iov, 4), 9);
	assert_memory_equal(a, "123", 3);
	assert_memory_equal(b, "4", 1);
	assert_memory_equal(c, "56789", 5);
	assert_int_equal(svc_answer_read(answer, 0, iov, 1), 3);
	assert_int_equal(svc_answer_read(answer, 10, iov, 4), 0);
	svc_answer_put(answer);
}

static void an_error_is_in_azures_form(void **state)
{
	struct svc_answer *answer;
	struct svc_piece piece;
	char text[600];

	(void)state;
	request("");
	answer = rq_fail_header(&rq, ERR_INVALID_HEADER_VALUE, "Host");
	assert_string_equal(svc_answer_header(answer, "Content-Type"), "application/xml");
	assert_int_equal(svc_answer_pieces(answer, 0, &piece, 1), 1);
	snprintf(text, sizeof(text), "%.*s", (int)piece.length, (const char *)piece.bytes);
	assert_ptr_equal(strstr(text, "<?xml version=\"1.0\" encoding=\"utf-8\"?><Error>"
				      "<Code>InvalidHeaderValue</Code><Message>The value for one "),
			 text);
	assert_non_null(strstr(text, "\nRequestId:"));
	assert_non_null(strstr(text, "\nTime:20"));
	assert_non_null(strstr(text, "</Message><HeaderName>Host</HeaderName>"
				     "<HeaderValue>h</HeaderValue></Error>"));
	svc_answer_put(answer);
}

static void every_error_has_a_code(void **state)
{
	(void)state;
	request("");
	for (int e = ERR_NONE + 1; e < ERR_COUNT; e++) {
		struct svc_answer *answer = rq_fail(&rq, (enum err)e);

		assert_in_range(answer->status, 304, 507);
		assert_non_null(svc_answer_header(answer, "x-ms-error-code"));
		svc_answer_put(answer);
	}
}

static void accounts_are_checked(void **state)
{
	static const char *const bad[] = { "",
					   "name",
					   "ab:QUJD",
					   "NAME:QUJD",
					   "name:",
					   "name:*",
					   "name:QUJD:",
					   "name:QUJD:QUJD:QUJD",
					   "aaaaaaaaaaaaaaaaaaaaaaaaa:QUJD" };
	struct accounts *accounts = accounts_new();
	char error[300];

	(void)state;
	assert_non_null(accounts);
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		error[0] = 0;
		assert_false(accounts_add(accounts, bad[i], error, sizeof(error)));
		assert_true(error[0]);
		assert_null(strstr(error, "QUJD"));
	}
	assert_true(accounts_add(accounts, "name:QUJD:REVG", error, sizeof(error)));
	assert_false(accounts_add(accounts, "name:QUJD", error, sizeof(error)));
	assert_int_equal(accounts_count(accounts), 1);
	assert_int_equal(accounts_find(accounts, "name")->key_count, 2);
	assert_memory_equal(accounts_find(accounts, "name")->key[1], "DEF", 3);
	assert_null(accounts_find(accounts, "other"));
	accounts_put(accounts);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(range_forms),
		cmocka_unit_test(x_ms_range_wins),
		cmocka_unit_test(conditions_are_read),
		cmocka_unit_test(bad_conditions_are_refused),
		cmocka_unit_test(metadata_is_read),
		cmocka_unit_test(bad_metadata_is_refused),
		cmocka_unit_test(checksums_are_read),
		cmocka_unit_test(dates_in_three_forms),
		cmocka_unit_test(an_answer_is_the_same_bytes_every_time),
		cmocka_unit_test(a_body_is_read_into_scattered_memory),
		cmocka_unit_test(an_error_is_in_azures_form),
		cmocka_unit_test(every_error_has_a_code),
		cmocka_unit_test(accounts_are_checked),
	};

	return cmocka_run_group_tests_name("request", tests, setup, teardown);
}
