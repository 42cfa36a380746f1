// SPDX-License-Identifier: MIT
/* Requests on the link: docs/payload.md, sentence by sentence. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../vsp-backend/base/base64.h"
#include "../../vsp-backend/base/crc64.h"
#include "../../vsp-backend/door/link_memory.h"
#include "bench.h"

static const char *crc_text(const void *bytes, size_t length)
{
	static char text[16];
	uint64_t crc = azb_crc64(0, bytes, length);

	/* This machine is little-endian, as the link is. */
	azb_base64_encode(text, &crc, sizeof(crc));
	return text;
}

static void assert_error(const struct bench_answer *answer, unsigned int http, const char *code)
{
	assert_int_equal(answer->status, VSP_WIRE_STATUS_OK);
	assert_int_equal(answer->http, http);
	assert_string_equal(bench_header(answer, "x-ms-error-code"), code);
}

/* PUT of @length pattern bytes at DATA_AT. */
static struct bench_answer put(struct bench *bench, const char *name, uint32_t length,
			       const char *more)
{
	char head[512];
	struct emu_request request;

	snprintf(head, sizeof(head), "PUT /b/%s HTTP/1.1\r\nContent-Length: %u\r\n%s\r\n", name,
		 length, more);
	bench_pattern(bench->memory.base + DATA_AT, length, 0, 1);
	request = bench_request(head, length, length);
	return bench_do(bench, &request);
}

static void assert_stored(struct bench *bench, const char *name, size_t length)
{
	uint8_t *expected = malloc(length + 1);
	const void *stored;
	size_t found;

	bench_pattern(expected, length, 0, 1);
	stored = fake_blob(bench->svc, name, &found);
	assert_non_null(stored);
	assert_int_equal(found, length);
	assert_memory_equal(stored, expected, length);
	free(expected);
}

static void the_probe_says_what_this_is(void **state)
{
	struct bench_answer answer = bench_head(*state, "GET /.azblob HTTP/1.1\r\n\r\n");

	assert_int_equal(answer.status, 0);
	assert_int_equal(answer.http, 200);
	assert_string_equal(bench_header(&answer, "Azblob-Payload"), "1");
	assert_string_equal(bench_header(&answer, "Azblob-Part-Max"), "33554432");
	assert_memory_equal(bench_header(&answer, "Azblob-Server"), "azblob-vspd/", 12);
	assert_int_equal(answer.response_length, strlen(answer.head));
}

static void a_body_goes_out_and_comes_back(void **state)
{
	struct bench *bench = *state;
	struct emu_request request;
	struct bench_answer answer = put(bench, "one", 100000, "");
	uint8_t *expected = malloc(100000);

	assert_int_equal(answer.http, 201);
	assert_true(answer.ack);
	assert_stored(bench, "one", 100000);

	/* Once from memory, once from a file, into scattered pieces. */
	bench_pattern(expected, 100000, 0, 1);
	for (int i = 0; i < 2; i++) {
		memset(bench->memory.base + DATA_AT, 0xee, 200000);
		request = bench_request(i ? "GET /f/one HTTP/1.1\r\n\r\n"
					  : "GET /b/one HTTP/1.1\r\n\r\n",
					200000, 0);
		request.data.piece = i ? 777 : 0;
		answer = bench_do(bench, &request);
		assert_int_equal(answer.status, 0);
		assert_int_equal(answer.http, 200);
		assert_false(answer.ack);
		assert_int_equal(answer.data_length, 100000);
		assert_memory_equal(bench->memory.base + DATA_AT, expected, 100000);
		assert_int_equal(bench->memory.base[DATA_AT + 100000], 0xee);
		assert_int_equal(bench->memory.base[RESPONSE_AT + answer.response_length], 0);
	}
	free(expected);
}

static void the_largest_body_in_single_pages_comes_back(void **state)
{
	struct bench *bench = *state;
	struct emu_memory large = emu_memory_new(33u << 20, F_SEAL_SHRINK);
	uint32_t length = 8176u * 4096u;
	uint8_t *expected = malloc(length);
	struct emu_request request = bench_request("GET /f/large HTTP/1.1\r\n\r\n", length, 0);
	struct bench_answer answer;

	bench_pattern(expected, length, 0, 9);
	fake_put(bench->svc, "large", expected, length);
	assert_int_equal(emu_region(&bench->emu, 1, &large, 0, 33u << 20, 0), 0);
	request.data.region = 1;
	request.data.offset = 4096;
	request.data.piece = 4096;
	answer = bench_do(bench, &request);
	assert_int_equal(answer.http, 200);
	assert_int_equal(answer.data_length, length);
	assert_memory_equal(large.base + 4096, expected, length);
	free(expected);
	emu_memory_free(&large);
}

static void without_a_data_buffer_the_body_follows_the_head(void **state)
{
	struct bench *bench = *state;
	struct bench_answer answer;

	fake_put(bench->svc, "x", "hello", 5);
	answer = bench_head(bench, "GET /b/x HTTP/1.1\r\n\r\n");
	assert_int_equal(answer.http, 200);
	assert_int_equal(answer.data_length, 0);
	assert_string_equal(strstr(answer.head, "\r\n\r\n") + 4, "hello");
}

static void an_error_body_follows_the_head_even_with_a_data_buffer(void **state)
{
	struct bench *bench = *state;
	struct emu_request request = bench_request("GET /b/none HTTP/1.1\r\n\r\n", 1000, 0);
	struct bench_answer answer = bench_do(bench, &request);

	assert_error(&answer, 404, "BlobNotFound");
	assert_int_equal(answer.data_length, 0);
	assert_string_equal(strstr(answer.head, "\r\n\r\n") + 4, "no such blob");
}

static void a_body_that_does_not_fit_says_how_much_would(void **state)
{
	struct bench *bench = *state;
	struct emu_request request = bench_request("GET /f/x HTTP/1.1\r\n\r\n", 99, 0);
	struct bench_answer answer;

	fake_put(bench->svc, "x", bench->memory.base, 100);
	answer = bench_do(bench, &request);
	assert_int_equal(answer.status, VSP_WIRE_STATUS_TOO_SMALL);
	assert_int_equal(answer.http, 413);
	assert_string_equal(bench_header(&answer, "x-ms-error-code"), "BufferTooSmall");
	assert_string_equal(bench_header(&answer, "Azblob-Needed"), "100");
	assert_int_equal(answer.data_length, 0);
}

static void a_small_response_buffer_is_refused_before_anything_happens(void **state)
{
	struct bench *bench = *state;
	struct emu_request request =
		bench_request("PUT /b/x HTTP/1.1\r\nContent-Length: 1\r\n\r\n", 1, 1);
	struct bench_answer answer;

	request.response.length = 16383;
	answer = bench_do(bench, &request);
	assert_int_equal(answer.status, VSP_WIRE_STATUS_TOO_SMALL);
	assert_string_equal(bench_header(&answer, "Azblob-Needed"), "16384");
	request.response.length = 20;
	answer = bench_do(bench, &request);
	assert_int_equal(answer.status, VSP_WIRE_STATUS_TOO_SMALL);
	assert_int_equal(answer.response_length, 0);
	assert_int_equal(fake_effects(bench->svc), 0);
	request.response.length = 16384;
	answer = bench_do(bench, &request);
	assert_int_equal(answer.http, 201);
}

static void a_list_is_told_how_much_room_there_is(void **state)
{
	struct bench *bench = *state;
	struct emu_request request = bench_request("GET /list HTTP/1.1\r\n\r\n", 5000, 0);
	struct bench_answer answer = bench_do(bench, &request);

	assert_int_equal(answer.http, 200);
	assert_int_equal(answer.data_length, 5000);
	answer = bench_head(bench, "GET /list HTTP/1.1\r\n\r\n");
	assert_int_equal(answer.http, 200);
	assert_true(answer.response_length <= RESPONSE_ROOM);
	assert_true(answer.response_length > RESPONSE_ROOM / 2);
}

static void what_is_no_head_is_not_understood(void **state)
{
	static const char *const bad[] = {
		"GET /b/x HTTP/1.1\r\n",        /* no empty line */
		"GET /b/x HTTP/1.1\r\n\r\nGET", /* bytes after the end */
		"nonsense\r\n\r\n",
		"GET /b/x HTTP/1.1\r\nA : b\r\n\r\n",
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct bench_answer answer = bench_head(*state, bad[i]);

		assert_int_equal(answer.status, VSP_WIRE_STATUS_BAD_PACKET);
		assert_int_equal(answer.response_length, 0);
	}
}

static void an_unknown_operation_is_not_supported(void **state)
{
	struct bench *bench = *state;
	struct emu_request request = bench_request("GET /.azblob HTTP/1.1\r\n\r\n", 0, 0);

	request.operation = VSP_WIRE_OP_REGISTER_BUFFER;
	assert_int_equal(bench_do(bench, &request).status, VSP_WIRE_STATUS_NOT_SUPPORTED);
}

static void headers_without_meaning_here_are_refused(void **state)
{
	static const char *const bad[] = { "Connection: close", "Expect: 100-continue",
					   "Transfer-Encoding: chunked", "Azblob-Else: 1",
					   "azblob-else: 1" };
	struct bench *bench = *state;
	char head[200];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct bench_answer answer;

		snprintf(head, sizeof(head), "DELETE /b/x HTTP/1.1\r\n%s\r\n\r\n", bad[i]);
		answer = bench_head(bench, head);
		assert_error(&answer, 400, "UnsupportedHeader");
	}
	assert_int_equal(fake_effects(bench->svc), 0);
}

static void content_length_must_fit_the_data_buffer(void **state)
{
	struct bench *bench = *state;
	struct emu_request request;
	struct bench_answer answer;

	request = bench_request("PUT /b/x HTTP/1.1\r\n\r\n", 10, 10);
	answer = bench_do(bench, &request);
	assert_error(&answer, 411, "MissingContentLengthHeader");
	request = bench_request("PUT /b/x HTTP/1.1\r\nContent-Length: 11\r\n\r\n", 10, 10);
	answer = bench_do(bench, &request);
	assert_error(&answer, 400, "IncompleteBody");
	request = bench_request("PUT /b/x HTTP/1.1\r\nContent-Length: 9\r\n\r\n", 10, 10);
	answer = bench_do(bench, &request);
	assert_int_equal(answer.http, 400);
	answer = bench_head(bench, "PUT /b/x HTTP/1.1\r\nContent-Length: 9\r\n\r\n");
	assert_error(&answer, 400, "IncompleteBody");
	assert_int_equal(fake_effects(bench->svc), 0);
	answer = bench_head(bench, "PUT /b/x HTTP/1.1\r\nContent-Length: 0\r\n\r\n");
	assert_int_equal(answer.http, 201);
}

static void a_checksum_that_does_not_fit_stores_nothing(void **state)
{
	struct bench *bench = *state;
	struct bench_answer answer;
	char line[64];
	uint8_t bytes[1000];

	answer = put(bench, "x", 1000, "Azblob-Crc64: AAAAAAAAAAE=\r\n");
	assert_error(&answer, 400, "Crc64Mismatch");
	answer = put(bench, "x", 1000, "Azblob-Crc64: AAAA\r\n");
	assert_error(&answer, 400, "InvalidHeaderValue");
	assert_int_equal(fake_effects(bench->svc), 0);
	bench_pattern(bytes, 1000, 0, 1);
	snprintf(line, sizeof(line), "Azblob-Crc64: %s\r\n", crc_text(bytes, 1000));
	answer = put(bench, "x", 1000, line);
	assert_int_equal(answer.http, 201);
}

static void a_body_comes_back_with_its_checksum_when_asked(void **state)
{
	struct bench *bench = *state;
	uint8_t *bytes = malloc(700000);
	struct emu_request request =
		bench_request("GET /f/x HTTP/1.1\r\nAzblob-Crc64: true\r\n\r\n", 700000, 0);
	struct bench_answer answer;

	bench_pattern(bytes, 700000, 0, 3);
	fake_put(bench->svc, "x", bytes, 700000);
	request.data.piece = 5000;
	answer = bench_do(bench, &request);
	assert_int_equal(answer.http, 200);
	assert_string_equal(bench_header(&answer, "Azblob-Crc64"), crc_text(bytes, 700000));
	assert_memory_equal(bench->memory.base + DATA_AT, bytes, 700000);
	free(bytes);
}

static void a_body_that_can_not_be_read_is_an_error_answer(void **state)
{
	struct bench *bench = *state;
	struct emu_request request = bench_request("GET /bad HTTP/1.1\r\n\r\n", 1000, 0);
	struct bench_answer answer = bench_do(bench, &request);

	assert_error(&answer, 500, "InternalError");
	assert_int_equal(answer.data_length, 0);
}

/* ------------------------------------------------------------ inline mode */

static void inline_requests_carry_their_bytes(void **state)
{
	struct bench *bench = *state;
	uint8_t *bytes = malloc(3000001);
	struct emu_request request = bench_request(
		"PUT /b/i HTTP/1.1\r\nContent-Length: 3000001\r\n\r\n", 3000001, 3000001);
	struct emu_message *message;
	struct bench_answer answer;

	bench_pattern(bytes, 3000001, 0, 1);
	request.flags = AZL_REQUEST_INLINE;
	request.body = bytes;
	answer = bench_do(bench, &request);
	assert_int_equal(answer.http, 201);
	assert_stored(bench, "i", 3000001);

	request = bench_request("GET /f/i HTTP/1.1\r\n\r\n", 4000000, 0);
	request.flags = AZL_REQUEST_INLINE;
	message = emu_complete(&bench->emu, emu_submit(&bench->emu, &request));
	assert_int_equal(message->complete.status, 0);
	assert_int_equal(message->complete.data_length, 3000001);
	assert_int_equal(message->header.length,
			 sizeof(struct azl_complete) + message->complete.response_length + 3000001);
	assert_memory_equal(emu_inline_data(message), bytes, 3000001);
	free(message);
	free(bytes);

	request = bench_request("GET /b/none HTTP/1.1\r\n\r\n", 4000000, 0);
	request.flags = AZL_REQUEST_INLINE;
	answer = bench_do(bench, &request);
	assert_error(&answer, 404, "BlobNotFound");
}

/* ---------------------------------------------------------------- handles */

static struct bench_answer open_upload(struct bench *bench, unsigned int length, uint32_t first,
				       char id[33], const char *more)
{
	char head[256];
	struct emu_request request;
	struct bench_answer answer;

	snprintf(head, sizeof(head),
		 "PUT /b/large HTTP/1.1\r\nContent-Length: %u\r\nAzblob-Body: open\r\n%s\r\n",
		 length, more);
	bench_pattern(bench->memory.base + DATA_AT, first, 0, 1);
	request = bench_request(head, first, first);
	answer = bench_do(bench, &request);
	assert_int_equal(answer.http, 202);
	assert_string_equal(bench_header(&answer, "Azblob-Expires"), "120");
	bench_handle(&answer, id);
	return answer;
}

/* Sends a part without waiting; its bytes are at their own offset in guest memory. */
static uint64_t send_part(struct bench *bench, const char *id, uint32_t offset, uint32_t length,
			  bool with_crc)
{
	uint8_t *bytes = bench->memory.base + DATA_AT + offset;
	char head[256], line[40] = "";
	struct emu_request request;

	bench_pattern(bytes, length, offset, 1);
	if (with_crc)
		snprintf(line, sizeof(line), "Azblob-Crc64: %s\r\n", crc_text(bytes, length));
	snprintf(head, sizeof(head),
		 "PUT /.azblob/%s?offset=%u HTTP/1.1\r\nContent-Length: %u\r\n%s\r\n", id, offset,
		 length, line);
	request = bench_request(head, length, length);
	request.data.offset = DATA_AT + offset;
	/* Each has a response buffer of its own. */
	request.response.offset = MEMORY_SIZE - (1 + bench->emu.next_id % 64) * RESPONSE_ROOM;
	return emu_submit(&bench->emu, &request);
}

static uint32_t part_status(struct bench *bench, uint64_t id)
{
	struct emu_message *message = emu_complete(&bench->emu, id);
	const char *head =
		(const char *)bench->memory.base + MEMORY_SIZE - (1 + id % 64) * RESPONSE_ROOM;
	unsigned int status;

	assert_non_null(message);
	assert_int_equal(message->complete.status, 0);
	status = emu_status(head, message->complete.response_length);
	free(message);
	return status;
}

static struct bench_answer on_handle(struct bench *bench, const char *method, const char *id,
				     const char *query)
{
	char head[256];

	snprintf(head, sizeof(head), "%s /.azblob/%s%s HTTP/1.1\r\n\r\n", method, id, query);
	return bench_head(bench, head);
}

static void a_large_body_goes_up_in_parts_in_any_order_in_parallel(void **state)
{
	struct bench *bench = *state;
	uint64_t sent[20];
	struct bench_answer answer;
	char id[33];

	open_upload(bench, 2000000, 100000, id, "");
	for (unsigned int i = 1; i < 20; i++)
		sent[i] = send_part(bench, id, (20 - i) * 100000, 100000, i % 2);
	for (unsigned int i = 1; i < 20; i++)
		assert_int_equal(part_status(bench, sent[i]), 202);
	answer = on_handle(bench, "POST", id, "?commit");
	assert_int_equal(answer.http, 201);
	assert_true(answer.ack);
	assert_stored(bench, "large", 2000000);
	/* Whoever asks again gets the same answer; nothing happens twice. */
	answer = on_handle(bench, "POST", id, "?commit");
	assert_int_equal(answer.http, 201);
	assert_int_equal(fake_effects(bench->svc), 1);
	assert_int_equal(part_status(bench, send_part(bench, id, 0, 10, false)), 409);
}

static void a_commit_with_bytes_missing_is_refused_and_may_come_again(void **state)
{
	struct bench *bench = *state;
	struct bench_answer answer;
	char id[33];

	open_upload(bench, 300, 100, id, "");
	assert_int_equal(part_status(bench, send_part(bench, id, 100, 100, true)), 202);
	answer = on_handle(bench, "POST", id, "?commit");
	assert_error(&answer, 400, "IncompleteBody");
	/* The same part again is no part that overlaps; others are. */
	assert_int_equal(part_status(bench, send_part(bench, id, 100, 100, true)), 202);
	assert_int_equal(part_status(bench, send_part(bench, id, 150, 100, false)), 409);
	assert_int_equal(part_status(bench, send_part(bench, id, 250, 100, false)), 416);
	assert_int_equal(part_status(bench, send_part(bench, id, 200, 100, false)), 202);
	assert_int_equal(on_handle(bench, "POST", id, "?commit").http, 201);
	assert_stored(bench, "large", 300);
}

static void an_upload_may_be_forgotten(void **state)
{
	struct bench *bench = *state;
	struct bench_answer answer;
	char id[33];

	open_upload(bench, 300, 0, id, "");
	assert_int_equal(on_handle(bench, "DELETE", id, "").http, 202);
	assert_int_equal(fake_uploads(bench->svc), 0);
	answer = on_handle(bench, "POST", id, "?commit");
	assert_error(&answer, 404, "HandleNotFound");
	answer = on_handle(bench, "DELETE", id, "");
	assert_error(&answer, 404, "HandleNotFound");
}

static void a_large_body_comes_down_in_parts(void **state)
{
	struct bench *bench = *state;
	uint8_t *bytes = malloc(500000);
	struct emu_request request;
	struct bench_answer answer;
	char id[33], head[256];

	bench_pattern(bytes, 500000, 0, 5);
	fake_put(bench->svc, "x", bytes, 500000);
	request = bench_request(
		"GET /f/x HTTP/1.1\r\nAzblob-Body: open\r\nAzblob-Crc64: true\r\n\r\n", 200000, 0);
	answer = bench_do(bench, &request);
	assert_int_equal(answer.http, 200);
	assert_int_equal(answer.data_length, 200000);
	assert_string_equal(bench_header(&answer, "Content-Length"), "500000");
	assert_string_equal(bench_header(&answer, "Azblob-Sent"), "200000");
	assert_string_equal(bench_header(&answer, "Azblob-Crc64"), crc_text(bytes, 200000));
	assert_memory_equal(bench->memory.base + DATA_AT, bytes, 200000);
	bench_handle(&answer, id);

	/* The version that was opened, although the blob is another one by now. */
	fake_put(bench->svc, "x", "other", 5);
	snprintf(head, sizeof(head),
		 "GET /.azblob/%s?length=200000&offset=300000 HTTP/1.1\r\nAzblob-Crc64: "
		 "true\r\n\r\n",
		 id);
	request = bench_request(head, 300000, 0);
	answer = bench_do(bench, &request);
	assert_int_equal(answer.http, 206);
	assert_int_equal(answer.data_length, 200000);
	assert_string_equal(bench_header(&answer, "Content-Length"), "200000");
	assert_string_equal(bench_header(&answer, "Azblob-Crc64"),
			    crc_text(bytes + 300000, 200000));
	assert_memory_equal(bench->memory.base + DATA_AT, bytes + 300000, 200000);

	answer = on_handle(bench, "GET", id, "?offset=300000&length=200001");
	assert_error(&answer, 416, "InvalidRange");
	answer = on_handle(bench, "GET", id, "?offset=0&length=200000");
	assert_int_equal(answer.status, VSP_WIRE_STATUS_TOO_SMALL);
	answer = on_handle(bench, "GET", id, "?offset=0");
	assert_error(&answer, 400, "InvalidQueryParameterValue");
	answer = on_handle(bench, "POST", id, "?commit");
	assert_error(&answer, 404, "HandleNotFound");
	assert_int_equal(on_handle(bench, "DELETE", id, "").http, 202);
	free(bytes);
}

static void a_small_body_opened_needs_no_handle(void **state)
{
	struct bench *bench = *state;
	struct emu_request request =
		bench_request("GET /b/x HTTP/1.1\r\nAzblob-Body: open\r\n\r\n", 1000, 0);
	struct bench_answer answer;

	fake_put(bench->svc, "x", "hello", 5);
	answer = bench_do(bench, &request);
	assert_int_equal(answer.http, 200);
	assert_string_equal(bench_header(&answer, "Azblob-Sent"), "5");
	assert_string_equal(bench_header(&answer, "Azblob-Handle"), "");
	/* No room at all: everything is still to be read. */
	answer = bench_head(bench, "GET /b/x HTTP/1.1\r\nAzblob-Body: open\r\n\r\n");
	assert_string_equal(bench_header(&answer, "Azblob-Sent"), "0");
	assert_int_equal(strlen(bench_header(&answer, "Azblob-Handle")), 32);
	answer = bench_head(bench, "GET /b/none HTTP/1.1\r\nAzblob-Body: open\r\n\r\n");
	assert_error(&answer, 404, "BlobNotFound");
	answer = bench_head(bench, "DELETE /b/x HTTP/1.1\r\nAzblob-Body: open\r\n\r\n");
	assert_error(&answer, 400, "UnsupportedHeader");
}

static void a_handle_is_unknown_to_another_device(void **state)
{
	struct bench *bench = *state;
	struct bench_answer answer;
	struct emu mine;
	char id[33];

	open_upload(bench, 300, 0, id, "");
	mine = bench->emu;
	emu_init(&bench->emu);
	bench_connect(bench);
	answer = on_handle(bench, "POST", id, "?commit");
	assert_error(&answer, 404, "HandleNotFound");
	emu_drop(&mine);
}

/* A huge page that the machine does not have is as lost as one of a full tmpfs. */
static void a_page_of_the_guest_that_can_not_be_had_ends_the_link_and_nothing_else(void **state)
{
	struct bench *bench = *state;
	struct emu_memory odd = { .fd = memfd_create("odd", MFD_HUGETLB | MFD_ALLOW_SEALING) };
	struct emu_request request =
		bench_request("PUT /b/x HTTP/1.1\r\nContent-Length: 8192\r\n\r\n", 8192, 8192);

	/* The test library has put its own handler in the place of the door's. */
	assert_int_equal(link_memory_guard(), 0);
	assert_true(odd.fd >= 0);
	assert_int_equal(ftruncate(odd.fd, 1 << 30), 0);
	assert_int_equal(fcntl(odd.fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	assert_int_equal(emu_region(&bench->emu, 1, &odd, 0, 1 << 30, 0), 0);
	request.data.region = 1;
	/* The last page: on a machine with huge pages to spare, there are not as many. */
	request.data.offset = (1 << 30) - 8192;
	emu_submit(&bench->emu, &request);
	assert_true(emu_wait_closed(&bench->emu));
	assert_true(bench->emu.goodbye);
	assert_null(emu_receive_type(&bench->emu, AZL_COMPLETE, 0, 0));
	assert_int_equal(fake_effects(bench->svc), 0);
	bench_lives(bench);
	close(odd.fd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_set_up, bench_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(the_probe_says_what_this_is),
		TEST(a_body_goes_out_and_comes_back),
		TEST(the_largest_body_in_single_pages_comes_back),
		TEST(without_a_data_buffer_the_body_follows_the_head),
		TEST(an_error_body_follows_the_head_even_with_a_data_buffer),
		TEST(a_body_that_does_not_fit_says_how_much_would),
		TEST(a_small_response_buffer_is_refused_before_anything_happens),
		TEST(a_list_is_told_how_much_room_there_is),
		TEST(what_is_no_head_is_not_understood),
		TEST(an_unknown_operation_is_not_supported),
		TEST(headers_without_meaning_here_are_refused),
		TEST(content_length_must_fit_the_data_buffer),
		TEST(a_checksum_that_does_not_fit_stores_nothing),
		TEST(a_body_comes_back_with_its_checksum_when_asked),
		TEST(a_body_that_can_not_be_read_is_an_error_answer),
		TEST(inline_requests_carry_their_bytes),
		TEST(a_large_body_goes_up_in_parts_in_any_order_in_parallel),
		TEST(a_commit_with_bytes_missing_is_refused_and_may_come_again),
		TEST(an_upload_may_be_forgotten),
		TEST(a_large_body_comes_down_in_parts),
		TEST(a_small_body_opened_needs_no_handle),
		TEST(a_handle_is_unknown_to_another_device),
		TEST(a_page_of_the_guest_that_can_not_be_had_ends_the_link_and_nothing_else),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
