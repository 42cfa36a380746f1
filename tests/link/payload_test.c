// SPDX-License-Identifier: MIT
/* Targets and headers of docs/payload.md, without a link. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "../../vsp-backend/base/crc64.h"
#include "../../vsp-backend/door/link_payload.h"

static struct head_parser *parser;

static struct payload_error parse(const char *text, uint32_t data_valid, struct payload *payload)
{
	size_t taken;

	if (!parser)
		parser = head_parser_new();
	head_parser_reset(parser);
	assert_int_equal(head_parser_feed(parser, text, strlen(text), &taken), HEAD_DONE);
	assert_int_equal(taken, strlen(text));
	return payload_parse(head_parser_head(parser), data_valid, payload);
}

struct good {
	const char *head;
	uint32_t data_valid;
	enum payload_what what;
	uint64_t offset, length;
};

static void good_targets(void **state)
{
	static const struct good good[] = {
		{ "GET /a/b HTTP/1.1\r\n\r\n", 0, PAYLOAD_BLOB, 0, 0 },
		{ "GET /a/.azblob HTTP/1.1\r\n\r\n", 0, PAYLOAD_BLOB, 0, 0 },
		{ "GET /.azblob HTTP/1.1\r\n\r\n", 0, PAYLOAD_PROBE, 0, 0 },
		{ "PUT /.azblob/H?offset=0 HTTP/1.1\r\nContent-Length: 5\r\n\r\n", 5, PAYLOAD_PART,
		  0, 0 },
		{ "POST /.azblob/H?commit HTTP/1.1\r\n\r\n", 0, PAYLOAD_COMMIT, 0, 0 },
		{ "POST /.azblob/H?commit HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 0, PAYLOAD_COMMIT,
		  0, 0 },
		{ "GET /.azblob/H?offset=1&length=2 HTTP/1.1\r\n\r\n", 0, PAYLOAD_READ, 1, 2 },
		{ "GET /.azblob/H?length=9223372036854775807&offset=3 HTTP/1.1\r\n\r\n", 0,
		  PAYLOAD_READ, 3, INT64_MAX },
		{ "DELETE /.azblob/H HTTP/1.1\r\n\r\n", 0, PAYLOAD_FORGET, 0, 0 },
	};
	struct payload payload;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(parse(good[i].head, good[i].data_valid, &payload).status, 0);
		assert_int_equal(payload.what, good[i].what);
		assert_int_equal(payload.offset, good[i].offset);
		assert_int_equal(payload.length, good[i].length);
		if (payload.what > PAYLOAD_PROBE) {
			assert_int_equal(payload.handle.length, 1);
			assert_int_equal(payload.handle.at[0], 'H');
		}
	}
}

struct bad {
	const char *head;
	uint32_t data_valid;
	unsigned int status;
	const char *code;
};

static void bad_requests(void **state)
{
	static const char query[] = "InvalidQueryParameterValue";
	static const struct bad bad[] = {
		{ "HEAD /.azblob HTTP/1.1\r\n\r\n", 0, 405, "UnsupportedHttpVerb" },
		{ "GET /.azblob? HTTP/1.1\r\n\r\n", 0, 400, "InvalidUri" },
		{ "GET /.azblobs HTTP/1.1\r\n\r\n", 0, 400, "InvalidUri" },
		{ "HEAD /.azblob/H HTTP/1.1\r\n\r\n", 0, 405, "UnsupportedHttpVerb" },
		{ "PUT /.azblob/H HTTP/1.1\r\nContent-Length: 1\r\n\r\n", 1, 400, query },
		{ "PUT /.azblob/H?offset= HTTP/1.1\r\nContent-Length: 1\r\n\r\n", 1, 400, query },
		{ "PUT /.azblob/H?offset=-1 HTTP/1.1\r\nContent-Length: 1\r\n\r\n", 1, 400, query },
		{ "PUT /.azblob/H?offset=+1 HTTP/1.1\r\nContent-Length: 1\r\n\r\n", 1, 400, query },
		{ "PUT /.azblob/H?offset=0x1 HTTP/1.1\r\nContent-Length: 1\r\n\r\n", 1, 400,
		  query },
		{ "PUT /.azblob/H?offset=1&offset=1 HTTP/1.1\r\nContent-Length: 1\r\n\r\n", 1, 400,
		  query },
		{ "PUT /.azblob/H?offset=1& HTTP/1.1\r\nContent-Length: 1\r\n\r\n", 1, 400, query },
		{ "PUT /.azblob/H?offset=1&length=1 HTTP/1.1\r\nContent-Length: 1\r\n\r\n", 1, 400,
		  query },
		{ "GET /.azblob/H?offset=9223372036854775808&length=1 HTTP/1.1\r\n\r\n", 0, 400,
		  query },
		{ "GET /.azblob/H?offset=99999999999999999999&length=1 HTTP/1.1\r\n\r\n", 0, 400,
		  query },
		{ "GET /.azblob/H?offset=1 HTTP/1.1\r\n\r\n", 0, 400, query },
		{ "POST /.azblob/H HTTP/1.1\r\n\r\n", 0, 400, query },
		{ "POST /.azblob/H?commit=1 HTTP/1.1\r\n\r\n", 0, 400, query },
		{ "DELETE /.azblob/H?x HTTP/1.1\r\n\r\n", 0, 400, query },
		{ "PUT /.azblob/H?offset=1 HTTP/1.1\r\n\r\n", 0, 400, "IncompleteBody" },
		{ "GET /.azblob/H?offset=1&length=1 HTTP/1.1\r\nContent-Length: 1\r\n\r\n", 1, 400,
		  "InvalidInput" },
		{ "DELETE /.azblob/H HTTP/1.1\r\nAzblob-Body: open\r\n\r\n", 0, 400,
		  "UnsupportedHeader" },
		{ "GET /a HTTP/1.1\r\nAzblob-Body: close\r\n\r\n", 0, 400, "InvalidHeaderValue" },
		{ "GET /a HTTP/1.1\r\nAzblob-Body: open\r\nAzblob-Body: open\r\n\r\n", 0, 400,
		  "InvalidHeaderValue" },
		{ "GET /a HTTP/1.1\r\nAzblob-Crc64: TRUE\r\n\r\n", 0, 400, "InvalidHeaderValue" },
		{ "GET /a HTTP/1.1\r\nAzblob-Crc64: true\r\nAzblob-Crc64: true\r\n\r\n", 0, 400,
		  "InvalidHeaderValue" },
		{ "GET /a HTTP/1.1\r\nAzblob-Crc64: AAAAAAAAAAB=\r\n\r\n", 0, 400,
		  "InvalidHeaderValue" },
		{ "GET /a HTTP/1.1\r\nAzblob-Crc64: AAAAAAAAAAE=\r\n\r\n", 0, 400,
		  "Crc64Mismatch" },
		{ "GET /a HTTP/1.1\r\nAzblob-Sent: 1\r\n\r\n", 0, 400, "UnsupportedHeader" },
		{ "PUT /a HTTP/1.1\r\n\r\n", 1, 411, "MissingContentLengthHeader" },
		{ "PUT /a HTTP/1.1\r\nContent-Length: 2\r\n\r\n", 1, 400, "IncompleteBody" },
		{ "PUT /a HTTP/1.1\r\nContent-Length: 2\r\nAzblob-Body: open\r\n\r\n", 3, 400,
		  "InvalidInput" },
	};
	struct payload payload;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct payload_error error = parse(bad[i].head, bad[i].data_valid, &payload);

		if (error.status != bad[i].status || strcmp(error.code, bad[i].code) != 0)
			fail_msg("%s gave %u %s", bad[i].head, error.status, error.code);
	}
}

static void open_and_checksums(void **state)
{
	struct payload payload;
	uint64_t crc = azb_crc64(0, "123456789", 9);
	char text[PAYLOAD_CRC_LENGTH + 1], head[200];

	(void)state;
	assert_int_equal(crc, 0xae8b14860a799888ull);
	payload_crc_text(crc, text);
	assert_string_equal(text, "iJh5CoYUi64=");
	snprintf(head, sizeof(head),
		 "PUT /a HTTP/1.1\r\nContent-Length: 99\r\nazblob-body: open\r\n"
		 "AZBLOB-CRC64: %s\r\n\r\n",
		 text);
	assert_int_equal(parse(head, 9, &payload).status, 0);
	assert_true(payload.open);
	assert_true(payload.crc_given);
	assert_false(payload.crc_wanted);
	assert_true(payload.crc == crc);
	assert_int_equal(parse("GET /a HTTP/1.1\r\nAzblob-Crc64: true\r\n\r\n", 0, &payload).status,
			 0);
	assert_true(payload.crc_wanted);
	assert_false(payload.crc_given);
	/* Of no bytes the checksum is 0. */
	assert_int_equal(parse("PUT /a HTTP/1.1\r\nContent-Length: 0\r\n"
			       "Azblob-Crc64: AAAAAAAAAAA=\r\n\r\n",
			       0, &payload)
				 .status,
			 0);
}

static int clean_up(void **state)
{
	(void)state;
	head_parser_free(parser);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_targets),
		cmocka_unit_test(bad_requests),
		cmocka_unit_test(open_and_checksums),
	};

	return cmocka_run_group_tests(tests, NULL, clean_up);
}
