// SPDX-License-Identifier: MIT
/* One exchange: libcurl driven by whoever wants its bytes. */
#include "lane.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "../../base/crc64.h"
#include "../../base/stop.h"
#include "../../base/waiting.h"

/* How long one wait for the socket lasts before the time and the caller are asked. */
#define POLL_MS 200

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---------------------------------------------------------------- callbacks */

/* Those that say something about the connection only. */
static bool is_hop(const char *name, size_t length)
{
	static const char *const names[] = { "Connection",        "Keep-Alive", "Proxy-Connection",
					     "Transfer-Encoding", "Trailer",    "Upgrade",
					     "Proxy-Authenticate" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strlen(names[i]) == length && !strncasecmp(name, names[i], length))
			return true;
	return false;
}

static bool is_plain(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < 0x20 && text[i] != '\t')
			return false;
	return true;
}

/* One "Name: value"; false: no such thing. */
static bool take_field(struct up_call *call, const char *line, size_t length)
{
	const char *colon = memchr(line, ':', length);
	const char *value, *end = line + length;
	char number[24];

	if (!colon || colon == line || !is_plain(line, length))
		return false;
	value = colon + 1;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && (end[-1] == ' ' || end[-1] == '\t'))
		end--;
	if (colon - line == 14 && !strncasecmp(line, "Content-Length", 14)) {
		char *rest;

		if (end - value >= (ptrdiff_t)sizeof(number) || end == value)
			return false;
		memcpy(number, value, (size_t)(end - value));
		number[end - value] = 0;
		errno = 0;
		call->content_length = strtoll(number, &rest, 10);
		if (errno || *rest || call->content_length < 0)
			return false;
	}
	if (is_hop(line, (size_t)(colon - line)))
		return true;
	azb_buf_add(&call->headers, line, (size_t)(colon - line));
	azb_buf_add(&call->headers, "", 1);
	azb_buf_add(&call->headers, value, (size_t)(end - value));
	azb_buf_add(&call->headers, "", 1);
	return !call->headers.failed && call->headers.length <= UP_MAX_HEAD;
}

size_t up_on_header(char *line, size_t size, size_t count, void *data)
{
	struct up_call *call = data;
	size_t length = size * count, used = length;

	call->moved++;
	while (used && (line[used - 1] == '\n' || line[used - 1] == '\r'))
		used--;
	if (used > 5 && !strncmp(line, "HTTP/", 5)) {
		const char *space = memchr(line, ' ', used);

		/* also after a "100 Continue": it starts again */
		azb_buf_reset(&call->headers);
		call->content_length = -1;
		call->status = space ? (unsigned int)strtoul(space, NULL, 10) : 0;
		return call->status >= 100 && call->status <= 599 ? length : 0;
	}
	if (!used) {
		if (call->status >= 200)
			call->head_done = true;
		return length;
	}
	/* trailers of a chunked body are not for anybody */
	if (call->head_done)
		return length;
	if (!take_field(call, line, used)) {
		call->head_bad = true;
		return 0;
	}
	return length;
}

size_t up_on_body(char *bytes, size_t size, size_t count, void *data)
{
	struct up_call *call = data;
	size_t length = size * count, done = 0;

	if (call->stash.length || (call->to_count == 0 && length)) {
		call->receive_paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	call->moved++;
	while (done < length && call->to_count) {
		size_t step = call->to->iov_len - call->to_done;

		if (step > length - done)
			step = length - done;
		memcpy((char *)call->to->iov_base + call->to_done, bytes + done, step);
		done += step;
		call->to_done += step;
		call->received += step;
		if (call->to_done == call->to->iov_len) {
			call->to_done = 0;
			call->to++;
			call->to_count--;
		}
	}
	/* libcurl takes all or nothing: what has no room waits here, at most one buffer of it */
	if (done < length) {
		azb_buf_add(&call->stash, bytes + done, length - done);
		if (call->stash.failed)
			return 0;
	}
	return length;
}

size_t up_on_send(char *bytes, size_t size, size_t count, void *data)
{
	struct up_call *call = data;
	size_t room = size * count, done = 0;

	if (!call->body_left)
		return 0;
	while (done < room && call->from_count) {
		size_t step = call->from->iov_len - call->from_done;

		if (step > room - done)
			step = room - done;
		memcpy(bytes + done, (const char *)call->from->iov_base + call->from_done, step);
		done += step;
		call->from_done += step;
		if (call->from_done == call->from->iov_len) {
			call->from_done = 0;
			call->from++;
			call->from_count--;
		}
	}
	if (!done) {
		call->send_paused = true;
		return CURL_READFUNC_PAUSE;
	}
	call->moved++;
	call->body_left -= done;
	/* of what is sent: the caller's memory may be changing */
	call->crc = azb_crc64(call->crc, bytes, done);
	return done;
}

/*
 * libcurl calls this when it is about to send the request.  By itself it would send one again
 * when a kept connection turns out to be closed; whether that is allowed is not for it to
 * decide.
 */
int up_on_request(void *data, char *ip, char *local_ip, int port, int local_port)
{
	struct up_call *call = data;

	(void)ip;
	(void)local_ip;
	(void)port;
	(void)local_port;
	if (call->sent) {
		call->again = true;
		return CURL_PREREQFUNC_ABORT;
	}
	call->sent = true;
	call->moved++;
	return CURL_PREREQFUNC_OK;
}

/* ------------------------------------------------------------------ driving */

enum want {
	WANT_SENT,
	WANT_HEAD,
	WANT_BODY,
};

static bool is_there(const struct up_call *call, enum want want)
{
	switch (want) {
	case WANT_SENT:
		return !call->from_count || call->head_done;
	case WANT_HEAD:
		return call->head_done;
	case WANT_BODY:
		break;
	}
	return !call->to_count;
}

static void look_for_end(struct up_call *call)
{
	CURLMsg *message;
	int left;

	while ((message = curl_multi_info_read(call->lane->multi, &left))) {
		if (message->msg != CURLMSG_DONE)
			continue;
		call->done = true;
		call->result = message->data.result;
	}
}

static void unpause(struct up_call *call, enum want want)
{
	bool send = call->send_paused && call->from_count;
	bool receive = call->receive_paused && want == WANT_BODY;

	if (!send && !receive)
		return;
	if (send)
		call->send_paused = false;
	if (receive)
		call->receive_paused = false;
	/* may call the callbacks, which may pause again */
	curl_easy_pause(call->lane->easy, (call->send_paused ? CURLPAUSE_SEND : 0) |
						  (call->receive_paused ? CURLPAUSE_RECV : 0));
}

/* Until what is wanted is there (true), or the call has ended, or nothing moves (false). */
static bool drive(struct up_call *call, enum want want)
{
	uint64_t last = now_ms();
	unsigned int seen = call->moved;
	int running;

	if (!call->done && !call->timed_out)
		unpause(call, want);
	for (;;) {
		if (is_there(call, want))
			return true;
		if (call->done || call->timed_out)
			return false;
		if (curl_multi_perform(call->lane->multi, &running) != CURLM_OK) {
			call->done = true;
			call->result = CURLE_OUT_OF_MEMORY;
			return false;
		}
		look_for_end(call);
		if (is_there(call, want))
			return true;
		if (call->done)
			return false;
		/* what is paused for want of the other direction goes on when there is room */
		unpause(call, want);
		if (call->moved != seen) {
			seen = call->moved;
			last = now_ms();
		} else if (call->sent && now_ms() - last >= call->lane->pool->idle_ms) {
			/* until then it is libcurl's own limit for name, connection and TLS */
			call->timed_out = true;
			return false;
		}
		if (azb_stop_asked()) {
			call->timed_out = call->stopped = true;
			return false;
		}
		azb_waiting_begin();
		curl_multi_poll(call->lane->multi, NULL, 0, POLL_MS, NULL);
		azb_waiting_end();
	}
}

int up_send(struct up_call *call, const struct iovec *iov, int count, uint64_t *crc)
{
	bool fine;

	while (count && !iov->iov_len) {
		iov++;
		count--;
	}
	call->from = iov;
	call->from_count = count;
	call->from_done = 0;
	call->crc = crc ? *crc : 0;
	fine = drive(call, WANT_SENT);
	if (crc)
		*crc = call->crc;
	fine = fine && !call->from_count && !call->head_done;
	call->from_count = 0;
	return fine ? 0 : -EPIPE;
}

int up_wait_head(struct up_call *call)
{
	return drive(call, WANT_HEAD) && !call->head_bad ? 0 : -EIO;
}

static size_t total_of(const struct iovec *iov, int count)
{
	size_t total = 0;

	for (int i = 0; i < count; i++)
		total += iov[i].iov_len;
	return total;
}

/* What did not fit the last time comes first. */
static void unstash(struct up_call *call)
{
	size_t at = call->stash_at;

	while (at < call->stash.length && call->to_count) {
		size_t step = call->to->iov_len - call->to_done;

		if (step > call->stash.length - at)
			step = call->stash.length - at;
		memcpy((char *)call->to->iov_base + call->to_done, call->stash.data + at, step);
		at += step;
		call->to_done += step;
		call->received += step;
		if (call->to_done == call->to->iov_len) {
			call->to_done = 0;
			call->to++;
			call->to_count--;
		}
	}
	call->stash_at = at;
	if (at == call->stash.length) {
		azb_buf_reset(&call->stash);
		call->stash_at = 0;
	}
}

ssize_t up_receive(struct up_call *call, const struct iovec *iov, int count)
{
	size_t wanted = total_of(iov, count);
	bool all;

	while (count && !iov->iov_len) {
		iov++;
		count--;
	}
	call->to = iov;
	call->to_count = count;
	call->to_done = 0;
	call->received = 0;
	unstash(call);
	all = drive(call, WANT_BODY);
	call->to_count = 0;
	if (all)
		return (ssize_t)wanted;
	/* what was received before it broke is good */
	if (call->received || (call->done && call->result == CURLE_OK))
		return (ssize_t)call->received;
	return -EIO;
}

/* ------------------------------------------------------------------ results */

unsigned int up_status(const struct up_call *call)
{
	return call->status;
}

struct azb_buf *up_headers(struct up_call *call)
{
	return &call->headers;
}

const char *up_header(const struct up_call *call, const char *wanted)
{
	const char *at = call->headers.data;
	const char *end = at + call->headers.length;

	while (at && at < end) {
		const char *value = at + strlen(at) + 1;

		if (!strcasecmp(at, wanted))
			return value;
		at = value + strlen(value) + 1;
	}
	return NULL;
}

int64_t up_content_length(const struct up_call *call)
{
	return call->content_length;
}

long up_retry_after_ms(const struct up_call *call)
{
	const char *text = up_header(call, "x-ms-retry-after-ms");
	long scale = 1, value;
	char *end;

	if (!text) {
		text = up_header(call, "Retry-After");
		scale = 1000;
	}
	if (!text || *text < '0' || *text > '9')
		return -1;
	errno = 0;
	value = strtol(text, &end, 10);
	/* the other form is a date: the back-off does for that */
	if (errno || *end || value > 24L * 3600 * 1000 / scale)
		return -1;
	return value * scale;
}

enum up_progress up_progress(const struct up_call *call)
{
	if (call->head_done && !call->head_bad)
		return UP_ANSWERED;
	if (!call->sent)
		return UP_NOT_SENT;
	if (call->body_left)
		return UP_INCOMPLETE;
	return UP_SENT;
}

const char *up_reason(const struct up_call *call)
{
	if (call->stopped)
		return "nobody waits for it any more";
	if (call->timed_out)
		return "nothing moved for too long";
	if (call->head_bad)
		return "the head of the answer is malformed or too long";
	if (call->again)
		return "the connection was closed before an answer came";
	if (!call->done || call->result == CURLE_OK)
		return "the connection ended before its answer did";
	return *call->error ? call->error : curl_easy_strerror(call->result);
}
