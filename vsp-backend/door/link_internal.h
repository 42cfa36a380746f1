/* SPDX-License-Identifier: MIT */
/*
 * The link door inside.
 *
 *   link.c          socket, event loop, drain
 *   link_conn.c     one link: its messages and its end
 *   link_request.c  one request, on a worker thread
 *   link_answer.c   an answer into the guest's buffers, or into the COMPLETE message
 *   link_payload.c  what docs/payload.md adds to a head (pure)
 *   link_envelope.c one request in the connector library's envelope; envelope.c (pure)
 *   link_check.c    what vsp_link.h allows (pure)
 *   link_memory.c, link_stream.c, link_pool.c
 *
 * lock        protects                                    taken
 * conn.lock   inflight, busy, regions' users and leaving  any thread, innermost but one
 * out.lock    the writer                                  any thread, innermost
 * Everything else of a connection belongs to the event loop's thread.
 */
#ifndef AZBLOB_DOOR_LINK_INTERNAL_H
#define AZBLOB_DOOR_LINK_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "azblob/vsp_link.h"

#include "../base/metrics.h"
#include "link.h"
#include "link_check.h"
#include "link_memory.h"
#include "link_pool.h"
#include "link_stream.h"

/* Response buffers below this are refused before anything is done (docs/payload.md). */
#define LINK_MIN_RESPONSE (16u * 1024u)
/* What a head with everything in it may take of a response buffer that a list's body shares. */
#define LINK_HEAD_ROOM (8u * 1024u)
/* Bytes moved between two looks at the clock and the cancel flag. */
#define LINK_STEP (4u * 1024u * 1024u)
/* Private memory that bytes pass through where they are checked: fits the L2 cache. */
#define LINK_CHUNK (256u * 1024u)
/* A peer that leaves so much unread is not read from until it does read. */
#define LINK_MAX_UNREAD (256u * 1024u)
#define LINK_BUCKETS 512u

struct envelope_answer;
struct link_door;
struct link_conn;

enum request_state {
	REQUEST_QUEUED, /* the worker has not begun */
	REQUEST_RUNNING,
	REQUEST_ANSWERED, /* cancelled before it began; only its memory is left */
};

/* link_request.stop */
#define STOP_CANCEL 1u
#define STOP_TIMEOUT 2u

/**
 * struct link_request - a request of the guest, from its message to its COMPLETE
 * @message: the whole REQUEST message; ours.
 * @parts: pointers into it.
 * @began_ns, @deadline_ns: CLOCK_MONOTONIC; a deadline of 0 is never.
 * @regions, @region_count: those with a segment; they stay mapped meanwhile.
 * @data_in, @data_out, @response: the buffers.  For an inline request data_in has one piece,
 *	in the message, and the others are in @inline_response and @inline_data, made when it
 *	is known how much they will hold.
 * @status, @response_length, @data_length, @ack: for COMPLETE.
 */
struct link_request {
	struct link_job job;
	struct link_conn *conn;
	struct link_request *chain;
	struct azl_request *message;
	struct link_parts parts;
	uint64_t began_ns;
	uint64_t deadline_ns;
	_Atomic unsigned int users; /* the job, and who answers it before the job runs */
	_Atomic unsigned int stop;
	_Atomic enum request_state state;
	size_t held; /* of the link's budget */
	struct link_region **regions;
	unsigned int region_count;

	struct iovec *iov;
	struct iovec inline_iov[2]; /* of the response and the data */
	struct link_buffer data_in, data_out, response;
	struct link_out_block *inline_response, *inline_data;

	uint32_t status;
	uint32_t response_length;
	uint32_t data_length;
	bool ack;
};

enum conn_state {
	CONN_NEW,     /* before HELLO */
	CONN_WAITING, /* HELLO is kept until an earlier link of the session has ended */
	CONN_OPEN,
	CONN_ENDING,  /* nothing is read; waits for the requests in flight */
	CONN_CLOSING, /* the last bytes are on their way */
};

struct link_conn {
	struct link_job job;     /* frees it, or ends its session */
	struct link_queue queue; /* all other jobs of the link */
	struct link_door *door;
	struct link_conn *next;
	unsigned int number; /* for logs */
	int fd;
	enum conn_state state;
	uint32_t armed; /* epoll events */
	bool in_epoll;
	bool goodbye;      /* to be said at the end */
	bool session_over; /* GOODBYE has come: forget its handles and answers */
	bool gone;         /* the peer has closed */
	struct azl_hello hello;
	struct link_terms terms;
	struct link_in in;
	struct link_out out;
	struct link_region *regions[AZL_MAX_REGIONS];
	_Atomic bool region_named[AZL_MAX_REGIONS]; /* from REGION_ADD to REGION_GONE */

	/* Ends requests soon, without COMPLETE unless they have come to an end. */
	_Atomic bool stop;
	_Atomic bool draining; /* a job that ends wakes the loop */
	_Atomic bool broken;   /* a region lost a page: see link_memory.h */

	pthread_mutex_t lock;
	struct link_request *inflight[LINK_BUCKETS];
	unsigned int inflight_count;
	unsigned int busy; /* jobs that will still touch this structure */
	size_t held;       /* bytes of the budget */
	bool paused;       /* not read: wake the loop when held shrinks */
};

struct link_door {
	struct link_door_config config;
	struct svc *svc;
	struct handles *handles;
	struct link_pool *pool;
	int listener, epoll, wake, pidfd;
	pthread_t thread;
	struct link_conn *conns; /* the event loop's */
	unsigned int numbers;
	/* for the metrics */
	struct metrics_source shown;
	_Atomic unsigned int links;
	_Atomic unsigned long long completed, failed; /* requests, by status of the wire */
	uint64_t deaf_until_ns; /* the event loop's: 0, or no new links before, for want of fds */
	uint64_t due_ns;        /* the event loop's: no queued request's time is over before */
	struct link_job expire_job;
	_Atomic bool expiring;
	_Atomic bool draining;
	unsigned int grace_ms; /* set before draining */
};

uint64_t link_now_ns(void);

/* link.c; any thread. */
void link_door_wake(struct link_door *door);

/* link_conn.c; the event loop's thread. */
struct link_conn *link_conn_new(struct link_door *door, int fd);
void link_conn_readable(struct link_conn *conn);
void link_conn_writable(struct link_conn *conn);
void link_conn_hangup(struct link_conn *conn);
/*
 * Answers requests whose time is over while they wait for a worker; the others keep their time
 * themselves.  Returns when the next one may be due, UINT64_MAX for never.
 */
uint64_t link_conn_expire(struct link_conn *conn, uint64_t now_ns);
/* Goes on after a wake; returns false when the link is over: then it is off the list. */
bool link_conn_step(struct link_conn *conn);
/* Ends the link, and its requests soon: @goodbye says so to the peer at the end. */
void link_conn_end(struct link_conn *conn, bool goodbye);
/* Ends the link once its requests have come to their ends. */
void link_conn_drain(struct link_conn *conn);
/* While it drains: stop the requests; @drop: and don't wait for the peer to read. */
void link_conn_hurry(struct link_conn *conn, bool drop);
/* link_conn.c; a job has ended: the last touch of the connection by that job. */
void link_conn_job_done(struct link_conn *conn, size_t held);
/*
 * Removes a request from those in flight and its hold on regions, then sends its
 * COMPLETE if @send; any thread.  The request's memory stays the caller's.
 */
void link_conn_complete(struct link_request *request, bool send);

/*
 * link_request.c; the event loop's thread.  @message is taken over on success.  NULL when
 * memory is short.  The regions are not held yet.
 */
struct link_request *link_request_new(struct link_conn *conn, struct azl_request *message,
				      const struct link_parts *parts);
/* The last one frees it and ends its part in the link. */
void link_request_put(struct link_request *request);
/*
 * link_envelope.c; a worker's thread.  Serves a request that is an envelope and answers it; false,
 * and nothing is done, when it is none.
 */
bool link_envelope_run(struct link_request *request);
/* The job of a worker. */
void link_request_run(struct link_job *job);
/* Should it end?  Asked between steps; the argument is the request. */
bool link_request_stopped(void *request);
/* The status for a request that was stopped. */
uint32_t link_request_stop_status(struct link_request *request);

/* ------------------------------------------------------------ link_answer.c */

/**
 * struct link_answer - what goes into the guest's buffers
 * @status: of HTTP; it decides where the body goes.
 * @head: the head is this answer's, with the extra lines; NULL: a head of our own.
 * @text, @text_length: or a head that is already there, with its body after it as @text_body.
 * @envelope: or an envelope in the place of a head; its body goes to the data buffer.
 * @extra: lines at the end of the head.
 * @crc: add Azblob-Crc64 over the body that is carried.
 * @sure: an effect has happened, so a cancel comes too late.
 * @body, @offset, @length: the body is a part of this answer's body.
 */
struct link_answer {
	unsigned int status;
	const struct svc_answer *head;
	const char *text;
	size_t text_length;
	const char *text_body;
	const struct envelope_answer *envelope;
	struct svc_extra extra[6];
	unsigned int extra_count;
	bool crc;
	bool sure;
	const struct svc_answer *body;
	uint64_t offset;
	uint64_t length;
};

void link_answer_add(struct link_answer *answer, const char *name, const char *value);
/* Is there a data buffer for an answer's body? */
bool link_answer_has_room(const struct link_request *request);
/*
 * Puts the answer where docs/payload.md says, and sets the request's status and lengths.  A
 * body that does not fit, or can't be read, becomes the error that says so.
 * Return: false when the request was stopped, or the guest's memory failed: nothing
 * of the answer is to be relied on.
 */
bool link_answer_deliver(struct link_request *request, const struct link_answer *answer);
/* The status and head for "too small": @needed bytes would do. */
void link_answer_too_small(struct link_request *request, uint64_t needed);

#endif /* AZBLOB_DOOR_LINK_INTERNAL_H */
