/* SPDX-License-Identifier: MIT */
/* The parser of request heads: what it takes apart, and what it refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "door/head.h"

static struct head_parser *parser;

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

static enum head_state feed(const char *text, size_t length, size_t *taken)
{
	head_parser_reset(parser);
	return head_parser_feed(parser, text, length, taken);
}

static const struct head *good(const char *text)
{
	size_t taken;

	assert_int_equal(feed(text, strlen(text), &taken), HEAD_DONE);
	assert_int_equal(taken, strlen(text));
	return head_parser_head(parser);
}

static void bad_bytes(const char *text, size_t length, int status)
{
	const char *reason = NULL;
	size_t taken;

	assert_int_equal(feed(text, length, &taken), HEAD_BAD);
	assert_int_equal(head_parser_error(parser, &reason), status);
	assert_non_null(reason);
	/* it stays refused until a reset */
	assert_int_equal(head_parser_feed(parser, "x", 1, &taken), HEAD_BAD);
}

static void bad(const char *text, int status)
{
	bad_bytes(text, strlen(text), status);
}

static void takes_a_head_apart(void **state)
{
	const struct head *head;

	(void)state;
	head = good("PUT /a/c/b%20x?comp=block&blockid=QQ== HTTP/1.1\r\n"
		    "Host: a.blob.example\r\nContent-Length: 10\r\nx-ms-meta-A: \t padded  \r\n"
		    "Empty:\r\nExpect: 100-Continue\r\n\r\n");
	assert_true(head_str_is(&head->method, "PUT"));
	assert_true(head_str_is(&head->target, "/a/c/b%20x?comp=block&blockid=QQ=="));
	assert_int_equal(head->minor, 1);
	assert_int_equal(head->content_length, 10);
	assert_int_equal(head->field_count, 5);
	assert_true(head_str_is(head_get(head, "X-MS-META-a"), "padded"));
	assert_int_equal(head_get(head, "empty")->length, 0);
	assert_null(head_get(head, "Date"));
	assert_true(head->expect_continue);
	assert_true(head->keep_alive);
	assert_false(head->chunked);
}

static void knows_when_a_connection_stays(void **state)
{
	(void)state;
	assert_false(good("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")->keep_alive);
	assert_false(good("GET / HTTP/1.0\r\n\r\n")->keep_alive);
	assert_true(good("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")->keep_alive);
	assert_int_equal(good("GET / HTTP/1.0\r\n\r\n")->content_length, -1);
}

static void takes_a_head_in_any_pieces(void **state)
{
	static const char text[] = "GET /account/c/b HTTP/1.1\r\nHost: x\r\nx-ms-date: now\r\n\r\n";

	(void)state;
	for (size_t step = 1; step < sizeof(text); step++) {
		enum head_state got = HEAD_MORE;
		size_t at = 0;

		head_parser_reset(parser);
		while (at < sizeof(text) - 1) {
			size_t n = sizeof(text) - 1 - at, taken;

			assert_int_equal(got, HEAD_MORE);
			got = head_parser_feed(parser, text + at, n < step ? n : step, &taken);
			at += taken;
		}
		assert_int_equal(got, HEAD_DONE);
		assert_int_equal(head_parser_head(parser)->field_count, 2);
	}
}

static void leaves_what_follows_a_head(void **state)
{
	static const char text[] = "\r\nGET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\n";
	size_t taken;

	(void)state;
	assert_int_equal(feed(text, sizeof(text) - 1, &taken), HEAD_DONE);
	assert_string_equal(text + taken, "GET /2 HTTP/1.1\r\n");
}

static void refuses_what_two_parsers_could_read_differently(void **state)
{
	static const char zero[] = "GET / HTTP/1.1\r\nA: b\0c\r\n\r\n";

	(void)state;
	bad("PUT / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400);
	bad("PUT / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400);
	bad("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\ncontent-length: 1\r\n\r\n", 400);
	bad("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n", 400);
	bad("GET / HTTP/1.1\r\nA: b\r\n\tc\r\n\r\n", 400);
	bad("GET / HTTP/1.1\r\nA: b\rc\r\n\r\n", 400);
	bad("GET / HTTP/1.1\nA: b\r\n\r\n", 400);
	bad("GET / HTTP/1.1\r\nA: b\n\r\n", 400);
	bad("GET / HTTP/1.1\r\nA : b\r\n\r\n", 400);
	bad("GET / HTTP/1.1\r\n: b\r\n\r\n", 400);
	bad("GET / HTTP/1.1\r\nno colon\r\n\r\n", 400);
	bad("GET / HTTP/1.1\r\nA: \x01\r\n\r\n", 400);
	bad("GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", 400);
	bad_bytes(zero, sizeof(zero) - 1, 400);
	assert_true(good("GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n")->chunked);
}

static void refuses_bad_numbers(void **state)
{
	static const char *const values[] = { "-1",  "+1", "1x",  "0x10",
					      "1 1", "",   "1,1", "9999999999999999999" };
	char text[128];

	(void)state;
	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		snprintf(text, sizeof(text), "PUT / HTTP/1.1\r\nContent-Length: %s\r\n\r\n",
			 values[i]);
		bad(text, 400);
	}
	assert_int_equal(
		good("PUT / HTTP/1.1\r\nContent-Length: 5242880000\r\n\r\n")->content_length,
		5242880000);
}

static void refuses_bad_request_lines(void **state)
{
	(void)state;
	bad("GET\r\n\r\n", 400);
	bad("GET  HTTP/1.1\r\n\r\n", 400);
	bad("GET / HTTP/2.0\r\n\r\n", 505);
	bad("GET / HTTP/1.2\r\n\r\n", 505);
	bad("FROBNICATE / HTTP/1.1\r\n\r\n", 405);
	bad("GE(T / HTTP/1.1\r\n\r\n", 400);
	bad("PUT / HTTP/1.1\r\nExpect: a miracle\r\n\r\n", 417);
}

static void refuses_what_is_too_much(void **state)
{
	char *text = malloc(HEAD_MAX_BYTES + 100);
	size_t taken, at;

	(void)state;
	assert_non_null(text);
	at = (size_t)sprintf(text, "GET / HTTP/1.1\r\nA: ");
	memset(text + at, 'x', HEAD_MAX_BYTES);
	bad_bytes(text, HEAD_MAX_BYTES + 50, 431);
	/* one of exactly the limit is taken */
	memcpy(text + HEAD_MAX_BYTES - 4, "\r\n\r\n", 4);
	assert_int_equal(feed(text, HEAD_MAX_BYTES, &taken), HEAD_DONE);

	at = (size_t)sprintf(text, "GET / HTTP/1.1\r\n");
	for (unsigned int i = 0; i < HEAD_MAX_HEADERS + 1; i++)
		at += (size_t)sprintf(text + at, "A%u: b\r\n", i);
	at += (size_t)sprintf(text + at, "\r\n");
	bad_bytes(text, at, 431);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_a_head_apart),
		cmocka_unit_test(knows_when_a_connection_stays),
		cmocka_unit_test(takes_a_head_in_any_pieces),
		cmocka_unit_test(leaves_what_follows_a_head),
		cmocka_unit_test(refuses_what_two_parsers_could_read_differently),
		cmocka_unit_test(refuses_bad_numbers),
		cmocka_unit_test(refuses_bad_request_lines),
		cmocka_unit_test(refuses_what_is_too_much),
	};

	return cmocka_run_group_tests_name("head", tests, setup, teardown);
}
