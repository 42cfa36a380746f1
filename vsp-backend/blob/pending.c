// SPDX-License-Identifier: MIT
#include "pending.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "../base/log.h"
#include "../base/stop.h"
#include "../base/waiting.h"
#include "lease.h"

/**
 * struct pending - a copy under way
 * @etag: of the blob that waits for it.
 * @next, @aborted, @ended: protected by @lock; @ended: too late to abort it.
 * @stop: the thread is to end; without @aborted it leaves the blob as it is.
 * @head: what the source said when it began.
 */
struct pending {
	struct pending *next;
	struct svc *svc;
	char id[LEASE_ID_ROOM];
	uint64_t etag;
	uint8_t lease[16];
	bool has_lease;
	enum store_tier tier;
	struct store_protection protect;
	struct answer_to to;
	char *account, *container, *blob;
	char *url, *shown, *source_etag;
	struct azb_buf meta, tags;
	struct remote head; /* headers of the source */
	uint64_t total;
	atomic_ullong copied;
	atomic_bool stop;
	bool aborted;
	bool ended;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct pending *all;
/* Of this process, random: in the states that it leaves. */
static char process[33];

static const char *this_process(void)
{
	uint8_t bytes[16];

	pthread_mutex_lock(&lock);
	if (!process[0]) {
		while (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
			;
		for (size_t i = 0; i < sizeof(bytes); i++)
			snprintf(process + 2 * i, 3, "%02x", bytes[i]);
	}
	pthread_mutex_unlock(&lock);
	return process;
}

/* ------------------------------------------------------------------- memory */

static void free_pending(struct pending *p)
{
	remote_free(&p->head);
	azb_buf_free(&p->meta);
	azb_buf_free(&p->tags);
	free(p->account);
	free(p->container);
	free(p->blob);
	free(p->url);
	free(p->shown);
	free(p->source_etag);
	free(p);
}

static struct pending *new_pending(const struct pending_copy *copy)
{
	const struct rq *rq = copy->rq;
	const struct remote *r = copy->remote;
	struct pending *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->svc = rq->svc;
	p->to = rq->to;
	snprintf(p->id, sizeof(p->id), "%s", copy->id);
	p->tier = copy->tier;
	p->protect = copy->protect;
	p->total = r->info.length;
	if (copy->conditions->store.lease) {
		p->has_lease = true;
		memcpy(p->lease, copy->conditions->store.lease, sizeof(p->lease));
	}
	p->account = strdup(rq->target.account);
	p->container = strdup(rq->target.container);
	p->blob = strdup(rq->target.blob);
	p->url = strdup(source_url(copy->source));
	p->shown = strdup(source_shown(copy->source));
	p->source_etag = r->etag ? strdup(r->etag) : NULL;
	azb_buf_add(&p->meta, copy->meta.bytes, copy->meta.length);
	azb_buf_add(&p->tags, copy->tags.bytes, copy->tags.length);
	if (p->account && p->container && p->blob && p->url && p->shown && !p->meta.failed &&
	    !p->tags.failed && !r->etag == !p->source_etag && remote_copy_head(&p->head, r))
		return p;
	free_pending(p);
	return NULL;
}

/* ---------------------------------------------------------------- the change */

static struct store_ref ref_of(const struct pending *p)
{
	return (struct store_ref){ .account = p->account,
				   .container = p->container,
				   .blob = p->blob };
}

/* The blob becomes @upload with this state; NULL: it stays empty. */
static enum store_error put_state(struct pending *p, struct store_upload *upload,
				  const struct store_copy *copy)
{
	struct store_conditions conditions = { .if_match = &p->etag,
					       .if_match_count = 1,
					       .lease = p->has_lease ? p->lease : NULL };
	struct store_change change = { .kind = STORE_PUT_BLOB,
				       .ref = ref_of(p),
				       .conditions = &conditions,
				       .upload = upload,
				       .headers = &p->head.info.headers,
				       .meta = { p->meta.data, p->meta.length },
				       .tags = { p->tags.data, p->tags.length },
				       .tier = p->tier,
				       .protect = p->protect,
				       .copy = copy };
	struct store_upload *empty = NULL;
	enum store_error error = STORE_OK;

	if (!upload) {
		error = store_upload_begin(p->svc->store, 0, 0, &empty);
		change.upload = empty;
	}
	if (error == STORE_OK)
		error = account_keep(p->svc, &change);
	if (error == STORE_OK) {
		/* the empty blob was never one that somebody could want back */
		change.keep.retain_ns = 0;
		error = store_change(p->svc->store, &change, NULL);
	}
	if (error != STORE_OK && empty)
		store_upload_abort(empty);
	return error;
}

static void end_with(struct pending *p, const char *status, const char *why)
{
	struct store_copy copy = { .id = p->id,
				   .status = status,
				   .source = p->shown,
				   .description = why,
				   .copied = atomic_load(&p->copied),
				   .total = p->total };

	put_state(p, NULL, &copy);
}

static void fail(struct pending *p, const char *why)
{
	end_with(p, "failed", why);
}

static void succeed(struct pending *p, struct remote *r)
{
	struct store_copy copy = { .id = p->id, .status = "success", .source = p->shown };
	struct store_headers *headers = &p->head.info.headers;
	enum store_error error;

	headers->has_md5 = true;
	memcpy(headers->md5, r->digest.md5, sizeof(headers->md5));
	error = put_state(p, r->store, &copy);
	if (error == STORE_OK)
		r->store = NULL; /* used up */
	else if (error != STORE_CONDITION_NOT_MET && error != STORE_BLOB_NOT_FOUND)
		fail(p, "500 InternalError \"The bytes could not be stored.\"");
}

/* ---------------------------------------------------------------- the thread */

static bool is_stopped(void *context)
{
	struct pending *p = context;

	return atomic_load(&p->stop);
}

/* What the source's host said, in the form of a copy's description. */
static void describe(const struct svc_answer *answer, char *text, size_t room)
{
	const char *code = svc_answer_header(answer, "x-ms-error-code");

	snprintf(text, room, "%u %s \"Copy failed.\"", answer->status, code ? code : "");
}

static void copy_bytes(struct pending *p)
{
	static const struct head none = { .content_length = -1 };
	struct rq rq = { .svc = p->svc, .head = &none, .to = p->to };
	struct remote r = {
		.max = p->total, .md5 = true, .if_match = p->source_etag, .progress = &p->copied
	};
	struct svc_answer *answer;
	char why[200];

	azb_stop_set(is_stopped, p);
	answer = remote_fetch(&rq, p->url, &r);
	azb_stop_set(NULL, NULL);
	pthread_mutex_lock(&lock);
	/* from here on it can't be aborted any more */
	if (!p->aborted && !atomic_load(&p->stop))
		p->ended = true;
	pthread_mutex_unlock(&lock);
	if (p->aborted) {
		end_with(p, "aborted", "");
	} else if (p->ended && answer) {
		describe(answer, why, sizeof(why));
		fail(p, why);
	} else if (p->ended && r.info.length != p->total) {
		fail(p, "412 ConditionNotMet \"The source has changed.\"");
	} else if (p->ended) {
		succeed(p, &r);
	}
	svc_answer_put(answer);
	remote_free(&r);
}

/* Off the list; the last touch of the service by it. */
static void delist(struct pending *p)
{
	pthread_mutex_lock(&lock);
	for (struct pending **at = &all; *at; at = &(*at)->next) {
		if (*at == p) {
			*at = p->next;
			break;
		}
	}
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	free_pending(p);
}

static void *run(void *context)
{
	struct pending *p = context;

	copy_bytes(p);
	delist(p);
	return NULL;
}

/* On the list of those under way, if there is room. */
static bool enlist(struct pending *p)
{
	unsigned int count = 0;

	pthread_mutex_lock(&lock);
	for (struct pending *other = all; other; other = other->next)
		count += other->svc == p->svc;
	if (count < PENDING_MAX) {
		p->next = all;
		all = p;
	}
	pthread_mutex_unlock(&lock);
	return count < PENDING_MAX;
}

/* -------------------------------------------------------------------- begin */

struct beginning {
	struct pending *pending;
	change_answer *make;
	void *context;
};

static struct svc_answer *begun(const struct answer_to *to, const struct store_result *result,
				void *context)
{
	struct beginning *b = context;

	b->pending->etag = result->etag;
	return b->make(to, result, b->context);
}

static struct svc_answer *put_empty(const struct pending_copy *copy, struct beginning *b)
{
	struct rq *rq = copy->rq;
	struct pending *p = b->pending;
	struct store_copy state = { .id = p->id,
				    .status = "pending",
				    .source = p->shown,
				    .description = this_process(),
				    .total = p->total };
	struct store_change change = { .kind = STORE_PUT_BLOB,
				       .ref = ref_of(p),
				       .conditions = &copy->conditions->store,
				       .headers = &p->head.info.headers,
				       .meta = copy->meta,
				       .tags = copy->tags,
				       .tier = copy->tier,
				       .copy = &state };
	enum store_error error = store_upload_begin(rq->svc->store, 0, 0, &change.upload);
	struct svc_answer *answer = NULL;

	if (error == STORE_OK) {
		answer = change_run(rq->svc, &rq->to, rq->caller, &change, begun, b, &error);
		if (!answer)
			store_upload_abort(change.upload);
	}
	return answer ? answer : rq_fail_store(rq, error);
}

struct svc_answer *pending_begin(const struct pending_copy *copy, change_answer *make,
				 void *context)
{
	struct beginning b = { new_pending(copy), make, context };
	struct svc_answer *answer;
	pthread_t thread;

	if (!b.pending)
		return rq_fail(copy->rq, ERR_SERVER_BUSY);
	if (!enlist(b.pending)) {
		free_pending(b.pending);
		return rq_fail(copy->rq, ERR_SERVER_BUSY);
	}
	answer = put_empty(copy, &b);
	if (!b.pending->etag) {
		delist(b.pending);
		return answer;
	}
	if (pthread_create(&thread, NULL, run, b.pending)) {
		fail(b.pending, "500 InternalError \"The copy could not be begun.\"");
		delist(b.pending);
	} else {
		pthread_detach(thread);
	}
	return answer;
}

/* --------------------------------------------------------------- look, abort */

void pending_look(struct store_copy *copy)
{
	static const char over[] = "500 InternalError \"The service was restarted.\"";

	if (strcmp(copy->status, "pending") != 0)
		return;
	if (strcmp(copy->description, this_process()) != 0) {
		copy->status = "failed";
		copy->description = over;
		return;
	}
	copy->description = "";
	pthread_mutex_lock(&lock);
	for (struct pending *p = all; p; p = p->next) {
		if (!strcmp(p->id, copy->id))
			copy->copied = atomic_load(&p->copied);
	}
	pthread_mutex_unlock(&lock);
}

/* The lock is held. */
static bool is_listed(const char *id)
{
	for (const struct pending *p = all; p; p = p->next) {
		if (!strcmp(p->id, id))
			return true;
	}
	return false;
}

bool pending_abort(struct svc *svc, const char *id)
{
	struct pending *p;
	bool mine = false;

	pthread_mutex_lock(&lock);
	for (p = all; p; p = p->next) {
		if (p->svc == svc && !strcmp(p->id, id) && !p->ended && !p->aborted)
			break;
	}
	if (p) {
		mine = p->aborted = true;
		atomic_store(&p->stop, true);
	}
	/* by the id alone: it may be freed at any time now */
	azb_waiting_begin();
	while (mine && is_listed(id))
		pthread_cond_wait(&changed, &lock);
	azb_waiting_end();
	pthread_mutex_unlock(&lock);
	return mine;
}

void pending_stop(struct svc *svc)
{
	bool some = true;

	pthread_mutex_lock(&lock);
	while (some) {
		some = false;
		for (struct pending *p = all; p; p = p->next) {
			if (p->svc == svc) {
				atomic_store(&p->stop, true);
				some = true;
			}
		}
		if (some)
			pthread_cond_wait(&changed, &lock);
	}
	pthread_mutex_unlock(&lock);
}
