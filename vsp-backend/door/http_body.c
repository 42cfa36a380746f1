// SPDX-License-Identifier: MIT
/* Bytes that come in after a head: a body for the service, or bytes that nobody wants. */
#include "http_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

/* Gives what is in the buffer to the service. */
static void flush(struct http_conn *conn)
{
	struct iovec iov = { conn->body, conn->body_have };

	if (!conn->body_have || conn->body_error)
		return;
	conn->body_error =
		svc_write(conn->upload, conn->body_at, &iov, 1, SVC_WRITE_PRIVATE, NULL, NULL);
	conn->body_at += conn->body_have;
	conn->body_have = 0;
}

/* The body is complete, or will not be wanted any more. */
static enum conn_next finish(struct http_conn *conn)
{
	struct svc_caller caller = { .peer = conn->peer,
				     .address = *conn->address ? conn->address : NULL,
				     .website = conn->website,
				     .secure = conn->ssl != NULL };
	struct svc_answer *answer = NULL;

	free(conn->body);
	conn->body = NULL;
	if (conn->body_error) {
		answer = svc_upload_fail(conn->upload, conn->body_error);
		svc_abort(conn->upload);
	} else if (svc_finish(conn->upload, &caller, &answer)) {
		/* every byte was given, so this is a mistake of ours */
		svc_abort(conn->upload);
		answer = svc_error(conn->loop->door->svc, NULL, 500, "InternalError",
				   "The body was not complete.");
	}
	conn->upload = NULL;
	/* after a failure the rest of the body is in the way of the next head */
	if (conn->body_left > HTTP_DRAIN_BYTES)
		conn->keep_alive = false;
	conn_answer(conn, answer);
	return CONN_AGAIN;
}

enum conn_next conn_body(struct http_conn *conn)
{
	size_t turn = 0;

	if (conn->body_left && !conn->body) {
		conn->body = malloc(conn->body_left < HTTP_BODY_BUFFER ? (size_t)conn->body_left
								       : HTTP_BODY_BUFFER);
		if (!conn->body)
			conn->body_error = -ENOMEM;
	}
	while (conn->body_left && !conn->body_error) {
		size_t room = HTTP_BODY_BUFFER - conn->body_have;
		ssize_t n;

		if (room > conn->body_left)
			room = (size_t)conn->body_left;
		n = conn_receive(conn, conn->body + conn->body_have, room);
		if (n < 0 && errno == EAGAIN)
			return CONN_WAIT_IN;
		if (n <= 0) {
			/* the peer is gone: nothing happens, nobody is told */
			conn->state = CONN_CLOSE;
			return CONN_AGAIN;
		}
		conn->body_have += (size_t)n;
		conn->body_left -= (uint64_t)n;
		conn_progress(conn, (size_t)n);
		if (conn->body_have == HTTP_BODY_BUFFER)
			flush(conn);
		/* one fast client must not keep a worker for itself */
		turn += (size_t)n;
		if (turn >= HTTP_TURN_BYTES && conn->body_left)
			return CONN_WAIT_IN;
	}
	flush(conn);
	return finish(conn);
}

enum conn_next conn_drain(struct http_conn *conn)
{
	char bytes[HTTP_READ_BYTES];

	while (conn->body_left) {
		size_t room = sizeof(bytes);
		ssize_t n;

		if (room > conn->body_left)
			room = (size_t)conn->body_left;
		n = conn_receive(conn, bytes, room);
		if (n < 0 && errno == EAGAIN)
			return CONN_WAIT_IN;
		if (n <= 0) {
			conn->state = CONN_CLOSE;
			return CONN_AGAIN;
		}
		conn->body_left -= (uint64_t)n;
		conn_progress(conn, (size_t)n);
	}
	conn->state = CONN_HEAD;
	conn_deadline(conn, conn->loop->door->config.idle_ms);
	return CONN_AGAIN;
}

/*
 * A socket that is closed with unread input sends a reset, which may overtake the answer
 * on its way: so the input is read until the peer has had its answer and closes.
 */
enum conn_next conn_linger(struct http_conn *conn)
{
	char bytes[HTTP_READ_BYTES];
	size_t turn = 0;

	conn->in_length = 0;
	while (turn < HTTP_TURN_BYTES) {
		ssize_t n = recv(conn->fd, bytes, sizeof(bytes), 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return CONN_WAIT_IN;
		if (n <= 0) {
			conn->state = CONN_CLOSE;
			return CONN_AGAIN;
		}
		turn += (size_t)n;
	}
	return CONN_WAIT_IN;
}
