// SPDX-License-Identifier: MIT
/* What a connection does next. */
#include "http_internal.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../base/log.h"
#include "../base/waiting.h"

void conn_deadline(struct http_conn *conn, unsigned int ms)
{
	atomic_store_explicit(&conn->deadline_ms, http_now_ms() + ms, memory_order_relaxed);
}

void conn_progress(struct http_conn *conn, size_t bytes)
{
	conn->progress += bytes;
	if (conn->progress < HTTP_PROGRESS_BYTES)
		return;
	conn->progress = 0;
	conn_deadline(conn, conn->loop->door->config.progress_ms);
}

ssize_t conn_receive(struct http_conn *conn, void *bytes, size_t length)
{
	ssize_t n;

	if (conn->in_length) {
		if (length > conn->in_length)
			length = conn->in_length;
		memcpy(bytes, conn->in + conn->in_at, length);
		conn->in_at += length;
		conn->in_length -= length;
		if (!conn->in_length) {
			free(conn->in);
			conn->in = NULL;
		}
		return (ssize_t)length;
	}
	if (conn->ssl) {
		n = conn_tls_receive(conn, bytes, length);
	} else {
		do {
			n = recv(conn->fd, bytes, length, 0);
		} while (n < 0 && errno == EINTR);
	}
	if (n > 0)
		atomic_fetch_add_explicit(&conn->loop->door->received, (size_t)n,
					  memory_order_relaxed);
	return n;
}

bool conn_unreceive(struct http_conn *conn, const void *bytes, size_t length)
{
	char *all;

	if (!length)
		return true;
	all = malloc(length + conn->in_length);
	if (!all)
		return false;
	memcpy(all, bytes, length);
	if (conn->in_length)
		memcpy(all + length, conn->in + conn->in_at, conn->in_length);
	free(conn->in);
	conn->in = all;
	conn->in_at = 0;
	conn->in_length += length;
	return true;
}

/* What head_parser_error() says in Azure's words. */
static const char *code_of(int status)
{
	switch (status) {
	case 405:
		return "UnsupportedHttpVerb";
	case 431:
		return "RequestHeadersTooLarge";
	case 503:
		return "ServerBusy";
	case 505:
		return "UnsupportedHttpVersion";
	default:
		return "InvalidInput";
	}
}

static enum conn_next refuse(struct http_conn *conn, const struct head *head, int status,
			     const char *code, const char *message)
{
	conn->keep_alive = false;
	conn->body_left = 0;
	conn_answer(conn,
		    svc_error(conn->loop->door->svc, head, (unsigned int)status, code, message));
	return CONN_AGAIN;
}

static bool is_read(const struct head *head)
{
	return head_str_is(&head->method, "GET") || head_str_is(&head->method, "HEAD");
}

static enum conn_next read_head(struct http_conn *conn)
{
	char bytes[HTTP_READ_BYTES];
	const char *reason;
	size_t taken;
	ssize_t n;

	n = conn_receive(conn, bytes, sizeof(bytes));
	if (n < 0 && errno == EAGAIN) {
		/* closing: what has not begun does not begin any more */
		if (!conn->head_begun && atomic_load(&conn->loop->door->closing))
			conn->state = CONN_CLOSE;
		return conn->state == CONN_CLOSE ? CONN_AGAIN : CONN_WAIT_IN;
	}
	if (n <= 0) {
		conn->state = CONN_CLOSE;
		return CONN_AGAIN;
	}
	if (!conn->head_begun) {
		conn->head_begun = true;
		conn_deadline(conn, conn->loop->door->config.head_ms);
	}
	if (!conn->parser)
		conn->parser = head_parser_new();
	if (!conn->parser) {
		conn->state = CONN_CLOSE;
		return CONN_AGAIN;
	}
	switch (head_parser_feed(conn->parser, bytes, (size_t)n, &taken)) {
	case HEAD_MORE:
		break;
	case HEAD_BAD:
		n = head_parser_error(conn->parser, &reason);
		return refuse(conn, NULL, (int)n, code_of((int)n), reason);
	case HEAD_DONE:
		conn->state = CONN_START;
		conn->reading = is_read(head_parser_head(conn->parser));
		if (!conn_unreceive(conn, bytes + taken, (size_t)n - taken))
			conn->state = CONN_CLOSE;
		break;
	}
	return CONN_AGAIN;
}

/* What of the body is read although nobody wants it, so that the next head can be found. */
static void leave_body(struct http_conn *conn, const struct head *head)
{
	conn->body_left = head->content_length > 0 ? (uint64_t)head->content_length : 0;
	/* a client that waits for "100 Continue" may send its body or not: no telling */
	if (conn->body_left > HTTP_DRAIN_BYTES || (conn->body_left && head->expect_continue))
		conn->keep_alive = false;
}

/* Azure wants a length of these methods also where there is no body. */
static bool needs_length(const struct head *head)
{
	return head->content_length < 0 &&
	       (head_str_is(&head->method, "PUT") || head_str_is(&head->method, "POST"));
}

static enum conn_next start(struct http_conn *conn)
{
	const struct head *head = head_parser_head(conn->parser);
	struct http_door *door = conn->loop->door;
	struct svc_caller caller = { .peer = conn->peer,
				     .address = *conn->address ? conn->address : NULL,
				     .website = conn->website,
				     .secure = conn->ssl != NULL };
	struct svc_answer *answer;

	conn->keep_alive = head->keep_alive;
	if (head->chunked)
		return refuse(conn, head, 411, "MissingContentLengthHeader",
			      "Content-Length HTTP header is missing; Transfer-Encoding is not "
			      "supported.");
	if (needs_length(head)) {
		/* by HTTP's rules there is no body, so the next head can be found */
		conn->body_left = 0;
		conn_answer(conn, svc_error(door->svc, head, 411, "MissingContentLengthHeader",
					    "Content-Length HTTP header is missing."));
		return CONN_AGAIN;
	}
	if (svc_start(door->svc, head, &caller, &answer, &conn->upload) == SVC_ANSWER) {
		leave_body(conn, head);
		conn_answer(conn, answer);
		return CONN_AGAIN;
	}
	conn->state = CONN_BODY;
	conn->body_left = svc_upload_length(conn->upload);
	conn->body_at = 0;
	conn->body_have = 0;
	conn->body_error = 0;
	conn->progress = 0;
	conn_deadline(conn, door->config.progress_ms);
	if (head->expect_continue && !conn->in_length && conn->body_left &&
	    !conn_send_continue(conn))
		conn->state = CONN_CLOSE;
	return CONN_AGAIN;
}

static struct link_pool *pool_of(const struct http_conn *conn)
{
	return conn->reading ? conn->loop->door->readers : conn->loop->door->writers;
}

static enum conn_next step(struct http_conn *conn, bool on_worker)
{
	switch (conn->state) {
	case CONN_TLS:
		return on_worker ? conn_tls_accept(conn) : CONN_WORKER;
	case CONN_HEAD:
		return read_head(conn);
	case CONN_START:
		/* a request behind another one may need workers of the other kind */
		return on_worker && conn->pool == pool_of(conn) ? start(conn) : CONN_WORKER;
	case CONN_BODY:
		return on_worker ? conn_body(conn) : CONN_WORKER;
	case CONN_SEND:
		return conn_send(conn, on_worker);
	case CONN_DRAIN:
		return conn_drain(conn);
	case CONN_LINGER:
		return conn_linger(conn);
	case CONN_CLOSE:
		break;
	}
	return CONN_WAIT_IN;
}

/* What the socket has to be ready for; those of EPOLL* that are POLL* too. */
static unsigned int events_of(const struct http_conn *conn, unsigned int events)
{
	if (conn->ssl && conn->tls_wants)
		return conn->tls_wants;
	/* what is decrypted already gives no event: that there is room for output gives one */
	if (conn->ssl && events == EPOLLIN && conn->state != CONN_CLOSE &&
	    conn->state != CONN_LINGER && conn_tls_has_input(conn))
		events |= EPOLLOUT;
	return events;
}

/*
 * On a worker, which waits itself for a while (see stay_ms in http.h).  True: there is something to
 * do; false: the loop has to wait.
 */
static bool stay(struct http_conn *conn, unsigned int events)
{
	struct http_door *door = conn->loop->door;
	struct pollfd ready = { .fd = conn->fd };
	int n = 0;

	_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT, "events_of() serves both");
	if (!door->config.stay_ms || conn->state == CONN_LINGER || atomic_load(&door->closing))
		return false;
	if (atomic_fetch_add(&door->staying, 1) < door->config.stayers) {
		ready.events = (short)events_of(conn, events);
		azb_waiting_begin();
		n = poll(&ready, 1, (int)door->config.stay_ms);
		azb_waiting_end();
	}
	atomic_fetch_sub(&door->staying, 1);
	return n > 0;
}

/* The socket tells its owner's loop when there is something to do.  Hands ownership on. */
static void arm(struct http_conn *conn, unsigned int events)
{
	struct epoll_event event = { .data.ptr = conn };
	int epoll = conn->loop->epoll;
	int fd = conn->fd;

	event.events = events_of(conn, events) | EPOLLONESHOT;
	conn->tls_wants = 0;
	if ((conn->state == CONN_HEAD && !conn->head_begun) || conn->state == CONN_LINGER) {
		head_parser_free(conn->parser);
		conn->parser = NULL;
	}
	atomic_store_explicit(&conn->busy, false, memory_order_release);
	/* cannot fail: the socket is registered and stays so until the loop closes it */
	if (epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &event))
		azb_log(AZB_LOG_ERROR, "http: epoll_ctl: %m");
}

void conn_run(struct http_conn *conn, bool on_worker)
{
	for (;;) {
		enum conn_next next = step(conn, on_worker);
		unsigned int events;

		if (conn->state == CONN_CLOSE) {
			if (!on_worker) {
				conn_free(conn);
				return;
			}
			/* what is open in the store ends here, where that may block */
			svc_abort(conn->upload);
			conn->upload = NULL;
			svc_answer_put(conn->answer);
			conn->answer = NULL;
			/* only the loop closes: give it an event that says so */
			shutdown(conn->fd, SHUT_RDWR);
			arm(conn, EPOLLIN);
			return;
		}
		switch (next) {
		case CONN_AGAIN:
			break;
		case CONN_WAIT_IN:
		case CONN_WAIT_OUT:
			events = next == CONN_WAIT_IN ? EPOLLIN : EPOLLOUT;
			if (on_worker && stay(conn, events)) {
				conn->tls_wants = 0;
				break;
			}
			arm(conn, events);
			return;
		case CONN_WORKER:
			atomic_store_explicit(&conn->busy, true, memory_order_relaxed);
			conn->job.run = conn_job;
			conn->pool = pool_of(conn);
			link_pool_submit(conn->pool, NULL, &conn->job);
			return;
		}
	}
}

void conn_job(struct link_job *job)
{
	conn_run((struct http_conn *)job, true);
}

void conn_free(struct http_conn *conn)
{
	struct http_loop *loop = conn->loop;

	if (conn->previous)
		conn->previous->next = conn->next;
	else
		loop->first = conn->next;
	if (conn->next)
		conn->next->previous = conn->previous;
	conn_tls_end(conn);
	close(conn->fd);
	atomic_fetch_sub(&loop->door->connections, 1);
	svc_abort(conn->upload);
	svc_answer_put(conn->answer);
	head_parser_free(conn->parser);
	free(conn->in);
	free(conn->body);
	free(conn->out);
	free(conn);
}
