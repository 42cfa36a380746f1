/* SPDX-License-Identifier: MIT */
/*
 * The envelope of the public connector library: "HsReq001" and JSON in the request buffer,
 * "HsRes001" and JSON in the response buffer.  docs/fastpath.md says which fields are public
 * and which are ours.  Pure functions over bytes.
 *
 *	request				response
 *	 0  "HsReq001"			 0  "HsRes001"
 *	 8  format, 1 is JSON		 8  format
 *	12  method			12  0
 *	16  crc64			16  crc64
 *	24  not used			24  0
 *	32  JSON			32  JSON
 *
 * All integers are little-endian.  The CRC-64/NVME is over header and JSON, with 0 in its place.
 */
#ifndef AZBLOB_DOOR_ENVELOPE_H
#define AZBLOB_DOOR_ENVELOPE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../base/buf.h"

#define ENVELOPE_HEADER 32u
#define ENVELOPE_FORMAT_JSON 1u
#define ENVELOPE_SCHEMA 1
/* Of a client request id, as Azure has it. */
#define ENVELOPE_MAX_ID 1024u

enum envelope_method {
	ENVELOPE_OPEN = 1,
	ENVELOPE_READ = 2,
	ENVELOPE_CLOSE = 3,
};

/* The "status" of an answer. */
#define ENVELOPE_OK 1001          /* public */
#define ENVELOPE_BAD_REQUEST 1002 /* ours: not understood, nothing was done */
#define ENVELOPE_REFUSED 1003     /* ours: httpStatus and errorDescription say why */

/**
 * struct envelope - a request
 * @method: as in the header, also when it is none that is known.
 * @json: owns all strings here.
 * @client_id: xMsClientRequestId; NULL when it is absent.
 * @version, @host, @target, @headers: of open.  The last two are there; @headers is an object of
 *	strings or NULL.
 * @handle: of read and close.
 * @offset, @length: of read, bytes.
 * @crc: read wants the checksum of what it gets.
 */
struct envelope {
	uint32_t method;
	json_t *json;
	const char *client_id;
	const char *version;
	const char *host;
	const char *target;
	json_t *headers;
	const char *handle;
	uint64_t offset;
	uint64_t length;
	bool crc;
};

/* Does a request begin as an envelope?  Everything that does is answered as one. */
bool envelope_is(const void *request, size_t length);

/**
 * envelope_parse() - check a request and take it apart
 * @request: @length bytes that can't change; envelope_is().
 * @envelope: @method and @client_id are set where they were found, also in an error.
 * @error, @room: one line for a person.
 *
 * Return: 0; -EBADMSG: it is wrong and @error says what; -ENOMEM.  envelope_free() in all cases.
 */
int envelope_parse(const void *request, size_t length, struct envelope *envelope, char *error,
		   size_t room);
void envelope_free(struct envelope *envelope);

/**
 * envelope_head() - the HTTP head that an open stands for
 * @head: the head is added to it.
 * Return: 0; -EBADMSG: a string can't be in a head and @error says which; -ENOMEM.
 */
int envelope_head(const struct envelope *envelope, struct azb_buf *head, char *error, size_t room);

/**
 * struct envelope_answer - what an answer says
 * @method: of the request.
 * @status: ENVELOPE_*.
 * @http: the status of HTTP that the same request would have had.
 * @error: one line for a person, "" without an error.
 * @client_id, @request_id, @version: NULL is "".
 * @elapsed_ms: since the request came.
 * @handle, @content_length, @etag: of an open that succeeded; NULL, 0, NULL.
 * @read, @bytes_read: of a read that succeeded.
 */
struct envelope_answer {
	uint32_t method;
	int status;
	unsigned int http;
	const char *error;
	const char *client_id;
	const char *request_id;
	const char *version;
	uint64_t elapsed_ms;
	const char *handle;
	uint64_t content_length;
	const char *etag;
	bool read;
	uint64_t bytes_read;
};

/**
 * envelope_render() - header and JSON
 * @crc: checksum of what was read, as text; "" for none.  Texts of one length give answers of
 *	one length.
 * @out: may be NULL to measure; nothing is written when the answer is longer than @room.
 * Return: the answer's length; SIZE_MAX when memory is short.
 */
size_t envelope_render(const struct envelope_answer *answer, const char *crc, void *out,
		       size_t room);

#endif /* AZBLOB_DOOR_ENVELOPE_H */
