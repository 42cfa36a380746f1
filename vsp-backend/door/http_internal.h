/* SPDX-License-Identifier: MIT */
/*
 * Inside the HTTP door: http.c (sockets, loops, time), http_conn.c (what a connection does next),
 * http_body.c (bytes in), http_send.c (bytes out), http_tls.c (the same, encrypted).
 *
 * Who owns a connection: its loop from an event (EPOLLONESHOT) until it is armed again or given
 * to a worker; the worker until it arms it.  After conn_arm() the one who called it must not
 * touch the connection.  Only the loop frees it.  @busy, @deadline_ms are the only fields that the
 * loop looks at while it is not the owner.
 */
#ifndef AZBLOB_DOOR_HTTP_INTERNAL_H
#define AZBLOB_DOOR_HTTP_INTERNAL_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "../base/metrics.h"
#include "head.h"
#include "http.h"
#include "link_pool.h"

/* What a connection holds of a body that comes in.  100 of them stay below 13 MiB. */
#define HTTP_BODY_BUFFER (128u * 1024u)
/* What is read at a time while a head is expected. */
#define HTTP_READ_BYTES (16u * 1024u)
/* What a body makes its time longer by. */
#define HTTP_PROGRESS_BYTES (64u * 1024u)
/* What one connection sends before others have their turn. */
#define HTTP_TURN_BYTES (4u * 1024u * 1024u)
/* A body that nobody wants is read up to this, to keep the connection. */
#define HTTP_DRAIN_BYTES (64u * 1024u)
/* After "Connection: close": how long the peer may go on sending into nothing. */
#define HTTP_LINGER_MS 10000u
#define HTTP_PIECES 16u

enum conn_state {
	CONN_TLS,    /* the TLS handshake; worker only */
	CONN_HEAD,   /* a head is expected, or under way */
	CONN_START,  /* a head is there: svc_start() is next; worker only */
	CONN_BODY,   /* the body comes in; worker only */
	CONN_SEND,   /* the answer goes out */
	CONN_DRAIN,  /* answered: the rest of a body that nobody wants */
	CONN_LINGER, /* answered for the last time: until the peer closes */
	CONN_CLOSE,
};

struct http_loop;

/**
 * struct http_conn - one connection
 * @job: for the worker pool.
 * @previous, @next: in the loop's list; the loop's alone.
 * @busy: a worker owns it.
 * @reading: the request is a GET or HEAD: it goes to the readers.
 * @pool: whose worker has it, or had it last.
 * @peer, @address: of the other side, with and without its port.
 * @deadline_ms: of the monotonic clock; after it the loop shuts the socket down.
 * @parser: NULL between requests, when most of thousands of connections are.
 * @website: it came to an address for static websites.
 * @ssl: NULL without TLS.
 * @tls_wants: EPOLLIN or EPOLLOUT: what TLS waits for, whatever we do; 0: what we wait for.
 * @in, @in_at, @in_length: bytes that were received and not used, from in_at on.
 * @body, @body_have: bytes of the body not yet given to the service.  While an answer goes out
 *	that has no other place for them, @body holds bytes of it.
 * @body_left: bytes of the body not yet received.  @body_at: offset of body[0].
 * @progress: bytes moved since the time was made longer.
 * @out, @out_at, @out_length: of the head, not yet sent.
 * @piece, @piece_at, @piece_count: of the body of the answer; @sent: bytes of it.
 * @looked: what comes at @looked_at, and for a while behind it, is in memory.
 */
struct http_conn {
	struct link_job job;
	struct http_loop *loop;
	struct http_conn *previous, *next;
	int fd;
	atomic_bool busy;
	atomic_llong deadline_ms;
	enum conn_state state;
	bool keep_alive;
	bool head_begun;
	bool reading;
	struct link_pool *pool;
	char peer[HTTP_ADDRESS_ROOM];
	char address[INET6_ADDRSTRLEN + 16];
	struct head_parser *parser;
	bool website;
	struct ssl_st *ssl;
	unsigned int tls_wants;

	char *in;
	size_t in_at, in_length;

	struct svc_upload *upload;
	char *body;
	size_t body_have;
	uint64_t body_left;
	uint64_t body_at;
	int body_error;
	size_t progress;

	struct svc_answer *answer;
	char *out;
	size_t out_at, out_length;
	struct svc_piece piece[HTTP_PIECES];
	size_t piece_at, piece_count;
	uint64_t sent, looked_at;
	bool looked;
};

/**
 * struct http_loop - one thread and its connections
 * @wake: an eventfd: the door is closing, look at the time.
 * @listening: this loop has the listening sockets armed.
 */
struct http_loop {
	struct http_door *door;
	pthread_t thread;
	bool running;
	int epoll;
	int wake;
	bool listening;
	struct http_conn *first;
};

#define HTTP_MAX_LISTEN 16u

struct http_listener {
	int fd;
	unsigned int flags; /* HTTP_LISTEN_* */
	char *path;         /* of a unix socket, else NULL */
};

/* @tls_lock: protects @tls, which is replaced when the certificate is read again. */
struct http_door {
	struct http_door_config config;
	struct svc *svc;
	struct link_pool *readers; /* see http.c */
	struct link_pool *writers;
	struct http_loop *loop;
	unsigned int loop_count;
	pthread_mutex_t tls_lock;
	struct http_tls *tls;
	struct http_listener listener[HTTP_MAX_LISTEN];
	unsigned int listener_count;
	atomic_uint connections;
	atomic_uint staying; /* workers that wait with their connection */
	/* for the metrics: answers by the first digit of their status, bytes of bodies and heads */
	struct metrics_source numbers;
	atomic_ullong answers[6];
	atomic_ullong received, sent;
	atomic_ullong refused; /* connections beyond the limit */
	atomic_bool closing;
	atomic_llong cut_off_ms; /* after it connections that are left are cut off */
};

long long http_now_ms(void);

/* What a step says about what comes next. */
enum conn_next {
	CONN_AGAIN,    /* there is something to do at once */
	CONN_WAIT_IN,  /* arm for input */
	CONN_WAIT_OUT, /* arm for output */
	CONN_WORKER,   /* this needs a worker */
};

/* Goes on as far as possible, then arms, submits or (on the loop) closes. */
void conn_run(struct http_conn *conn, bool on_worker);
void conn_job(struct link_job *job);
/* Frees the connection and what it holds; the loop's thread only. */
void conn_free(struct http_conn *conn);
/* Sets the time by which something has to have happened. */
void conn_deadline(struct http_conn *conn, unsigned int ms);
/* Bytes were moved: more time for each HTTP_PROGRESS_BYTES. */
void conn_progress(struct http_conn *conn, size_t bytes);

/* Receives up to @length bytes, what is kept in conn->in first.  As recv(): -1 and errno. */
ssize_t conn_receive(struct http_conn *conn, void *bytes, size_t length);
/* Puts bytes back before what is in conn->in.  False: no memory. */
bool conn_unreceive(struct http_conn *conn, const void *bytes, size_t length);

/* http_body.c; worker only */
enum conn_next conn_body(struct http_conn *conn);
enum conn_next conn_drain(struct http_conn *conn);
enum conn_next conn_linger(struct http_conn *conn);

/* http_send.c */
/* Takes the answer over and makes the head ready. */
void conn_answer(struct http_conn *conn, struct svc_answer *answer);
enum conn_next conn_send(struct http_conn *conn, bool on_worker);
/* "100 Continue" now; false: the connection is of no use any more. */
bool conn_send_continue(struct http_conn *conn);

/*
 * http_tls.c.  What receives and sends returns as recv() and send() do; after EAGAIN tls_wants says
 * what for.
 */
bool conn_tls_begin(struct http_conn *conn); /* false: no memory, or no certificate */
enum conn_next conn_tls_accept(struct http_conn *conn);
ssize_t conn_tls_receive(struct http_conn *conn, void *bytes, size_t length);
ssize_t conn_tls_send(struct http_conn *conn, const struct iovec *iov, size_t count);
/* Without kTLS it reads the file: for workers then. */
bool conn_tls_in_kernel(const struct http_conn *conn);
ssize_t conn_tls_send_file(struct http_conn *conn, int fd, off_t offset, size_t length);
/* Bytes that were received and decrypted, for which the socket gives no event any more. */
bool conn_tls_has_input(const struct http_conn *conn);
void conn_tls_bye(struct http_conn *conn);
void conn_tls_end(struct http_conn *conn); /* without TLS too */

#endif /* AZBLOB_DOOR_HTTP_INTERNAL_H */
