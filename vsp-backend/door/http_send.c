// SPDX-License-Identifier: MIT
/* Bytes that go out: heads and small bodies from memory, the rest from files. */
#include "http_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include "../base/log.h"
#include "../base/pread.h"
#include "../base/waiting.h"

/* Enough for a head without metadata. */
#define FIRST_ROOM 2048u
/* A file is looked at again, whether it has to be waited for, after so much of it has gone. */
#define LOOK_BYTES (1024u * 1024u)

static void clear_answer(struct http_conn *conn)
{
	svc_answer_put(conn->answer);
	conn->answer = NULL;
	free(conn->out);
	conn->out = NULL;
	free(conn->body);
	conn->body = NULL;
	conn->out_at = conn->out_length = 0;
	conn->piece_at = conn->piece_count = 0;
	conn->sent = 0;
	conn->looked = false;
}

/* Without the query, where secrets may be. */
static void log_answer(const struct http_conn *conn)
{
	const struct head *head = head_parser_head(conn->parser);
	const char *code = NULL, *query;

	if (head_parser_error(conn->parser, NULL)) {
		azb_log(AZB_LOG_DEBUG, "http %s: bad head: %u", conn->peer, conn->answer->status);
		return;
	}
	if (conn->answer->status >= 400)
		code = svc_answer_header(conn->answer, "x-ms-error-code");
	query = memchr(head->target.at, '?', head->target.length);
	azb_log(AZB_LOG_DEBUG, "http %s: %.*s %.*s: %u %s", conn->peer, (int)head->method.length,
		head->method.at, query ? (int)(query - head->target.at) : (int)head->target.length,
		head->target.at, conn->answer->status, code ? code : "");
}

void conn_answer(struct http_conn *conn, struct svc_answer *answer)
{
	struct svc_extra extra = { "Connection", "keep-alive" };
	size_t room = FIRST_ROOM, need;

	if (atomic_load(&conn->loop->door->closing))
		conn->keep_alive = false;
	if (!conn->keep_alive)
		extra.value = "close";
	conn->answer = answer;
	if (answer->status / 100 < 6)
		atomic_fetch_add_explicit(&conn->loop->door->answers[answer->status / 100], 1,
					  memory_order_relaxed);
	log_answer(conn);
	conn->state = CONN_SEND;
	conn->progress = 0;
	conn_deadline(conn, conn->loop->door->config.progress_ms);
	conn->out = malloc(room);
	need = conn->out ? svc_answer_head(answer, &extra, 1, conn->out, room) : 0;
	if (need > room) {
		free(conn->out);
		room = need;
		conn->out = malloc(room);
		if (conn->out)
			svc_answer_head(answer, &extra, 1, conn->out, room);
	}
	if (!conn->out) {
		conn->state = CONN_CLOSE;
		return;
	}
	conn->out_length = need;
}

bool conn_send_continue(struct http_conn *conn)
{
	static const char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
	struct iovec iov = { (void *)(uintptr_t)text, sizeof(text) - 1 };

	if (conn->ssl)
		return conn_tls_send(conn, &iov, 1) == sizeof(text) - 1;
	/* so few bytes fit a socket's buffer, or the peer is not reading at all */
	return send(conn->fd, text, sizeof(text) - 1, MSG_NOSIGNAL) == sizeof(text) - 1;
}

/* The head, with what follows in memory.  Bytes, or -1 and errno. */
static ssize_t send_memory(struct http_conn *conn)
{
	struct iovec iov[1 + HTTP_PIECES];
	struct msghdr message = { .msg_iov = iov };
	size_t i, count = 0;
	uint64_t body = 0;
	int flags = MSG_NOSIGNAL;
	ssize_t n;

	if (conn->out_at < conn->out_length)
		iov[count++] =
			(struct iovec){ conn->out + conn->out_at, conn->out_length - conn->out_at };
	for (i = conn->piece_at; i < conn->piece_count && conn->piece[i].fd < 0; i++) {
		iov[count++] = (struct iovec){ (void *)(uintptr_t)conn->piece[i].bytes,
					       conn->piece[i].length };
		body += conn->piece[i].length;
	}
	if (conn->sent + body < conn->answer->body_length)
		flags |= MSG_MORE;
	if (conn->ssl)
		return conn_tls_send(conn, iov, count);
	message.msg_iovlen = count;
	do {
		n = sendmsg(conn->fd, &message, flags);
	} while (n < 0 && errno == EINTR);
	return n;
}

/* @n bytes of head and pieces have gone. */
static void advance(struct http_conn *conn, size_t n)
{
	size_t head = conn->out_length - conn->out_at;

	conn_progress(conn, n);
	atomic_fetch_add_explicit(&conn->loop->door->sent, n, memory_order_relaxed);
	if (head > n)
		head = n;
	conn->out_at += head;
	n -= head;
	conn->sent += n;
	while (n) {
		struct svc_piece *p = &conn->piece[conn->piece_at];
		size_t step = n < p->length ? n : (size_t)p->length;

		if (p->fd < 0)
			p->bytes = (const char *)p->bytes + step;
		else
			p->offset += step;
		p->length -= step;
		n -= step;
		if (!p->length) {
			/* the next one may be of another file */
			conn->looked = false;
			conn->piece_at++;
		}
	}
}

/* Whether the file has to be waited for; one look is good for a while, as files are read ahead. */
static bool file_waits(struct http_conn *conn, const struct svc_piece *p)
{
	if (conn->sent >= conn->looked_at && conn->sent - conn->looked_at < LOOK_BYTES &&
	    conn->looked)
		return false;
	conn->looked = !azb_pread_waits(p->fd, p->offset);
	conn->looked_at = conn->sent;
	return !conn->looked;
}

/* @full: the socket takes no more for now. */
static ssize_t send_file(struct http_conn *conn, bool *full)
{
	struct svc_piece *p = &conn->piece[conn->piece_at];
	off_t offset = (off_t)p->offset;
	size_t length = p->length < HTTP_TURN_BYTES ? (size_t)p->length : HTTP_TURN_BYTES;
	ssize_t n;

	if (conn->ssl) {
		n = conn_tls_send_file(conn, p->fd, offset, length);
	} else {
		bool waits = file_waits(conn, p);

		if (waits)
			azb_waiting_begin();
		do {
			n = sendfile(conn->fd, p->fd, &offset, length);
		} while (n < 0 && errno == EINTR);
		if (waits)
			azb_waiting_end();
	}
	if (n == 0) {
		/* the file is shorter than its extent: nothing we can send in its place */
		azb_log(AZB_LOG_ERROR, "http %s: an extent's file is too short", conn->peer);
		errno = EIO;
		return -1;
	}
	/* what it took is all it has room for; asking again would only say so */
	*full = n > 0 && (size_t)n < length && !conn->ssl;
	return n;
}

static enum conn_next sent_all(struct http_conn *conn)
{
	clear_answer(conn);
	head_parser_reset(conn->parser);
	conn->head_begun = false;
	conn->progress = 0;
	if (!conn->keep_alive) {
		conn->state = CONN_LINGER;
		if (conn->ssl)
			conn_tls_bye(conn);
		shutdown(conn->fd, SHUT_WR);
		conn_deadline(conn, HTTP_LINGER_MS);
		return CONN_AGAIN;
	}
	if (conn->body_left) {
		conn->state = CONN_DRAIN;
		conn_deadline(conn, conn->loop->door->config.progress_ms);
		return CONN_AGAIN;
	}
	conn->state = CONN_HEAD;
	conn_deadline(conn, conn->loop->door->config.idle_ms);
	/* most clients only now write their next request: a look whether it is there is in vain */
	return conn->in_length || conn->ssl ? CONN_AGAIN : CONN_WAIT_IN;
}

static enum conn_next broken(struct http_conn *conn)
{
	clear_answer(conn);
	conn->state = CONN_CLOSE;
	return CONN_AGAIN;
}

/* A body that only exists while it is read: one buffer of it at a time.  1, or -errno. */
static ssize_t read_piece(struct http_conn *conn)
{
	struct iovec iov = { .iov_len = HTTP_BODY_BUFFER };
	ssize_t got;

	if (!conn->body)
		conn->body = malloc(HTTP_BODY_BUFFER);
	if (!conn->body)
		return -ENOMEM;
	iov.iov_base = conn->body;
	if (iov.iov_len > conn->answer->body_length - conn->sent)
		iov.iov_len = (size_t)(conn->answer->body_length - conn->sent);
	got = svc_answer_read(conn->answer, conn->sent, &iov, 1);
	if (got <= 0)
		return got ? got : -EIO;
	/* the wait was not the peer's fault */
	conn_deadline(conn, conn->loop->door->config.progress_ms);
	conn->piece[0] =
		(struct svc_piece){ .fd = -1, .bytes = conn->body, .length = (uint64_t)got };
	return 1;
}

/*
 * The body can't be read: damaged data, say.  While nothing of the answer has gone out, another
 * one can go in its place; afterwards only the missing rest can tell the peer.
 */
static enum conn_next unreadable(struct http_conn *conn, int error)
{
	struct http_door *door = conn->loop->door;
	const struct head *head = head_parser_head(conn->parser);

	azb_log(AZB_LOG_ERROR, "http %s: a body can't be read: %s", conn->peer, strerror(-error));
	if (conn->out_at || conn->sent || conn->answer->status >= 400)
		return broken(conn);
	clear_answer(conn);
	conn_answer(conn, svc_error(door->svc, head, 500, "InternalError",
				    "The body could not be read."));
	return CONN_AGAIN;
}

enum conn_next conn_send(struct http_conn *conn, bool on_worker)
{
	size_t turn = 0;

	for (;;) {
		bool full = false;
		ssize_t n;

		if (conn->piece_at == conn->piece_count && conn->sent < conn->answer->body_length) {
			/* where the bytes are may have to be looked up */
			if (!on_worker)
				return CONN_WORKER;
			n = svc_answer_pieces(conn->answer, conn->sent, conn->piece, HTTP_PIECES);
			if (n == -EOPNOTSUPP)
				n = read_piece(conn);
			if (n <= 0)
				return unreadable(conn, n ? (int)n : -EIO);
			conn->piece_at = 0;
			conn->piece_count = (size_t)n;
		}
		if (conn->out_at == conn->out_length && conn->sent == conn->answer->body_length)
			return sent_all(conn);
		if (turn >= HTTP_TURN_BYTES)
			return CONN_WAIT_OUT;
		if (conn->out_at < conn->out_length || conn->piece[conn->piece_at].fd < 0)
			n = send_memory(conn);
		else if (conn->ssl && !on_worker && !conn_tls_in_kernel(conn))
			return CONN_WORKER;
		else
			n = send_file(conn, &full);
		if (n < 0 && errno == EAGAIN)
			return CONN_WAIT_OUT;
		if (n < 0)
			return broken(conn);
		advance(conn, (size_t)n);
		turn += (size_t)n;
		if (full)
			return CONN_WAIT_OUT;
	}
}
