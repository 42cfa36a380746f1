// SPDX-License-Identifier: MIT
/* The verbs of every filter: hooks around the same verb of the next store. */
#include "filter/filter.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct filter_read {
	struct store_read read;
	struct store_read *inner;
	char *names; /* account, container, blob */
	struct filter_call call;
};

struct filter_upload {
	struct store_upload upload;
	struct store_upload *inner;
};

const char *filter_verb_name(enum filter_verb verb)
{
	static const char *const names[] = { "open", "read", "list", "write", "change" };

	return names[verb];
}

static struct filter *to_filter(struct store *store)
{
	return (struct filter *)(void *)store;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

enum store_error filter_before(struct filter *f, const struct filter_call *call, uint64_t *start)
{
	enum store_error error = f->hooks->before ? f->hooks->before(f, call) : STORE_OK;

	*start = now_ns();
	return error;
}

enum store_error filter_after(struct filter *f, const struct filter_call *call,
			      enum store_error error, uint64_t start)
{
	enum store_error said =
		f->hooks->after ? f->hooks->after(f, call, error, now_ns() - start) : error;

	/* what the store did not give can't be given */
	return error && !said ? error : said;
}

static struct filter_call call_of(enum filter_verb verb, const char *what,
				  const struct store_ref *ref)
{
	struct filter_call call = { .verb = verb, .what = what };

	call.account = ref->account;
	call.container = ref->container;
	call.blob = ref->blob;
	return call;
}

/* Hooks around a call that gives nothing to take back. */
#define AROUND(f, call, expression)                                           \
	__extension__({                                                       \
		uint64_t start_;                                              \
		enum store_error error_ = filter_before(f, call, &start_);    \
		if (!error_)                                                  \
			error_ = filter_after(f, call, (expression), start_); \
		error_;                                                       \
	})

static void filter_close(struct store *store)
{
	struct filter *f = to_filter(store);

	store_close(f->next);
	if (f->hooks->end)
		f->hooks->end(f);
	free(f);
}

static const char *change_name(enum store_change_kind kind)
{
	static const char *const names[STORE_CHANGE_KINDS] = {
		[STORE_CONTAINER_CREATE] = "create container",
		[STORE_CONTAINER_DELETE] = "delete container",
		[STORE_CONTAINER_UPDATE] = "update container",
		[STORE_PUT_BLOB] = "put blob",
		[STORE_PUT_BLOCK] = "put block",
		[STORE_PUT_BLOCK_LIST] = "put block list",
		[STORE_BLOB_UPDATE] = "update blob",
		[STORE_BLOB_DELETE] = "delete blob",
		[STORE_BLOB_SNAPSHOT] = "snapshot",
		[STORE_BLOB_UNDELETE] = "undelete",
		[STORE_LEASE] = "lease",
		[STORE_SET_TIER] = "set tier",
		[STORE_SET_TAGS] = "set tags",
		[STORE_APPEND] = "append",
		[STORE_PAGES_WRITE] = "write pages",
		[STORE_PAGES_CLEAR] = "clear pages",
		[STORE_COPY_BLOB] = "copy",
	};

	return kind < STORE_CHANGE_KINDS && names[kind] ? names[kind] : "change";
}

static enum store_error filter_change(struct store *store, const struct store_change *change,
				      struct store_result *result)
{
	struct filter *f = to_filter(store);
	struct filter_call call = call_of(FILTER_CHANGE, change_name(change->kind), &change->ref);
	struct filter_upload *upload = (struct filter_upload *)(void *)change->upload;
	struct store_change inner = *change;
	enum store_error error, done;
	uint64_t start;

	if (upload) {
		inner.upload = upload->inner;
		call.length = upload->upload.size;
	}
	error = filter_before(f, &call, &start);
	if (error)
		return error;
	done = store_change(f->next, &inner, result);
	error = filter_after(f, &call, done, start);
	/* used up by the store, whatever the caller is told: the caller's half must not abort it */
	if (!done && upload) {
		if (error)
			upload->inner = NULL;
		else
			free(upload);
	}
	return error;
}

static enum store_error filter_account_get(struct store *store, const char *account, void **bytes,
					   size_t *length)
{
	/* settings are part of every request, so failing them would say nothing about any */
	return to_filter(store)->next->ops->account_get(to_filter(store)->next, account, bytes,
							length);
}

static enum store_error filter_container_stat(struct store *store, const struct store_ref *ref,
					      struct store_container_info *info)
{
	struct filter *f = to_filter(store);
	struct filter_call call = call_of(FILTER_OPEN, "stat container", ref);
	enum store_error error;

	*info = (struct store_container_info){ 0 };
	error = AROUND(f, &call, store_container_stat(f->next, ref, info));
	if (error)
		store_container_info_clear(info);
	return error;
}

static enum store_error filter_container_list(struct store *store, const char *account,
					      const struct store_list *list, store_container_cb *cb,
					      void *context, char **next)
{
	struct filter *f = to_filter(store);
	struct store_ref ref = { .account = account };
	struct filter_call call = call_of(FILTER_LIST, "list containers", &ref);

	return AROUND(f, &call, store_container_list(f->next, account, list, cb, context, next));
}

static enum store_error filter_blob_stat(struct store *store, const struct store_ref *ref,
					 const struct store_conditions *conditions,
					 struct store_blob_info *info)
{
	struct filter *f = to_filter(store);
	struct filter_call call = call_of(FILTER_OPEN, "stat blob", ref);
	enum store_error error;

	*info = (struct store_blob_info){ 0 };
	error = AROUND(f, &call, store_blob_stat(f->next, ref, conditions, info));
	if (error)
		store_blob_info_clear(info);
	return error;
}

static enum store_error filter_blob_list(struct store *store, const struct store_ref *ref,
					 const struct store_list *list, store_blob_cb *cb,
					 void *context, char **next)
{
	struct filter *f = to_filter(store);
	struct filter_call call = call_of(FILTER_LIST, "list blobs", ref);

	return AROUND(f, &call, store_blob_list(f->next, ref, list, cb, context, next));
}

static enum store_error filter_tags_find(struct store *store, const struct store_ref *ref,
					 const struct tagexpr *where, const struct store_list *list,
					 store_find_cb *cb, void *context, char **next)
{
	struct filter *f = to_filter(store);
	struct filter_call call = call_of(FILTER_LIST, "find by tags", ref);

	return AROUND(f, &call,
		      f->next->ops->tags_find(f->next, ref, where, list, cb, context, next));
}

static enum store_error filter_block_list(struct store *store, const struct store_ref *ref,
					  bool committed, bool uncommitted,
					  struct store_blob_info *info, store_block_cb *cb,
					  void *context)
{
	struct filter *f = to_filter(store);
	struct filter_call call = call_of(FILTER_LIST, "list blocks", ref);

	return AROUND(f, &call,
		      store_block_list(f->next, ref, committed, uncommitted, info, cb, context));
}

/* Asked once, before any request: nothing that filters are for. */
static enum store_error filter_copies_list(struct store *store, store_copies_cb *cb, void *context)
{
	return store_copies_list(to_filter(store)->next, cb, context);
}

static enum store_error filter_page_list(struct store *store, const struct store_ref *ref,
					 const struct store_conditions *conditions,
					 const struct store_pages *pages,
					 struct store_blob_info *info, store_pages_cb *cb,
					 void *context, uint64_t *next)
{
	struct filter *f = to_filter(store);
	struct filter_call call = call_of(FILTER_LIST, "list pages", ref);

	return AROUND(
		f, &call,
		f->next->ops->page_list(f->next, ref, conditions, pages, info, cb, context, next));
}

static char *copy_names(struct filter_call *call, const struct store_ref *ref)
{
	size_t a = strlen(ref->account) + 1, c = strlen(ref->container) + 1;
	size_t b = strlen(ref->blob) + 1;
	char *names = malloc(a + c + b);

	if (!names)
		return NULL;
	call->account = memcpy(names, ref->account, a);
	call->container = memcpy(names + a, ref->container, c);
	call->blob = memcpy(names + a + c, ref->blob, b);
	return names;
}

static enum store_error filter_read_open(struct store *store, const struct store_ref *ref,
					 const struct store_conditions *conditions,
					 struct store_blob_info *info, struct store_read **read)
{
	struct filter *f = to_filter(store);
	struct filter_call call = call_of(FILTER_OPEN, "open blob", ref);
	struct filter_read *r = calloc(1, sizeof(*r));
	enum store_error error;
	uint64_t start;

	if (info)
		*info = (struct store_blob_info){ 0 };
	if (!r)
		return STORE_NO_MEMORY;
	r->call = call_of(FILTER_READ, "read", ref);
	r->names = copy_names(&r->call, ref);
	error = r->names ? filter_before(f, &call, &start) : STORE_NO_MEMORY;
	if (!error) {
		error = store_read_open(f->next, ref, conditions, info, &r->inner);
		if (error)
			r->inner = NULL;
		error = filter_after(f, &call, error, start);
	}
	if (error || !r->inner) {
		if (r->inner)
			store_read_close(r->inner);
		free(r->names);
		free(r);
		return error;
	}
	r->read.store = store;
	/* the strings stay the inner one's */
	r->read.info = r->inner->info;
	r->read.info.arena = NULL;
	*read = &r->read;
	return STORE_OK;
}

/* @call gets the bytes that were found, which may be fewer than @length. */
static enum store_error map(struct filter_read *r, struct filter_call *call, uint64_t length,
			    struct store_piece *pieces, size_t room, size_t *count)
{
	enum store_error error =
		store_read_map(r->inner, call->offset, length, pieces, room, count);

	for (size_t i = 0; !error && i < *count; i++)
		call->length += pieces[i].length;
	return error;
}

static enum store_error filter_read_map(struct store_read *read, uint64_t offset, uint64_t length,
					struct store_piece *pieces, size_t room, size_t *count)
{
	struct filter_read *r = (struct filter_read *)(void *)read;
	struct filter *f = to_filter(read->store);
	struct filter_call call = r->call;

	*count = 0;
	/* whoever wants to see the bytes gets them by read_at() */
	if (f->hooks->bytes)
		return STORE_UNSUPPORTED;
	call.offset = offset;
	return AROUND(f, &call, map(r, &call, length, pieces, room, count));
}

static enum store_error filter_read_at(struct store_read *read, uint64_t offset, void *buffer,
				       size_t length)
{
	struct filter_read *r = (struct filter_read *)(void *)read;
	struct filter *f = to_filter(read->store);
	struct filter_call call = r->call;
	enum store_error error;

	call.offset = offset;
	call.length = length;
	error = AROUND(f, &call, store_read_at(r->inner, offset, buffer, length));
	if (!error && f->hooks->bytes)
		f->hooks->bytes(f, &call, buffer, length);
	return error;
}

static void filter_read_close(struct store_read *read)
{
	struct filter_read *r = (struct filter_read *)(void *)read;

	store_read_close(r->inner);
	free(r->names);
	free(r);
}

static enum store_error filter_upload_begin(struct store *store, uint64_t size, unsigned int flags,
					    struct store_upload **upload)
{
	struct filter *f = to_filter(store);
	struct filter_call call = { .verb = FILTER_WRITE, .what = "begin upload" };
	struct filter_upload *u = calloc(1, sizeof(*u));
	enum store_error error, begun = STORE_IO;
	uint64_t start;

	if (!u)
		return STORE_NO_MEMORY;
	error = filter_before(f, &call, &start);
	if (!error) {
		begun = store_upload_begin(f->next, size, flags, &u->inner);
		error = filter_after(f, &call, begun, start);
	}
	if (error) {
		if (!begun)
			store_upload_abort(u->inner);
		free(u);
		return error;
	}
	u->upload.store = store;
	u->upload.size = size;
	*upload = &u->upload;
	return STORE_OK;
}

static enum store_error filter_upload_write(struct store_upload *upload, uint64_t offset,
					    const struct iovec *iov, int iovcnt, unsigned int flags,
					    const uint64_t *expect, uint64_t *crc64)
{
	struct filter_upload *u = (struct filter_upload *)(void *)upload;
	struct filter *f = to_filter(upload->store);
	struct filter_call call = { .verb = FILTER_WRITE, .what = "write", .offset = offset };

	for (int i = 0; i < iovcnt; i++)
		call.length += iov[i].iov_len;
	/*
	 * A part that the store took counts, so after() can't take it back; the whole upload then
	 * fails with the request that it belongs to.
	 */
	return AROUND(f, &call,
		      store_upload_write(u->inner, offset, iov, iovcnt, flags, expect, crc64));
}

static enum store_error filter_upload_digest(struct store_upload *upload,
					     struct store_digest *digest)
{
	struct filter_upload *u = (struct filter_upload *)(void *)upload;

	return store_upload_digest(u->inner, digest);
}

/* What was written through this filter comes back as it is. */
static enum store_error filter_upload_read(struct store_upload *upload, uint64_t offset,
					   void *buffer, size_t length)
{
	struct filter_upload *u = (struct filter_upload *)(void *)upload;

	return store_upload_read(u->inner, offset, buffer, length);
}

static void filter_upload_abort(struct store_upload *upload)
{
	struct filter_upload *u = (struct filter_upload *)(void *)upload;

	if (u->inner)
		store_upload_abort(u->inner);
	free(u);
}

static enum store_error filter_effect_lookup(struct store *store, const uint8_t session[16],
					     uint64_t request, void **bytes, size_t *length)
{
	return store_effect_lookup(to_filter(store)->next, session, request, bytes, length);
}

static void filter_effect_forget(struct store *store, const uint8_t session[16], uint64_t request)
{
	store_effect_forget(to_filter(store)->next, session, request);
}

static void filter_effect_forget_session(struct store *store, const uint8_t session[16])
{
	store_effect_forget_session(to_filter(store)->next, session);
}

static const struct store_ops filter_ops = {
	.close = filter_close,
	.change = filter_change,
	.account_get = filter_account_get,
	.container_stat = filter_container_stat,
	.container_list = filter_container_list,
	.blob_stat = filter_blob_stat,
	.blob_list = filter_blob_list,
	.tags_find = filter_tags_find,
	.block_list = filter_block_list,
	.copies_list = filter_copies_list,
	.page_list = filter_page_list,
	.read_open = filter_read_open,
	.read_map = filter_read_map,
	.read_at = filter_read_at,
	.read_close = filter_read_close,
	.upload_begin = filter_upload_begin,
	.upload_write = filter_upload_write,
	.upload_digest = filter_upload_digest,
	.upload_read = filter_upload_read,
	.upload_abort = filter_upload_abort,
	.effect_lookup = filter_effect_lookup,
	.effect_forget = filter_effect_forget,
	.effect_forget_session = filter_effect_forget_session,
};

struct store *filter_new(const struct filter_hooks *hooks, void *state, struct store *next,
			 char *error, size_t error_size)
{
	struct filter *f = calloc(1, sizeof(*f));
	struct filter none = { .state = state };

	if (!f) {
		snprintf(error, error_size, "filter %s: out of memory", hooks->name);
		if (hooks->end)
			hooks->end(&none);
		return NULL;
	}
	f->ops = filter_ops;
	f->ops.name = hooks->name;
	f->store.ops = &f->ops;
	f->next = next;
	f->hooks = hooks;
	f->state = state;
	if (next->ops->rest)
		filter_rest_init(f);
	return &f->store;
}
