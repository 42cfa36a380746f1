// SPDX-License-Identifier: MIT
/*
 * Answers.  Small bodies are taken whole, before anybody is told of them.  Longer ones come while
 * they are read, straight into the reader's memory: from the exchange that brought the head as
 * long as they are read in a row, and otherwise from exchanges for a window each, which ask for
 * the same ETag.  Where the caller's own signature forbids such exchanges, bytes that are skipped
 * wait in a spool.
 */
#include "answer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "../../base/log.h"

/* What is taken whole.  The link's readers take 4 MiB at a time, so do windows. */
#define WHOLE_MAX (256u * 1024u)
#define WINDOW (4u * 1024u * 1024u)
/* A body of which nobody said how long it is: a list, mostly. */
#define UNSAID_MAX (64u * 1024u * 1024u)
#define STEP (64u * 1024u)

/* ------------------------------------------------------------------ streams */

static void end_stream(struct az_stream *s)
{
	up_end(s->call);
	s->call = NULL;
}

/* All bytes were read: see the end of the exchange too, so that the connection is kept. */
static void complete(struct az_stream *s)
{
	char byte;
	struct iovec iov = { &byte, 1 };

	(void)up_receive(s->call, &iov, 1);
	end_stream(s);
}

/* The lock is held.  Is an idle stream still ours?  Then it is the caller's now. */
static bool reclaim(struct az_answer *a, struct az_stream *s)
{
	if (s->busy || !s->call)
		return false;
	if (!up_reclaim(a->plan->az->pool, &s->loan)) {
		s->call = NULL;
		return false;
	}
	s->busy = true;
	return true;
}

/* A stream at @offset, or an empty one.  NULL: all are being read. */
static struct az_stream *take_stream(struct az_answer *a, uint64_t offset)
{
	struct az_stream *found = NULL, *oldest = NULL;

	pthread_mutex_lock(&a->lock);
	for (size_t i = 0; i < AZ_STREAMS && !found; i++)
		if (!a->stream[i].busy && a->stream[i].position == offset &&
		    reclaim(a, &a->stream[i]))
			found = &a->stream[i];
	for (size_t i = 0; i < AZ_STREAMS && !found; i++) {
		struct az_stream *s = &a->stream[i];

		if (s->busy)
			continue;
		if (!s->call) {
			s->busy = true;
			found = s;
		} else if (!oldest || s->used < oldest->used) {
			oldest = s;
		}
	}
	if (!found && oldest) {
		if (reclaim(a, oldest))
			end_stream(oldest);
		oldest->busy = true;
		found = oldest;
	}
	if (found)
		found->used = ++a->uses;
	pthread_mutex_unlock(&a->lock);
	return found;
}

static void leave_stream(struct az_answer *a, struct az_stream *s)
{
	pthread_mutex_lock(&a->lock);
	s->busy = false;
	if (s->call)
		up_lend(a->plan->az->pool, &s->loan, s->call);
	pthread_mutex_unlock(&a->lock);
}

/* The A of "bytes A-B/SIZE". */
static bool range_start(const char *said, uint64_t *from)
{
	char *end;

	if (!said || strncasecmp(said, "bytes ", 6) != 0 || said[6] < '0' || said[6] > '9')
		return false;
	errno = 0;
	*from = strtoull(said + 6, &end, 10);
	return !errno && *end == '-';
}

/* Is this the range that was asked for? */
static bool is_range(struct up_call *call, uint64_t first, uint64_t length)
{
	const char *said = up_header(call, "Content-Range");
	uint64_t from;

	if (up_status(call) != 206 || !range_start(said, &from))
		return false;
	return from == first && up_content_length(call) == (int64_t)length;
}

/* Asks for a window from @offset on.  0, or -errno. */
static int open_stream(struct az_answer *a, struct az_stream *s, uint64_t offset,
		       struct az_attempts *attempts)
{
	uint64_t left = a->pub.body_length - offset;
	uint64_t length = left < WINDOW ? left : WINDOW;
	struct az_extra extra = { .etag = a->etag };
	struct rest_error error = { .status = 0 };
	char range[64];

	snprintf(range, sizeof(range), "bytes=%" PRIu64 "-%" PRIu64, a->base + offset,
		 a->base + offset + length - 1);
	extra.range = range;
	for (;;) {
		enum az_verdict verdict;
		struct up_call *call;
		char *token;
		int start = az_plan_start(a->plan, &extra, &call, &token, &error);

		if (call)
			(void)up_wait_head(call);
		verdict = az_judge(a->plan, attempts, call, start, true, token, &error);
		free(token);
		if (verdict == AZ_TAKE && is_range(call, a->base + offset, length)) {
			s->call = call;
			s->position = offset;
			s->end = offset + length;
			return 0;
		}
		if (verdict == AZ_TAKE)
			azb_log(AZB_LOG_WARNING, "azure: a blob can't be read on: %u %s",
				up_status(call), up_status(call) == 412 ? "(it was changed)" : "");
		else if (verdict == AZ_FAIL)
			azb_log(AZB_LOG_WARNING, "azure: a blob can't be read on: %s",
				error.message);
		up_end(call);
		if (verdict != AZ_AGAIN)
			return -EIO;
	}
}

/* Where we are in the reader's memory; @one, with room for all of it, is what is left. */
static int rest_of(const struct iovec *iov, int count, uint64_t skip, uint64_t length,
		   struct iovec *one)
{
	int n = 0;

	for (int i = 0; i < count && length; i++) {
		size_t here = iov[i].iov_len;

		if (skip >= here) {
			skip -= here;
			continue;
		}
		here -= (size_t)skip;
		if (here > length)
			here = (size_t)length;
		one[n++] = (struct iovec){ (char *)iov[i].iov_base + skip, here };
		length -= here;
		skip = 0;
	}
	return n;
}

/* Up to the end of one stream.  Bytes, or -errno. */
static ssize_t read_some(struct az_answer *a, struct az_stream *s, uint64_t offset,
			 const struct iovec *iov, int count, uint64_t length, struct iovec *room,
			 struct az_attempts *attempts)
{
	ssize_t got;
	int error;

	if (!s->call) {
		error = open_stream(a, s, offset, attempts);
		if (error)
			return error;
	}
	if (length > s->end - s->position)
		length = s->end - s->position;
	got = up_receive(s->call, room, rest_of(iov, count, 0, length, room));
	if (got > 0)
		s->position += (uint64_t)got;
	if (got > 0 && s->position == s->end)
		complete(s);
	else if (got <= 0)
		end_stream(s);
	return got > 0 ? got : 0;
}

static ssize_t read_ranged(struct az_answer *a, uint64_t offset, const struct iovec *iov, int count,
			   uint64_t wanted, struct iovec *room)
{
	struct az_attempts attempts;
	uint64_t done = 0;

	az_attempts_begin(&attempts);
	while (done < wanted) {
		struct az_stream own = { .call = NULL };
		struct az_stream *s = take_stream(a, offset + done);
		struct iovec *left = room + count;
		int n = rest_of(iov, count, done, wanted - done, left);
		ssize_t got = read_some(a, s ? s : &own, offset + done, left, n, wanted - done,
					room, &attempts);

		if (s)
			leave_stream(a, s);
		else
			end_stream(&own);
		if (got < 0)
			return got;
		if (got) {
			done += (uint64_t)got;
			az_attempts_begin(&attempts);
		} else {
			/* it broke off: the rest is asked for, after a pause that grows */
			attempts.count++;
			if (!az_attempts_pause(a->plan, &attempts, -1))
				return -EIO;
		}
	}
	return (ssize_t)done;
}

/* ----------------------------------------------------------------- in order */

static int note_spooled(struct az_answer *a, uint64_t from, uint64_t to)
{
	struct az_range *last = a->spooled_count ? &a->spooled[a->spooled_count - 1] : NULL;
	struct az_range *more;

	if (last && last->to == from) {
		last->to = to;
		return 0;
	}
	more = reallocarray(a->spooled, a->spooled_count + 1, sizeof(*more));
	if (!more)
		return -ENOMEM;
	a->spooled = more;
	a->spooled[a->spooled_count++] = (struct az_range){ from, to };
	return 0;
}

/* The lock is held.  Takes what comes before @offset out of the way. */
static int skip_to(struct az_answer *a, uint64_t offset)
{
	struct az_stream *s = &a->stream[0];
	char *bytes = malloc(STEP);
	int error = bytes ? 0 : -ENOMEM;

	if (!error && a->spool < 0) {
		a->spool = az_spool_open(a->plan->az);
		if (a->spool < 0)
			error = a->spool;
	}
	while (!error && s->position < offset) {
		struct iovec iov = { bytes, STEP };
		ssize_t got;

		if (iov.iov_len > offset - s->position)
			iov.iov_len = (size_t)(offset - s->position);
		got = s->call ? up_receive(s->call, &iov, 1) : -EIO;
		if (got <= 0 || pwrite(a->spool, bytes, (size_t)got, (off_t)s->position) != got)
			error = -EIO;
		else
			error = note_spooled(a, s->position, s->position + (uint64_t)got);
		if (!error)
			s->position += (uint64_t)got;
	}
	free(bytes);
	return error;
}

static ssize_t from_spool(struct az_answer *a, uint64_t offset, const struct iovec *iov, int count,
			  uint64_t length)
{
	for (size_t i = 0; i < a->spooled_count; i++) {
		const struct az_range *r = &a->spooled[i];

		if (offset < r->from || offset >= r->to || !count)
			continue;
		/* one piece of memory at a time: the caller comes again */
		if (length > r->to - offset)
			length = r->to - offset;
		if (length > iov->iov_len)
			length = iov->iov_len;
		return pread(a->spool, iov->iov_base, (size_t)length, (off_t)offset);
	}
	azb_log(AZB_LOG_WARNING,
		"azure: bytes that were read can't be read again: the caller's own "
		"signature is over the whole blob");
	return -EIO;
}

static ssize_t read_in_order(struct az_answer *a, uint64_t offset, const struct iovec *iov,
			     int count, uint64_t wanted, struct iovec *room)
{
	struct az_stream *s = &a->stream[0];
	uint64_t done = 0;
	ssize_t got = 0;

	pthread_mutex_lock(&a->lock);
	while (done < wanted) {
		uint64_t at = offset + done;
		int n = rest_of(iov, count, done, wanted - done, room);

		if (at > s->position) {
			got = skip_to(a, at);
			if (got)
				break;
		}
		if (at < s->position) {
			got = from_spool(a, at, room, n, wanted - done);
		} else {
			got = s->call ? up_receive(s->call, room, n) : -EIO;
			if (got > 0)
				s->position += (uint64_t)got;
			if (got > 0 && s->position == a->pub.body_length)
				complete(s);
		}
		if (got <= 0)
			break;
		done += (uint64_t)got;
	}
	pthread_mutex_unlock(&a->lock);
	if (done == wanted)
		return (ssize_t)done;
	return got < 0 ? got : -EIO;
}

/* ----------------------------------------------------------------- rest_ops */

static ssize_t answer_read(struct rest_answer *answer, uint64_t offset, const struct iovec *iov,
			   int count)
{
	struct az_answer *a = (struct az_answer *)answer;
	uint64_t wanted = 0;
	struct iovec *room;
	ssize_t got;

	for (int i = 0; i < count; i++)
		wanted += iov[i].iov_len;
	if (offset >= answer->body_length)
		return 0;
	if (wanted > answer->body_length - offset)
		wanted = answer->body_length - offset;
	/* two windows on the caller's memory: all that is left, and what one stream has of it */
	room = reallocarray(NULL, (size_t)count * 2 + 1, sizeof(*room));
	if (!room)
		return -ENOMEM;
	got = a->ranged ? read_ranged(a, offset, iov, count, wanted, room)
			: read_in_order(a, offset, iov, count, wanted, room);
	free(room);
	return got;
}

static void answer_close(struct rest_answer *answer)
{
	struct az_answer *a = (struct az_answer *)answer;

	for (size_t i = 0; i < AZ_STREAMS; i++)
		if (a->ranged ? reclaim(a, &a->stream[i]) : a->stream[i].call != NULL)
			end_stream(&a->stream[i]);
	if (a->spool >= 0)
		close(a->spool);
	if (a->pub.read)
		az_plan_free(a->plan);
	pthread_mutex_destroy(&a->lock);
	azb_buf_free(&a->pub.headers);
	azb_buf_free(&a->pub.body);
	free(a->spooled);
	free(a->etag);
	free(a);
}

/* ------------------------------------------------------------------- making */

static void drop_header(struct azb_buf *headers, const char *name)
{
	struct azb_buf out = { 0 };
	const char *at = headers->data, *end = at + headers->length;

	while (at && at < end) {
		const char *was = at + strlen(at) + 1;
		const char *next = was + strlen(was) + 1;

		if (strcasecmp(at, name) != 0)
			azb_buf_add(&out, at, (size_t)(next - at));
		at = next;
	}
	azb_buf_free(headers);
	*headers = out;
}

/* Puts @name's @value in the place of what is there. */
static void set_header(struct azb_buf *headers, const char *name, const char *value)
{
	drop_header(headers, name);
	azb_buf_add(headers, name, strlen(name) + 1);
	azb_buf_add(headers, value, strlen(value) + 1);
}

/* The body in memory.  False: it broke off, or @error says that it is too long. */
static bool take_whole(struct az_answer *a, struct up_call *call, int64_t said,
		       struct rest_error *error)
{
	uint64_t limit = said < 0 ? UNSAID_MAX : (uint64_t)said;
	char bytes[16384];
	ssize_t got = 0;

	while (a->pub.body.length < limit || said < 0) {
		struct iovec iov = { bytes, sizeof(bytes) };

		got = up_receive(call, &iov, 1);
		if (got <= 0)
			break;
		azb_buf_add(&a->pub.body, bytes, (size_t)got);
		if (a->pub.body.failed) {
			az_no_memory(a->plan, error);
			return false;
		}
		if (a->pub.body.length > limit) {
			az_error(error, 502, "UpstreamTooLong",
				 "The storage account sends a body of unknown length that is "
				 "longer than the relay takes.");
			return false;
		}
	}
	if (got < 0 || (said >= 0 && a->pub.body.length != limit))
		return false;
	a->pub.body_length = a->pub.body.length;
	return true;
}

static bool has_no_body(const struct az_plan *plan, struct up_call *call)
{
	unsigned int status = up_status(call);

	return plan->is_head || status == 204 || status == 304 || up_content_length(call) == 0;
}

/* Blob bytes of which pieces may be asked for: where the body begins in the blob, and of what. */
static void note_range(struct az_answer *a, struct up_call *call)
{
	const char *etag = up_header(call, "ETag");
	const char *said = up_header(call, "Content-Range");

	if (!a->plan->ranged || !etag || (up_status(call) != 200 && up_status(call) != 206))
		return;
	if (up_status(call) == 206 && !range_start(said, &a->base))
		return;
	a->etag = strdup(etag);
	a->ranged = a->etag != NULL;
}

static void take_headers(struct az_answer *a, struct up_call *call)
{
	a->pub.headers = *up_headers(call);
	memset(up_headers(call), 0, sizeof(struct azb_buf));
}

/* A body that came in chunks has a length now. */
static bool say_length(struct az_answer *a)
{
	char number[24];

	a->pub.content_length = a->pub.body_length;
	if (a->pub.status == 204 || a->pub.status == 304)
		return true;
	snprintf(number, sizeof(number), "%" PRIu64, a->pub.body_length);
	set_header(&a->pub.headers, "Content-Length", number);
	return !a->pub.headers.failed;
}

struct rest_answer *az_answer_make(struct az_plan *plan, struct up_call *call,
				   struct rest_error *error)
{
	struct az_answer *a = calloc(1, sizeof(*a));
	int64_t said = up_content_length(call);
	bool fine = true;

	if (!a) {
		up_end(call);
		az_no_memory(plan, error);
		return NULL;
	}
	pthread_mutex_init(&a->lock, NULL);
	a->plan = plan;
	a->spool = -1;
	a->pub.close = answer_close;
	a->pub.status = up_status(call);
	a->pub.content_length = said > 0 ? (uint64_t)said : 0;
	a->stream[0].call = call;
	note_range(a, call);
	take_headers(a, call);
	if (has_no_body(plan, call)) {
		complete(&a->stream[0]);
	} else if (said >= 0 && said > WHOLE_MAX) {
		a->pub.body_length = (uint64_t)said;
		a->pub.read = answer_read;
		a->stream[0].end = (uint64_t)said;
		if (a->ranged)
			up_lend(plan->az->pool, &a->stream[0].loan, call);
	} else {
		fine = take_whole(a, call, said, error);
		if (fine)
			complete(&a->stream[0]);
		else
			end_stream(&a->stream[0]);
	}
	if (fine && said < 0 && !plan->is_head)
		fine = say_length(a);
	if (fine && !a->pub.headers.failed)
		return &a->pub;
	if (a->pub.headers.failed)
		az_no_memory(plan, error);
	a->pub.read = NULL; /* the plan stays the caller's */
	answer_close(&a->pub);
	return NULL;
}

/* The one byte, and the end of the exchange, so that the connection is kept. */
static bool take_byte(struct az_answer *a, struct up_call *call)
{
	char byte;
	struct iovec iov = { &byte, 1 };
	bool good = up_receive(call, &iov, 1) == 1;

	a->stream[0].call = call;
	if (good)
		complete(&a->stream[0]);
	else
		end_stream(&a->stream[0]);
	return good;
}

/* As if all that the client asked for had been asked for. */
static void widen(struct az_answer *a, const struct az_plan *plan, uint64_t total, const char *md5)
{
	uint64_t last = plan->last < total ? plan->last : total - 1;
	struct azb_buf *headers = &a->pub.headers;
	char text[80];

	a->base = plan->first;
	a->pub.body_length = a->pub.content_length = last - plan->first + 1;
	snprintf(text, sizeof(text), "%" PRIu64, a->pub.body_length);
	set_header(headers, "Content-Length", text);
	if (plan->has_range) {
		snprintf(text, sizeof(text), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, plan->first,
			 last, total);
		set_header(headers, "Content-Range", text);
		a->pub.status = 206;
		return;
	}
	/* of the whole blob it is the body's own */
	drop_header(headers, "Content-Range");
	if (md5) {
		set_header(headers, "Content-MD5", md5);
		drop_header(headers, "x-ms-blob-content-md5");
	}
	a->pub.status = 200;
}

struct rest_answer *az_answer_later(struct az_plan *plan, struct up_call *call, bool *fits,
				    struct rest_error *error)
{
	const char *said = up_header(call, "Content-Range");
	const char *total = said ? strchr(said, '/') : NULL;
	const char *md5 = up_header(call, "x-ms-blob-content-md5");
	struct az_answer *a;
	uint64_t size;
	char *md5_copy;

	*fits = total && is_range(call, plan->first, 1) && up_header(call, "ETag") &&
		total[1] >= '0' && total[1] <= '9';
	if (!*fits)
		return NULL;
	size = strtoull(total + 1, NULL, 10);
	a = calloc(1, sizeof(*a));
	md5_copy = md5 ? strdup(md5) : NULL;
	if (a) {
		pthread_mutex_init(&a->lock, NULL);
		a->plan = plan;
		a->spool = -1;
		a->pub.close = answer_close;
		note_range(a, call);
		take_headers(a, call);
	}
	if (!a || !a->ranged || size <= plan->first || (md5 && !md5_copy)) {
		up_end(call);
		az_error(error, 503, "ServerBusy", "The relay is out of memory.");
	} else if (take_byte(a, call)) {
		widen(a, plan, size, md5_copy);
		/* the byte was another one's: what is asked for is read when it is wanted */
		if (!a->pub.headers.failed)
			a->pub.read = answer_read;
		else
			az_error(error, 503, "ServerBusy", "The relay is out of memory.");
	}
	free(md5_copy);
	if (a && !a->pub.read) {
		answer_close(&a->pub);
		a = NULL;
	}
	return a ? &a->pub : NULL;
}
