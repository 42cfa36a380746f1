// SPDX-License-Identifier: MIT
/* The connector library's envelope on the link door, over the fake service. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "../../vsp-backend/base/base64.h"
#include "bench.h"

#define HEADER 32u
#define OPEN 1u
#define READ 2u
#define CLOSE 3u

/* From the description, one bit at a time: nothing of the door's own code. */
static uint64_t crc64(const uint8_t *bytes, size_t length)
{
	uint64_t crc = ~UINT64_C(0);

	for (size_t i = 0; i < length; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ UINT64_C(0x9a6c9329ac4bc9b5) : crc >> 1;
	}
	return ~crc;
}

struct envelope_bytes {
	uint8_t bytes[8192];
	size_t length;
};

static void seal(struct envelope_bytes *e)
{
	uint64_t crc;

	memset(e->bytes + 16, 0, 8);
	crc = crc64(e->bytes, e->length);
	memcpy(e->bytes + 16, &crc, 8);
}

static struct envelope_bytes make(uint32_t method, const char *json)
{
	struct envelope_bytes e = { .length = HEADER + strlen(json) };
	uint32_t format = 1;

	assert_true(e.length <= sizeof(e.bytes));
	memcpy(e.bytes, "HsReq001", 8);
	memcpy(e.bytes + 8, &format, 4);
	memcpy(e.bytes + 12, &method, 4);
	memcpy(e.bytes + HEADER, json, strlen(json));
	seal(&e);
	return e;
}

struct reply {
	uint32_t wire;
	uint32_t data_length;
	json_t *json;
};

/* Checks the header and the checksum of an answer and takes its JSON out. */
static struct reply reply_of(const struct bench_answer *answer)
{
	struct reply reply = { .wire = answer->status, .data_length = answer->data_length };
	uint8_t copy[sizeof(answer->head)];
	uint64_t crc;

	if (!answer->response_length)
		return reply;
	assert_in_range(answer->response_length, HEADER + 2, sizeof(copy) - 1);
	memcpy(copy, answer->head, answer->response_length);
	assert_memory_equal(copy, "HsRes001\1\0\0\0\0\0\0\0", 16);
	assert_memory_equal(copy + 24, "\0\0\0\0\0\0\0\0", 8);
	memcpy(&crc, copy + 16, 8);
	memset(copy + 16, 0, 8);
	assert_true(crc == crc64(copy, answer->response_length));
	reply.json = json_loadb((char *)copy + HEADER, answer->response_length - HEADER, 0, NULL);
	assert_non_null(reply.json);
	return reply;
}

static struct emu_request request_of(const struct envelope_bytes *e, uint32_t data, uint32_t valid)
{
	struct emu_request request = bench_request((const char *)e->bytes, data, valid);

	request.head_length = e->length;
	return request;
}

static struct reply send_bytes(struct bench *bench, const struct envelope_bytes *e, uint32_t data)
{
	struct emu_request request = request_of(e, data, 0);
	struct bench_answer answer = bench_do(bench, &request);

	return reply_of(&answer);
}

static struct reply __attribute__((format(printf, 4, 5)))
ask(struct bench *bench, uint32_t method, uint32_t data, const char *format, ...)
{
	struct envelope_bytes e;
	char json[4096];
	va_list args;

	va_start(args, format);
	assert_in_range(vsnprintf(json, sizeof(json), format, args), 0, sizeof(json) - 1);
	va_end(args);
	e = make(method, json);
	return send_bytes(bench, &e, data);
}

static json_int_t number(const struct reply *reply, const char *name)
{
	json_t *value = json_object_get(reply->json, name);

	if (!json_is_integer(value))
		fail_msg("no number %s", name);
	return json_integer_value(value);
}

static const char *string(const struct reply *reply, const char *name)
{
	const char *value = json_string_value(json_object_get(reply->json, name));

	if (!value)
		fail_msg("no string %s", name);
	return value;
}

static void assert_refused(struct reply reply, json_int_t status, json_int_t http, const char *word)
{
	assert_int_equal(reply.wire, 0);
	assert_int_equal(reply.data_length, 0);
	assert_int_equal(number(&reply, "status"), status);
	assert_int_equal(number(&reply, "httpStatus"), http);
	if (!strstr(string(&reply, "errorDescription"), word))
		fail_msg("\"%s\" is not in \"%s\"", word, string(&reply, "errorDescription"));
	assert_null(json_object_get(reply.json, "handleKey"));
	json_decref(reply.json);
}

static void open_blob(struct bench *bench, const char *target, char key[33])
{
	struct reply reply = ask(bench, OPEN, 0, "{\"host\":\"h\",\"target\":\"%s\"}", target);

	assert_int_equal(number(&reply, "status"), 1001);
	assert_int_equal(strlen(string(&reply, "handleKey")), 32);
	strcpy(key, string(&reply, "handleKey"));
	json_decref(reply.json);
}

static struct reply read_blob(struct bench *bench, const char *key, uint64_t offset,
			      uint64_t length, uint32_t data, const char *more)
{
	return ask(bench, READ, data, "{\"handleKey\":\"%s\",\"offset\":%llu,\"length\":%llu%s}",
		   key, (unsigned long long)offset, (unsigned long long)length, more);
}

static void assert_closed(struct bench *bench, const char *key)
{
	struct reply reply = ask(bench, CLOSE, 0, "{\"handleKey\":\"%s\"}", key);

	assert_int_equal(number(&reply, "status"), 1001);
	json_decref(reply.json);
}

/* ------------------------------------------------------------------ ordinary */

static void open_read_close(void **state)
{
	struct bench *bench = *state;
	size_t size = 700001;
	uint8_t *bytes = malloc(size);
	struct reply reply;
	char key[33];

	bench_pattern(bytes, size, 0, 5);
	fake_put(bench->svc, "x", bytes, size);
	reply = ask(bench, OPEN, 0,
		    "{\"schemaVersion\":1,\"host\":\"h\",\"target\":\"/f/x\","
		    "\"xMsClientRequestId\":\"my \xc3\xa9 id\",\"xMsVersion\":\"2021-12-02\","
		    "\"headers\":{\"Authorization\":\"SharedKey a:b\",\"x-ms-date\":\"now\"}}");
	assert_int_equal(reply.wire, 0);
	assert_int_equal(number(&reply, "schemaVersion"), 1);
	assert_string_equal(string(&reply, "responseType"), "open");
	assert_int_equal(number(&reply, "status"), 1001);
	assert_int_equal(number(&reply, "httpStatus"), 200);
	assert_string_equal(string(&reply, "errorDescription"), "");
	assert_true(number(&reply, "elapsedTimeMs") >= 0);
	string(&reply, "xMsRequestId");
	assert_string_equal(string(&reply, "xMsClientRequestId"), "my \xc3\xa9 id");
	string(&reply, "xMsVersion");
	assert_string_equal(string(&reply, "crc64"), "");
	assert_int_equal(number(&reply, "contentLength"), size);
	strcpy(key, string(&reply, "handleKey"));
	json_decref(reply.json);

	reply = read_blob(bench, key, 100001, 600000, 600000, "");
	assert_string_equal(string(&reply, "responseType"), "read");
	assert_int_equal(number(&reply, "status"), 1001);
	assert_int_equal(number(&reply, "httpStatus"), 206);
	assert_int_equal(number(&reply, "bytesRead"), 600000);
	assert_string_equal(string(&reply, "xMsContentCrc64"), "");
	assert_int_equal(reply.data_length, 600000);
	assert_memory_equal(bench->memory.base + DATA_AT, bytes + 100001, 600000);
	json_decref(reply.json);

	assert_closed(bench, key);
	assert_refused(read_blob(bench, key, 0, 1, 1, ""), 1003, 404, "HandleNotFound");
	free(bytes);
}

static void a_read_brings_its_checksum_when_asked(void **state)
{
	struct bench *bench = *state;
	uint8_t bytes[5000];
	char key[33], text[16];
	struct reply reply;
	uint64_t crc;

	bench_pattern(bytes, sizeof(bytes), 0, 6);
	fake_put(bench->svc, "x", bytes, sizeof(bytes));
	open_blob(bench, "/b/x", key);
	reply = read_blob(bench, key, 17, 4000, 4096, ",\"contentCrc64\":true");
	crc = crc64(bytes + 17, 4000);
	azb_base64_encode(text, (uint8_t *)&crc, 8);
	assert_string_equal(string(&reply, "xMsContentCrc64"), text);
	assert_string_equal(string(&reply, "crc64"), text);
	assert_memory_equal(bench->memory.base + DATA_AT, bytes + 17, 4000);
	json_decref(reply.json);
	assert_closed(bench, key);
}

static void a_read_ends_where_the_blob_ends(void **state)
{
	struct bench *bench = *state;
	struct reply reply;
	char key[33];

	fake_put(bench->svc, "x", "0123456789", 10);
	open_blob(bench, "/b/x", key);
	reply = read_blob(bench, key, 6, 1000, 1000, "");
	assert_int_equal(number(&reply, "bytesRead"), 4);
	assert_int_equal(reply.data_length, 4);
	assert_memory_equal(bench->memory.base + DATA_AT, "6789", 4);
	json_decref(reply.json);
	reply = read_blob(bench, key, 10, 1000, 1000, "");
	assert_int_equal(number(&reply, "status"), 1001);
	assert_int_equal(number(&reply, "bytesRead"), 0);
	json_decref(reply.json);
	assert_refused(read_blob(bench, key, 11, 1, 1, ""), 1003, 416, "InvalidRange");
	assert_refused(read_blob(bench, key, 0, 1001, 1000, ""), 1003, 413, "BufferTooSmall");
	assert_refused(read_blob(bench, key, 0, INT64_MAX, 1000, ""), 1003, 413, "BufferTooSmall");
	assert_closed(bench, key);
}

static void what_was_opened_stays_as_it_was(void **state)
{
	struct bench *bench = *state;
	struct reply reply;
	char key[33];

	fake_put(bench->svc, "x", "before", 6);
	open_blob(bench, "/b/x", key);
	fake_put(bench->svc, "x", "after!", 6);
	reply = read_blob(bench, key, 0, 6, 6, "");
	assert_memory_equal(bench->memory.base + DATA_AT, "before", 6);
	json_decref(reply.json);
	assert_closed(bench, key);
}

static void a_handle_is_of_its_link(void **state)
{
	struct bench *bench = *state;
	struct bench other = *bench;
	struct bench_answer answer;
	struct emu_request request;
	struct envelope_bytes e;
	char key[33], json[128];

	fake_put(bench->svc, "x", "mine", 4);
	open_blob(bench, "/b/x", key);
	emu_init(&other.emu);
	bench_connect(&other);
	assert_refused(read_blob(&other, key, 0, 4, 4, ""), 1003, 404, "HandleNotFound");
	assert_refused(ask(&other, CLOSE, 0, "{\"handleKey\":\"%s\"}", key), 1003, 404,
		       "HandleNotFound");
	emu_drop(&other.emu);
	assert_closed(bench, key);
	/* Sent again after a backend died, a close finds done what it wants. */
	snprintf(json, sizeof(json), "{\"handleKey\":\"%s\"}", key);
	e = make(CLOSE, json);
	request = request_of(&e, 0, 0);
	request.flags = AZL_REQUEST_RESENT;
	answer = bench_do(bench, &request);
	assert_non_null(strstr(answer.head + HEADER, "\"status\":1001"));
	assert_refused(ask(bench, CLOSE, 0, "%s", json), 1003, 404, "HandleNotFound");
}

static void inline_requests_get_the_same(void **state)
{
	struct bench *bench = *state;
	struct emu_request request;
	struct emu_message *message;
	struct bench_answer answer;
	struct envelope_bytes e;
	struct reply reply;
	char key[33], json[128];

	fake_put(bench->svc, "x", "0123456789", 10);
	open_blob(bench, "/b/x", key);
	snprintf(json, sizeof(json), "{\"handleKey\":\"%s\",\"offset\":2,\"length\":5}", key);
	e = make(READ, json);
	request = request_of(&e, 100, 0);
	request.flags = AZL_REQUEST_INLINE;
	message = emu_complete(&bench->emu, emu_submit(&bench->emu, &request));
	assert_non_null(message);
	assert_int_equal(message->complete.data_length, 5);
	assert_memory_equal(emu_inline_data(message), "23456", 5);
	answer = (struct bench_answer){ .response_length = message->complete.response_length };
	memcpy(answer.head, emu_inline_response(message), answer.response_length);
	reply = reply_of(&answer);
	assert_int_equal(number(&reply, "bytesRead"), 5);
	json_decref(reply.json);
	free(message);
	assert_closed(bench, key);
}

/* -------------------------------------------------------------------- errors */

static void what_the_service_refuses_is_said(void **state)
{
	struct bench *bench = *state;

	assert_refused(ask(bench, OPEN, 0, "{\"host\":\"h\",\"target\":\"/b/none\"}"), 1003, 404,
		       "BlobNotFound");
	assert_refused(ask(bench, OPEN, 0, "{\"host\":\"h\",\"target\":\"/.azblob\"}"), 1003, 400,
		       "InvalidInput");
	assert_refused(ask(bench, OPEN, 0, "{\"host\":\"h\",\"target\":\"/.azblob?x\"}"), 1003, 400,
		       "");
	assert_refused(ask(bench, OPEN, 0,
			   "{\"host\":\"h\",\"target\":\"/b/x\","
			   "\"headers\":{\"Azblob-Body\":\"open\"}}"),
		       1003, 400, "InvalidInput");
}

static void a_header_that_is_wrong_is_answered_in_kind(void **state)
{
	static const char json[] = "{\"handleKey\":\"k\"}";
	struct bench *bench = *state;
	struct envelope_bytes e;

	e = make(CLOSE, json);
	e.bytes[20] ^= 1;
	assert_refused(send_bytes(bench, &e, 0), 1002, 400, "checksum");
	e = make(CLOSE, json);
	e.bytes[HEADER + 4] ^= 1;
	assert_refused(send_bytes(bench, &e, 0), 1002, 400, "checksum");
	e = make(CLOSE, json);
	e.bytes[8] = 2;
	seal(&e);
	assert_refused(send_bytes(bench, &e, 0), 1002, 400, "Format 2");
	for (uint32_t method = 0; method < 6; method += method ? 1 : 4) {
		e = make(method, json);
		assert_refused(send_bytes(bench, &e, 0), 1002, 400, "Method");
	}
	e = make(CLOSE, json);
	for (e.length = 8; e.length < HEADER; e.length++)
		assert_refused(send_bytes(bench, &e, 0), 1002, 400, "header has 32");
	/* The field that is not used may hold anything, and is part of the sum. */
	e = make(CLOSE, json);
	memset(e.bytes + 24, 0xff, 8);
	seal(&e);
	assert_refused(send_bytes(bench, &e, 0), 1003, 404, "HandleNotFound");
	bench_lives(bench);
}

static void json_that_is_wrong_is_answered_in_kind(void **state)
{
	static const struct {
		uint32_t method;
		const char *json, *word;
	} bad[] = {
		{ CLOSE, "", "JSON" },
		{ CLOSE, "{", "JSON" },
		{ CLOSE, "[]", "object" },
		{ CLOSE, "{\"handleKey\":\"k\"} x", "JSON" },
		{ CLOSE, "{\"handleKey\":\"k\",\"handleKey\":\"k\"}", "duplicate" },
		{ CLOSE, "{\"handleKey\":\"\\u0000\"}", "JSON" },
		{ CLOSE, "{\"handleKey\":\"\xff\"}", "JSON" },
		{ CLOSE, "{}", "handleKey" },
		{ CLOSE, "{\"handleKey\":5}", "handleKey" },
		{ CLOSE, "{\"handleKey\":\"k\",\"schemaVersion\":2}", "schemaVersion" },
		{ CLOSE, "{\"handleKey\":\"k\",\"offset\":0}", "offset" },
		{ READ, "{\"handleKey\":\"k\"}", "offset" },
		{ READ, "{\"handleKey\":\"k\",\"offset\":-1,\"length\":1}", "negative" },
		{ READ, "{\"handleKey\":\"k\",\"offset\":0,\"length\":-1}", "negative" },
		{ READ, "{\"handleKey\":\"k\",\"offset\":0,\"length\":1.5}", "length" },
		{ READ, "{\"handleKey\":\"k\",\"offset\":0,\"length\":9223372036854775808}",
		  "JSON" },
		{ OPEN, "{\"host\":\"h\"}", "target" },
		{ OPEN, "{\"target\":\"/b/x\"}", "host" },
		{ OPEN, "{\"host\":\"h\",\"target\":\"b\"}", "target" },
		{ OPEN, "{\"host\":\"h\",\"target\":\"/b x\"}", "target" },
		{ OPEN, "{\"host\":\"h\",\"target\":\"/b\\r\\n\"}", "target" },
		{ OPEN, "{\"host\":\"\",\"target\":\"/b\"}", "host" },
		{ OPEN, "{\"host\":\"h\",\"target\":\"/b\",\"xMsVersion\":\"1\\n2\"}",
		  "xMsVersion" },
		{ OPEN, "{\"host\":\"h\",\"target\":\"/b\",\"headers\":{\"a\":1}}", "headers" },
		{ OPEN, "{\"host\":\"h\",\"target\":\"/b\",\"headers\":{\"a:b\":\"c\"}}",
		  "headers" },
		{ OPEN, "{\"host\":\"h\",\"target\":\"/b\",\"headers\":{\"a\":\"b\\r\\nc: d\"}}",
		  "headers" },
		{ OPEN, "{\"host\":\"h\",\"target\":\"/b\",\"headers\":{\"HOST\":\"b\"}}", "HOST" },
		{ OPEN, "{\"host\":\"h\",\"target\":\"/b\",\"headers\":{\"content-length\":\"1\"}}",
		  "content-length" },
	};
	struct bench *bench = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_refused(ask(bench, bad[i].method, 0, "%s", bad[i].json), 1002, 400,
			       bad[i].word);
}

static void a_long_client_request_id_is_refused(void **state)
{
	struct bench *bench = *state;
	struct reply reply;
	char id[1026];

	memset(id, 'i', sizeof(id) - 1);
	id[1025] = 0;
	assert_refused(
		ask(bench, CLOSE, 0, "{\"handleKey\":\"k\",\"xMsClientRequestId\":\"%s\"}", id),
		1002, 400, "xMsClientRequestId");
	reply = ask(bench, CLOSE, 0, "{\"handleKey\":\"k\",\"xMsClientRequestId\":\"%s\"}", id + 1);
	assert_string_equal(string(&reply, "xMsClientRequestId"), id + 1);
	json_decref(reply.json);
}

static void deep_json_is_refused(void **state)
{
	struct bench *bench = *state;
	struct envelope_bytes e = { 0 };
	uint32_t format = 1, method = CLOSE;

	memcpy(e.bytes, "HsReq001", 8);
	memcpy(e.bytes + 8, &format, 4);
	memcpy(e.bytes + 12, &method, 4);
	e.length = sizeof(e.bytes);
	memset(e.bytes + HEADER, '[', e.length - HEADER);
	seal(&e);
	assert_refused(send_bytes(bench, &e, 0), 1002, 400, "depth");
}

static void a_data_buffer_with_valid_bytes_is_never_written(void **state)
{
	struct bench *bench = *state;
	struct emu_request request;
	struct bench_answer answer;
	struct envelope_bytes e;
	char key[33], json[128];

	fake_put(bench->svc, "x", "0123456789", 10);
	open_blob(bench, "/b/x", key);
	snprintf(json, sizeof(json), "{\"handleKey\":\"%s\",\"offset\":0,\"length\":5}", key);
	e = make(READ, json);
	memset(bench->memory.base + DATA_AT, 'v', 100);
	/* The oldest form of the ioctl says one byte. */
	request = request_of(&e, 100, 1);
	answer = bench_do(bench, &request);
	assert_refused(reply_of(&answer), 1003, 400, "data_valid");
	assert_refused(send_bytes(bench, &e, 0), 1003, 400, "data_valid");
	for (int i = 0; i < 100; i++)
		assert_int_equal(bench->memory.base[DATA_AT + i], 'v');
	assert_closed(bench, key);
}

static void a_small_response_buffer_does_nothing(void **state)
{
	struct bench *bench = *state;
	struct emu_request request;
	struct bench_answer answer;
	struct envelope_bytes e;
	struct reply reply;

	fake_put(bench->svc, "x", "0", 1);
	e = make(OPEN, "{\"host\":\"h\",\"target\":\"/b/x\"}");
	request = request_of(&e, 0, 0);
	request.response.length = (16 << 10) - 1;
	answer = bench_do(bench, &request);
	reply = reply_of(&answer);
	assert_int_equal(reply.wire, VSP_WIRE_STATUS_TOO_SMALL);
	assert_int_equal(number(&reply, "httpStatus"), 413);
	json_decref(reply.json);
	request.response.length = 40;
	answer = bench_do(bench, &request);
	assert_int_equal(answer.status, VSP_WIRE_STATUS_TOO_SMALL);
	assert_int_equal(answer.response_length, 0);
	assert_int_equal(fake_answers(bench->svc), 0); /* no handle holds one */
}

static void a_body_that_can_not_be_read_is_an_error(void **state)
{
	struct bench *bench = *state;
	char key[33];

	open_blob(bench, "/bad", key);
	assert_refused(read_blob(bench, key, 0, 10, 100, ""), 1003, 500, "could not be read");
	assert_closed(bench, key);
}

static void a_time_out_ends_a_read(void **state)
{
	struct bench *bench = *state;
	struct emu_request request;
	struct bench_answer answer;
	struct envelope_bytes e;
	char key[33], json[128];
	uint32_t size = 1000000;
	uint8_t *bytes;
	uint64_t id;

	/* Of several steps, so that it has to ask between them. */
	bytes = calloc(1, size);
	fake_put(bench->svc, "x", bytes, size);
	free(bytes);
	open_blob(bench, "/f/x", key);
	snprintf(json, sizeof(json),
		 "{\"handleKey\":\"%s\",\"offset\":0,\"length\":%u,\"contentCrc64\":true}", key,
		 size);
	e = make(READ, json);
	request = request_of(&e, size, 0);
	request.timeout_ms = 50;
	fake_shut_until_stopped(bench->svc, FAKE_READ);
	id = emu_submit(&bench->emu, &request);
	answer = bench_answer(bench, id);
	assert_int_equal(answer.status, VSP_WIRE_STATUS_TIMEOUT);
	assert_int_equal(answer.response_length, 0);
	fake_open(bench->svc, FAKE_READ);
	assert_closed(bench, key);
}

static void any_single_changed_byte_is_noticed(void **state)
{
	struct bench *bench = *state;
	struct envelope_bytes good, e;

	fake_put(bench->svc, "x", "0", 1);
	good = make(OPEN, "{\"host\":\"h\",\"target\":\"/b/x\"}");
	for (size_t at = 8; at < good.length; at++) {
		e = good;
		e.bytes[at] ^= 0x20;
		assert_refused(send_bytes(bench, &e, 0), 1002, 400, "checksum");
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_set_up, bench_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(open_read_close),
		TEST(a_read_brings_its_checksum_when_asked),
		TEST(a_read_ends_where_the_blob_ends),
		TEST(what_was_opened_stays_as_it_was),
		TEST(a_handle_is_of_its_link),
		TEST(inline_requests_get_the_same),
		TEST(what_the_service_refuses_is_said),
		TEST(a_header_that_is_wrong_is_answered_in_kind),
		TEST(json_that_is_wrong_is_answered_in_kind),
		TEST(a_long_client_request_id_is_refused),
		TEST(deep_json_is_refused),
		TEST(a_data_buffer_with_valid_bytes_is_never_written),
		TEST(a_small_response_buffer_does_nothing),
		TEST(a_body_that_can_not_be_read_is_an_error),
		TEST(a_time_out_ends_a_read),
		TEST(any_single_changed_byte_is_noticed),
	};

	return cmocka_run_group_tests_name("link envelope", tests, NULL, NULL);
}
