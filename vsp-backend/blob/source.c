// SPDX-License-Identifier: MIT
#include "source.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../base/base64.h"
#include "auth.h"
#include "blobid.h"
#include "fetch.h"
#include "lease.h"
#include "permit.h"

/* Copied at a time. */
#define BYTES_STEP (256u * 1024u)

/**
 * struct source - a GET that nobody sent, so that the same code checks it
 * @text: what the head's strings are in; zero-terminated pieces.
 * @remote: on another host; then the text is all there is.
 * @conditions: point into this struct.
 */
struct source {
	struct head head;
	struct rq rq;
	char *text;
	char *shown;
	bool remote;
	struct conditions conditions;
};

static struct svc_answer *refuse(const struct rq *rq, unsigned int status, const char *message)
{
	return err_answer_text(&rq->to, status, "CannotVerifyCopySource", message, NULL);
}

struct svc_answer *source_fail(const struct rq *rq, enum store_error error)
{
	switch (error) {
	case STORE_BLOB_NOT_FOUND:
	case STORE_CONTAINER_NOT_FOUND:
	case STORE_SOURCE_NOT_FOUND:
		return refuse(rq, 404, "The specified blob does not exist.");
	case STORE_NOT_MODIFIED:
	case STORE_CONDITION_NOT_MET:
		return rq_fail(rq, ERR_SOURCE_CONDITION_NOT_MET);
	default:
		return rq_fail_store(rq, error);
	}
}

/* ------------------------------------------------------------------ the URL */

/* The name up to the port, and the port or "". */
static void split_host(const char *host, size_t length, size_t *name, const char **port)
{
	const char *colon = memrchr(host, ':', length);

	if (colon && memchr(colon, ']', length - (size_t)(colon - host)))
		colon = NULL;
	*name = colon ? (size_t)(colon - host) : length;
	*port = colon ? colon : host + length;
}

static bool is_name(const char *host, size_t length, const char *name)
{
	return strlen(name) == length && !strncasecmp(host, name, length);
}

/* This machine under one of the names it always has. */
static bool is_here(const char *host, size_t length)
{
	return is_name(host, length, "localhost") || is_name(host, length, "127.0.0.1") ||
	       is_name(host, length, "[::1]");
}

/*
 * Is @host this service?  It is if the request itself came to that name, or to one that differs in
 * the account alone (a.blob.example, b.blob.example).
 */
static bool is_own(const struct rq *rq, const char *host, size_t length)
{
	const struct head_str *own = head_get(rq->head, "Host");
	const char *port, *own_port, *dot, *own_dot;
	size_t name, own_name;

	if (!own)
		return false;
	if (own->length == length && !strncasecmp(own->at, host, length))
		return true;
	split_host(host, length, &name, &port);
	split_host(own->at, own->length, &own_name, &own_port);
	if ((size_t)(host + length - port) != (size_t)(own->at + own->length - own_port) ||
	    strncmp(port, own_port, (size_t)(host + length - port)) != 0)
		return false;
	if (is_here(host, name) && is_here(own->at, own_name))
		return true;
	dot = memchr(host, '.', name);
	own_dot = memchr(own->at, '.', own_name);
	if (!dot || !own_dot || strncasecmp(dot, ".blob.", 6) != 0)
		return false;
	return (size_t)(host + name - dot) == (size_t)(own->at + own_name - own_dot) &&
	       !strncasecmp(dot, own_dot, (size_t)(host + name - dot));
}

static void add_field(struct head *head, const char *name, const char *value, size_t length)
{
	head->field[head->field_count++] =
		(struct head_field){ { name, strlen(name) }, { value, length } };
}

/* Makes the head of a GET of the URL in @source->text. */
static struct svc_answer *make_head(struct rq *rq, struct source *source)
{
	static const char method[] = "GET";
	const struct head_str *token = head_get(rq->head, "x-ms-copy-source-authorization");
	struct head *head = &source->head;
	char *url = source->text, *host, *path;

	if (!strncasecmp(url, "https://", 8))
		host = url + 8;
	else if (!strncasecmp(url, "http://", 7))
		host = url + 7;
	else
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "x-ms-copy-source");
	path = strchr(host, '/');
	if (!path || path == host || memchr(host, '@', (size_t)(path - host)))
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "x-ms-copy-source");
	if (!is_own(rq, host, (size_t)(path - host))) {
		source->remote = fetch_host_allowed(&rq->svc->sources, host, (size_t)(path - host));
		return source->remote ? NULL
				      : refuse(rq, 403,
					       "The copy source is on another host, which is not "
					       "allowed as a source here.");
	}
	head->method = (struct head_str){ method, 3 };
	head->target = (struct head_str){ path, strlen(path) };
	head->minor = 1;
	head->content_length = -1;
	add_field(head, "Host", host, (size_t)(path - host));
	add_field(head, "x-ms-version", rq->to.version, strlen(rq->to.version));
	if (token)
		add_field(head, "Authorization", token->at, token->length);
	return NULL;
}

/* The URL up to its query, and of that what names the blob. */
static char *show(const struct source *source)
{
	static const char *const kept[] = { "snapshot", "versionid" };
	struct azb_buf shown = { 0 };
	bool first = true;

	azb_buf_add(&shown, source->text, strcspn(source->text, "?"));
	for (size_t i = 0; i < 2; i++) {
		const char *value =
			source->remote ? NULL : target_param(&source->rq.target, kept[i]);

		if (value)
			azb_buf_printf(&shown, "%c%s=%s", first ? '?' : '&', kept[i], value);
		first &= !value;
	}
	if (!shown.failed)
		return shown.data;
	azb_buf_free(&shown);
	return NULL;
}

/* ------------------------------------------------------------------- rights */

static struct svc_answer *check_rights(const struct rq *rq, struct source *source)
{
	struct rq *src = &source->rq;
	struct svc_answer *answer = auth_check(src);

	if (!answer && src->auth.kind == AUTH_NONE && rq->auth.kind == AUTH_KEY &&
	    !strcmp(src->target.account, rq->target.account))
		return NULL;
	if (!answer)
		answer = permit_check(src);
	/* a condition on tags tells them too, by its outcome */
	if (!answer && (permit_tags(src) ||
			!(head_get(rq->head, "x-ms-source-if-tags") || permit_copies_tags(rq))))
		return NULL;
	svc_answer_put(answer);
	return refuse(rq, 403, "The copy source could not be read with the credentials given.");
}

static struct svc_answer *parse_target(const struct rq *rq, struct source *source)
{
	struct rq *src = &source->rq;
	const char *snapshot, *version;

	if (target_parse(&src->target, &source->head) != TARGET_OK)
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "x-ms-copy-source");
	if (!src->target.blob || !target_account_name_good(src->target.account) ||
	    !target_container_name_good(src->target.container) ||
	    !target_blob_name_good(src->target.blob, src->target.blob_length))
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "x-ms-copy-source");
	snapshot = target_param(&src->target, "snapshot");
	version = target_param(&src->target, "versionid");
	if ((snapshot && !blobid_parse(snapshot, &src->snapshot)) ||
	    (version && !blobid_parse(version, &src->version)) || (snapshot && version))
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "x-ms-copy-source");
	return NULL;
}

/* --------------------------------------------------------------- conditions */

/* The condition headers of the source under the names that the blob's own have. */
static struct svc_answer *read_conditions(const struct rq *rq, struct source *source)
{
	static const char *const names[][2] = {
		{ "x-ms-source-if-match", "If-Match" },
		{ "x-ms-source-if-none-match", "If-None-Match" },
		{ "x-ms-source-if-modified-since", "If-Modified-Since" },
		{ "x-ms-source-if-unmodified-since", "If-Unmodified-Since" },
	};
	const struct head_str *lease = head_get(rq->head, "x-ms-source-lease-id");
	const struct head_str *tags = head_get(rq->head, "x-ms-source-if-tags");
	struct rq *src = &source->rq;
	struct svc_answer *answer;
	char reason[200], *text;

	for (size_t i = 0; i < 4; i++) {
		const struct head_str *value = head_get(rq->head, names[i][0]);

		if (value)
			add_field(&source->head, names[i][1], value->at, value->length);
	}
	if (lease) {
		src->has_lease = lease_id_parse(lease->at, lease->length, src->lease);
		if (!src->has_lease)
			return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "x-ms-source-lease-id");
	}
	if (tags) {
		text = strndup(tags->at, tags->length);
		if (!text)
			return rq_fail(rq, ERR_SERVER_BUSY);
		src->if_tags = tagexpr_parse(text, false, reason, sizeof(reason));
		free(text);
		if (!src->if_tags)
			return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "x-ms-source-if-tags");
	}
	/* nothing of the source's rights must change the conditions of its state */
	src->auth.create_only = false;
	answer = conditions_parse(src, &source->conditions);
	return answer;
}

/* What only the store knows of a source, another host can't be asked for. */
static struct svc_answer *check_remote(const struct rq *rq, const struct source *source)
{
	static const char *const ours[] = { "x-ms-source-if-tags", "x-ms-source-lease-id" };

	for (size_t i = 0; i < 2; i++) {
		if (head_get(rq->head, ours[i]))
			return rq_fail_header(rq, ERR_UNSUPPORTED_HEADER, ours[i]);
	}
	/* neither blanks nor control characters belong into a URL */
	for (const char *at = source->text; *at; at++) {
		if ((unsigned char)*at <= ' ' || *at == 0x7f)
			return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "x-ms-copy-source");
	}
	return NULL;
}

/* ---------------------------------------------------------------------- all */

struct svc_answer *source_open(struct rq *rq, struct source **out)
{
	const struct head_str *url = head_get(rq->head, "x-ms-copy-source");
	struct svc_answer *answer;
	struct source *source;

	if (!url || !url->length || url->length > SOURCE_MAX_URL ||
	    !target_is_utf8(url->at, url->length))
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "x-ms-copy-source");
	source = calloc(1, sizeof(*source));
	if (!source)
		return rq_fail(rq, ERR_SERVER_BUSY);
	source->rq = (struct rq){ .svc = rq->svc,
				  .head = &source->head,
				  .caller = rq->caller,
				  .to = rq->to,
				  .accounts = rq->accounts };
	source->text = strndup(url->at, url->length);
	answer = source->text ? make_head(rq, source) : rq_fail(rq, ERR_SERVER_BUSY);
	if (!answer && !source->remote)
		answer = parse_target(rq, source);
	if (!answer && !source->remote)
		answer = check_rights(rq, source);
	if (!answer && source->remote)
		answer = check_remote(rq, source);
	else if (!answer)
		answer = read_conditions(rq, source);
	if (!answer) {
		source->shown = show(source);
		if (!source->shown)
			answer = rq_fail(rq, ERR_SERVER_BUSY);
	}
	if (answer)
		source_free(source);
	else
		*out = source;
	return answer;
}

void source_free(struct source *source)
{
	if (!source)
		return;
	target_free(&source->rq.target);
	tagexpr_free(source->rq.if_tags);
	free(source->text);
	free(source->shown);
	free(source);
}

enum store_error source_bytes(struct store *store, struct store_read *read, uint64_t offset,
			      uint64_t length, bool md5, struct store_upload **upload,
			      struct store_digest *digest)
{
	enum store_error error = store_upload_begin(
		store, length, STORE_UPLOAD_STREAM | (md5 ? STORE_UPLOAD_MD5 : 0), upload);
	uint64_t done = 0;
	void *step;

	if (error != STORE_OK) {
		*upload = NULL;
		return error;
	}
	step = malloc(BYTES_STEP);
	if (!step)
		return STORE_NO_MEMORY;
	while (error == STORE_OK && done < length) {
		struct iovec iov = { step, BYTES_STEP };

		if (iov.iov_len > length - done)
			iov.iov_len = (size_t)(length - done);
		error = store_read_at(read, offset + done, step, iov.iov_len);
		if (error == STORE_OK)
			error = store_upload_write(*upload, done, &iov, 1, STORE_WRITE_PRIVATE,
						   NULL, NULL);
		done += iov.iov_len;
	}
	free(step);
	return error == STORE_OK ? store_upload_digest(*upload, digest) : error;
}

bool source_is_remote(const struct source *source)
{
	return source->remote;
}

const char *source_url(const struct source *source)
{
	return source->text;
}

struct store_ref source_ref(const struct source *source)
{
	return rq_ref(&source->rq);
}

const struct store_conditions *source_conditions(const struct source *source)
{
	return &source->conditions.store;
}

const char *source_shown(const struct source *source)
{
	return source->shown;
}

struct svc_answer *source_sums(const struct rq *rq, struct checksums *sums)
{
	const struct head_str *md5 = head_get(rq->head, "x-ms-source-content-md5");
	const struct head_str *crc64 = head_get(rq->head, "x-ms-source-content-crc64");
	uint8_t bytes[9];

	memset(sums, 0, sizeof(*sums));
	if (md5 && crc64)
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "x-ms-source-content-crc64");
	if (md5) {
		if (!checksums_md5(md5, sums->md5))
			return rq_fail_header(rq, ERR_INVALID_MD5, "x-ms-source-content-md5");
		sums->has_md5 = true;
	}
	if (crc64) {
		if (azb_base64_decode(bytes, sizeof(bytes), crc64->at, crc64->length) != 8)
			return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE,
					      "x-ms-source-content-crc64");
		for (int i = 7; i >= 0; i--)
			sums->crc64 = sums->crc64 << 8 | bytes[i];
		sums->has_crc64 = true;
	}
	return NULL;
}
