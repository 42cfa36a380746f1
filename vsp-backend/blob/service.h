/* SPDX-License-Identifier: MIT */
/*
 * The Blob service: what a request means, who may make it, and what is answered.
 * It knows no transport: the doors (HTTP, VSP link) parse a head, hand it over, move
 * bytes as they are told, and send the answer.
 *
 *   svc_start(head) ----> SVC_ANSWER: an answer, with a body or without
 *                   \---> SVC_BODY:   an upload: the door moves the body as parts,
 *                                     then svc_finish() -> answer, or svc_abort()
 *
 * Threads: every function here may block on the store unless it says otherwise, so
 * it is called on worker threads and never on an event loop.  Different operations
 * are independent.  One upload takes parts from many threads at once; everything
 * else on one upload is called by one thread at a time.
 */
#ifndef AZBLOB_BLOB_SERVICE_H
#define AZBLOB_BLOB_SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "../door/head.h"

struct svc;
struct svc_upload;

/**
 * struct svc_caller - by which door a request came
 * @link: the VSP link: counts as https, "Azblob-" headers were checked and handled by
 *	the door and are skipped here.  Otherwise they are refused here.
 * @secure: the transport is TLS (or the link).
 * @website: it came to the address of static websites, and means nothing else.
 * @peer: a name for logs; never NULL.
 * @address: where it came from, as a numeric IPv4 or IPv6 address, for SAS that are bound to
 *	one; NULL when that is not known: they are refused then.
 * @session: 16 bytes, for a request whose effect is to be remembered until its
 *	acknowledgement (svc_replay()); NULL for none.
 * @request: the id within that session; not zero when session is there.
 * @resent: with @session: it may have run before, and no answer was kept.
 * @body_room: the most bytes a list may have in its answer: it ends early with a
 *	marker.  0 is no limit.  Other answers are not cut: the door compares.
 */
struct svc_caller {
	bool link;
	bool secure;
	bool website;
	const char *peer;
	const char *address;
	const uint8_t *session;
	uint64_t request;
	bool resent;
	size_t body_room;
};

/* ------------------------------------------------------------------ answers */

/* A piece of an answer's body: bytes in memory when fd is -1, else a range of a file. */
struct svc_piece {
	int fd;
	const void *bytes;
	uint64_t offset;
	uint64_t length;
};

/**
 * struct svc_answer - what goes back
 * @status: of HTTP.
 * @content_length: what the Content-Length header says; for a HEAD that is not what
 *	is sent.  Meaningless for 304.
 * @body_length: bytes that follow the head: 0 for HEAD, 204 and 304.
 * @replayable: had an effect which was recorded with the caller's session and id.
 *
 * Counted references; immutable and safe to share between threads.  It holds the
 * extents that its body is in: they stay as they are until the last reference goes,
 * whatever happens to the blob.
 */
struct svc_answer {
	unsigned int status;
	uint64_t content_length;
	uint64_t body_length;
	bool replayable;
};

struct svc_answer *svc_answer_get(struct svc_answer *answer); /* never blocks */
void svc_answer_put(struct svc_answer *answer); /* NULL is allowed; never blocks for long */

/* A header that a door adds (Connection, Azblob-...). */
struct svc_extra {
	const char *name;
	const char *value;
};

/*
 * Writes the head ("HTTP/1.1 200 OK" to the empty line) of @answer, with @extra lines
 * at its end, to @out.  Returns its length; nothing is written when that is more than
 * @room (no final zero is added).  Never blocks.  The same answer gives the same
 * bytes every time.
 */
size_t svc_answer_head(const struct svc_answer *answer, const struct svc_extra *extra,
		       size_t extra_count, char *out, size_t room);

/* An answer's header by name, any case, or NULL; for doors' logs and tests. */
const char *svc_answer_header(const struct svc_answer *answer, const char *name);

/*
 * The pieces of the body from @offset on, at most @max of them (the last may end before the
 * body does).  Returns how many, 0 at the end of the body, or -errno.  The files and bytes are
 * the answer's: valid while a reference is held, or until the next call where a store that takes
 * whole requests gives buffers of its own (rest.h: then one reader, in a row).  -EOPNOTSUPP: the
 * body comes from elsewhere while it is read, and svc_answer_read() is the only way.
 */
ssize_t svc_answer_pieces(const struct svc_answer *answer, uint64_t offset,
			  struct svc_piece *pieces, size_t max);

/*
 * Reads body bytes from @offset into @iov (guest pages, say), by preadv or memcpy.  Returns how
 * many: less than asked for only at the end of the body; or -errno (-EIO for damaged data).
 */
ssize_t svc_answer_read(const struct svc_answer *answer, uint64_t offset, const struct iovec *iov,
			int iov_count);

/*
 * An error in Azure's form (XML body, x-ms-error-code) for what a door finds by itself:
 * HandleNotFound, IncompleteBody, BufferTooSmall.  @head may be NULL (not parsed); else it gives
 * x-ms-version and x-ms-client-request-id, and for HEAD no body.  Never NULL, never blocks.
 */
struct svc_answer *svc_error(struct svc *svc, const struct head *head, unsigned int status,
			     const char *code, const char *message);

/* ----------------------------------------------------------------- requests */

enum svc_next {
	SVC_ANSWER, /* *answer is set: the door owns a reference */
	SVC_BODY,   /* *upload is set: the door owns it */
};

/*
 * Checks a request: form, credentials, limits, conditions; and does it, unless it brings a body.
 * @head is only used during the call.  Exactly one of *@answer and *@upload is set.
 * An operation that takes a body gives SVC_BODY even when Content-Length is 0; one that takes
 * none answers without looking at a body (the door drops it or closes).
 */
enum svc_next svc_start(struct svc *svc, const struct head *head, const struct svc_caller *caller,
			struct svc_answer **answer, struct svc_upload **upload);

/* ------------------------------------------------------------------ uploads */

/* Bytes of the whole body, as Content-Length says; already checked against the limits. */
uint64_t svc_upload_length(const struct svc_upload *upload);

/* The bytes can't change during the call: no private copy is made of them. */
#define SVC_WRITE_PRIVATE (1u << 0)

/*
 * Brings one part of the body: @iov's bytes, put at @offset.  Any order, in parallel.  Without
 * SVC_WRITE_PRIVATE @iov may be guest memory: each byte is read once.  @crc64 (may be NULL) gets
 *the CRC-64/NVME of what was stored; when @expect is not NULL and differs, nothing of it counts.
 * Returns
 *	0		it counts; the same offset and length may come again and replaces it (for a
 *			caller with link set: the HTTP door sends in order and never again)
 *	-EINVAL		outside of the body
 *	-EEXIST		overlaps an earlier part with another offset or length
 *	-EBADMSG	is not what @expect says
 *	-EMFILE		too many parts that are not in a row
 *	another		of the store: -ENOSPC, -ENOMEM, -EIO
 * A part that failed counts as not sent; svc_upload_fail() makes the answer for it.
 */
int svc_write(struct svc_upload *upload, uint64_t offset, const struct iovec *iov, int iov_count,
	      unsigned int flags, const uint64_t *expect, uint64_t *crc64);

/*
 * Does the operation, in one step with its conditions, and answers (also with an error).
 * @caller: of the request that asks for the end: its session and id are recorded with the
 * effect.  No svc_write() may be under way.
 * Returns 0: *@answer is set and @upload is freed; or -ENODATA: parts of the body are missing,
 * nothing has happened and @upload stays as it was.
 */
int svc_finish(struct svc_upload *upload, const struct svc_caller *caller,
	       struct svc_answer **answer);

/* The answer for an error of svc_write(), -EEXIST and so on included.  Frees nothing. */
struct svc_answer *svc_upload_fail(const struct svc_upload *upload, int error);

/* Forgets the upload and what it had stored.  No svc_write() may be under way.  NULL is allowed. */
void svc_abort(struct svc_upload *upload);

/* ------------------------------------------------------------ effect records */

/*
 * The kept answer of an earlier request with this session and id.  Returns 1: *@bytes (to be
 * freed with free()) holds the head and then the body as they were rendered without extra lines,
 * *@head_length of *@length are the head; 0: there is none; or -errno.
 */
int svc_replay(struct svc *svc, const uint8_t session[16], uint64_t request, char **bytes,
	       size_t *head_length, size_t *length);
/* The emulator has it: forget it.  Need not be durable at once. */
void svc_acknowledge(struct svc *svc, const uint8_t session[16], uint64_t request);
/* The session has ended (the device said HELLO with a new one, or has gone): forget all of it. */
void svc_session_end(struct svc *svc, const uint8_t session[16]);

/* -------------------------------------------------------------------- set-up */

struct store;
struct accounts;

/*
 * Copies may come from these hosts, named as in URLs; none at first.  @private_too: unsafe, for
 * tests: also where they have loopback, link-local or private addresses.  Borrowed.  Before the
 * doors open; libcurl has been set up.
 */
void svc_allow_sources(struct svc *svc, const char *const *hosts, size_t count, bool private_too);

/*
 * Goes on with the copies that were under way when the store was last closed.  Once, after
 * svc_allow_sources().  0, -ENOMEM or -EIO.
 */
int svc_resume_copies(struct svc *svc);
/*
 * Deleted containers can be restored for so many days; 0, as at first: not at all.  Before the
 * doors open.
 */
void svc_retain_containers(struct svc *svc, unsigned int days);
/*
 * @store is borrowed and must outlive the service; of @accounts it takes a reference of its own.
 * NULL when memory is short.
 */
struct svc *svc_new(struct store *store, struct accounts *accounts);
/* From now on these accounts are served, of which it takes a reference.  Any thread. */
void svc_set_accounts(struct svc *svc, struct accounts *accounts);
void svc_free(struct svc *svc);

struct tokens;

/* From now on these bearer tokens are accepted; NULL: none.  It takes a reference.  Any thread. */
void svc_set_tokens(struct svc *svc, struct tokens *tokens);

#endif /* AZBLOB_BLOB_SERVICE_H */
