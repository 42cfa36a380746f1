/* SPDX-License-Identifier: MIT */
/*
 * Whole requests to a store that is a Blob service itself.
 *
 * A store that relays can't be made of the verbs in store.h: they know the operations, headers
 * and errors of this server, and what goes to another one has to arrive, and its answer to come
 * back, as it was written.  Such a store has the verb request() in struct store_ops and none of
 * the others but close() and the effect_*() three.  The service gives it every request of the
 * account it stands for, after the form was checked and, where it asks for that, the credentials.
 *
 * Threads: everything here may block for as long as the network does.  Requests are independent
 * of each other; what holds for one answer or upload is said below.
 */
#ifndef AZB_STORE_REST_H
#define AZB_STORE_REST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "../base/buf.h"

struct head;
struct store;
struct target;

/* What the service does about the credentials of a request before it is given to the store. */
enum rest_auth {
	REST_AUTH_NO_ACCOUNT, /* the store does not stand for that account */
	REST_AUTH_CHECK,      /* they must be right, or be none at all */
	REST_AUTH_TRUST,      /* none: the store vouches for the caller with its own */
	REST_AUTH_NONE,       /* none: they go on as they are, or the link is trusted */
};

/**
 * struct rest_request - what is asked for
 * @head: as the client sent it.
 * @target: what its target names.
 * @checked: the service has found the caller's credentials right, or was told to trust it: the
 *store may use its own.
 * @create_only: the caller's credentials allow to create a blob, but not to replace one.
 * @link: came over the VSP link.
 * @resent: may have run before, and its answer is not known.
 * @body_room: as in struct svc_caller.
 * @later: a hint: of this Get Blob the head is wanted now and the body perhaps never.
 *
 * Everything is only used during the call.
 */
struct rest_request {
	const struct head *head;
	const struct target *target;
	bool checked;
	bool create_only;
	bool link;
	bool resent;
	size_t body_room;
	bool later;
};

/* What the store answers by itself; the service makes Azure's form of it. */
struct rest_error {
	unsigned int status;
	const char *code;
	char message[256];
};

/**
 * struct rest_answer - an answer as it came
 * @headers: name, zero, value, zero and so on; those of the connection are left out.
 * @content_length: of the header; for HEAD not what follows.
 * @body_length: bytes of the body.
 * @body: all of it, when @read is NULL.
 * @read: for a body that comes while it is read: fills @iov from @offset on, any thread, several
 *	at once, any order, though in a row is what is fast.  Bytes, less than asked for only at
 *	the end, or -errno.
 * @piece: for a body that comes in buffers of the store's own; besides @read, or NULL.  *@bytes are
 *	those from @offset on, until the next call of it or of @read.  One reader, in a row.  How
 *	many, 0 at the end, or -errno.
 * @close: frees the answer; nobody is reading.
 */
struct rest_answer {
	unsigned int status;
	struct azb_buf headers;
	uint64_t content_length;
	uint64_t body_length;
	struct azb_buf body;
	ssize_t (*read)(struct rest_answer *answer, uint64_t offset, const struct iovec *iov,
			int count);
	ssize_t (*piece)(struct rest_answer *answer, uint64_t offset, const void **bytes);
	void (*close)(struct rest_answer *answer);
};

struct rest_upload;

/**
 * struct rest_upload_ops - what can be done with an upload
 * @write: as svc_write(), its errors included; -EIO when the request has failed, then fail()
 *	says how.
 * @finish: the end of it: returns the answer, or NULL with @error set.  Frees the upload in both
 *	cases, unless @incomplete is set: bytes are missing and nothing has happened.
 * @fail: after write() gave -EIO: the answer, or NULL with @error set.  Frees nothing.
 * @abort: leaves nothing; frees it.
 */
struct rest_upload_ops {
	int (*write)(struct rest_upload *upload, uint64_t offset, const struct iovec *iov,
		     int count, unsigned int flags, const uint64_t *expect, uint64_t *crc64);
	struct rest_answer *(*finish)(struct rest_upload *upload, struct rest_error *error,
				      bool *incomplete);
	struct rest_answer *(*fail)(struct rest_upload *upload, struct rest_error *error);
	void (*abort)(struct rest_upload *upload);
};

/* @length: of the whole body. */
struct rest_upload {
	const struct rest_upload_ops *ops;
	uint64_t length;
};

/**
 * struct rest_ops - the verbs of such a store
 * @vouches: does it ask in a name of its own for callers whom the service found right?  Of the
 *store itself: a filter in front has NULL here.
 * @auth: what is to be done about the credentials of a request.  Never blocks.
 * @request: does it.  Returns the answer; or NULL with *@upload set: a body is wanted; or NULL
 *	with @error set.
 * @acl: the container's stored access policies, as the XML of Get Container ACL in @xml, in the
 *	store's own name.  False: @error is set.
 * @reload: reads its secrets again.  False: @error has one line, and they are as they were.
 * @keep: the answer of a request that had an effect, as bytes, for effect_lookup(); in memory
 *	only, because what another server did can't be made one with what is written here.
 */
struct rest_ops {
	bool (*vouches)(struct store *store);
	enum rest_auth (*auth)(struct store *store, const struct rest_request *request);
	struct rest_answer *(*request)(struct store *store, const struct rest_request *request,
				       struct rest_upload **upload, struct rest_error *error);
	bool (*acl)(struct store *store, const char *container, struct azb_buf *xml,
		    struct rest_error *error);
	bool (*reload)(struct store *store, char *error, size_t error_size);
	void (*keep)(struct store *store, const uint8_t session[16], uint64_t request,
		     const void *bytes, size_t length);
};

#endif
