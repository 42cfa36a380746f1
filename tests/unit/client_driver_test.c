// SPDX-License-Identifier: MIT
/* libazblob over the driver, with a host of our own behind it. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "azblob/vsp_wire.h"
#include "client_host.h"
#include "driver.h"
#include "transport.h"
#include "uapi/misc/hv_azure_blob.h"

#define BLOCK ((size_t)64 << 10)

static int open_errno;

/* In place of the ioctl's. */
struct azc_device *azc_device_open(const char *path, int *sys_errno)
{
	(void)path;
	*sys_errno = open_errno;
	return open_errno ? NULL : &host_device;
}

static void forget(void)
{
	host.requests = host.opens = host.parts = host.commits = host.drops = 0;
	host.max_data = 0;
}

static int try_open(enum azblob_transport transport, unsigned int retries, azblob_conn **conn,
		    struct azblob_error *error)
{
	azblob_config *config = azblob_config_new();
	int result;

	assert_int_equal(
		azblob_config_set_connection_string(config, "UseDevelopmentStorage=true", NULL), 0);
	azblob_config_set_transport(config, transport, NULL);
	azblob_config_set_block_size(config, BLOCK, NULL);
	azblob_config_set_retries(config, retries, NULL);
	result = azblob_open(config, conn, error);
	azblob_config_free(config);
	forget();
	return result;
}

static int setup(void **state)
{
	azblob_conn *conn;

	open_errno = 0;
	host.probe = NULL;
	host_set_fault(NO_FAULT, "", 0, 0, NULL);
	assert_int_equal(try_open(AZBLOB_TRANSPORT_AUTO, 2, &conn, NULL), 0);
	assert_int_equal(azblob_conn_transport(conn), AZBLOB_TRANSPORT_DRIVER);
	*state = conn;
	return 0;
}

static int teardown(void **state)
{
	azblob_close(*state);
	free(host.blob);
	free(host.upload);
	host.blob = host.upload = NULL;
	host.there = host.open = false;
	return 0;
}

static char *random_bytes(size_t length)
{
	char *bytes = malloc(length + 1);
	uint32_t x = 2463534242u;

	for (size_t i = 0; i < length; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		bytes[i] = (char)x;
	}
	return bytes;
}

/* ---- tests ---- */

static const size_t sizes[] = { 0, 1, 4095, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK, 5 * BLOCK + 7 };
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static void memory_round_trip_of_every_size(void **state)
{
	for (size_t i = 0; i < SIZES; i++) {
		char *data = random_bytes(sizes[i]);
		char *back = malloc(sizes[i] + 1);
		struct azblob_put_result put;
		struct azblob_get_result get;

		forget();
		assert_int_equal(
			azblob_put_blob(*state, "box", "a b", data, sizes[i], NULL, &put, NULL), 0);
		assert_int_equal(put.size, sizes[i]);
		assert_string_equal(put.etag, "\"e\"");
		assert_int_equal(put.retries, 0);
		/* One Put Blob stays one Put Blob: never a block list. */
		assert_int_equal(host.opens, sizes[i] > BLOCK);
		assert_int_equal(host.commits, sizes[i] > BLOCK);
		assert_true(host.max_data <= BLOCK);
		forget();
		assert_int_equal(azblob_get_blob(*state, "box", "a b", 0, AZBLOB_LENGTH_REST, back,
						 sizes[i], NULL, &get, NULL),
				 0);
		assert_int_equal(get.size, sizes[i]);
		assert_int_equal(get.blob_size, sizes[i]);
		assert_true(get.verified);
		assert_int_equal(host.opens, host.drops);
		assert_memory_equal(back, data, sizes[i]);
		free(data);
		free(back);
	}
}

static void file_round_trip_from_and_to_a_position(void **state)
{
	size_t size = 3 * BLOCK + 11;
	char *data = random_bytes(size);
	char *back = malloc(size + 5);
	int in = memfd_create("in", 0), out = memfd_create("out", 0);

	assert_int_equal(write(in, data, size), size);
	lseek(in, 5, SEEK_SET);
	assert_int_equal(azblob_put_blob_from_fd(*state, "box", "f", in, AZBLOB_SIZE_UNKNOWN, NULL,
						 NULL, NULL),
			 0);
	assert_int_equal(lseek(in, 0, SEEK_CUR), 5);
	assert_int_equal(host.blob_size, size - 5);
	lseek(out, 7, SEEK_SET);
	assert_int_equal(azblob_get_blob_to_fd(*state, "box", "f", 0, AZBLOB_LENGTH_REST, out, NULL,
					       NULL, NULL),
			 0);
	assert_int_equal(pread(out, back, size + 5, 7), size - 5);
	assert_memory_equal(back, data + 5, size - 5);
	close(in);
	close(out);
	free(data);
	free(back);
}

struct stream {
	const char *data;
	char *into;
	size_t size;
	size_t at;
};

static int64_t read_some(void *context, void *buffer, size_t room)
{
	struct stream *s = context;
	/* Odd, small pieces, as a pipe gives them. */
	size_t n = s->size - s->at < 777 ? s->size - s->at : 777;

	n = n < room ? n : room;
	memcpy(buffer, s->data + s->at, n);
	s->at += n;
	return (int64_t)n;
}

static int write_some(void *context, const void *data, size_t length, uint64_t offset)
{
	struct stream *s = context;

	assert_int_equal(offset, s->at);
	memcpy(s->into + s->at, data, length);
	s->at += length;
	return 0;
}

static void stream_round_trip_in_order(void **state)
{
	size_t size = 9 * BLOCK + 1;
	char *data = random_bytes(size);
	struct stream in = { .data = data, .size = size };
	struct stream out = { .into = malloc(size) };
	struct azblob_error error;

	assert_int_equal(azblob_put_blob_from_reader(*state, "box", "s", read_some, &in, size, NULL,
						     NULL, &error),
			 0);
	assert_int_equal(host.blob_size, size);
	assert_int_equal(azblob_get_blob_to_writer(*state, "box", "s", 0, AZBLOB_LENGTH_REST,
						   write_some, &out, NULL, NULL, &error),
			 0);
	assert_int_equal(out.at, size);
	assert_memory_equal(out.into, data, size);
	in.at = 0;
	assert_int_equal(azblob_put_blob_from_reader(*state, "box", "s", read_some, &in, size + 1,
						     NULL, NULL, &error),
			 -1);
	assert_int_equal(error.kind, AZBLOB_LOCAL_IO);
	/* The handle of the upload that failed was given back. */
	assert_int_equal(host.drops, 2);
	free(data);
	free(out.into);
}

static void ranges_are_cut_at_the_end_of_the_blob(void **state)
{
	size_t size = 4 * BLOCK;
	char *data = random_bytes(size), *back = malloc(size);
	struct azblob_get_result get;
	struct azblob_error error;

	assert_int_equal(azblob_put_blob(*state, "box", "r", data, size, NULL, NULL, NULL), 0);
	assert_int_equal(
		azblob_get_blob(*state, "box", "r", 1, 3 * BLOCK, back, size, NULL, &get, NULL), 0);
	assert_int_equal(get.size, 3 * BLOCK);
	assert_int_equal(get.blob_size, size);
	assert_memory_equal(back, data + 1, 3 * BLOCK);
	assert_int_equal(
		azblob_get_blob(*state, "box", "r", size - 3, 10, back, size, NULL, &get, NULL), 0);
	assert_int_equal(get.size, 3);
	assert_memory_equal(back, data + size - 3, 3);
	assert_int_equal(
		azblob_get_blob(*state, "box", "r", size, 1, back, size, NULL, &get, &error), -1);
	assert_string_equal(error.code, "InvalidRange");
	assert_int_equal(azblob_get_blob(*state, "box", "r", 0, 0, back, size, NULL, &get, &error),
			 -1);
	assert_int_equal(error.kind, AZBLOB_BAD_ARGUMENT);
	assert_int_equal(
		azblob_get_blob(*state, "box", "r", 0, size, back, size - 1, NULL, NULL, &error),
		-1);
	assert_int_equal(error.kind, AZBLOB_BAD_ARGUMENT);
	free(data);
	free(back);
}

static void requests_are_signed_and_well_formed(void **state)
{
	struct azblob_put_options options = AZBLOB_PUT_OPTIONS_INIT;
	struct azblob_pair metadata = { "Key", "value" };

	options.metadata = &metadata;
	options.metadata_count = 1;
	options.if_none_match = "*";
	options.content_type = "text/plain";
	assert_int_equal(
		azblob_put_blob(*state, "box", "a b/\xc3\xa9", "x", 1, &options, NULL, NULL), 0);
	assert_ptr_equal(
		strstr(host.last_head, "PUT /devstoreaccount1/box/a%20b/%C3%A9 HTTP/1.1\r\n"),
		host.last_head);
	assert_non_null(strstr(host.last_head, "\r\nAuthorization: SharedKey devstoreaccount1:"));
	assert_non_null(strstr(host.last_head, "\r\nContent-Length: 1\r\n"));
	assert_non_null(strstr(host.last_head, "\r\nx-ms-blob-type: BlockBlob\r\n"));
	assert_non_null(strstr(host.last_head, "\r\nx-ms-meta-Key: value\r\n"));
	assert_non_null(strstr(host.last_head, "\r\nIf-None-Match: *\r\n"));
	assert_null(strstr(host.last_head, "Transfer-Encoding"));
	assert_null(strstr(host.last_head, "Connection"));
	assert_null(strstr(host.last_head, "Expect"));
	metadata.name = "not-a-name";
	assert_int_equal(azblob_put_blob(*state, "box", "a", "x", 1, &options, NULL, NULL), -1);
	metadata.name = "a";
	metadata.value = "x\r\nInjected: 1";
	assert_int_equal(azblob_put_blob(*state, "box", "a", "x", 1, &options, NULL, NULL), -1);
}

static void options_of_a_later_header_are_refused_when_set(void **state)
{
	struct {
		struct azblob_put_options known;
		void *later;
	} options = { AZBLOB_PUT_OPTIONS_INIT, NULL };

	options.known.struct_size = sizeof(options);
	assert_int_equal(azblob_put_blob(*state, "box", "a", "x", 1, &options.known, NULL, NULL),
			 0);
	options.later = &options;
	assert_int_equal(azblob_put_blob(*state, "box", "a", "x", 1, &options.known, NULL, NULL),
			 -1);
	options.known.struct_size = 4;
	assert_int_equal(azblob_put_blob(*state, "box", "a", "x", 1, &options.known, NULL, NULL),
			 -1);
}

static void a_flipped_byte_is_noticed_and_fetched_again(void **state)
{
	size_t size = 6 * BLOCK;
	char *data = random_bytes(size), *back = malloc(size);
	struct azblob_get_result get;
	struct azblob_error error;

	assert_int_equal(azblob_put_blob(*state, "box", "x", data, size, NULL, NULL, NULL), 0);
	host_set_fault(FLIP_BYTE, "GET /.azblob/", 2, 0, NULL);
	assert_int_equal(azblob_get_blob(*state, "box", "x", 0, size, back, size, NULL, &get, NULL),
			 0);
	assert_int_equal(get.retries, 2);
	assert_memory_equal(back, data, size);
	host_set_fault(FLIP_BYTE, "GET /devstore", 1, 0, NULL);
	assert_int_equal(azblob_get_blob(*state, "box", "x", 0, size, back, size, NULL, &get, NULL),
			 0);
	assert_int_equal(get.retries, 1);
	host_set_fault(FLIP_BYTE, "GET ", 1000, 0, NULL);
	assert_int_equal(
		azblob_get_blob(*state, "box", "x", 0, size, back, size, NULL, &get, &error), -1);
	assert_int_equal(error.kind, AZBLOB_CHECKSUM);
	free(data);
	free(back);
}

static void what_did_not_happen_is_tried_again_and_what_may_have_is_not(void **state)
{
	struct azblob_put_result put;
	struct azblob_error error;

	host_set_fault(LINK_STATUS, "PUT ", 2, VSP_WIRE_STATUS_NO_RESOURCES, NULL);
	assert_int_equal(azblob_put_blob(*state, "box", "x", "x", 1, NULL, &put, NULL), 0);
	assert_int_equal(put.retries, 2);
	host_set_fault(HTTP_STATUS, "PUT ", 2, 503, NULL);
	assert_int_equal(azblob_put_blob(*state, "box", "x", "x", 1, NULL, &put, NULL), 0);
	assert_int_equal(put.retries, 2);
	forget();
	host_set_fault(LINK_STATUS, "PUT ", 1, VSP_WIRE_STATUS_TIMEOUT, NULL);
	assert_int_equal(azblob_put_blob(*state, "box", "x", "x", 1, NULL, &put, &error), -1);
	assert_int_equal(error.kind, AZBLOB_TRANSPORT);
	assert_int_equal(error.link_status, VSP_WIRE_STATUS_TIMEOUT);
	assert_true(error.outcome_unknown);
	assert_int_equal(host.requests, 1);
	host_set_fault(HTTP_STATUS, "PUT ", 1, 500, NULL);
	assert_int_equal(azblob_put_blob(*state, "box", "x", "x", 1, NULL, &put, &error), -1);
	assert_true(error.outcome_unknown);
	host_set_fault(ERRNO, "PUT ", 1, ENODEV, NULL);
	assert_int_equal(azblob_put_blob(*state, "box", "x", "x", 1, NULL, &put, &error), -1);
	assert_int_equal(error.sys_errno, ENODEV);
	assert_true(error.outcome_unknown);
	host_set_fault(LINK_STATUS, "PUT ", 1, VSP_WIRE_STATUS_BAD_PACKET, NULL);
	assert_int_equal(azblob_put_blob(*state, "box", "x", "x", 1, NULL, &put, &error), -1);
	assert_false(error.outcome_unknown);
}

static void parts_and_commit_are_tried_again_after_any_time_out(void **state)
{
	size_t size = 4 * BLOCK;
	char *data = random_bytes(size);
	struct azblob_put_result put;
	struct azblob_error error;

	host_set_fault(LINK_STATUS, "PUT /.azblob/", 2, VSP_WIRE_STATUS_TIMEOUT, NULL);
	assert_int_equal(azblob_put_blob(*state, "box", "x", data, size, NULL, &put, NULL), 0);
	assert_int_equal(put.retries, 2);
	host_set_fault(LINK_STATUS, "POST ", 1, VSP_WIRE_STATUS_FAILED, NULL);
	assert_int_equal(azblob_put_blob(*state, "box", "x", data, size, NULL, &put, NULL), 0);
	assert_memory_equal(host.blob, data, size);
	forget();
	host_set_fault(LINK_STATUS, "POST ", 100, VSP_WIRE_STATUS_FAILED, NULL);
	assert_int_equal(azblob_put_blob(*state, "box", "x", data, size, NULL, &put, &error), -1);
	assert_true(error.outcome_unknown);
	assert_int_equal(host.drops, 1);
	/* Nothing took effect before the commit, so nothing is unknown. */
	host_set_fault(LINK_STATUS, "PUT /.azblob/", 100, VSP_WIRE_STATUS_FAILED, NULL);
	assert_int_equal(azblob_put_blob(*state, "box", "x", data, size, NULL, &put, &error), -1);
	assert_false(error.outcome_unknown);
	free(data);
}

static void a_checksum_that_the_host_refuses_is_sent_again(void **state)
{
	struct azblob_put_result put;
	struct azblob_error error;
	static const char refusal[] = "HTTP/1.1 400 X\r\nx-ms-error-code: Crc64Mismatch\r\n\r\n";

	host_set_fault(RAW_ANSWER, "PUT ", 1, 0, refusal);
	assert_int_equal(azblob_put_blob(*state, "box", "x", "x", 1, NULL, &put, NULL), 0);
	assert_int_equal(put.retries, 1);
	host_set_fault(RAW_ANSWER, "PUT ", 100, 0, refusal);
	assert_int_equal(azblob_put_blob(*state, "box", "x", "x", 1, NULL, &put, &error), -1);
	assert_int_equal(error.kind, AZBLOB_CHECKSUM);
	assert_false(error.outcome_unknown);
}

static void answers_that_make_no_sense_are_errors(void **state)
{
	static const char *const texts[] = {
		"",
		"junk",
		"HTTP/1.1 200 OK",
		"HTTP/1.1 200 OK\r\n",
		"HTTP/1.1 200 OK\r\nX\r\n\r\n",
		"HTTP/1.1 200 OK\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		"X: y\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nAzblob-Sent: 6\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\nAzblob-Sent: 0\r\n\r\n",
		"HTTP/1.1 404 X\r\nContent-Length: 5\r\n\r\n1234",
		"HTTP/1.1 206 X\r\nContent-Length: 5\r\n\r\n",
		"HTTP/1.1 206 X\r\nContent-Length: 5\r\nContent-Range: bytes 0-3/5\r\n\r\n",
		"HTTP/1.1 206 X\r\nContent-Length: 5\r\nContent-Range: bytes 1-5/9\r\n\r\n",
		("HTTP/1.1 200 X\r\nContent-Length: 9999999\r\nAzblob-Sent: 5\r\n"
		 "Azblob-Handle: 0/..\r\n\r\n"),
	};
	struct azblob_error error;
	char buffer[64];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		host_set_fault(RAW_ANSWER, "GET /devstore", 100, 0, texts[i]);
		assert_int_equal(azblob_get_blob(*state, "box", "x", 0, 64, buffer, sizeof(buffer),
						 NULL, NULL, &error),
				 -1);
		assert_int_equal(error.kind, AZBLOB_TRANSPORT);
		assert_true(error.message[0]);
	}
	/* A length beyond the buffer is not believed. */
	host_set_fault(RAW_ANSWER, "GET /devstore", 100, 1u << 30, "HTTP/1.1 200 OK\r\n\r\n");
	assert_int_equal(azblob_get_blob(*state, "box", "x", 0, 64, buffer, sizeof(buffer), NULL,
					 NULL, &error),
			 -1);
	assert_int_equal(error.kind, AZBLOB_TRANSPORT);
}

static void errors_of_the_service_carry_code_and_message(void **state)
{
	struct azblob_error error;
	char buffer[8];

	assert_int_equal(azblob_get_blob(*state, "box", "x", 0, 8, buffer, 8, NULL, NULL, &error),
			 -1);
	assert_int_equal(error.kind, AZBLOB_SERVICE);
	assert_int_equal(error.http_status, 404);
	assert_string_equal(error.code, "BlobNotFound");
	assert_string_equal(error.message, "It is BlobNotFound. (404 BlobNotFound)");
	assert_int_equal(host.requests, 1);
}

static void a_larger_response_buffer_is_given_when_asked_for(void **state)
{
	struct azblob_properties *properties;
	struct azblob_error error;

	host_set_fault(LINK_STATUS, "HEAD ", 1, VSP_WIRE_STATUS_TOO_SMALL,
		       "HTTP/1.1 413 X\r\nAzblob-Needed: 50000\r\nContent-Length: 0\r\n\r\n");
	assert_int_equal(azblob_get_properties(*state, "box", "x", &properties, &error), 0);
	assert_int_equal(properties->metadata_count, 1);
	assert_string_equal(properties->metadata[0].name, "One");
	azblob_properties_free(properties);
	host_set_fault(LINK_STATUS, "HEAD ", 100, VSP_WIRE_STATUS_TOO_SMALL, NULL);
	forget();
	assert_int_equal(azblob_get_properties(*state, "box", "x", &properties, &error), -1);
	assert_int_equal(error.link_status, VSP_WIRE_STATUS_TOO_SMALL);
	assert_int_equal(host.requests, 1);
}

static void lists_come_through_the_data_buffer(void **state)
{
	struct azblob_list *page;

	assert_int_equal(azblob_list_blobs(*state, "box", NULL, &page, NULL), 0);
	assert_int_equal(page->count, 1);
	assert_string_equal(page->entries[0]->name, "n");
	azblob_list_free(page);
}

static void buffers_that_the_host_may_still_write_are_given_up(void **state)
{
	size_t size = 2 * BLOCK;
	char *data = random_bytes(size), *back = malloc(size);
	struct stream out = { .into = back };
	struct azblob_get_result get;
	struct azblob_error error;

	assert_int_equal(azblob_put_blob(*state, "box", "x", data, size, NULL, NULL, NULL), 0);
	/* Pool buffers get fresh pages, so a read is safe to repeat ... */
	host_set_fault(ERRNO, "GET /.azblob/", 1, ETIMEDOUT, NULL);
	assert_int_equal(azblob_get_blob_to_writer(*state, "box", "x", 0, size, write_some, &out,
						   NULL, &get, &error),
			 0);
	assert_int_equal(get.retries, 1);
	assert_memory_equal(back, data, size);
	/* ... the caller's memory does not. */
	host_set_fault(ERRNO, "GET /.azblob/", 1, ETIMEDOUT, NULL);
	assert_int_equal(
		azblob_get_blob(*state, "box", "x", 0, size, back, size, NULL, &get, &error), -1);
	assert_int_equal(error.sys_errno, ETIMEDOUT);
	free(data);
	free(back);
}

static int cancel_at(void *context, uint64_t done, uint64_t total)
{
	(void)total;
	return done >= *(size_t *)context;
}

static void progress_can_cancel(void **state)
{
	struct azblob_put_options put = AZBLOB_PUT_OPTIONS_INIT;
	size_t size = 20 * BLOCK, limit = 3 * BLOCK;
	char *data = random_bytes(size);
	struct azblob_error error;

	put.progress = cancel_at;
	put.progress_context = &limit;
	assert_int_equal(azblob_put_blob(*state, "box", "x", data, size, &put, NULL, &error), -1);
	assert_int_equal(error.kind, AZBLOB_CANCELLED);
	assert_false(host.there);
	assert_int_equal(host.drops, 1);
	assert_true(host.parts < 20);
	free(data);
}

static void auto_falls_back_and_says_why(void **state)
{
	static const char *const probes[] = {
		"HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 X\r\nAzblob-Payload: 2\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 X\r\nAzblob-Payload: 1\r\nContent-Length: 0\r\n\r\n",
		"HsRes001 something else",
	};
	struct azblob_error error;
	azblob_conn *conn;

	(void)state;
	for (size_t i = 0; i < sizeof(probes) / sizeof(probes[0]); i++) {
		host.probe = probes[i];
		assert_int_equal(try_open(AZBLOB_TRANSPORT_DRIVER, 0, &conn, &error), -1);
		assert_non_null(strstr(error.message, "/dev/azure_blob"));
		assert_int_equal(try_open(AZBLOB_TRANSPORT_AUTO, 0, &conn, &error), 0);
		assert_int_equal(azblob_conn_transport(conn), AZBLOB_TRANSPORT_HTTP);
		assert_non_null(strstr(azblob_conn_transport_note(conn), "/dev/azure_blob: "));
		assert_non_null(
			strstr(azblob_conn_transport_note(conn), "using http://127.0.0.1:10000"));
		azblob_close(conn);
	}
	open_errno = ENOENT;
	assert_int_equal(try_open(AZBLOB_TRANSPORT_DRIVER, 0, &conn, &error), -1);
	assert_int_equal(error.sys_errno, ENOENT);
	assert_int_equal(try_open(AZBLOB_TRANSPORT_AUTO, 0, &conn, &error), 0);
	assert_non_null(strstr(azblob_conn_transport_note(conn), "no /dev/azure_blob here"));
	azblob_close(conn);
	open_errno = EACCES;
	assert_int_equal(try_open(AZBLOB_TRANSPORT_AUTO, 0, &conn, &error), 0);
	assert_non_null(strstr(azblob_conn_transport_note(conn), "Permission denied"));
	azblob_close(conn);
	open_errno = 0;
	host.probe = NULL;
	assert_int_equal(try_open(AZBLOB_TRANSPORT_HTTP, 0, &conn, &error), 0);
	assert_int_equal(azblob_conn_transport(conn), AZBLOB_TRANSPORT_HTTP);
	azblob_close(conn);
}

static const char lost_handle[] =
	"HTTP/1.1 404 X\r\nx-ms-error-code: HandleNotFound\r\nContent-Length: 0\r\n\r\n";

static void a_download_goes_on_when_its_handle_is_lost(void **state)
{
	char *data = random_bytes(9 * BLOCK);
	char *back = malloc(9 * BLOCK);
	struct azblob_get_result get;

	assert_int_equal(azblob_put_blob(*state, "box", "x", data, 9 * BLOCK, NULL, NULL, NULL), 0);
	for (int times = 1; times < 4; times++) {
		forget();
		memset(back, 0, 9 * BLOCK);
		host_set_fault(RAW_ANSWER, "GET /.azblob/", times, 0, lost_handle);
		assert_int_equal(azblob_get_blob(*state, "box", "x", BLOCK, 8 * BLOCK, back,
						 8 * BLOCK, NULL, &get, NULL),
				 0);
		assert_int_equal(get.verified, 1);
		assert_memory_equal(back, data + BLOCK, 8 * BLOCK);
		assert_true(host.opens >= 2);
		/* The same range, of the version that was read so far. */
		assert_non_null(strstr(host.last_open, "x-ms-range: bytes=65536-589823\r\n"));
		assert_non_null(strstr(host.last_open, "If-Match: \"e\"\r\n"));
	}
	free(data);
	free(back);
}

static void a_download_whose_blob_was_replaced_meanwhile_fails(void **state)
{
	static const char replaced[] = "HTTP/1.1 412 X\r\nx-ms-error-code: ConditionNotMet\r\n"
				       "Content-Length: 0\r\n\r\n";
	char *data = random_bytes(4 * BLOCK);
	struct azblob_error error;

	assert_int_equal(azblob_put_blob(*state, "box", "x", data, 4 * BLOCK, NULL, NULL, NULL), 0);
	host_set_fault(RAW_ANSWER, "GET /.azblob/", 1, 0, lost_handle);
	host.next_fault = replaced;
	assert_int_equal(azblob_get_blob(*state, "box", "x", 0, AZBLOB_LENGTH_REST, data, 4 * BLOCK,
					 NULL, NULL, &error),
			 -1);
	assert_int_equal(error.kind, AZBLOB_SERVICE);
	assert_string_equal(error.code, "ConditionNotMet");
	free(data);
}

static void a_download_from_a_host_that_always_forgets_ends(void **state)
{
	char *data = random_bytes(4 * BLOCK);
	struct azblob_error error;

	assert_int_equal(azblob_put_blob(*state, "box", "x", data, 4 * BLOCK, NULL, NULL, NULL), 0);
	host_set_fault(RAW_ANSWER, "GET /.azblob/", 1 << 30, 0, lost_handle);
	assert_int_equal(azblob_get_blob(*state, "box", "x", 0, AZBLOB_LENGTH_REST, data, 4 * BLOCK,
					 NULL, NULL, &error),
			 -1);
	assert_string_equal(error.code, "HandleNotFound");
	free(data);
}

static void an_upload_begins_again_when_its_handle_is_lost(void **state)
{
	char *data = random_bytes(6 * BLOCK + 5);
	struct azblob_put_result put;
	struct azblob_error error;

	host_set_fault(RAW_ANSWER, "PUT /.azblob/", 1, 0, lost_handle);
	assert_int_equal(azblob_put_blob(*state, "box", "x", data, 6 * BLOCK + 5, NULL, &put, NULL),
			 0);
	assert_int_equal(host.opens, 2);
	assert_true(put.retries >= 1);
	assert_int_equal(host.blob_size, 6 * BLOCK + 5);
	assert_memory_equal(host.blob, data, 6 * BLOCK + 5);
	/* At the commit, which has not happened. */
	forget();
	host_set_fault(RAW_ANSWER, "POST /.azblob/", 1, 0, lost_handle);
	assert_int_equal(azblob_put_blob(*state, "box", "x", data, 6 * BLOCK + 5, NULL, &put, NULL),
			 0);
	assert_int_equal(host.opens, 2);
	assert_int_equal(host.commits, 1);
	/* Again and again, there is an end. */
	forget();
	host_set_fault(RAW_ANSWER, "POST /.azblob/", 1 << 30, 0, lost_handle);
	assert_int_equal(
		azblob_put_blob(*state, "box", "x", data, 6 * BLOCK + 5, NULL, &put, &error), -1);
	assert_string_equal(error.code, "HandleNotFound");
	assert_int_equal(host.opens, 3);
	free(data);
}

/* Whoever took these for not done would do them once more. */
static void what_was_done_and_not_told_has_an_unknown_outcome(void **state)
{
	static const char mute[] = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";
	char time[AZBLOB_SNAPSHOT_ROOM];
	char lease[AZBLOB_LEASE_ROOM];
	struct azblob_error error;

	for (int i = 0; i < 3; i++) {
		int status;

		host_set_fault(RAW_ANSWER, "PUT /devstore", 1, 0, mute);
		if (!i)
			status = azblob_append_block(*state, "box", "x", "x", 1,
						     AZBLOB_APPEND_ANYWHERE, AZBLOB_APPEND_ANYWHERE,
						     NULL, NULL, &error);
		else if (i == 1)
			status = azblob_create_snapshot(*state, "box", "x", NULL, 0, NULL, time,
							&error);
		else
			status = azblob_lease_acquire(*state, "box", "x", 15, NULL, NULL, lease,
						      &error);
		assert_int_equal(status, -1);
		assert_int_equal(error.kind, AZBLOB_TRANSPORT);
		assert_int_equal(error.outcome_unknown, 1);
	}
}

/* As the gateway asks: it tells its client from that whether another try makes sense. */
static void a_want_of_memory_is_no_refusal(void **state)
{
	static const char head[] = "GET /x HTTP/1.1\r\nHost: x\r\n\r\n";
	static char long_head[(64 << 10) + 1];
	struct azc_request request = { .method = "GET",
				       .head = head,
				       .head_length = sizeof(head) - 1,
				       .response_room = (size_t)1 << 60 };
	struct azc_answer answer = { 0 };
	enum azc_failure failure = AZC_UNKNOWN;
	struct azblob_error error;

	assert_int_equal(azc_driver_exchange(*state, &request, 1000, &answer, &failure, &error),
			 -1);
	assert_int_equal(failure, AZC_SENT_NOTHING);
	assert_int_equal(error.kind, AZBLOB_RESOURCES);
	/* What no try could carry is. */
	request.response_room = 0;
	request.head = long_head;
	request.head_length = sizeof(long_head);
	assert_int_equal(azc_driver_exchange(*state, &request, 1000, &answer, &failure, &error),
			 -1);
	assert_int_equal(failure, AZC_REFUSED);
	assert_int_equal(error.kind, AZBLOB_BAD_ARGUMENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(memory_round_trip_of_every_size),
		TEST(file_round_trip_from_and_to_a_position),
		TEST(stream_round_trip_in_order),
		TEST(ranges_are_cut_at_the_end_of_the_blob),
		TEST(requests_are_signed_and_well_formed),
		TEST(options_of_a_later_header_are_refused_when_set),
		TEST(a_flipped_byte_is_noticed_and_fetched_again),
		TEST(what_did_not_happen_is_tried_again_and_what_may_have_is_not),
		TEST(parts_and_commit_are_tried_again_after_any_time_out),
		TEST(a_checksum_that_the_host_refuses_is_sent_again),
		TEST(answers_that_make_no_sense_are_errors),
		TEST(errors_of_the_service_carry_code_and_message),
		TEST(a_larger_response_buffer_is_given_when_asked_for),
		TEST(lists_come_through_the_data_buffer),
		TEST(buffers_that_the_host_may_still_write_are_given_up),
		TEST(progress_can_cancel),
		TEST(auto_falls_back_and_says_why),
		TEST(a_download_goes_on_when_its_handle_is_lost),
		TEST(a_download_whose_blob_was_replaced_meanwhile_fails),
		TEST(a_download_from_a_host_that_always_forgets_ends),
		TEST(an_upload_begins_again_when_its_handle_is_lost),
		TEST(what_was_done_and_not_told_has_an_unknown_outcome),
		TEST(a_want_of_memory_is_no_refusal),
	};

	return cmocka_run_group_tests_name("client_driver", tests, NULL, NULL);
}
