// SPDX-License-Identifier: MIT
/* Filters in front of a store that takes whole requests. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blob/target.h"
#include "door/head.h"
#include "filter/filter.h"

struct filter_answer {
	struct rest_answer answer;
	struct filter *filter;
	struct rest_answer *inner;
};

/* @call: the change that finish() is; its strings are in @names. */
struct filter_rest_upload {
	struct rest_upload upload;
	struct filter *filter;
	struct rest_upload *inner;
	enum store_error failed; /* what a hook said, and fail() says again */
	struct filter_call call;
	char *names[4];
};

static struct filter *to_filter(struct store *store)
{
	return (struct filter *)(void *)store;
}

/* What the caller of a whole request sees of a store's error. */
static void make_error(enum store_error error, struct rest_error *out)
{
	*out = (struct rest_error){ .status = 500, .code = "InternalError" };
	if (error == STORE_NO_SPACE) {
		out->status = 507;
		out->code = "InsufficientStorage";
	} else if (error == STORE_SHUTDOWN || error == STORE_NO_MEMORY) {
		out->status = 503;
		out->code = "ServerBusy";
	} else if (error == STORE_BLOB_NOT_FOUND) {
		out->status = 404;
		out->code = "BlobNotFound";
	}
	snprintf(out->message, sizeof(out->message), "A filter failed the request: %s.",
		 store_error_name(error));
}

static int to_errno(enum store_error error)
{
	return error == STORE_NO_SPACE ? -ENOSPC : error == STORE_NO_MEMORY ? -ENOMEM : -EIO;
}

static enum filter_verb verb_of(const struct rest_request *request)
{
	const char *comp = target_param(request->target, "comp");

	if (!head_str_is(&request->head->method, "GET") &&
	    !head_str_is(&request->head->method, "HEAD"))
		return FILTER_CHANGE;
	return comp && (strstr(comp, "list") || !strcmp(comp, "blobs")) ? FILTER_LIST : FILTER_OPEN;
}

/* Of a body that came whole. */
static ssize_t copy_out(const struct azb_buf *body, uint64_t offset, const struct iovec *iov,
			int count)
{
	ssize_t total = 0;

	for (int i = 0; i < count && offset < body->length; i++) {
		size_t n = body->length - (size_t)offset;

		if (n > iov[i].iov_len)
			n = iov[i].iov_len;
		memcpy(iov[i].iov_base, body->data + offset, n);
		offset += n;
		total += (ssize_t)n;
	}
	return total;
}

static ssize_t answer_read(struct rest_answer *answer, uint64_t offset, const struct iovec *iov,
			   int count)
{
	struct filter_answer *a = (struct filter_answer *)(void *)answer;
	struct filter_call call = { .verb = FILTER_READ, .what = "read", .offset = offset };
	enum store_error error;
	uint64_t start;
	ssize_t got, left;

	for (int i = 0; i < count; i++)
		call.length += iov[i].iov_len;
	error = filter_before(a->filter, &call, &start);
	if (error)
		return to_errno(error);
	got = a->inner->read ? a->inner->read(a->inner, offset, iov, count)
			     : copy_out(&a->inner->body, offset, iov, count);
	error = filter_after(a->filter, &call, got < 0 ? STORE_IO : STORE_OK, start);
	if (error)
		return got < 0 ? got : to_errno(error);
	left = got;
	for (int i = 0; a->filter->hooks->bytes && i < count && left > 0; i++) {
		size_t n = iov[i].iov_len < (size_t)left ? iov[i].iov_len : (size_t)left;

		a->filter->hooks->bytes(a->filter, &call, iov[i].iov_base, n);
		left -= (ssize_t)n;
	}
	return got;
}

static void answer_close(struct rest_answer *answer)
{
	struct filter_answer *a = (struct filter_answer *)(void *)answer;

	a->inner->close(a->inner);
	azb_buf_free(&a->answer.headers);
	azb_buf_free(&a->answer.body);
	free(a);
}

/* Wraps a blob's bytes, so that reading them is a call; other answers go on as they are. */
static struct rest_answer *wrap(struct filter *f, enum filter_verb verb, struct rest_answer *inner,
				struct rest_error *error)
{
	struct filter_answer *a;

	if (!inner || verb != FILTER_OPEN || inner->status >= 300 ||
	    (!inner->read && !inner->body.length))
		return inner;
	a = calloc(1, sizeof(*a));
	if (!a) {
		inner->close(inner);
		make_error(STORE_NO_MEMORY, error);
		return NULL;
	}
	a->answer = *inner;
	/* whoever gets it may keep these */
	memset(&inner->headers, 0, sizeof(inner->headers));
	memset(&a->answer.body, 0, sizeof(a->answer.body));
	if (!inner->read)
		a->answer.body_length = inner->body.length;
	a->answer.read = answer_read;
	a->answer.piece = NULL;
	a->answer.close = answer_close;
	a->filter = f;
	a->inner = inner;
	return &a->answer;
}

static void upload_free(struct filter_rest_upload *u)
{
	for (size_t i = 0; i < sizeof(u->names) / sizeof(*u->names); i++)
		free(u->names[i]);
	free(u);
}

static int upload_write(struct rest_upload *upload, uint64_t offset, const struct iovec *iov,
			int count, unsigned int flags, const uint64_t *expect, uint64_t *crc64)
{
	struct filter_rest_upload *u = (struct filter_rest_upload *)(void *)upload;
	struct filter_call call = { .verb = FILTER_WRITE, .what = "write", .offset = offset };
	enum store_error error;
	uint64_t start;
	int result;

	for (int i = 0; i < count; i++)
		call.length += iov[i].iov_len;
	error = filter_before(u->filter, &call, &start);
	if (!error) {
		result = u->inner->ops->write(u->inner, offset, iov, count, flags, expect, crc64);
		error = filter_after(u->filter, &call, result ? STORE_IO : STORE_OK, start);
		if (result)
			return result;
	}
	if (!error)
		return 0;
	u->failed = error;
	return -EIO;
}

/* The change itself, with hooks around it. */
static struct rest_answer *upload_finish(struct rest_upload *upload, struct rest_error *error,
					 bool *incomplete)
{
	struct filter_rest_upload *u = (struct filter_rest_upload *)(void *)upload;
	struct rest_answer *answer = NULL;
	enum store_error failed, done;
	uint64_t start;

	*incomplete = false;
	failed = filter_before(u->filter, &u->call, &start);
	if (failed) {
		u->inner->ops->abort(u->inner);
	} else {
		answer = u->inner->ops->finish(u->inner, error, incomplete);
		if (*incomplete)
			return answer;
		done = answer ? STORE_OK : STORE_IO;
		failed = filter_after(u->filter, &u->call, done, start);
		if (done)
			failed = STORE_OK; /* the store has said what is wrong */
	}
	upload_free(u);
	if (!failed)
		return answer;
	if (answer)
		answer->close(answer);
	make_error(failed, error);
	return NULL;
}

static struct rest_answer *upload_fail(struct rest_upload *upload, struct rest_error *error)
{
	struct filter_rest_upload *u = (struct filter_rest_upload *)(void *)upload;

	if (!u->failed)
		return u->inner->ops->fail(u->inner, error);
	make_error(u->failed, error);
	return NULL;
}

static void upload_abort(struct rest_upload *upload)
{
	struct filter_rest_upload *u = (struct filter_rest_upload *)(void *)upload;

	u->inner->ops->abort(u->inner);
	upload_free(u);
}

static const struct rest_upload_ops upload_ops = {
	.write = upload_write,
	.finish = upload_finish,
	.fail = upload_fail,
	.abort = upload_abort,
};

static enum rest_auth rest_auth(struct store *store, const struct rest_request *request)
{
	struct store *next = to_filter(store)->next;

	return next->ops->rest->auth(next, request);
}

static bool keep_name(char **kept, const char *name, const char **out)
{
	if (!name)
		return true;
	*kept = strdup(name);
	*out = *kept;
	return *kept != NULL;
}

/* Takes @inner over; NULL: out of memory. */
static struct rest_upload *make_upload(struct filter *f, const struct filter_call *call,
				       struct rest_upload *inner)
{
	struct filter_rest_upload *u = calloc(1, sizeof(*u));

	if (!u) {
		inner->ops->abort(inner);
		return NULL;
	}
	u->upload.ops = &upload_ops;
	u->upload.length = inner->length;
	u->filter = f;
	u->inner = inner;
	u->call.verb = call->verb;
	if (keep_name(&u->names[0], call->what, &u->call.what) &&
	    keep_name(&u->names[1], call->account, &u->call.account) &&
	    keep_name(&u->names[2], call->container, &u->call.container) &&
	    keep_name(&u->names[3], call->blob, &u->call.blob))
		return &u->upload;
	upload_abort(&u->upload);
	return NULL;
}

/*
 * A request without a body is done here.  One with a body begins here, and is done by finish():
 * there its hooks are, unless the store answers before it wants the body.
 */
static struct rest_answer *rest_request(struct store *store, const struct rest_request *request,
					struct rest_upload **upload, struct rest_error *failed)
{
	struct filter *f = to_filter(store);
	char method[16];
	struct filter_call call = { .verb = verb_of(request),
				    .what = method,
				    .account = request->target->account,
				    .container = request->target->container,
				    .blob = request->target->blob };
	bool begins = call.verb == FILTER_CHANGE && request->head->content_length > 0;
	struct rest_answer *answer = NULL;
	enum store_error error = STORE_OK, done;
	uint64_t start;

	*upload = NULL;
	snprintf(method, sizeof(method), "%.*s", (int)request->head->method.length,
		 request->head->method.at);
	if (!begins)
		error = filter_before(f, &call, &start);
	if (!error) {
		answer = f->next->ops->rest->request(f->next, request, upload, failed);
		if (begins) {
			if (*upload) {
				*upload = make_upload(f, &call, *upload);
				if (!*upload)
					make_error(STORE_NO_MEMORY, failed);
			}
			return answer;
		}
		done = answer || *upload ? STORE_OK : STORE_IO;
		error = filter_after(f, &call, done, start);
		if (done)
			return NULL; /* the store has said what is wrong */
		if (error && answer)
			answer->close(answer);
		if (error && *upload)
			(*upload)->ops->abort(*upload);
	}
	if (error) {
		*upload = NULL;
		make_error(error, failed);
		return NULL;
	}
	return wrap(f, call.verb, answer, failed);
}

/* In the store's own name, so no caller's call for a hook to see. */
static bool rest_acl(struct store *store, const char *container, struct azb_buf *xml,
		     struct rest_error *error)
{
	struct store *next = to_filter(store)->next;

	return next->ops->rest->acl(next, container, xml, error);
}

static bool rest_reload(struct store *store, char *error, size_t error_size)
{
	struct store *next = to_filter(store)->next;

	return next->ops->rest->reload(next, error, error_size);
}

static void rest_keep(struct store *store, const uint8_t session[16], uint64_t request,
		      const void *bytes, size_t length)
{
	struct store *next = to_filter(store)->next;

	next->ops->rest->keep(next, session, request, bytes, length);
}

void filter_rest_init(struct filter *f)
{
	f->rest = (struct rest_ops){ .auth = rest_auth,
				     .request = rest_request,
				     .acl = rest_acl,
				     .reload = rest_reload,
				     .keep = rest_keep };
	f->ops.rest = &f->rest;
}
