// SPDX-License-Identifier: MIT
/*
 * Bodies that go upstream.  One that fits config.hold_max is kept in memory until it is complete:
 * then it can be sent again.  A longer one goes on while it comes: parts that are next in line
 * straight from the caller's memory, parts that are early by way of a spool.  The last byte waits
 * for finish(): until then upstream has half a request, which has no effect.
 */
#include "azure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../base/crc64.h"
#include "../../base/log.h"
#include "../../base/waiting.h"

#define STEP (128u * 1024u)
/* Parts of one body, as many as the local store takes. */
#define MAX_PARTS STORE_MAX_PARTS

/**
 * struct part - what was brought
 * @crc: of its bytes; @spooled: they are in the spool, and not yet sent.
 */
struct part {
	uint64_t offset, length, crc;
	bool spooled;
};

/**
 * struct upload
 * @link: parts may come in any order, and again.
 * @memory: the whole body, or NULL: then it is streamed.
 * @lock: protects all below but the exchange while @busy.
 * @call: NULL before the first bytes go.  @token: what it is authorised with, or NULL.
 * @position: what is sent next.
 * @busy: somebody is sending.
 * @last, @has_last: the byte that waits.
 * @answer, @error: how it ended early, with @failed.
 */
struct upload {
	struct rest_upload pub;
	struct az *az;
	struct az_plan *plan;
	bool link;
	uint8_t *memory;
	pthread_mutex_t lock;
	pthread_cond_t idle;
	struct part *part;
	size_t part_count, part_room;
	struct up_call *call;
	char *token;
	uint64_t position;
	bool busy, has_last, failed;
	uint8_t last;
	int spool;
	struct rest_answer *answer;
	struct rest_error error;
};

static uint64_t length_of(const struct iovec *iov, int count)
{
	uint64_t total = 0;

	for (int i = 0; i < count; i++)
		total += iov[i].iov_len;
	return total;
}

/* -------------------------------------------------------------------- parts */

/* The lock is held.  The same part as before (*@again), or one more; -EEXIST, -EMFILE. */
static int check_part(struct upload *u, uint64_t offset, uint64_t length, struct part **again)
{
	struct part *last;

	*again = NULL;
	if (!u->part || !u->part_count)
		return 0;
	last = &u->part[u->part_count - 1];
	/* in order, as from the HTTP door: nothing to remember */
	if (last->offset + last->length <= offset)
		return 0;
	for (size_t i = 0; i < u->part_count; i++) {
		struct part *p = &u->part[i];

		if (p->offset == offset && p->length == length) {
			*again = p;
			return 0;
		}
		if (offset < p->offset + p->length && p->offset < offset + length)
			return -EEXIST;
	}
	return 0;
}

/* Kept sorted by offset, so that the next in line is found. */
static int add_part(struct upload *u, const struct part *part)
{
	size_t at = u->part_count;

	if (!u->link && at && u->part[at - 1].offset + u->part[at - 1].length == part->offset) {
		u->part[at - 1].length += part->length;
		return 0;
	}
	if (at == MAX_PARTS)
		return -EMFILE;
	if (at == u->part_room) {
		size_t room = u->part_room ? 2 * u->part_room : 16;
		struct part *more = reallocarray(u->part, room, sizeof(*more));

		if (!more)
			return -ENOMEM;
		u->part = more;
		u->part_room = room;
	}
	while (at && u->part[at - 1].offset > part->offset)
		at--;
	memmove(&u->part[at + 1], &u->part[at], (u->part_count - at) * sizeof(*u->part));
	u->part[at] = *part;
	u->part_count++;
	return 0;
}

static struct part *find_part(struct upload *u, uint64_t offset)
{
	for (size_t i = 0; i < u->part_count; i++)
		if (u->part[i].offset == offset && u->part[i].length)
			return &u->part[i];
	return NULL;
}

static bool is_complete(const struct upload *u)
{
	uint64_t have = 0;

	for (size_t i = 0; i < u->part_count; i++)
		have += u->part[i].length;
	return have == u->pub.length;
}

/* ------------------------------------------------------------------- memory */

static uint64_t copy_out(uint8_t *to, const struct iovec *iov, int count)
{
	uint64_t crc = 0;

	for (int i = 0; i < count; i++) {
		memcpy(to, iov[i].iov_base, iov[i].iov_len);
		crc = azb_crc64(crc, to, iov[i].iov_len);
		to += iov[i].iov_len;
	}
	return crc;
}

/* By way of memory of our own: a part whose checksum is wrong must not have changed anything. */
static int write_memory(struct upload *u, const struct iovec *iov, int count, struct part *part,
			const uint64_t *expect)
{
	uint8_t *copy = malloc(part->length);
	struct part *again;
	int error;

	if (!copy)
		return -ENOMEM;
	part->crc = copy_out(copy, iov, count);
	error = expect && *expect != part->crc ? -EBADMSG : 0;
	pthread_mutex_lock(&u->lock);
	if (!error)
		error = check_part(u, part->offset, part->length, &again);
	if (!error && !again)
		error = add_part(u, part);
	if (!error)
		memcpy(u->memory + part->offset, copy, part->length);
	pthread_mutex_unlock(&u->lock);
	free(copy);
	return error;
}

/* ------------------------------------------------------------------- stream */

/* The emulator sends it again: that it fails now does not say that it was not done then. */
static bool is_in_doubt(const struct upload *u)
{
	return u->plan && u->plan->resent && u->plan->operation->repeat != AZ_SAFE;
}

/* The lock is held.  The exchange has ended before its time: why is asked once. */
static void note_failure(struct upload *u)
{
	struct up_call *call = u->call;
	struct az_attempts attempts;

	u->failed = true;
	u->call = NULL;
	az_attempts_begin(&attempts);
	attempts.maybe = u->plan->resent;
	/* the body is gone: there is no second attempt */
	if (az_judge(u->plan, &attempts, call, 0, false, u->token, &u->error) != AZ_TAKE) {
		up_end(call);
		return;
	}
	u->error.status = 0;
	u->answer = az_answer_make(u->plan, call, &u->error);
	if (u->answer && u->answer->read) {
		/* an error of that size is none; the plan went with it */
		u->plan = NULL;
	}
	if (!u->answer && !u->error.status)
		az_error(&u->error, 502, "UpstreamLost",
			 "The storage account answered before it had the body, and broke off.");
}

/* Begins the exchange.  False: u->error says why not. */
static bool begin(struct upload *u)
{
	free(u->token);
	if (az_plan_start(u->plan, NULL, &u->call, &u->token, &u->error))
		return false;
	u->error.status = 0;
	return true;
}

/* Bytes of the body, the first ones as often as not one of them could be sent. */
static int send_bytes(struct upload *u, const struct iovec *iov, int count, uint64_t *crc)
{
	struct az_attempts attempts;
	uint64_t sum = 0;
	int error;

	az_attempts_begin(&attempts);
	for (;;) {
		if (!u->call && !begin(u))
			return -EIO;
		sum = crc ? *crc : 0;
		error = up_send(u->call, iov, count, &sum);
		attempts.count++;
		if (!error || u->position || up_progress(u->call) != UP_NOT_SENT ||
		    !az_attempts_pause(u->plan, &attempts, -1))
			break;
		up_end(u->call);
		u->call = NULL;
	}
	if (crc)
		*crc = sum;
	return error;
}

/* Takes the right to send.  The lock is held. */
static void enter(struct upload *u)
{
	while (u->busy) {
		azb_waiting_begin();
		pthread_cond_wait(&u->idle, &u->lock);
		azb_waiting_end();
	}
	u->busy = true;
}

static void leave(struct upload *u)
{
	u->busy = false;
	pthread_cond_broadcast(&u->idle);
}

/*
 * Sends bytes that are next in line; @busy is set and the lock is not held.  The body's last byte
 * is kept back.  0, or -EIO.
 */
static int push(struct upload *u, const struct iovec *iov, int count, uint64_t length,
		uint64_t *crc)
{
	bool ends = u->position + length == u->pub.length;
	struct iovec *copy = NULL;
	int error = 0;

	if (ends) {
		struct iovec *tail;

		copy = malloc((size_t)count * sizeof(*copy));
		if (!copy)
			return -ENOMEM;
		memcpy(copy, iov, (size_t)count * sizeof(*copy));
		tail = &copy[count - 1];
		tail->iov_len--;
		iov = copy;
	}
	if (length > (ends ? 1 : 0))
		error = send_bytes(u, iov, count, crc);
	if (!error && ends) {
		u->last = ((const uint8_t *)copy[count - 1].iov_base)[copy[count - 1].iov_len];
		u->has_last = true;
		if (crc)
			*crc = azb_crc64(*crc, &u->last, 1);
	}
	free(copy);
	if (error)
		return -EIO;
	u->position += length;
	return 0;
}

/* @busy is set, the lock is held and given up meanwhile.  Sends what the spool has in line. */
static int drain(struct upload *u)
{
	struct part *part;
	char *bytes = NULL;
	int error = 0;

	while (!error && (part = find_part(u, u->position)) && part->spooled) {
		uint64_t left = part->length;

		part->spooled = false;
		pthread_mutex_unlock(&u->lock);
		if (!bytes)
			bytes = malloc(STEP);
		if (!bytes)
			error = -ENOMEM;
		while (!error && left) {
			struct iovec iov = { bytes, left < STEP ? (size_t)left : STEP };

			if (pread(u->spool, bytes, iov.iov_len, (off_t)u->position) !=
			    (ssize_t)iov.iov_len)
				error = -EIO;
			else
				error = push(u, &iov, 1, iov.iov_len, NULL);
			left -= iov.iov_len;
		}
		pthread_mutex_lock(&u->lock);
	}
	free(bytes);
	return error;
}

/* The lock is held.  Whatever is wrong now, nothing has been done upstream. */
static int fail_stream(struct upload *u, int error)
{
	if (u->call && !u->failed)
		note_failure(u);
	if (!u->failed && !u->error.status)
		az_error(&u->error, 503, "ServerBusy",
			 "The relay could not pass the body on, and nothing has happened: %s",
			 strerror(-error));
	if (!u->answer && is_in_doubt(u))
		az_unknown(&u->error);
	u->failed = true;
	return -EIO;
}

static int spool_pieces(struct upload *u, const struct iovec *iov, int count, uint64_t offset,
			uint64_t *crc)
{
	uint8_t *bytes = malloc(STEP);
	int error = bytes ? 0 : -ENOMEM;

	*crc = 0;
	for (int i = 0; i < count && !error; i++) {
		size_t done = 0;

		while (done < iov[i].iov_len && !error) {
			size_t step = iov[i].iov_len - done;

			if (step > STEP)
				step = STEP;
			/* read once: the guest may be changing it */
			memcpy(bytes, (const char *)iov[i].iov_base + done, step);
			*crc = azb_crc64(*crc, bytes, step);
			if (pwrite(u->spool, bytes, step, (off_t)offset) != (ssize_t)step)
				error = errno == ENOSPC ? -ENOSPC : -EIO;
			offset += step;
			done += step;
		}
	}
	free(bytes);
	return error;
}

static int open_spool(struct upload *u)
{
	if (u->spool < 0) {
		int fd = az_spool_open(u->az);

		if (fd < 0) {
			azb_log(AZB_LOG_ERROR, "azure: spool=%s: %s", u->az->config.spool,
				strerror(-fd));
			return -ENOSPC;
		}
		u->spool = fd;
	}
	return 0;
}

/*
 * Into the spool.  @busy is set here too: two writers of the same part must not mix.  The lock is
 * held.  A part whose checksum is wrong may overwrite its first form, which was not wrong, so it is
 * looked at before in that case.
 */
static int write_spool(struct upload *u, const struct iovec *iov, int count, struct part *part,
		       struct part *again, const uint64_t *expect)
{
	int error = open_spool(u);
	uint64_t crc = 0;

	if (error)
		return error;
	pthread_mutex_unlock(&u->lock);
	error = spool_pieces(u, iov, count, part->offset, &crc);
	pthread_mutex_lock(&u->lock);
	if (!error && expect && *expect != crc)
		error = -EBADMSG;
	if (error && again) {
		/* what it replaced is gone as well: as if it had never come */
		again = find_part(u, part->offset);
		if (again)
			again->length = 0;
	}
	if (error)
		return error;
	part->crc = crc;
	part->spooled = true;
	if (again) {
		again = find_part(u, part->offset);
		if (again)
			*again = *part;
		return 0;
	}
	return add_part(u, part);
}

/* The same part once more, and the first is on its way: only the same bytes will do. */
static int same_again(const struct part *first, const struct iovec *iov, int count,
		      const uint64_t *expect, uint64_t *crc64)
{
	uint8_t *copy = malloc(first->length);
	uint64_t crc;

	if (!copy)
		return -ENOMEM;
	crc = copy_out(copy, iov, count);
	free(copy);
	if (expect && *expect != crc)
		return -EBADMSG;
	if (crc64)
		*crc64 = crc;
	return crc == first->crc ? 0 : -EEXIST;
}

static int write_stream(struct upload *u, const struct iovec *iov, int count, struct part *part,
			const uint64_t *expect)
{
	struct part *again;
	int error;

	pthread_mutex_lock(&u->lock);
	error = u->failed ? -EIO : check_part(u, part->offset, part->length, &again);
	if (!error && again && !again->spooled) {
		struct part first = *again;

		pthread_mutex_unlock(&u->lock);
		return same_again(&first, iov, count, expect, &part->crc);
	}
	if (!error)
		enter(u);
	if (error) {
		pthread_mutex_unlock(&u->lock);
		return error;
	}
	/* the wait may have changed everything */
	error = u->failed ? -EIO : check_part(u, part->offset, part->length, &again);
	if (!error && again && !again->spooled) {
		struct part first = *again;

		leave(u);
		pthread_mutex_unlock(&u->lock);
		return same_again(&first, iov, count, expect, &part->crc);
	}
	if (!error && part->offset == u->position && !expect && !again) {
		pthread_mutex_unlock(&u->lock);
		error = push(u, iov, count, part->length, &part->crc);
		pthread_mutex_lock(&u->lock);
		error = error ? fail_stream(u, error) : add_part(u, part);
	} else if (!error) {
		error = write_spool(u, iov, count, part, again, expect);
	}
	if (!error) {
		error = drain(u);
		if (error)
			error = fail_stream(u, error);
	}
	leave(u);
	pthread_mutex_unlock(&u->lock);
	return error;
}

/* ---------------------------------------------------------------------- ops */

static int upload_write(struct rest_upload *upload, uint64_t offset, const struct iovec *iov,
			int count, unsigned int flags, const uint64_t *expect, uint64_t *crc64)
{
	struct upload *u = (struct upload *)upload;
	struct part part = { .offset = offset, .length = length_of(iov, count) };
	int error;

	(void)flags;
	while (count && !iov[count - 1].iov_len)
		count--;
	if (!part.length || offset > upload->length || part.length > upload->length - offset)
		return -EINVAL;
	error = u->memory ? write_memory(u, iov, count, &part, expect)
			  : write_stream(u, iov, count, &part, expect);
	if (!error && crc64)
		*crc64 = part.crc;
	return error;
}

static void upload_free(struct upload *u)
{
	if (u->memory)
		atomic_fetch_sub(&u->az->held, u->pub.length);
	up_end(u->call);
	if (u->answer)
		u->answer->close(u->answer);
	az_plan_free(u->plan);
	free(u->token);
	if (u->spool >= 0)
		close(u->spool);
	pthread_mutex_destroy(&u->lock);
	pthread_cond_destroy(&u->idle);
	free(u->memory);
	free(u->part);
	free(u);
}

static void upload_abort(struct rest_upload *upload)
{
	upload_free((struct upload *)upload);
}

static struct rest_answer *take_failure(struct upload *u, struct rest_error *error)
{
	struct rest_answer *answer = u->answer;

	u->answer = NULL;
	if (!answer)
		*error = u->error;
	if (!answer && !error->status)
		az_error(error, 500, "InternalError", "The body could not be passed on.");
	return answer;
}

static struct rest_answer *upload_fail(struct rest_upload *upload, struct rest_error *error)
{
	return take_failure((struct upload *)upload, error);
}

/* The last byte goes; from now on it may happen. */
static struct rest_answer *finish_stream(struct upload *u, struct rest_error *error)
{
	struct iovec iov = { &u->last, 1 };
	struct az_attempts attempts;
	struct rest_answer *answer;
	enum az_verdict verdict;

	az_attempts_begin(&attempts);
	attempts.maybe = u->plan->resent;
	if (!u->call && !begin(u)) {
		*error = u->error;
		if (is_in_doubt(u))
			az_unknown(error);
		return NULL;
	}
	if (!up_send(u->call, &iov, 1, NULL) || up_progress(u->call) == UP_ANSWERED)
		(void)up_wait_head(u->call);
	/* the body is gone: there is no second attempt */
	verdict = az_judge(u->plan, &attempts, u->call, 0, false, u->token, error);
	if (verdict != AZ_TAKE)
		return NULL;
	error->status = 0;
	answer = az_answer_make(u->plan, u->call, error);
	u->call = NULL;
	if (answer && answer->read)
		u->plan = NULL;
	if (!answer && !error->status)
		az_broken_off(u->plan, error);
	return answer;
}

static struct rest_answer *upload_finish(struct rest_upload *upload, struct rest_error *error,
					 bool *incomplete)
{
	struct upload *u = (struct upload *)upload;
	struct rest_answer *answer;

	pthread_mutex_lock(&u->lock);
	*incomplete = !u->failed && (!is_complete(u) || (!u->memory && !u->has_last));
	pthread_mutex_unlock(&u->lock);
	if (*incomplete)
		return NULL;
	if (u->memory) {
		answer = az_send(u->plan, u->memory, error);
		u->plan = NULL;
		atomic_fetch_sub(&u->az->held, u->pub.length);
		free(u->memory);
		u->memory = NULL;
	} else {
		answer = u->failed ? take_failure(u, error) : finish_stream(u, error);
	}
	upload_free(u);
	return answer;
}

static const struct rest_upload_ops upload_ops = {
	.write = upload_write,
	.finish = upload_finish,
	.fail = upload_fail,
	.abort = upload_abort,
};

/* A share of the memory for bodies that can be sent again. */
static uint8_t *hold(struct az *az, uint64_t length)
{
	uint8_t *memory;

	if (length > az->config.hold_max)
		return NULL;
	if (atomic_fetch_add(&az->held, length) + length > az->config.hold_total) {
		atomic_fetch_sub(&az->held, length);
		return NULL;
	}
	memory = malloc(length);
	if (!memory)
		atomic_fetch_sub(&az->held, length);
	return memory;
}

struct rest_upload *az_upload_begin(struct az_plan *plan, bool link, struct rest_error *error)
{
	struct upload *u = calloc(1, sizeof(*u));

	if (!u) {
		az_error(error, 503, "ServerBusy", "The relay is out of memory.");
		az_plan_free(plan);
		return NULL;
	}
	pthread_mutex_init(&u->lock, NULL);
	pthread_cond_init(&u->idle, NULL);
	u->pub.ops = &upload_ops;
	u->pub.length = (uint64_t)plan->body_length;
	u->az = plan->az;
	u->plan = plan;
	u->link = link;
	u->spool = -1;
	u->memory = hold(plan->az, u->pub.length);
	return &u->pub;
}
