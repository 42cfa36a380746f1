// SPDX-License-Identifier: MIT
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "azblob/vsp_wire.h"
#include "base/base64.h"
#include "base/crc64.h"
#include "client_host.h"
#include "uapi/misc/hv_azure_blob.h"

struct fake_host host = { .lock = PTHREAD_MUTEX_INITIALIZER };

#define HANDLE "0123456789abcdef0123456789abcdef"

static const char *header(const char *head, const char *name, char *value)
{
	const char *at = strcasestr(head, name);

	if (!at)
		return NULL;
	at += strlen(name);
	snprintf(value, 128, "%.*s", (int)strcspn(at, "\r"), at);
	return value;
}

static uint64_t crc_of_header(const char *head)
{
	uint8_t bytes[8];
	uint64_t crc = 0;
	char text[128];

	assert_non_null(header(head, "\r\nAzblob-Crc64: ", text));
	assert_int_equal(azb_base64_decode(bytes, 8, text, strlen(text)), 8);
	for (int i = 8; i-- > 0;)
		crc = crc << 8 | bytes[i];
	return crc;
}

static void answer(struct az_blob_request_sync *rq, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void answer(struct az_blob_request_sync *rq, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	rq->response.response_len = (uint32_t)vsnprintf((char *)(uintptr_t)rq->response_buffer,
							rq->response_len, format, args);
	va_end(args);
}

static void answer_data(struct az_blob_request_sync *rq, int status, const char *extra,
			const char *data, size_t length, size_t content_length)
{
	uint8_t bytes[8];
	char text[16];
	uint64_t crc = azb_crc64(0, data, length);

	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(crc >> 8 * i);
	azb_base64_encode(text, bytes, 8);
	assert_true(length <= rq->data_len);
	if (length)
		memcpy((void *)(uintptr_t)rq->data_buffer, data, length);
	answer(rq,
	       "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nAzblob-Crc64: %s\r\nETag: \"e\"\r\n%s\r\n",
	       status, content_length, text, extra);
}

static void azure_error(struct az_blob_request_sync *rq, int status, const char *code)
{
	answer(rq,
	       "HTTP/1.1 %d X\r\nx-ms-error-code: %s\r\nContent-Length: %zu\r\n\r\n"
	       "<Error><Code>%s</Code><Message>It is %s.\nRequestId:1</Message></Error>",
	       status, code, 65 + 2 * strlen(code), code, code);
}

static void host_put(struct az_blob_request_sync *rq, const char *head)
{
	const char *data = (const char *)(uintptr_t)rq->data_buffer;
	size_t length = strtoull(strcasestr(head, "\r\nContent-Length: ") + 18, NULL, 10);

	if (strcasestr(head, "\r\nAzblob-Body: open\r\n")) {
		assert_int_equal(rq->data_valid, 0);
		assert_int_equal(rq->data_len, 0);
		free(host.upload);
		host.upload = calloc(1, length);
		host.upload_size = length;
		host.uploaded = 0;
		host.open = true;
		host.opens++;
		answer(rq, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nAzblob-Handle: " HANDLE
			   "\r\nAzblob-Expires: 60\r\n\r\n");
		return;
	}
	assert_int_equal(length, rq->data_valid);
	if (length && crc_of_header(head) != azb_crc64(0, data, length)) {
		azure_error(rq, 400, "Crc64Mismatch");
		return;
	}
	free(host.blob);
	host.blob = malloc(length + 1);
	if (length)
		memcpy(host.blob, data, length);
	host.blob_size = length;
	host.there = true;
	answer(rq, "HTTP/1.1 201 Created\r\nETag: \"e\"\r\nContent-Length: 0\r\n\r\n");
}

static void host_part(struct az_blob_request_sync *rq, const char *head)
{
	const char *data = (const char *)(uintptr_t)rq->data_buffer;
	size_t offset = strtoull(strstr(head, "?offset=") + 8, NULL, 10);

	assert_true(host.open);
	assert_null(strcasestr(head, "Authorization"));
	assert_true(offset + rq->data_valid <= host.upload_size);
	if (crc_of_header(head) != azb_crc64(0, data, rq->data_valid)) {
		azure_error(rq, 400, "Crc64Mismatch");
		return;
	}
	memcpy(host.upload + offset, data, rq->data_valid);
	host.uploaded += rq->data_valid;
	host.parts++;
	answer(rq, "HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n");
}

static void host_commit(struct az_blob_request_sync *rq)
{
	if (host.open) {
		assert_int_equal(host.uploaded, host.upload_size);
		free(host.blob);
		host.blob = host.upload;
		host.blob_size = host.upload_size;
		host.upload = NULL;
		host.there = true;
		host.open = false;
	}
	host.commits++;
	answer(rq, "HTTP/1.1 201 Created\r\nETag: \"e\"\r\nContent-Length: 0\r\n\r\n");
}

static void host_get(struct az_blob_request_sync *rq, const char *head)
{
	size_t first = 0, length, sent;
	char range[128], extra[256] = "";

	if (!host.there) {
		azure_error(rq, 404, "BlobNotFound");
		return;
	}
	length = host.blob_size;
	if (header(head, "\r\nx-ms-range: bytes=", range)) {
		char *end;
		size_t last;

		first = strtoull(range, &end, 10);
		if (first >= host.blob_size) {
			azure_error(rq, 416, "InvalidRange");
			return;
		}
		last = end[1] ? strtoull(end + 1, NULL, 10) : host.blob_size - 1;
		if (last >= host.blob_size)
			last = host.blob_size - 1;
		length = last - first + 1;
		snprintf(extra, sizeof(extra), "Content-Range: bytes %zu-%zu/%zu\r\n", first, last,
			 host.blob_size);
	}
	sent = length < rq->data_len ? length : rq->data_len;
	if (strcasestr(head, "\r\nAzblob-Body: open\r\n"))
		snprintf(extra + strlen(extra), sizeof(extra) - strlen(extra),
			 "Azblob-Sent: %zu\r\n%s", sent,
			 sent < length ? "Azblob-Handle: " HANDLE "\r\n" : "");
	else
		assert_int_equal(sent, length);
	host.opens += sent < length;
	/* Parts count from the start of the body. */
	host.upload_size = first;
	answer_data(rq, *range && strstr(extra, "Content-Range") ? 206 : 200, extra,
		    host.blob + first, sent, length);
}

static void host_get_part(struct az_blob_request_sync *rq, const char *head)
{
	size_t offset = strtoull(strstr(head, "offset=") + 7, NULL, 10);
	size_t length = strtoull(strstr(head, "length=") + 7, NULL, 10);

	assert_null(strcasestr(head, "Authorization"));
	host.parts++;
	answer_data(rq, 206, "", host.blob + host.upload_size + offset, length, length);
}

static void host_answer(struct az_blob_request_sync *rq, const char *head)
{
	if (!strncmp(head, "GET /.azblob HTTP/1.1\r\n", 23)) {
		assert_null(strcasestr(head, "Authorization"));
		answer(rq, "%s",
		       host.probe
			       ? host.probe
			       : "HTTP/1.1 200 OK\r\nAzblob-Server: test/1\r\nAzblob-Payload: 1\r\n"
				 "Azblob-Part-Max: 33554432\r\nContent-Length: 0\r\n\r\n");
	} else if (!strncmp(head, "PUT /.azblob/" HANDLE "?offset=", 53)) {
		host_part(rq, head);
	} else if (!strncmp(head, "POST /.azblob/" HANDLE "?commit ", 54)) {
		host_commit(rq);
	} else if (!strncmp(head, "DELETE /.azblob/" HANDLE " ", 49)) {
		host.drops++;
		answer(rq, "HTTP/1.1 202 X\r\nContent-Length: 0\r\n\r\n");
	} else if (!strncmp(head, "GET /.azblob/" HANDLE "?", 46)) {
		host_get_part(rq, head);
	} else if (!strncmp(head, "PUT ", 4)) {
		host_put(rq, head);
	} else if (!strncmp(head, "HEAD ", 5)) {
		answer(rq,
		       "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\nETag: \"e\"\r\n"
		       "x-ms-meta-One: 1\r\n\r\n",
		       host.blob_size);
	} else if (strstr(head, "comp=list")) {
		static const char xml[] = "<EnumerationResults><Blobs><Blob><Name>n</Name></Blob>"
					  "</Blobs></EnumerationResults>";

		answer_data(rq, 200, "", xml, sizeof(xml) - 1, sizeof(xml) - 1);
	} else {
		host_get(rq, head);
	}
}

/* True when the fault is the whole answer. */
static bool fault_before(struct az_blob_request_sync *rq, int *result)
{
	switch (host.fault) {
	case LINK_STATUS:
		rq->response.status = host.value;
		if (host.text)
			answer(rq, "%s", host.text);
		return true;
	case ERRNO:
		*result = -(int)host.value;
		return true;
	case HTTP_STATUS:
		answer(rq, "HTTP/1.1 %u X\r\nContent-Length: 0\r\n\r\n", host.value);
		return true;
	case RAW_ANSWER:
		answer(rq, "%s", host.text);
		if (host.value)
			rq->response.response_len = host.value;
		return true;
	default:
		return false;
	}
}

static int host_submit(struct azc_device *device, struct az_blob_request_sync *rq)
{
	const char *buffer = (const char *)(uintptr_t)rq->request_buffer;
	int result = 0;
	char *head;
	bool hit;

	(void)device;
	assert_true(rq->request_len > 4 && rq->response_len >= 16384 && !rq->reserved);
	assert_true(rq->data_valid <= rq->data_len);
	assert_memory_equal(buffer + rq->request_len - 4, "\r\n\r\n", 4);
	head = strndup(buffer, rq->request_len);
	assert_non_null(strstr(head, "\r\nHost: 127.0.0.1:10000\r\n"));
	pthread_mutex_lock(&host.lock);
	host.requests++;
	if (rq->data_len > host.max_data)
		host.max_data = rq->data_len;
	snprintf(host.last_head, sizeof(host.last_head), "%s", head);
	if (strcasestr(head, "\r\nAzblob-Body: open\r\n"))
		snprintf(host.last_open, sizeof(host.last_open), "%s", head);
	/* The one after the last fault of the first kind, and not one of the other workers. */
	if (host.next_fault && !host.times && strncmp(head, host.match, strlen(host.match))) {
		host.text = host.next_fault;
		host.next_fault = NULL;
		host.match = "";
		host.times = 1;
	}
	hit = host.times && !strncmp(head, host.match, strlen(host.match));
	if (hit)
		host.times--;
	if (!hit || !fault_before(rq, &result))
		host_answer(rq, head);
	if (hit && host.fault == FLIP_BYTE && rq->data_len && !rq->data_valid)
		*(char *)(uintptr_t)rq->data_buffer ^= 1;
	pthread_mutex_unlock(&host.lock);
	free(head);
	return result;
}

static void host_close(struct azc_device *device)
{
	(void)device;
}

struct azc_device host_device = { .submit = host_submit, .close = host_close };

void host_set_fault(enum fault fault, const char *match, int times, uint32_t value,
		    const char *text)
{
	host.fault = fault;
	host.match = match;
	host.times = times;
	host.value = value;
	host.text = text;
	host.next_fault = NULL;
}
