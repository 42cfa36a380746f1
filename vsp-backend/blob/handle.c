// SPDX-License-Identifier: MIT
/* Handles of large bodies; see handle.h. */
#include "handle.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "../base/waiting.h"

#define BUCKETS 1024u /* a power of two; chains stay short at some thousand handles */
/* How often a waiting commit asks whether it should give up. */
#define COMMIT_POLL_MS 50

enum upload_state {
	UPLOAD_OPEN,
	UPLOAD_COMMITTING,
	UPLOAD_COMMITTED
};

/* All fields but the first block are protected by handles.lock. */
struct handle {
	struct handles *owner;
	enum handle_kind kind;
	uint8_t id[HANDLE_ID_BYTES];
	uint8_t session[16];

	struct handle *next; /* in its bucket, or in a list of those to be ended */
	unsigned int users;
	unsigned int parts; /* under way */
	bool gone;          /* out of the table: the last user ends it */
	enum upload_state state;
	struct svc_upload *upload; /* NULL once committed */
	struct svc_answer *answer; /* the download, or what the commit answered */
	uint64_t used_ms;
};

struct handles {
	struct handles_config config;
	pthread_mutex_t lock;
	pthread_cond_t committed; /* a commit came to its end */
	struct handle *bucket[BUCKETS];
	unsigned int count;
};

static uint64_t monotonic_ms(void *context)
{
	struct timespec now;

	(void)context;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t now_ms(const struct handles *handles)
{
	return handles->config.now_ms(handles->config.context);
}

struct handles *handles_new(const struct handles_config *config)
{
	struct handles *handles = calloc(1, sizeof(*handles));
	pthread_condattr_t attr;

	if (!handles)
		return NULL;
	handles->config = *config;
	if (!handles->config.idle_ms)
		handles->config.idle_ms = HANDLE_IDLE_MS_DEFAULT;
	if (!handles->config.per_session)
		handles->config.per_session = HANDLE_PER_SESSION_DEFAULT;
	if (!handles->config.now_ms)
		handles->config.now_ms = monotonic_ms;
	pthread_mutex_init(&handles->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&handles->committed, &attr);
	pthread_condattr_destroy(&attr);
	return handles;
}

/* Frees a handle that is out of the table and has no users; without the lock. */
static void end(struct handle *handle)
{
	svc_abort(handle->upload);
	svc_answer_put(handle->answer);
	free(handle);
}

static void end_list(struct handle *list)
{
	while (list) {
		struct handle *next = list->next;

		end(list);
		list = next;
	}
}

/* Takes *link out of its bucket; gives it to @list unless somebody uses it. */
static void take_out(struct handles *handles, struct handle **link, struct handle **list)
{
	struct handle *handle = *link;

	*link = handle->next;
	handles->count--;
	handle->gone = true;
	handle->next = NULL;
	if (!handle->users) {
		handle->next = *list;
		*list = handle;
	}
}

void handles_free(struct handles *handles)
{
	struct handle *list = NULL;

	if (!handles)
		return;
	for (unsigned int i = 0; i < BUCKETS; i++) {
		while (handles->bucket[i])
			take_out(handles, &handles->bucket[i], &list);
	}
	end_list(list);
	pthread_cond_destroy(&handles->committed);
	pthread_mutex_destroy(&handles->lock);
	free(handles);
}

uint64_t handles_idle_ms(const struct handles *handles)
{
	return handles->config.idle_ms;
}

unsigned int handles_count(struct handles *handles)
{
	unsigned int count;

	pthread_mutex_lock(&handles->lock);
	count = handles->count;
	pthread_mutex_unlock(&handles->lock);
	return count;
}

/* The id is random, so any of its bits are as good as a hash. */
static struct handle **bucket_of(struct handles *handles, const uint8_t id[HANDLE_ID_BYTES])
{
	return &handles->bucket[(id[0] | (unsigned int)id[1] << 8) & (BUCKETS - 1)];
}

static unsigned int session_count(const struct handles *handles, const uint8_t session[16])
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < BUCKETS; i++) {
		for (const struct handle *h = handles->bucket[i]; h; h = h->next)
			count += !memcmp(h->session, session, sizeof(h->session));
	}
	return count;
}

static int add(struct handles *handles, const uint8_t session[16], enum handle_kind kind,
	       struct svc_upload *upload, struct svc_answer *answer, char id[HANDLE_ID_LENGTH + 1])
{
	static const char digits[] = "0123456789abcdef";
	struct handle *handle = calloc(1, sizeof(*handle));
	struct handle **bucket;
	ssize_t got;

	if (!handle)
		return -ENOMEM;
	do {
		got = getrandom(handle->id, sizeof(handle->id), 0);
	} while (got < 0 && errno == EINTR);
	if (got != (ssize_t)sizeof(handle->id)) {
		free(handle);
		return got < 0 ? -errno : -EIO;
	}
	handle->owner = handles;
	handle->kind = kind;
	memcpy(handle->session, session, sizeof(handle->session));

	pthread_mutex_lock(&handles->lock);
	/* The scan is needed only when the whole table is as full as one session may be. */
	if (handles->count >= handles->config.per_session &&
	    session_count(handles, session) >= handles->config.per_session) {
		pthread_mutex_unlock(&handles->lock);
		free(handle);
		return -EMFILE;
	}
	handle->upload = upload;
	handle->answer = answer;
	handle->used_ms = now_ms(handles);
	bucket = bucket_of(handles, handle->id);
	handle->next = *bucket;
	*bucket = handle;
	handles->count++;
	/* Under the lock: from the end of it on the handle may expire. */
	for (size_t i = 0; i < HANDLE_ID_BYTES; i++) {
		id[2 * i] = digits[handle->id[i] >> 4];
		id[2 * i + 1] = digits[handle->id[i] & 15];
	}
	id[HANDLE_ID_LENGTH] = '\0';
	pthread_mutex_unlock(&handles->lock);
	return 0;
}

int handle_add_upload(struct handles *handles, const uint8_t session[16], struct svc_upload *upload,
		      char id[HANDLE_ID_LENGTH + 1])
{
	return add(handles, session, HANDLE_UPLOAD, upload, NULL, id);
}

int handle_add_download(struct handles *handles, const uint8_t session[16],
			struct svc_answer *answer, char id[HANDLE_ID_LENGTH + 1])
{
	return add(handles, session, HANDLE_DOWNLOAD, NULL, answer, id);
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

static bool parse_id(const char *text, size_t length, uint8_t id[HANDLE_ID_BYTES])
{
	if (length != HANDLE_ID_LENGTH)
		return false;
	for (size_t i = 0; i < HANDLE_ID_BYTES; i++) {
		int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		id[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* The place of a session's handle in its bucket, or NULL; with the lock held. */
static struct handle **find(struct handles *handles, const uint8_t session[16],
			    const uint8_t id[HANDLE_ID_BYTES])
{
	for (struct handle **link = bucket_of(handles, id); *link; link = &(*link)->next) {
		if (!memcmp((*link)->id, id, HANDLE_ID_BYTES) &&
		    !memcmp((*link)->session, session, sizeof((*link)->session)))
			return link;
	}
	return NULL;
}

struct handle *handle_get(struct handles *handles, const uint8_t session[16], enum handle_kind kind,
			  const char *id, size_t id_length)
{
	uint8_t bytes[HANDLE_ID_BYTES];
	struct handle *handle = NULL;
	struct handle **link;

	if (!parse_id(id, id_length, bytes))
		return NULL;
	pthread_mutex_lock(&handles->lock);
	link = find(handles, session, bytes);
	if (link && (*link)->kind == kind) {
		handle = *link;
		/* Its time may be over without the timer having come by. */
		if (!handle->users && now_ms(handles) - handle->used_ms >= handles->config.idle_ms)
			handle = NULL;
		else
			handle->users++;
	}
	pthread_mutex_unlock(&handles->lock);
	return handle;
}

void handle_put(struct handle *handle)
{
	struct handles *handles;
	bool last;

	if (!handle)
		return;
	handles = handle->owner;
	pthread_mutex_lock(&handles->lock);
	handle->used_ms = now_ms(handles);
	handle->users--;
	last = handle->gone && !handle->users;
	pthread_mutex_unlock(&handles->lock);
	if (last)
		end(handle);
}

struct svc_answer *handle_answer(const struct handle *handle)
{
	return handle->answer;
}

struct svc_upload *handle_part_enter(struct handle *handle)
{
	struct handles *handles = handle->owner;
	struct svc_upload *upload = NULL;

	pthread_mutex_lock(&handles->lock);
	if (handle->state == UPLOAD_OPEN) {
		handle->parts++;
		upload = handle->upload;
	}
	pthread_mutex_unlock(&handles->lock);
	return upload;
}

void handle_part_leave(struct handle *handle)
{
	pthread_mutex_lock(&handle->owner->lock);
	handle->parts--;
	pthread_mutex_unlock(&handle->owner->lock);
}

/* Waits for another thread's commit; with the lock held.  -ECANCELED when told to stop. */
static int wait_for_commit(struct handle *handle, bool (*stop)(void *), void *context)
{
	struct handles *handles = handle->owner;

	while (handle->state == UPLOAD_COMMITTING) {
		struct timespec until;

		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += COMMIT_POLL_MS * 1000000L;
		if (until.tv_nsec >= 1000000000L) {
			until.tv_sec++;
			until.tv_nsec -= 1000000000L;
		}
		azb_waiting_begin();
		pthread_cond_timedwait(&handles->committed, &handles->lock, &until);
		azb_waiting_end();
		if (handle->state == UPLOAD_COMMITTING && stop && stop(context))
			return -ECANCELED;
	}
	return 0;
}

int handle_commit(struct handle *handle, const struct svc_caller *caller, bool (*stop)(void *),
		  void *context, struct svc_answer **answer)
{
	struct handles *handles = handle->owner;
	int result;

	pthread_mutex_lock(&handles->lock);
	result = wait_for_commit(handle, stop, context);
	if (result)
		goto out;
	if (handle->state == UPLOAD_COMMITTED) {
		*answer = svc_answer_get(handle->answer);
		goto out;
	}
	if (handle->parts) {
		result = -ENODATA; /* the part that is under way does not count yet */
		goto out;
	}
	handle->state = UPLOAD_COMMITTING;
	pthread_mutex_unlock(&handles->lock);

	result = svc_finish(handle->upload, caller, answer);

	pthread_mutex_lock(&handles->lock);
	if (result) {
		handle->state = UPLOAD_OPEN;
	} else {
		handle->state = UPLOAD_COMMITTED;
		handle->upload = NULL;
		handle->answer = svc_answer_get(*answer);
	}
	pthread_cond_broadcast(&handles->committed);
out:
	pthread_mutex_unlock(&handles->lock);
	return result;
}

bool handle_forget(struct handles *handles, const uint8_t session[16], const char *id,
		   size_t id_length)
{
	uint8_t bytes[HANDLE_ID_BYTES];
	struct handle *list = NULL;
	struct handle **link;

	if (!parse_id(id, id_length, bytes))
		return false;
	pthread_mutex_lock(&handles->lock);
	link = find(handles, session, bytes);
	if (link)
		take_out(handles, link, &list);
	pthread_mutex_unlock(&handles->lock);
	end_list(list);
	return link != NULL;
}

void handles_end_session(struct handles *handles, const uint8_t session[16])
{
	struct handle *list = NULL;

	pthread_mutex_lock(&handles->lock);
	for (unsigned int i = 0; i < BUCKETS; i++) {
		struct handle **link = &handles->bucket[i];

		while (*link) {
			if (memcmp((*link)->session, session, sizeof((*link)->session)))
				link = &(*link)->next;
			else
				take_out(handles, link, &list);
		}
	}
	pthread_mutex_unlock(&handles->lock);
	end_list(list);
}

uint64_t handles_expire(struct handles *handles)
{
	uint64_t next = UINT64_MAX;
	struct handle *list = NULL;
	uint64_t now;

	pthread_mutex_lock(&handles->lock);
	now = now_ms(handles);
	for (unsigned int i = 0; i < BUCKETS; i++) {
		struct handle **link = &handles->bucket[i];

		while (*link) {
			uint64_t idle = (*link)->users ? 0 : now - (*link)->used_ms;

			if (idle >= handles->config.idle_ms) {
				take_out(handles, link, &list);
				continue;
			}
			if (handles->config.idle_ms - idle < next)
				next = handles->config.idle_ms - idle;
			link = &(*link)->next;
		}
	}
	pthread_mutex_unlock(&handles->lock);
	end_list(list);
	return next;
}
