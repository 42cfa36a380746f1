// SPDX-License-Identifier: MIT
/* Messages on a Unix stream socket; see link_stream.h. */
#include "link_stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "link_check.h"

/* ------------------------------------------------------------------ reader */

int link_in_init(struct link_in *in, int fd)
{
	*in = (struct link_in){ .fd = fd };
	in->buffer = malloc(LINK_IN_BUFFER);
	return in->buffer ? 0 : -ENOMEM;
}

void link_in_free(struct link_in *in)
{
	for (unsigned int i = 0; i < in->fd_count; i++)
		close(in->fds[i].fd);
	in->fd_count = 0;
	free(in->large);
	in->large = NULL;
	free(in->done);
	in->done = NULL;
	free(in->buffer);
	in->buffer = NULL;
}

/* Keeps the descriptors of one control message; -EPROTO when there are too many. */
static int keep_fds(struct link_in *in, struct msghdr *msg, uint64_t from, uint64_t to)
{
	int result = msg->msg_flags & MSG_CTRUNC ? -EPROTO : 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t count;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (in->fd_count == LINK_IN_FDS) {
				close(fd);
				result = -EPROTO;
				continue;
			}
			in->fds[in->fd_count].fd = fd;
			in->fds[in->fd_count].from = from;
			in->fds[in->fd_count].to = to;
			in->fd_count++;
		}
	}
	return result;
}

int link_in_fill(struct link_in *in)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(LINK_IN_FDS * sizeof(int))];
	} control;
	struct iovec iov;
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.room,
			      .msg_controllen = sizeof(control.room) };
	uint64_t from;
	ssize_t got;
	int error;

	if (in->large) {
		iov.iov_base = in->large + in->large_have;
		iov.iov_len = in->large_length - in->large_have;
		from = in->position + in->large_have;
	} else {
		if (in->start == in->end) {
			in->start = in->end = 0;
		} else if (in->end == LINK_IN_BUFFER) {
			memmove(in->buffer, in->buffer + in->start, in->end - in->start);
			in->end -= in->start;
			in->start = 0;
		}
		iov.iov_base = in->buffer + in->end;
		iov.iov_len = LINK_IN_BUFFER - in->end;
		from = in->position + (in->end - in->start);
	}

	do {
		got = recvmsg(in->fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return errno == EWOULDBLOCK ? -EAGAIN : -errno;
	error = keep_fds(in, &msg, from, from + (uint64_t)got);
	if (error)
		return error;
	if (in->large)
		in->large_have += (size_t)got;
	else
		in->end += (size_t)got;
	return (int)got;
}

/* Takes the descriptor of the message at [from, to) out; says why when there are others. */
static const char *claim_fd(struct link_in *in, uint64_t from, uint64_t to, bool wanted, int *fd)
{
	*fd = -1;
	for (unsigned int i = 0; i < in->fd_count && wanted; i++) {
		if (from < in->fds[i].from || from >= in->fds[i].to)
			continue;
		*fd = in->fds[i].fd;
		in->fd_count--;
		memmove(&in->fds[i], &in->fds[i + 1], (in->fd_count - i) * sizeof(in->fds[0]));
		break;
	}
	if (wanted && *fd < 0)
		return "a message without its file descriptor";
	/* Descriptors whose read ended here can't belong to a later message. */
	for (unsigned int i = 0; i < in->fd_count; i++) {
		if (in->fds[i].to <= to) {
			if (*fd >= 0)
				close(*fd);
			*fd = -1;
			return "a file descriptor that belongs to no message";
		}
	}
	return NULL;
}

enum link_in_state link_in_next(struct link_in *in, bool welcomed, struct link_message *message,
				const char **why)
{
	struct azl_header header;
	size_t have = in->end - in->start;

	free(in->done);
	in->done = NULL;
	if (in->large) {
		if (in->large_have < in->large_length)
			return LINK_IN_MORE;
		in->done = in->large;
		in->large = NULL;
		in->large_have = in->large_length = 0;
		memcpy(&header, in->done, sizeof(header));
		message->header = (struct azl_header *)in->done;
		message->owned = true;
		*why = claim_fd(in, in->position, in->position + header.length,
				link_check_wants_fd(header.type), &message->fd);
		in->position += header.length;
		return *why ? LINK_IN_BAD : LINK_IN_MESSAGE;
	}
	if (have < sizeof(header))
		return LINK_IN_MORE;
	memcpy(&header, in->buffer + in->start, sizeof(header));
	*why = link_check_header(&header, welcomed);
	if (*why)
		return LINK_IN_BAD;

	if (header.length > LINK_IN_BUFFER) {
		in->large = malloc(header.length);
		if (!in->large)
			return LINK_IN_NOMEM;
		memcpy(in->large, in->buffer + in->start, have);
		in->large_have = have;
		in->large_length = header.length;
		in->start = in->end = 0;
		return LINK_IN_MORE;
	}
	if (have < header.length)
		return LINK_IN_MORE;
	/* Inline bytes have any length, so that the next message may begin anywhere. */
	if (in->start % 8) {
		memmove(in->buffer, in->buffer + in->start, have);
		in->start = 0;
		in->end = have;
	}
	message->header = (struct azl_header *)(in->buffer + in->start);
	message->owned = false;
	*why = claim_fd(in, in->position, in->position + header.length,
			link_check_wants_fd(header.type), &message->fd);
	in->start += header.length;
	in->position += header.length;
	return *why ? LINK_IN_BAD : LINK_IN_MESSAGE;
}

struct azl_header *link_in_take(struct link_in *in, const struct link_message *message)
{
	struct azl_header *copy;

	if (message->owned) {
		copy = (struct azl_header *)in->done;
		in->done = NULL;
		return copy;
	}
	copy = malloc(message->header->length);
	if (copy)
		memcpy(copy, message->header, message->header->length);
	return copy;
}

/* ------------------------------------------------------------------ writer */

/* Blocks that one sendmsg() takes: as many small answers as come while one is under way. */
#define SEND_PIECES 64

struct link_out_block *link_out_block_new(size_t length)
{
	struct link_out_block *block = malloc(sizeof(*block) + length);

	if (block) {
		block->next = NULL;
		block->length = length;
		block->sent = 0;
		block->held = 0;
	}
	return block;
}

int link_out_init(struct link_out *out, int fd)
{
	*out = (struct link_out){ .fd = fd };
	out->last = &out->first;
	return -pthread_mutex_init(&out->lock, NULL);
}

static void drop_first(struct link_out *out)
{
	struct link_out_block *block = out->first;

	out->first = block->next;
	if (!out->first)
		out->last = &out->first;
	out->queued -= block->length - block->sent;
	out->released += block->held;
	free(block);
}

static void drop_all(struct link_out *out)
{
	while (out->first)
		drop_first(out);
}

void link_out_free(struct link_out *out)
{
	drop_all(out);
	pthread_mutex_destroy(&out->lock);
}

/* Takes @put bytes that were sent off the queue; with out->lock held. */
static void take_off(struct link_out *out, size_t put)
{
	out->queued -= put;
	while (put > 0) {
		struct link_out_block *b = out->first;
		size_t left = b->length - b->sent;

		if (put < left) {
			b->sent += put;
			break;
		}
		put -= left;
		out->queued += left; /* drop_first() takes it off again */
		drop_first(out);
	}
}

/*
 * Sends what the socket takes; with out->lock held, but not while it sends: who comes meanwhile
 * only leaves its blocks, and they go out together.
 */
static void push(struct link_out *out, int attach)
{
	out->sending = true;
	while (out->first) {
		union {
			struct cmsghdr header;
			char room[CMSG_SPACE(sizeof(int))];
		} control;
		struct iovec iov[SEND_PIECES];
		struct msghdr msg = { .msg_iov = iov };
		ssize_t put;
		int error;

		for (struct link_out_block *b = out->first; b && msg.msg_iovlen < SEND_PIECES;
		     b = b->next) {
			iov[msg.msg_iovlen].iov_base = b->bytes + b->sent;
			iov[msg.msg_iovlen++].iov_len = b->length - b->sent;
		}
		if (attach >= 0) {
			memset(&control, 0, sizeof(control));
			msg.msg_control = control.room;
			msg.msg_controllen = sizeof(control.room);
			control.header.cmsg_level = SOL_SOCKET;
			control.header.cmsg_type = SCM_RIGHTS;
			control.header.cmsg_len = CMSG_LEN(sizeof(int));
			memcpy(CMSG_DATA(&control.header), &attach, sizeof(attach));
		}
		/* Blocks leave the queue only here, so these stay. */
		pthread_mutex_unlock(&out->lock);
		put = sendmsg(out->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		error = errno;
		pthread_mutex_lock(&out->lock);
		if (put >= 0) {
			attach = -1;
			take_off(out, (size_t)put);
		} else if (error == EAGAIN || error == EWOULDBLOCK) {
			break;
		} else if (error != EINTR) {
			out->failed = -error;
			drop_all(out);
		}
	}
	out->sending = false;
}

bool link_out_send(struct link_out *out, struct link_out_block *blocks, int attach)
{
	bool waiting;

	pthread_mutex_lock(&out->lock);
	waiting = out->first != NULL;
	*out->last = blocks;
	for (struct link_out_block *b = blocks; b; b = b->next) {
		out->queued += b->length;
		out->last = &b->next;
	}
	if (out->sending) {
		/* It takes these too, and says whether they wait. */
		pthread_mutex_unlock(&out->lock);
		return false;
	}
	if (out->failed)
		drop_all(out);
	else if (!waiting)
		push(out, attach);
	waiting = out->first != NULL;
	pthread_mutex_unlock(&out->lock);
	return waiting;
}

bool link_out_flush(struct link_out *out)
{
	bool waiting;

	pthread_mutex_lock(&out->lock);
	if (!out->sending)
		push(out, -1);
	waiting = out->first != NULL;
	pthread_mutex_unlock(&out->lock);
	return waiting;
}

bool link_out_stuck(struct link_out *out)
{
	bool stuck;

	pthread_mutex_lock(&out->lock);
	stuck = out->first && !out->sending;
	pthread_mutex_unlock(&out->lock);
	return stuck;
}

size_t link_out_queued(struct link_out *out)
{
	size_t queued;

	pthread_mutex_lock(&out->lock);
	queued = out->queued;
	pthread_mutex_unlock(&out->lock);
	return queued;
}

size_t link_out_released(struct link_out *out)
{
	size_t released;

	pthread_mutex_lock(&out->lock);
	released = out->released;
	out->released = 0;
	pthread_mutex_unlock(&out->lock);
	return released;
}
