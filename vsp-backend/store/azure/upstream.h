/* SPDX-License-Identifier: MIT */
/*
 * Exchanges with the server upstream.
 *
 * A lane is one connection that is kept, with a libcurl multi handle of its own which holds one
 * easy handle.  The thread that wants bytes moved drives it: no thread of ours sits between the
 * socket and the caller's buffers, TLS is done on as many processors as there are callers, and a
 * caller that is slow holds nothing up but its own connection.  The number of lanes bounds how
 * many exchanges there are at once; who comes later waits.
 *
 * One call belongs to one thread at a time.
 */
#ifndef AZB_AZURE_UPSTREAM_H
#define AZB_AZURE_UPSTREAM_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "../../base/buf.h"

/**
 * struct up_config - how to reach it
 * @ca_file: certificates to trust in place of the system's; NULL for those.
 * @proxy: a URL; "" for none at all; NULL for what the environment says.
 * @lanes: the most connections at once.
 * @connect_ms: for name, connection, proxy and TLS together.
 * @idle_ms: how long nothing may move before an exchange is given up.
 * @plain: http:// is allowed.
 */
struct up_config {
	const char *ca_file;
	const char *proxy;
	unsigned int lanes;
	unsigned int connect_ms;
	unsigned int idle_ms;
	bool plain;
};

struct up_pool;
struct up_call;

/* Strings are copied.  NULL when memory is short or libcurl can't be set up. */
struct up_pool *up_pool_new(const struct up_config *config);
/* All calls have ended.  NULL is allowed. */
void up_pool_free(struct up_pool *pool);

/* How far a call got that did not end well: what may have happened on the other side. */
enum up_progress {
	UP_NOT_SENT,   /* no byte of the request has left: nothing has happened */
	UP_INCOMPLETE, /* the body's end was never sent: nothing has happened */
	UP_SENT,       /* all of it may have arrived: no telling */
	UP_ANSWERED,   /* the head of the answer is here */
};

/**
 * struct up_request - what to send
 * @url: scheme and authority, for the connection.
 * @target: what the request line says.
 * @headers: "Name: value" lines; taken over.
 * @body_length: -1 for no body.  0 sends "Content-Length: 0".
 * @wait_ms: for a free lane.
 */
struct up_request {
	const char *method;
	const char *url;
	const char *target;
	struct curl_slist *headers;
	int64_t body_length;
	unsigned int wait_ms;
};

/* Starts it.  0 and *@call; -EBUSY: no lane became free; -ENOMEM. */
int up_start(struct up_pool *pool, const struct up_request *request, struct up_call **call);

/*
 * Brings bytes of the body, in order; returns when they were taken.  @crc: if not NULL, goes on
 * with the CRC-64 of what was taken.  0; or -EPIPE: the call has failed, or an answer came early.
 */
int up_send(struct up_call *call, const struct iovec *iov, int count, uint64_t *crc);

/* Waits for the head of the answer.  0, or -EIO: up_progress(), up_reason() say more. */
int up_wait_head(struct up_call *call);

/*
 * Fills @iov with the next bytes of the answer's body; fewer at the end, or where it was cut off or
 * nothing moved for too long: the next call says which.  Bytes, 0 at the end, or -EIO.
 */
ssize_t up_receive(struct up_call *call, const struct iovec *iov, int count);

/* Valid after up_wait_head(). */
unsigned int up_status(const struct up_call *call);
/* Name, zero, value, zero and so on, without those of the connection.  May be moved out. */
struct azb_buf *up_headers(struct up_call *call);
const char *up_header(const struct up_call *call, const char *name);
/* Of the answer; -1: not said. */
int64_t up_content_length(const struct up_call *call);
/* Seconds of Retry-After, or x-ms-retry-after-ms rounded up to ms; -1: not said.  In ms. */
long up_retry_after_ms(const struct up_call *call);

enum up_progress up_progress(const struct up_call *call);
/* One line for a log or a person. */
const char *up_reason(const struct up_call *call);

/* Ends it; the connection is kept if the exchange is complete.  NULL is allowed. */
void up_end(struct up_call *call);

/*
 * Calls that nobody is driving, and that could be made again, lend their lane to who waits for
 * one.  After up_lend() the caller must not touch the call until up_reclaim() gave it back
 * (true); false: it was ended for somebody else.  @loan: the caller's, one for each call.
 */
struct up_loan {
	struct up_loan *previous, *next;
	struct up_call *call;
	bool lent;
};
void up_lend(struct up_pool *pool, struct up_loan *loan, struct up_call *call);
bool up_reclaim(struct up_pool *pool, struct up_loan *loan);

#endif
