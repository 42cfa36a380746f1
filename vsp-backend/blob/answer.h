/* SPDX-License-Identifier: MIT */
/* Building what svc_answer_head() renders later.  Inside the service only. */
#ifndef AZBLOB_BLOB_ANSWER_H
#define AZBLOB_BLOB_ANSWER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "../base/buf.h"
#include "../store/rest.h"
#include "../store/store.h"
#include "frame.h"
#include "service.h"

/* Azure: a client's request id has at most 1,024 characters; a longer one is not echoed. */
#define ANSWER_MAX_CLIENT_ID 1024u

/**
 * struct answer_to - what every answer to one request says
 * @id: a GUID, for x-ms-request-id.
 * @version: of the request, "" when it has none.
 * @client_id: to be echoed, "" for none.
 * @is_head: no body whatever happens.
 */
struct answer_to {
	char id[37];
	char version[11];
	bool is_head;
	char client_id[ANSWER_MAX_CLIENT_ID + 1];
};

/* Fills @to from @head (NULL: nothing was parsed). */
void answer_to_init(struct answer_to *to, const struct head *head);

/**
 * struct answer - the whole of a struct svc_answer
 * @headers: name, zero, value, zero and so on.
 * @body: in memory; empty when @read is there.
 * @read, @offset: a range of a lease, pub.body_length bytes from @offset.
 * @rest: a body that another server sends while it is read; @body and @read are not there then.
 * @frame: around what is read, for a structured message.
 * @failed: memory was short.
 */
struct answer {
	struct svc_answer pub;
	atomic_uint references;
	struct azb_buf headers;
	struct azb_buf body;
	struct store_read *read;
	uint64_t offset;
	struct frame *frame;
	struct rest_answer *rest;
	bool failed;
};

/* With the headers that are everywhere (Date, Server, x-ms-...).  NULL when memory is short. */
struct answer *answer_new(const struct answer_to *to, unsigned int status);

/* The functions below allow NULL for @a, so that one look at the end is enough. */
void answer_add(struct answer *a, const char *name, const char *value);
void answer_add_u64(struct answer *a, const char *name, uint64_t value);
void answer_add_etag(struct answer *a, uint64_t etag);
void answer_add_time(struct answer *a, const char *name, int64_t ns);
/* The id of a snapshot or version, see blobid.h; 0 adds nothing. */
void answer_add_id(struct answer *a, const char *name, int64_t at);
/* 8 bytes, least significant first, in base64: how Azure writes a CRC-64 */
void answer_add_crc64(struct answer *a, const char *name, uint64_t crc64);
void answer_add_md5(struct answer *a, const char *name, const uint8_t md5[16]);
/* x-ms-meta-* */
void answer_add_meta(struct answer *a, const struct store_meta *meta);

/*
 * For an answer that nobody else has yet: it has this header once, with this value.  The same
 * answer, or another one when memory is short.
 */
struct svc_answer *answer_replace(struct svc_answer *answer, const char *name, const char *value);

/* Takes the bytes of @body over and leaves it empty; sets Content-Length. */
void answer_set_body(struct answer *a, struct azb_buf *body, const char *type);
/* Takes the lease over. */
void answer_set_read(struct answer *a, struct store_read *read, uint64_t offset, uint64_t length);

/* One that was made elsewhere: status, headers, body and all.  Takes @rest over. */
struct svc_answer *answer_of_rest(struct rest_answer *rest, const struct answer_to *to);

/* The same as a structured message (xsm.h), with the headers that say so. */
void answer_set_framed(struct answer *a, struct store_read *read, uint64_t offset, uint64_t length);

/* Ready to be sent: @a, or in its place an answer that memory is short.  Never NULL. */
struct svc_answer *answer_done(struct answer *a, const struct answer_to *to);

#endif /* AZBLOB_BLOB_ANSWER_H */
