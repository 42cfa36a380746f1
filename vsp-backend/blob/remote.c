// SPDX-License-Identifier: MIT
#include "remote.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "fetch.h"

/* Results of the callbacks besides errno's: the answer is already made, or the store failed. */
#define SAID 1
#define STORE_FAILED 2
#define HEAD_ALONE 3

struct taking {
	struct rq *rq;
	struct remote *remote;
	uint64_t expected, done;
	enum store_error error;
	struct svc_answer *answer;
};

static struct svc_answer *refuse(const struct rq *rq, unsigned int status, const char *message)
{
	return err_answer_text(&rq->to, status, "CannotVerifyCopySource", message, NULL);
}

/* -------------------------------------------------------------------- head */

/* An answer that is no success, in the language of copies. */
static struct svc_answer *not_there(const struct rq *rq, unsigned int status)
{
	char text[120];

	switch (status) {
	case 304:
	case 412:
		return rq_fail(rq, ERR_SOURCE_CONDITION_NOT_MET);
	case 416:
		return rq_fail(rq, ERR_INVALID_RANGE);
	case 401:
	case 403:
		return refuse(rq, 403,
			      "The copy source could not be read with the credentials given.");
	case 404:
		return refuse(rq, 404, "The specified blob does not exist.");
	default:
		break;
	}
	if (status >= 300 && status < 400)
		return refuse(rq, 409, "The copy source is a redirect, and none is followed here.");
	snprintf(text, sizeof(text), "The copy source's host answered with status %u.", status);
	return refuse(rq, status < 500 ? 409 : 502, text);
}

/* NULL when what comes is what was asked for. */
static struct svc_answer *check_length(const struct taking *t, const struct fetch_head *head)
{
	const struct remote *r = t->remote;
	const char *range = fetch_header(head, "content-range");
	char begin[40];

	if (head->length < 0)
		return refuse(t->rq, 409, "The copy source does not say how long it is.");
	if (r->range.given) {
		snprintf(begin, sizeof(begin), "bytes %" PRIu64 "-", r->range.first);
		if (head->status != 206 || !range || strncasecmp(range, begin, strlen(begin)) != 0)
			return refuse(t->rq, 409, "The copy source's host gives no ranges.");
	} else if (head->status != 200) {
		return refuse(t->rq, 409, "The copy source's host gave something else.");
	}
	if (r->length && (uint64_t)head->length != r->length)
		return rq_fail_header(t->rq, ERR_INVALID_HEADER_VALUE, "x-ms-source-range");
	if ((uint64_t)head->length > r->max && !r->head_only)
		return refuse(t->rq, 409, "The source is larger than this operation copies.");
	return NULL;
}

static const char *keep(struct remote *r, const struct fetch_head *head, const char *name)
{
	const char *value = fetch_header(head, name);

	return value && *value ? r->text.data + (value - head->headers.data) : NULL;
}

static void read_meta(struct remote *r)
{
	static const char prefix[] = "x-ms-meta-";
	const char *at = r->text.data, *end = at + r->text.length;

	while (at && at < end) {
		const char *value = at + strlen(at) + 1;
		const char *next = value + strlen(value) + 1;

		if (!strncmp(at, prefix, sizeof(prefix) - 1) && at[sizeof(prefix) - 1] &&
		    r->meta.length + (size_t)(next - at) <= METADATA_MAX_BYTES)
			azb_buf_add(&r->meta, at + sizeof(prefix) - 1,
				    (size_t)(next - at) - sizeof(prefix) + 1);
		at = next;
	}
}

/* What the source is, by its headers. */
static bool read_info(struct remote *r, const struct fetch_head *head)
{
	struct store_headers *h = &r->info.headers;
	const char *type = fetch_header(head, "x-ms-blob-type");

	azb_buf_add(&r->text, head->headers.data, head->headers.length);
	if (r->text.failed)
		return false;
	read_meta(r);
	r->info.type = type && !strcasecmp(type, "PageBlob")     ? STORE_PAGE_BLOB
		       : type && !strcasecmp(type, "AppendBlob") ? STORE_APPEND_BLOB
								 : STORE_BLOCK_BLOB;
	r->info.length = (uint64_t)head->length;
	r->info.meta = (struct store_meta){ r->meta.data, r->meta.length };
	r->etag = keep(r, head, "etag");
	h->content_type = keep(r, head, "content-type");
	h->content_encoding = keep(r, head, "content-encoding");
	h->content_language = keep(r, head, "content-language");
	h->content_disposition = keep(r, head, "content-disposition");
	h->cache_control = keep(r, head, "cache-control");
	return !r->meta.failed;
}

static int take_head(void *context, const struct fetch_head *head)
{
	struct taking *t = context;
	struct remote *r = t->remote;

	t->answer = head->status >= 300 ? not_there(t->rq, head->status) : check_length(t, head);
	if (!t->answer && !read_info(r, head))
		t->answer = rq_fail(t->rq, ERR_SERVER_BUSY);
	if (t->answer)
		return SAID;
	if ((uint64_t)head->length > r->max)
		return HEAD_ALONE;
	t->expected = (uint64_t)head->length;
	t->error = store_upload_begin(t->rq->svc->store, t->expected,
				      STORE_UPLOAD_STREAM | (r->md5 ? STORE_UPLOAD_MD5 : 0),
				      &r->store);
	if (t->error == STORE_OK)
		return 0;
	r->store = NULL;
	return STORE_FAILED;
}

static int take_body(void *context, const void *bytes, size_t length)
{
	struct taking *t = context;
	struct iovec iov = { (void *)(uintptr_t)bytes, length };

	if (length > t->expected - t->done)
		return -EIO;
	t->error = store_upload_write(t->remote->store, t->done, &iov, 1, STORE_WRITE_PRIVATE, NULL,
				      NULL);
	t->done += length;
	if (t->remote->progress)
		atomic_store(t->remote->progress, t->done);
	return t->error == STORE_OK ? 0 : STORE_FAILED;
}

/* -------------------------------------------------------------------- fetch */

/* The request's headers about the source, as the source's host knows them. */
static bool add_lines(struct fetch *fetch, const struct rq *rq, const struct remote *r,
		      struct azb_buf *text)
{
	static const char *const names[][2] = {
		{ "x-ms-copy-source-authorization", "Authorization" },
		{ "x-ms-source-if-match", "If-Match" },
		{ "x-ms-source-if-none-match", "If-None-Match" },
		{ "x-ms-source-if-modified-since", "If-Modified-Since" },
		{ "x-ms-source-if-unmodified-since", "If-Unmodified-Since" },
	};
	size_t at[9], count = 0;

	at[count++] = text->length;
	azb_buf_printf(text, "x-ms-version: %s%c", rq->to.version, 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const struct head_str *value = head_get(rq->head, names[i][0]);

		if (!value)
			continue;
		at[count++] = text->length;
		azb_buf_printf(text, "%s: %.*s%c", names[i][1], (int)value->length, value->at, 0);
	}
	if (r->if_match) {
		at[count++] = text->length;
		azb_buf_printf(text, "If-Match: %s%c", r->if_match, 0);
	}
	if (r->range.given) {
		at[count++] = text->length;
		azb_buf_printf(text, "Range: bytes=%" PRIu64 "-", r->range.first);
		if (r->range.last != UINT64_MAX)
			azb_buf_printf(text, "%" PRIu64, r->range.last);
		azb_buf_add(text, "", 1);
	}
	if (text->failed)
		return false;
	for (size_t i = 0; i < count; i++)
		fetch->line[fetch->line_count++] = text->data + at[i];
	return true;
}

struct svc_answer *remote_fetch(struct rq *rq, const char *url, struct remote *r)
{
	struct taking t = { .rq = rq, .remote = r };
	struct fetch fetch = { .rules = &rq->svc->sources,
			       .url = url,
			       .head = take_head,
			       .body = take_body,
			       .context = &t };
	struct azb_buf text = { 0 };
	char error[200];
	int result =
		add_lines(&fetch, rq, r, &text) ? fetch_run(&fetch, error, sizeof(error)) : -ENOMEM;

	azb_buf_free(&text);
	if (!result && t.done != t.expected)
		result = -EIO;
	if (!result) {
		t.error = store_upload_digest(r->store, &r->digest);
		if (t.error == STORE_OK)
			return NULL;
		result = STORE_FAILED;
	}
	switch (result) {
	case SAID:
		return t.answer;
	case HEAD_ALONE:
		return NULL;
	case STORE_FAILED:
		return rq_fail_store(rq, t.error);
	case -EACCES:
		return refuse(rq, 403, error);
	case -ENOMEM:
	case -ECANCELED:
		return rq_fail(rq, ERR_SERVER_BUSY);
	default:
		return refuse(rq, 502, *error ? error : "The copy source broke off.");
	}
}

void remote_free(struct remote *r)
{
	if (r->store)
		store_upload_abort(r->store);
	r->store = NULL;
	azb_buf_free(&r->text);
	azb_buf_free(&r->meta);
}
