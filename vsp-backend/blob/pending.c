// SPDX-License-Identifier: MIT
#include "pending.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/log.h"
#include "../base/stop.h"
#include "../base/waiting.h"
#include "fetch.h"
#include "lease.h"

/**
 * struct pending - a copy under way
 * @url, @source_etag, @version: where from, of which state (NULL: not known), and what is said
 *	there as x-ms-version.  What the copy will be besides its bytes is in the blob that waits.
 * @next, @aborted, @ended, @abort_error: protected by @lock; @ended: too late to abort it.
 * @stop: the thread is to end; without @aborted it leaves the blob as it is.
 * @abort_error: of who aborts it, and waits for it to be off the list: whether that is written.
 * @resume: what is kept of it in the store, see pack().
 */
struct pending {
	struct pending *next;
	struct svc *svc;
	char id[LEASE_ID_ROOM];
	char *account, *container, *blob;
	char *url, *source_etag;
	struct answer_to to;
	struct azb_buf resume;
	uint64_t total;
	atomic_ullong copied;
	atomic_bool stop;
	bool aborted;
	bool ended;
	enum store_error *abort_error;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct pending *all;

/* ------------------------------------------------------------------- memory */

static void free_pending(struct pending *p)
{
	azb_buf_free(&p->resume);
	free(p->account);
	free(p->container);
	free(p->blob);
	free(p->url);
	free(p->source_etag);
	free(p);
}

/* NULL: no memory. */
static struct pending *new_pending(struct svc *svc, const struct store_ref *ref, const char *id,
				   const char *url, const char *source_etag)
{
	struct pending *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->svc = svc;
	snprintf(p->id, sizeof(p->id), "%s", id);
	p->account = strdup(ref->account);
	p->container = strdup(ref->container);
	p->blob = strdup(ref->blob);
	p->url = strdup(url);
	p->source_etag = source_etag && *source_etag ? strdup(source_etag) : NULL;
	if (p->account && p->container && p->blob && p->url &&
	    (p->source_etag || !source_etag || !*source_etag))
		return p;
	free_pending(p);
	return NULL;
}

/* Part of the store's format: URL, ETag or "", x-ms-version, with a zero after each. */
static bool pack(struct pending *p)
{
	const char *const texts[] = { p->url, p->source_etag ? p->source_etag : "", p->to.version };

	for (size_t i = 0; i < 3; i++)
		azb_buf_add(&p->resume, texts[i], strlen(texts[i]) + 1);
	return !p->resume.failed;
}

/* ------------------------------------------------------------------ the end */

static struct store_ref ref_of(const struct pending *p)
{
	return (struct store_ref){ .account = p->account,
				   .container = p->container,
				   .blob = p->blob };
}

/* The blob that waits becomes @upload, and says how the copy ended.  After an error it waits on. */
static enum store_error put_end(struct svc *svc, const struct store_ref *ref,
				struct store_upload *upload, const struct store_digest *digest,
				const struct store_copy *copy)
{
	struct store_change change = { .kind = STORE_PUT_BLOB,
				       .ref = *ref,
				       .upload = upload,
				       .copy = copy,
				       .copy_id = copy->id };
	struct store_blob_info info;
	enum store_error error = store_blob_stat(svc->store, ref, NULL, &info);

	if (error != STORE_OK)
		return error;
	if (digest) {
		info.headers.has_md5 = true;
		memcpy(info.headers.md5, digest->md5, sizeof(info.headers.md5));
	}
	change.headers = &info.headers;
	change.meta = info.meta;
	change.tags = info.tags;
	change.tier = info.tier;
	change.protect = (struct store_protection){ .immutability = info.immutability,
						    .until_ns = info.immutable_until_ns,
						    .hold = info.legal_hold };
	error = account_keep(svc, &change);
	if (error == STORE_OK)
		error = store_change(svc->store, &change, NULL);
	store_blob_info_clear(&info);
	return error;
}

/* The same without bytes: @status is "failed" or "aborted". */
static enum store_error put_failure(struct svc *svc, const struct store_ref *ref,
				    struct store_copy *copy, const char *status, const char *why)
{
	struct store_upload *empty;
	enum store_error error = store_upload_begin(svc->store, 0, 0, &empty);

	if (error != STORE_OK)
		return error;
	copy->status = status;
	copy->description = why;
	error = put_end(svc, ref, empty, NULL, copy);
	if (error != STORE_OK)
		store_upload_abort(empty);
	return error;
}

/* The URL as it may be shown: not what signs it. */
static char *shown(const struct pending *p)
{
	return strndup(p->url, strcspn(p->url, "?"));
}

/* After an error the blob waits on, and nobody does its copy: abort_orphan() can end it. */
static enum store_error end_with(struct pending *p, const char *status, const char *why)
{
	struct store_ref ref = ref_of(p);
	char *source = shown(p);
	struct store_copy copy = { .id = p->id,
				   .source = source ? source : "",
				   .copied = atomic_load(&p->copied),
				   .total = p->total };
	enum store_error error = put_failure(p->svc, &ref, &copy, status, why);

	if (error != STORE_OK)
		azb_log(AZB_LOG_WARNING, "copy %s is over and its blob can't be told: %s", p->id,
			store_error_name(error));
	free(source);
	return error;
}

static void fail(struct pending *p, const char *why)
{
	end_with(p, "failed", why);
}

static void succeed(struct pending *p, struct remote *r)
{
	struct store_ref ref = ref_of(p);
	char *source = shown(p);
	struct store_copy copy = { .id = p->id,
				   .status = "success",
				   .source = source ? source : "" };
	enum store_error error = put_end(p->svc, &ref, r->store, &r->digest, &copy);

	if (error == STORE_OK)
		r->store = NULL; /* used up */
	else
		fail(p, "500 InternalError \"The bytes could not be stored.\"");
	free(source);
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
	enum store_error error;
	struct svc_answer *answer;
	bool aborted, ended;
	char why[200];

	azb_stop_set(is_stopped, p);
	answer = remote_fetch(&rq, p->url, &r);
	azb_stop_set(NULL, NULL);
	pthread_mutex_lock(&lock);
	/* from here on it can't be aborted any more */
	if (!p->aborted && !atomic_load(&p->stop))
		p->ended = true;
	aborted = p->aborted;
	ended = p->ended;
	pthread_mutex_unlock(&lock);
	if (aborted) {
		error = end_with(p, "aborted", "");
		pthread_mutex_lock(&lock);
		*p->abort_error = error;
		pthread_mutex_unlock(&lock);
	} else if (ended && answer) {
		describe(answer, why, sizeof(why));
		fail(p, why);
	} else if (ended && r.info.length != p->total) {
		fail(p, "412 ConditionNotMet \"The source has changed.\"");
	} else if (ended) {
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

/* On the list of those under way, if there are fewer than @max. */
static bool enlist(struct pending *p, unsigned int max)
{
	unsigned int count = 0;

	pthread_mutex_lock(&lock);
	for (struct pending *other = all; other; other = other->next)
		count += other->svc == p->svc;
	if (count < max) {
		p->next = all;
		all = p;
	}
	pthread_mutex_unlock(&lock);
	return count < max;
}

static void start(struct pending *p)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, p)) {
		fail(p, "500 InternalError \"The copy could not be begun.\"");
		delist(p);
	} else {
		pthread_detach(thread);
	}
}

/* -------------------------------------------------------------------- begin */

static struct svc_answer *put_empty(const struct pending_copy *copy, const struct pending *p,
				    change_answer *make, void *context, bool *begun)
{
	struct rq *rq = copy->rq;
	struct store_copy state = { .id = p->id,
				    .status = "pending",
				    .source = source_shown(copy->source),
				    .total = p->total,
				    .resume = p->resume.data,
				    .resume_length = p->resume.length };
	struct store_change change = { .kind = STORE_PUT_BLOB,
				       .ref = ref_of(p),
				       .conditions = &copy->conditions->store,
				       .headers = &copy->remote->info.headers,
				       .meta = copy->meta,
				       .tags = copy->tags,
				       .tier = copy->tier,
				       .protect = copy->protect,
				       .copy = &state };
	enum store_error error = store_upload_begin(rq->svc->store, 0, 0, &change.upload);
	struct svc_answer *answer = NULL;

	if (error == STORE_OK) {
		answer = change_run(rq->svc, &rq->to, rq->caller, &change, make, context, &error);
		if (!answer)
			store_upload_abort(change.upload);
	}
	*begun = answer;
	return answer ? answer : rq_fail_store(rq, error);
}

struct svc_answer *pending_begin(const struct pending_copy *copy, change_answer *make,
				 void *context)
{
	struct store_ref ref = rq_ref(copy->rq);
	struct pending *p = new_pending(copy->rq->svc, &ref, copy->id, source_url(copy->source),
					copy->remote->etag);
	struct svc_answer *answer;
	bool begun;

	if (!p)
		return rq_fail(copy->rq, ERR_SERVER_BUSY);
	p->to = copy->rq->to;
	p->total = copy->remote->info.length;
	if (!pack(p) || !enlist(p, PENDING_MAX)) {
		free_pending(p);
		return rq_fail(copy->rq, ERR_SERVER_BUSY);
	}
	answer = put_empty(copy, p, make, context, &begun);
	if (begun)
		start(p);
	else
		delist(p);
	return answer;
}

/* ------------------------------------------------------------------- resume */

/* One that the store has on its list.  @next: of a list of those that will be begun. */
struct resuming {
	struct svc *svc;
	struct pending *first;
	bool failed;
};

static void take_one(void *context, const struct store_ref *ref, const void *bytes, size_t length)
{
	struct resuming *r = context;
	const char *text[3], *at = bytes, *end = at + length;
	struct pending *p;

	for (size_t i = 0; i < 3; i++) {
		text[i] = at;
		at = at < end ? memchr(at, 0, (size_t)(end - at)) : NULL;
		if (!at++) {
			azb_log(AZB_LOG_ERROR, "a pending copy can't be read; it stays as it is");
			return;
		}
	}
	p = new_pending(r->svc, ref, "", text[0], text[1]);
	if (!p) {
		r->failed = true;
		return;
	}
	snprintf(p->to.version, sizeof(p->to.version), "%s", text[2]);
	p->next = r->first;
	r->first = p;
}

/* The host was allowed when the copy began; it may not be any more. */
static bool is_allowed(const struct pending *p)
{
	const char *host = strstr(p->url, "://");

	host = host ? host + 3 : p->url;
	return fetch_host_allowed(&p->svc->sources, host, strcspn(host, "/"));
}

static void resume_one(struct pending *p)
{
	struct store_ref ref = ref_of(p);
	struct store_blob_info info;
	struct store_copy copy;

	if (store_blob_stat(p->svc->store, &ref, NULL, &info) != STORE_OK) {
		free_pending(p);
		return;
	}
	if (!store_copy_read(&info.copy, &copy) || strcmp(copy.status, "pending") != 0) {
		store_blob_info_clear(&info);
		free_pending(p);
		return;
	}
	snprintf(p->id, sizeof(p->id), "%s", copy.id);
	p->total = copy.total;
	store_blob_info_clear(&info);
	/* those of before are few enough, or there would be no record of them */
	enlist(p, UINT32_MAX);
	if (is_allowed(p)) {
		start(p);
	} else {
		fail(p,
		     "403 CannotVerifyCopySource \"The source's host is not allowed any more.\"");
		delist(p);
	}
}

enum store_error pending_resume(struct svc *svc)
{
	struct resuming r = { .svc = svc };
	enum store_error error = store_copies_list(svc->store, take_one, &r);

	while (r.first) {
		struct pending *p = r.first;

		r.first = p->next;
		p->next = NULL;
		resume_one(p);
	}
	return error == STORE_OK && r.failed ? STORE_NO_MEMORY : error;
}

/* --------------------------------------------------------------- look, abort */

void pending_look(struct store_copy *copy)
{
	if (strcmp(copy->status, "pending") != 0)
		return;
	pthread_mutex_lock(&lock);
	for (struct pending *p = all; p; p = p->next) {
		if (!strcmp(p->id, copy->id))
			copy->copied = atomic_load(&p->copied);
	}
	pthread_mutex_unlock(&lock);
}

/* The lock is held. */
static struct pending *find(const struct svc *svc, const char *id)
{
	struct pending *p = all;

	while (p && (p->svc != svc || strcmp(p->id, id) != 0))
		p = p->next;
	return p;
}

/* One whose end could not be written, or that came back with its container: nobody does it. */
static enum store_error abort_orphan(const struct rq *rq, const char *id)
{
	struct store_ref ref = rq_ref(rq);
	struct store_blob_info info;
	struct store_copy copy;
	enum store_error error = store_blob_stat(rq->svc->store, &ref, NULL, &info);

	if (error != STORE_OK)
		return error;
	if (!store_copy_read(&info.copy, &copy) || strcmp(copy.id, id) != 0)
		error = STORE_NO_PENDING_COPY;
	else
		error = put_failure(rq->svc, &ref, &copy, "aborted", "");
	store_blob_info_clear(&info);
	return error;
}

enum store_error pending_abort(const struct rq *rq, const char *id)
{
	enum store_error error = STORE_OK;
	struct pending *p;
	bool mine = false;

	pthread_mutex_lock(&lock);
	p = find(rq->svc, id);
	if (p && !p->ended && !p->aborted) {
		mine = p->aborted = true;
		p->abort_error = &error;
		atomic_store(&p->stop, true);
	}
	/* by the id alone: it may be freed at any time now */
	azb_waiting_begin();
	while (find(rq->svc, id))
		pthread_cond_wait(&changed, &lock);
	azb_waiting_end();
	pthread_mutex_unlock(&lock);
	return mine ? error : abort_orphan(rq, id);
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
