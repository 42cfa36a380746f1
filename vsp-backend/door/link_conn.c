// SPDX-License-Identifier: MIT
/* One link: its messages, its requests in flight, and its end. */
#include "link_internal.h"
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../base/log.h"
#include "azblob/vsp_wire.h"

/* Reads in a row on one link before the others get their turn. */
#define READS_IN_A_ROW 16

static void arm(struct link_conn *conn)
{
	struct epoll_event event = { .data.ptr = conn };

	if (conn->gone) {
		if (conn->in_epoll)
			epoll_ctl(conn->door->epoll, EPOLL_CTL_DEL, conn->fd, NULL);
		conn->in_epoll = false;
		return;
	}
	if ((conn->state == CONN_NEW || conn->state == CONN_OPEN) && !conn->paused)
		event.events |= EPOLLIN;
	if (link_out_stuck(&conn->out))
		event.events |= EPOLLOUT;
	if (event.events == conn->armed && conn->in_epoll)
		return;
	if (epoll_ctl(conn->door->epoll, conn->in_epoll ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, conn->fd,
		      &event) == 0) {
		conn->in_epoll = true;
		conn->armed = event.events;
		return;
	}
	azb_log(AZB_LOG_ERROR, "link %u: epoll_ctl: %m", conn->number);
	conn->gone = true;
}

struct link_conn *link_conn_new(struct link_door *door, int fd)
{
	struct link_conn *conn = calloc(1, sizeof(*conn));

	if (!conn)
		return NULL;
	conn->door = door;
	conn->fd = fd;
	conn->number = ++door->numbers;
	if (link_in_init(&conn->in, fd) < 0) {
		free(conn);
		return NULL;
	}
	link_out_init(&conn->out, fd);
	pthread_mutex_init(&conn->lock, NULL);
	arm(conn);
	return conn;
}

/* A worker's job: unmapping much memory takes long. */
static void free_job(struct link_job *job)
{
	struct link_conn *conn = (struct link_conn *)job;

	for (unsigned int i = 0; i < AZL_MAX_REGIONS; i++)
		link_region_unmap(conn->regions[i]);
	link_in_free(&conn->in);
	link_out_free(&conn->out);
	pthread_mutex_destroy(&conn->lock);
	close(conn->fd);
	free(conn);
}

void link_conn_end(struct link_conn *conn, bool goodbye)
{
	if (conn->state >= CONN_ENDING)
		return;
	conn->state = CONN_ENDING;
	conn->goodbye = goodbye;
	atomic_store(&conn->stop, true);
}

void link_conn_drain(struct link_conn *conn)
{
	if (conn->state >= CONN_ENDING)
		return;
	conn->goodbye = conn->state == CONN_OPEN;
	conn->state = CONN_ENDING;
	atomic_store(&conn->draining, true);
}

void link_conn_hurry(struct link_conn *conn, bool drop)
{
	atomic_store(&conn->stop, true);
	if (drop && conn->state == CONN_CLOSING)
		conn->gone = true;
}

static void send_message(struct link_conn *conn, const void *message, size_t length, int attach)
{
	struct link_out_block *block = link_out_block_new(length);

	if (!block) {
		/* Without this message the peer would wait for ever: better to part. */
		azb_log(AZB_LOG_ERROR, "link %u: out of memory", conn->number);
		link_conn_end(conn, false);
		return;
	}
	memcpy(block->bytes, message, length);
	link_out_send(&conn->out, block, attach);
}

static void refuse(struct link_conn *conn, uint32_t error, const char *text)
{
	uint8_t message[sizeof(struct azl_refuse) + 256];
	struct azl_refuse refuse = { .header.type = AZL_REFUSE, .error = error };
	size_t length = strnlen(text, 256);

	refuse.header.length = (uint32_t)(sizeof(refuse) + length);
	memcpy(message, &refuse, sizeof(refuse));
	memcpy(message + sizeof(refuse), text, length);
	azb_log(AZB_LOG_WARNING, "link %u: refused: %.*s", conn->number, (int)length,
		(const char *)message + sizeof(refuse));
	send_message(conn, message, sizeof(refuse) + length, -1);
	conn->state = CONN_CLOSING;
}

/* The peer broke a rule of vsp_link.h. */
static void cut_off(struct link_conn *conn, const char *why)
{
	if (conn->state == CONN_NEW) {
		refuse(conn, EPROTO, why);
		return;
	}
	azb_log(AZB_LOG_WARNING, "link %u: cut off: it sent %s", conn->number, why);
	link_conn_end(conn, true);
}

/* ------------------------------------------------------------------- HELLO */

static bool peer_has_closed(const struct link_conn *conn)
{
	struct pollfd poller = { .fd = conn->fd, .events = POLLRDHUP };

	return conn->gone ||
	       (poll(&poller, 1, 0) > 0 && poller.revents & (POLLHUP | POLLRDHUP | POLLERR));
}

static void welcome(struct link_conn *conn)
{
	struct azl_welcome message = {
		.header = { .length = sizeof(message), .type = AZL_WELCOME },
		.version = AZL_VERSION,
		.max_request_head = AZL_MAX_REQUEST_HEAD,
		.max_inflight = conn->door->config.max_inflight,
		.features = conn->hello.features & (AZL_FEATURE_REGIONS | AZL_FEATURE_RESEND),
	};
	const uint8_t *i = conn->hello.instance;

	conn->terms.features = message.features;
	conn->terms.max_request_head = message.max_request_head;
	conn->terms.max_inflight = message.max_inflight;
	conn->state = CONN_OPEN;
	send_message(conn, &message, sizeof(message), conn->door->pidfd);
	/* The GUID as VMBus carries it: the first three fields are little-endian. */
	azb_log(AZB_LOG_INFO,
		"link %u: device "
		"%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x, "
		"memory %s",
		conn->number, i[3], i[2], i[1], i[0], i[5], i[4], i[7], i[6], i[8], i[9], i[10],
		i[11], i[12], i[13], i[14], i[15],
		message.features & AZL_FEATURE_REGIONS ? "shared" : "in messages");
}

/* Welcomes, refuses, or leaves the link waiting for an earlier one of the same session. */
static void greet(struct link_conn *conn)
{
	conn->state = CONN_WAITING;
	for (struct link_conn *c = conn->door->conns; c; c = c->next) {
		if (c == conn || c->state < CONN_OPEN ||
		    memcmp(c->hello.session, conn->hello.session, sizeof(c->hello.session)))
			continue;
		if (c->state == CONN_OPEN && !peer_has_closed(c)) {
			refuse(conn, EBUSY, "this session has another link that is in use");
			return;
		}
		if (c->state == CONN_OPEN) {
			c->gone = true;
			link_conn_end(c, false);
			link_door_wake(conn->door);
		}
		return;
	}
	welcome(conn);
}

static void on_hello(struct link_conn *conn, const struct azl_header *header)
{
	const char *why;
	uint32_t error;

	memcpy(&conn->hello, header, sizeof(conn->hello));
	why = link_check_hello(&conn->hello, &error);
	if (why)
		refuse(conn, error, why);
	else
		greet(conn);
}

/* ----------------------------------------------------------------- regions */

static void region_status(struct link_conn *conn, uint64_t id, int error)
{
	struct azl_region_status message = {
		.header = { .length = sizeof(message), .type = AZL_REGION_STATUS, .id = id },
		.error = (uint32_t)-error,
	};

	send_message(conn, &message, sizeof(message), -1);
}

static void on_region_add(struct link_conn *conn, const struct azl_header *header, int fd)
{
	struct azl_region_add add;
	struct link_region *region;
	const char *why;
	int error;

	memcpy(&add, header, sizeof(add));
	why = link_check_region_add(&add);
	if (!why && !(conn->terms.features & AZL_FEATURE_REGIONS))
		why = "a region where regions were not agreed";
	if (!why && atomic_load(&conn->region_named[header->id]))
		why = "a region whose id is in use";
	if (why) {
		close(fd);
		cut_off(conn, why);
		return;
	}
	error = link_region_map(fd, add.offset, add.size, header->flags & AZL_REGION_READONLY,
				&region);
	close(fd);
	if (error) {
		azb_log(AZB_LOG_WARNING, "link %u: region %u can't be shared: %s", conn->number,
			(unsigned int)header->id,
			error == -EPERM    ? "its file is not sealed against shrinking"
			: error == -ERANGE ? "it lies beyond the end of its file"
			: error == -EINVAL ? "its file is no memory file"
					   : strerror(-error));
	} else {
		region->id = (uint32_t)header->id;
		region->conn = conn;
		conn->regions[header->id] = region;
		atomic_store(&conn->region_named[header->id], true);
	}
	region_status(conn, header->id, error);
}

/* A worker's job: unmaps a region that nobody uses any more. */
static void region_job(struct link_job *job)
{
	struct link_region *region = (struct link_region *)job;
	struct link_conn *conn = region->conn;
	struct azl_header message = { .length = sizeof(message),
				      .type = AZL_REGION_GONE,
				      .id = region->id };
	struct link_out_block *block = link_out_block_new(sizeof(message));

	link_region_unmap(region);
	atomic_store(&conn->region_named[message.id], false);
	if (block) {
		memcpy(block->bytes, &message, sizeof(message));
		if (link_out_send(&conn->out, block, -1))
			link_door_wake(conn->door);
	} else {
		/* Ends the link, which is as good an answer. */
		shutdown(conn->fd, SHUT_RDWR);
	}
	link_conn_job_done(conn, 0);
}

/* With conn->lock held. */
static void region_leave(struct link_conn *conn, struct link_region *region)
{
	conn->busy++;
	region->job.run = region_job;
	link_pool_submit(conn->door->pool, &conn->queue, &region->job);
}

static void on_region_del(struct link_conn *conn, const struct azl_header *header)
{
	struct link_region *region = conn->regions[header->id];

	if (!region) {
		cut_off(conn, "the end of a region that does not exist");
		return;
	}
	conn->regions[header->id] = NULL;
	pthread_mutex_lock(&conn->lock);
	region->leaving = true;
	if (!region->users)
		region_leave(conn, region);
	pthread_mutex_unlock(&conn->lock);
}

/* ---------------------------------------------------------------- requests */

/* Ids may be anything: mix before taking the low bits. */
static struct link_request **bucket_of(struct link_conn *conn, uint64_t id)
{
	return &conn->inflight[(id * 0x9e3779b97f4a7c15ull) >> 55];
}

_Static_assert(LINK_BUCKETS == 1u << (64 - 55), "bucket_of() takes the high bits");

static struct link_request *find(struct link_conn *conn, uint64_t id)
{
	struct link_request *request = *bucket_of(conn, id);

	while (request && request->message->header.id != id)
		request = request->chain;
	return request;
}

static void on_request(struct link_conn *conn, const struct link_message *message)
{
	struct azl_request *copy = (struct azl_request *)link_in_take(&conn->in, message);
	struct link_request *request = NULL;
	struct link_request **bucket;
	struct link_parts parts;
	const char *why;
	unsigned int count;
	bool known;

	if (!copy) {
		azb_log(AZB_LOG_ERROR, "link %u: out of memory", conn->number);
		link_conn_end(conn, true);
		return;
	}
	why = link_check_request(copy, &conn->terms, conn->regions, &parts);
	if (!why) {
		pthread_mutex_lock(&conn->lock);
		known = find(conn, copy->header.id) != NULL;
		count = conn->inflight_count;
		pthread_mutex_unlock(&conn->lock);
		if (known)
			why = "a request with the id of one in flight";
		else if (count >= conn->terms.max_inflight)
			why = "more requests than may be in flight";
	}
	if (why) {
		free(copy);
		cut_off(conn, why);
		return;
	}
	request = link_request_new(conn, copy, &parts);
	if (!request) {
		free(copy);
		azb_log(AZB_LOG_ERROR, "link %u: out of memory", conn->number);
		link_conn_end(conn, true);
		return;
	}
	pthread_mutex_lock(&conn->lock);
	bucket = bucket_of(conn, copy->header.id);
	request->chain = *bucket;
	*bucket = request;
	conn->inflight_count++;
	conn->busy++;
	conn->held += request->held;
	for (unsigned int i = 0; i < request->region_count; i++)
		request->regions[i]->users++;
	pthread_mutex_unlock(&conn->lock);
	if (request->deadline_ns && request->deadline_ns < conn->door->due_ns)
		conn->door->due_ns = request->deadline_ns;
	request->job.run = link_request_run;
	link_pool_submit(conn->door->pool, &conn->queue, &request->job);
}

/*
 * Takes a request away from the workers, if none has begun it; with conn->lock held.  Then
 * answer_queued() is next, without the lock.
 */
static bool claim_queued(struct link_request *request)
{
	enum request_state queued = REQUEST_QUEUED;

	if (!atomic_compare_exchange_strong(&request->state, &queued, REQUEST_ANSWERED))
		return false;
	atomic_fetch_add(&request->users, 1);
	return true;
}

/* Nobody else touches it, and nothing has happened. */
static void answer_queued(struct link_request *request)
{
	request->status = link_request_stop_status(request);
	link_conn_complete(request, true);
	link_request_put(request);
}

static void on_cancel(struct link_conn *conn, const struct azl_header *header)
{
	struct link_request *request;
	bool claimed = false;

	pthread_mutex_lock(&conn->lock);
	request = find(conn, header->id);
	if (request) {
		atomic_fetch_or(&request->stop,
				header->flags & AZL_CANCEL_TIMEOUT ? STOP_TIMEOUT : STOP_CANCEL);
		claimed = claim_queued(request); /* or else its worker answers */
	}
	pthread_mutex_unlock(&conn->lock);
	if (claimed)
		answer_queued(request);
}

/* The next request that is queued past its time, claimed; NULL, and *next, when there is none. */
static struct link_request *overdue(struct link_conn *conn, uint64_t now_ns, uint64_t *next)
{
	struct link_request *found = NULL;

	*next = UINT64_MAX;
	pthread_mutex_lock(&conn->lock);
	for (unsigned int i = 0; i < LINK_BUCKETS && !found; i++) {
		for (struct link_request *r = conn->inflight[i]; r && !found; r = r->chain) {
			if (!r->deadline_ns || atomic_load(&r->state) != REQUEST_QUEUED)
				continue;
			if (r->deadline_ns > now_ns)
				*next = r->deadline_ns < *next ? r->deadline_ns : *next;
			else if (claim_queued(r))
				found = r;
		}
	}
	pthread_mutex_unlock(&conn->lock);
	return found;
}

uint64_t link_conn_expire(struct link_conn *conn, uint64_t now_ns)
{
	struct link_request *request;
	uint64_t next = UINT64_MAX;

	while (conn->state == CONN_OPEN && (request = overdue(conn, now_ns, &next)))
		answer_queued(request);
	return next;
}

void link_conn_complete(struct link_request *request, bool send)
{
	struct link_conn *conn = request->conn;
	bool is_inline = request->message->header.flags & AZL_REQUEST_INLINE;
	struct azl_complete complete = {
		.header = { .length = sizeof(complete),
			    .type = AZL_COMPLETE,
			    .flags = request->ack ? AZL_COMPLETE_ACK : 0,
			    .id = request->message->header.id },
		.status = request->status,
		.response_length = request->response_length,
		.data_length = request->data_length,
	};
	struct link_out_block *block = send ? link_out_block_new(sizeof(complete)) : NULL;
	struct link_request **link;

	atomic_fetch_add_explicit(request->status == VSP_WIRE_STATUS_OK ? &conn->door->completed
									: &conn->door->failed,
				  1, memory_order_relaxed);
	pthread_mutex_lock(&conn->lock);
	for (link = bucket_of(conn, complete.header.id); *link != request; link = &(*link)->chain)
		;
	*link = request->chain;
	conn->inflight_count--;
	for (unsigned int i = 0; i < request->region_count; i++) {
		struct link_region *region = request->regions[i];

		if (--region->users == 0 && region->leaving)
			region_leave(conn, region);
	}
	pthread_mutex_unlock(&conn->lock);
	if (!send)
		return;
	if (!block) {
		/* The peer must not wait for ever for this message. */
		azb_log(AZB_LOG_ERROR, "link %u: out of memory", conn->number);
		shutdown(conn->fd, SHUT_RDWR);
		return;
	}
	if (is_inline) {
		struct link_out_block **last = &block->next;

		/* Exactly as many bytes as were said, whatever room the blocks had. */
		if (complete.response_length) {
			request->inline_response->length = complete.response_length;
			*last = request->inline_response;
			last = &(*last)->next;
			request->inline_response = NULL;
		}
		if (complete.data_length) {
			request->inline_data->length = complete.data_length;
			*last = request->inline_data;
			request->inline_data = NULL;
		}
		complete.header.length += complete.response_length + complete.data_length;
		/* What is on its way still counts, until the emulator has taken it. */
		block->held = request->held;
		request->held = 0;
	}
	memcpy(block->bytes, &complete, sizeof(complete));
	if (link_out_send(&conn->out, block, -1))
		link_door_wake(conn->door);
}

void link_conn_job_done(struct link_conn *conn, size_t held)
{
	struct link_door *door = conn->door;
	bool wake;

	pthread_mutex_lock(&conn->lock);
	conn->held -= held;
	conn->busy--;
	wake = conn->paused ||
	       (!conn->busy && (atomic_load(&conn->stop) || atomic_load(&conn->draining)));
	pthread_mutex_unlock(&conn->lock);
	if (wake)
		link_door_wake(door);
}

/* ------------------------------------------------------------ ACK, GOODBYE */

struct ack_job {
	struct link_job job;
	struct link_conn *conn;
	uint64_t id;
};

static void ack_job(struct link_job *job)
{
	struct ack_job *ack = (struct ack_job *)job;
	struct link_conn *conn = ack->conn;

	svc_acknowledge(conn->door->svc, conn->hello.session, ack->id);
	free(ack);
	link_conn_job_done(conn, sizeof(*ack));
}

static void on_ack(struct link_conn *conn, const struct azl_header *header)
{
	struct ack_job *ack;

	if (!(conn->terms.features & AZL_FEATURE_RESEND)) {
		cut_off(conn, "ACK where it was not agreed");
		return;
	}
	ack = malloc(sizeof(*ack));
	if (!ack)
		return; /* a kept answer too many: it goes with its session */
	ack->job.run = ack_job;
	ack->conn = conn;
	ack->id = header->id;
	pthread_mutex_lock(&conn->lock);
	conn->busy++;
	conn->held += sizeof(*ack);
	pthread_mutex_unlock(&conn->lock);
	link_pool_submit(conn->door->pool, &conn->queue, &ack->job);
}

/* A worker's job: the device is gone for good. */
static void session_job(struct link_job *job)
{
	struct link_conn *conn = (struct link_conn *)job;

	handles_end_session(conn->door->handles, conn->hello.session);
	svc_session_end(conn->door->svc, conn->hello.session);
	link_conn_job_done(conn, 0);
}

/* ------------------------------------------------------------ reading, end */

static void handle(struct link_conn *conn, const struct link_message *message)
{
	const struct azl_header *header = message->header;

	switch (header->type) {
	case AZL_HELLO:
		on_hello(conn, header);
		break;
	case AZL_REGION_ADD:
		on_region_add(conn, header, message->fd);
		break;
	case AZL_REGION_DEL:
		on_region_del(conn, header);
		break;
	case AZL_REQUEST:
		on_request(conn, message);
		break;
	case AZL_CANCEL:
		on_cancel(conn, header);
		break;
	case AZL_ACK:
		on_ack(conn, header);
		break;
	case AZL_GOODBYE_EMULATOR:
		conn->session_over = true;
		link_conn_end(conn, true);
		break;
	default: /* link_check_header() let nothing else through */
		break;
	}
}

/* Is the link at its limit of memory?  Then the loop is woken when that changes. */
static bool full(struct link_conn *conn)
{
	size_t released = link_out_released(&conn->out);
	size_t unread;

	pthread_mutex_lock(&conn->lock);
	/* With the lock: a worker that has just sent all looks afterwards whether the link is
	 * paused. */
	unread = link_out_queued(&conn->out);
	conn->held -= released;
	conn->paused = conn->held > conn->door->config.budget || unread > LINK_MAX_UNREAD;
	pthread_mutex_unlock(&conn->lock);
	return conn->paused;
}

/* Handles the whole messages that were read; false when none more is to be read now. */
static bool handle_all(struct link_conn *conn)
{
	struct link_message message;
	const char *why;

	while (conn->state == CONN_NEW || conn->state == CONN_OPEN) {
		if (full(conn))
			return false;
		switch (link_in_next(&conn->in, conn->state == CONN_OPEN, &message, &why)) {
		case LINK_IN_MORE:
			return true;
		case LINK_IN_MESSAGE:
			handle(conn, &message);
			break;
		case LINK_IN_BAD:
			cut_off(conn, why);
			return false;
		case LINK_IN_NOMEM:
			azb_log(AZB_LOG_ERROR, "link %u: out of memory", conn->number);
			link_conn_end(conn, true);
			return false;
		}
	}
	return false;
}

void link_conn_readable(struct link_conn *conn)
{
	/* What is whole is always handled: no event comes for bytes that were read already. */
	for (int i = 0; handle_all(conn) && i < READS_IN_A_ROW; i++) {
		int got = link_in_fill(&conn->in);

		if (got == -EAGAIN)
			break;
		if (got == -EPROTO) {
			cut_off(conn, "more file descriptors than any message has");
			break;
		}
		if (got <= 0) {
			if (conn->state == CONN_OPEN)
				azb_log(AZB_LOG_INFO, "link %u: the emulator has closed it",
					conn->number);
			conn->gone = true;
			link_conn_end(conn, false);
			break;
		}
	}
}

void link_conn_writable(struct link_conn *conn)
{
	link_out_flush(&conn->out);
}

void link_conn_hangup(struct link_conn *conn)
{
	/* While reading, the end of the stream says so, after what was sent before it. */
	if (conn->armed & EPOLLIN)
		return;
	conn->gone = true;
	link_conn_end(conn, false);
}

static void leave(struct link_conn *conn)
{
	struct link_conn **link = &conn->door->conns;
	struct link_door *door = conn->door;

	while (*link != conn)
		link = &(*link)->next;
	*link = conn->next;
	conn->gone = true;
	arm(conn);
	/* What the socket took stays readable for the peer after this. */
	conn->job.run = free_job;
	link_pool_submit(door->pool, NULL, &conn->job);
	for (struct link_conn *c = door->conns; c; c = c->next) {
		if (c->state == CONN_WAITING) {
			greet(c);
			link_door_wake(door);
		}
	}
}

bool link_conn_step(struct link_conn *conn)
{
	unsigned int busy;

	if (conn->state == CONN_OPEN && atomic_load(&conn->broken)) {
		azb_log(AZB_LOG_ERROR, "link %u: a page of the guest's memory could not be had",
			conn->number);
		link_conn_end(conn, true);
	}
	if (conn->paused && !full(conn))
		link_conn_readable(conn);
	if (conn->state == CONN_ENDING) {
		pthread_mutex_lock(&conn->lock);
		busy = conn->busy;
		if (!busy && conn->session_over)
			conn->busy = 1;
		pthread_mutex_unlock(&conn->lock);
		if (!busy && conn->session_over) {
			conn->session_over = false;
			conn->job.run = session_job;
			link_pool_submit(conn->door->pool, NULL, &conn->job);
		} else if (!busy) {
			struct azl_header goodbye = { .length = sizeof(goodbye),
						      .type = AZL_GOODBYE_BACKEND };

			conn->state = CONN_CLOSING;
			if (conn->goodbye && !conn->gone)
				send_message(conn, &goodbye, sizeof(goodbye), -1);
		}
	}
	if (conn->state == CONN_CLOSING && (conn->gone || !link_out_queued(&conn->out))) {
		leave(conn);
		return false;
	}
	arm(conn);
	return true;
}
