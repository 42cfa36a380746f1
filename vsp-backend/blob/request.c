// SPDX-License-Identifier: MIT
#include "request.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../base/base64.h"
#include "httpdate.h"
#include "settings.h"

struct store_ref rq_ref(const struct rq *rq)
{
	return (struct store_ref){ .account = rq->target.account,
				   .container = rq->target.container,
				   .blob = rq->target.blob,
				   .snapshot = rq->snapshot,
				   .version = rq->version };
}

const char *rq_header(const struct rq *rq, const char *name, char *out, size_t room)
{
	const struct head_str *value = head_get(rq->head, name);

	if (!value || value->length >= room)
		return NULL;
	memcpy(out, value->at, value->length);
	out[value->length] = 0;
	return out;
}

bool version_good(const char *v)
{
	for (int i = 0; i < 10; i++)
		if (i == 4 || i == 7 ? v[i] != '-' : v[i] < '0' || v[i] > '9')
			return false;
	return strcmp(v, VERSION_OLDEST) >= 0;
}

bool rq_since(const struct rq *rq, const char *version)
{
	return strcmp(rq->to.version, version) >= 0;
}

/* ------------------------------------------------------------------- errors */

struct svc_answer *rq_fail(const struct rq *rq, enum err err)
{
	return err_answer(&rq->to, err, NULL);
}

struct svc_answer *rq_fail_store(const struct rq *rq, enum store_error error)
{
	return err_answer(&rq->to, err_of_store_at(error, rq->target.blob), NULL);
}

/* Values that are cut or not UTF-8 would make bad XML: only the name is repeated then. */
static struct svc_answer *fail_named(const struct rq *rq, enum err err, const char *name_element,
				     const char *value_element, const char *name, const char *value)
{
	struct err_detail details[3] = { { name_element, name }, { NULL, NULL } };

	if (value && target_is_utf8(value, strlen(value)))
		details[1] = (struct err_detail){ value_element, value };
	return err_answer(&rq->to, err, details);
}

struct svc_answer *rq_fail_header(const struct rq *rq, enum err err, const char *name)
{
	char value[512];

	return fail_named(rq, err, "HeaderName", "HeaderValue", name,
			  rq_header(rq, name, value, sizeof(value)));
}

struct svc_answer *rq_fail_param(const struct rq *rq, enum err err, const char *name)
{
	return fail_named(rq, err, "QueryParameterName", "QueryParameterValue", name,
			  target_param(&rq->target, name));
}

struct svc_answer *rq_unsupported(const struct rq *rq, const char *what)
{
	struct err_detail details[2] = { { "NotSupported", what }, { NULL, NULL } };

	return err_answer(&rq->to, ERR_NOT_IMPLEMENTED, details);
}

/* --------------------------------------------------------------- conditions */

static const char *const condition_names[] = { "If-Match", "If-None-Match", "If-Modified-Since",
					       "If-Unmodified-Since" };

/* "0x8D..." in quotes or without; whatever else was not made by us and fits nothing */
static uint64_t parse_etag(const char *text, size_t length)
{
	uint64_t value = 0;

	if (length == 1 && *text == '*')
		return STORE_ETAG_ANY;
	if (length >= 2 && text[0] == '"' && text[length - 1] == '"') {
		text++;
		length -= 2;
	}
	if (length < 3 || length > 18 || strncasecmp(text, "0x", 2) != 0)
		return STORE_ETAG_INVALID;
	for (size_t i = 2; i < length; i++) {
		char c = text[i];
		unsigned int digit;

		if (c >= '0' && c <= '9')
			digit = (unsigned int)(c - '0');
		else if (c >= 'A' && c <= 'F')
			digit = (unsigned int)(c - 'A') + 10;
		else
			return STORE_ETAG_INVALID;
		value = value << 4 | digit;
	}
	return value == STORE_ETAG_ANY ? STORE_ETAG_INVALID : value;
}

/* A list with commas between.  Returns how many, 0 when there are too many or an empty one. */
static size_t parse_etags(const struct head_str *text, uint64_t etags[CONDITIONS_MAX_ETAGS])
{
	const char *at = text->at, *end = text->at + text->length;
	size_t n = 0;

	for (;;) {
		const char *comma = memchr(at, ',', (size_t)(end - at));
		const char *stop = comma ? comma : end;

		while (at < stop && (*at == ' ' || *at == '\t'))
			at++;
		while (stop > at && (stop[-1] == ' ' || stop[-1] == '\t'))
			stop--;
		if (stop == at || n == CONDITIONS_MAX_ETAGS)
			return 0;
		etags[n++] = parse_etag(at, (size_t)(stop - at));
		if (!comma)
			return n;
		at = comma + 1;
	}
}

struct svc_answer *conditions_parse(const struct rq *rq, struct conditions *c)
{
	const struct head_str *value[4];
	unsigned int set = 0;
	time_t seconds;

	memset(c, 0, sizeof(*c));
	for (unsigned int i = 0; i < 4; i++) {
		value[i] = head_get(rq->head, condition_names[i]);
		if (!value[i])
			continue;
		if (head_count(rq->head, condition_names[i]) > 1)
			return rq_fail(rq, ERR_MULTIPLE_CONDITION_HEADERS);
		set |= 1u << i;
	}
	conditions_lease(rq, c);
	c->store.tags = rq->if_tags;
	c->any = set || rq->auth.create_only || c->store.lease || c->store.tags;
	/* the commit must see to it, and only conditions are looked at there */
	if (rq->auth.create_only && !value[1]) {
		c->none_match[0] = STORE_ETAG_ANY;
		c->store.if_none_match = c->none_match;
		c->store.if_none_match_count = 1;
	}
	if (!set)
		return NULL;
	/* two that contradict or repeat each other; the reference allows only these two pairs */
	if ((set & (set - 1)) && set != (1u << 0 | 1u << 3) && set != (1u << 1 | 1u << 2))
		return rq_fail(rq, ERR_MULTIPLE_CONDITION_HEADERS);
	if (value[0]) {
		c->store.if_match = c->match;
		c->store.if_match_count = parse_etags(value[0], c->match);
		if (!c->store.if_match_count)
			return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, condition_names[0]);
	}
	if (value[1]) {
		c->store.if_none_match = c->none_match;
		c->store.if_none_match_count = parse_etags(value[1], c->none_match);
		if (!c->store.if_none_match_count)
			return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, condition_names[1]);
	}
	if (value[2]) {
		if (!httpdate_parse(value[2]->at, value[2]->length, &seconds))
			return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, condition_names[2]);
		c->store.has_if_modified_since = true;
		c->store.if_modified_since = seconds;
	}
	if (value[3]) {
		if (!httpdate_parse(value[3]->at, value[3]->length, &seconds))
			return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, condition_names[3]);
		c->store.has_if_unmodified_since = true;
		c->store.if_unmodified_since = seconds;
	}
	return NULL;
}

/* The reference: for containers only the two dates. */
struct svc_answer *conditions_of_container(const struct rq *rq, struct conditions *conditions,
					   bool unmodified_too)
{
	struct svc_answer *answer = conditions_parse(rq, conditions);

	if (answer)
		return answer;
	if (conditions->store.if_match_count)
		return rq_fail_header(rq, ERR_CONDITION_HEADERS_NOT_SUPPORTED, "If-Match");
	if (conditions->store.if_none_match_count)
		return rq_fail_header(rq, ERR_CONDITION_HEADERS_NOT_SUPPORTED, "If-None-Match");
	if (!unmodified_too && conditions->store.has_if_unmodified_since)
		return rq_fail_header(rq, ERR_CONDITION_HEADERS_NOT_SUPPORTED,
				      "If-Unmodified-Since");
	return NULL;
}

void conditions_lease(const struct rq *rq, struct conditions *c)
{
	if (!rq->has_lease)
		return;
	memcpy(c->lease, rq->lease, sizeof(c->lease));
	c->store.lease = c->lease;
}

struct svc_answer *rq_check_lease(const struct rq *rq, const struct store_lease *lease)
{
	enum store_error error;

	if (!rq->has_lease)
		return NULL;
	error = store_lease_check(rq->lease, STORE_READ, true, lease, store_now_ns());
	return error == STORE_OK ? NULL : rq_fail_store(rq, error);
}

struct svc_answer *conditions_refuse(const struct rq *rq)
{
	for (size_t i = 0; i < 4; i++)
		if (head_get(rq->head, condition_names[i]))
			return rq_fail_header(rq, ERR_CONDITION_HEADERS_NOT_SUPPORTED,
					      condition_names[i]);
	return NULL;
}

/* -------------------------------------------------------- headers, metadata */

struct svc_answer *headers_parse(const struct rq *rq, bool plain, struct headers *h)
{
	/* Content-Disposition has no plain form in the reference */
	static const char *const names[5][2] = {
		{ "x-ms-blob-content-type", "Content-Type" },
		{ "x-ms-blob-content-encoding", "Content-Encoding" },
		{ "x-ms-blob-content-language", "Content-Language" },
		{ "x-ms-blob-content-disposition", NULL },
		{ "x-ms-blob-cache-control", "Cache-Control" },
	};
	const char **fields[5] = { &h->store.content_type, &h->store.content_encoding,
				   &h->store.content_language, &h->store.content_disposition,
				   &h->store.cache_control };
	const struct head_str *md5 = head_get(rq->head, "x-ms-blob-content-md5");

	memset(h, 0, sizeof(*h));
	for (unsigned int i = 0; i < 5; i++) {
		const char *name = names[i][0];
		const struct head_str *value = head_get(rq->head, name);

		if (!value && plain && names[i][1]) {
			name = names[i][1];
			value = head_get(rq->head, name);
		}
		if (!value || !value->length)
			continue;
		if (!target_is_utf8(value->at, value->length)) {
			headers_free(h);
			return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, name);
		}
		h->text[i] = strndup(value->at, value->length);
		if (!h->text[i]) {
			headers_free(h);
			return rq_fail(rq, ERR_SERVER_BUSY);
		}
		*fields[i] = h->text[i];
	}
	/* empty, as AzCopy has it, is as good as absent */
	if (md5 && md5->length) {
		if (!checksums_md5(md5, h->store.md5)) {
			headers_free(h);
			return rq_fail_header(rq, ERR_INVALID_MD5, "x-ms-blob-content-md5");
		}
		h->store.has_md5 = true;
	}
	return NULL;
}

void headers_free(struct headers *h)
{
	for (size_t i = 0; i < 5; i++) {
		free(h->text[i]);
		h->text[i] = NULL;
	}
}

/* Azure: names "must adhere to the naming rules for C# identifiers". */
static bool metadata_name_good(const char *name, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		char c = name[i];
		bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';

		if (!letter && !(i && c >= '0' && c <= '9'))
			return false;
	}
	return true;
}

struct svc_answer *metadata_parse(const struct rq *rq, struct azb_buf *out)
{
	static const char prefix[] = "x-ms-meta-";
	const size_t skip = sizeof(prefix) - 1;
	enum err err = ERR_NONE;
	size_t total = 0;

	for (size_t i = 0; i < rq->head->field_count && !err; i++) {
		const struct head_field *f = &rq->head->field[i];
		const char *name = f->name.at + skip;
		const char *known, *value;
		size_t at = 0, length;
		struct store_meta meta;

		if (f->name.length < skip || strncasecmp(f->name.at, prefix, skip) != 0)
			continue;
		length = f->name.length - skip;
		if (!length)
			err = ERR_EMPTY_METADATA_KEY;
		else if (!metadata_name_good(name, length))
			err = ERR_INVALID_METADATA;
		for (size_t k = 0; k < f->value.length && !err; k++)
			if ((unsigned char)f->value.at[k] >= 0x80)
				err = ERR_INVALID_METADATA;
		meta = (struct store_meta){ out->data, out->length };
		while (!err && store_meta_next(&meta, &at, &known, &value))
			if (strlen(known) == length && !strncasecmp(known, name, length))
				err = ERR_INVALID_METADATA;
		total += length + f->value.length;
		if (!err && total > METADATA_MAX_BYTES)
			err = ERR_METADATA_TOO_LARGE;
		azb_buf_add(out, name, length);
		azb_buf_add(out, "", 1);
		azb_buf_add(out, f->value.at, f->value.length);
		azb_buf_add(out, "", 1);
	}
	if (!err && out->failed)
		err = ERR_SERVER_BUSY;
	if (!err)
		return NULL;
	azb_buf_free(out);
	return rq_fail(rq, err);
}

struct svc_answer *public_access_parse(const struct rq *rq, enum store_public *access)
{
	const struct head_str *value = head_get(rq->head, "x-ms-blob-public-access");

	*access = STORE_PUBLIC_NONE;
	if (!value)
		return NULL;
	if (head_str_is_nocase(value, "blob"))
		*access = STORE_PUBLIC_BLOB;
	else if (head_str_is_nocase(value, "container"))
		*access = STORE_PUBLIC_CONTAINER;
	else
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "x-ms-blob-public-access");
	return NULL;
}

const char *public_access_name(enum store_public access)
{
	switch (access) {
	case STORE_PUBLIC_BLOB:
		return "blob";
	case STORE_PUBLIC_CONTAINER:
		return "container";
	case STORE_PUBLIC_NONE:
		break;
	}
	return NULL;
}

/* ---------------------------------------------------------------- checksums */

bool checksums_md5(const struct head_str *text, uint8_t md5[16])
{
	uint8_t bytes[18];

	if (text->length != AZB_BASE64_LENGTH(16) ||
	    azb_base64_decode(bytes, sizeof(bytes), text->at, text->length) != 16)
		return false;
	memcpy(md5, bytes, 16);
	return true;
}

struct svc_answer *checksums_parse(const struct rq *rq, struct checksums *sums)
{
	const struct head_str *md5 = head_get(rq->head, "Content-MD5");
	const struct head_str *crc64 = head_get(rq->head, "x-ms-content-crc64");
	uint8_t bytes[9];

	memset(sums, 0, sizeof(*sums));
	if (md5 && crc64)
		return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "x-ms-content-crc64");
	/* empty, as AzCopy has it, is as good as absent */
	if (md5 && md5->length) {
		if (!checksums_md5(md5, sums->md5))
			return rq_fail_header(rq, ERR_INVALID_MD5, "Content-MD5");
		sums->has_md5 = true;
	}
	if (crc64) {
		if (azb_base64_decode(bytes, sizeof(bytes), crc64->at, crc64->length) != 8)
			return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "x-ms-content-crc64");
		for (int i = 7; i >= 0; i--)
			sums->crc64 = sums->crc64 << 8 | bytes[i];
		sums->has_crc64 = true;
	}
	return NULL;
}

/* ------------------------------------------------------------------- ranges */

static bool number(const char **at, const char *end, uint64_t *value)
{
	const char *start = *at;

	*value = 0;
	for (; *at < end && **at >= '0' && **at <= '9'; (*at)++) {
		if (*value > (UINT64_MAX - 9) / 10)
			return false;
		*value = *value * 10 + (uint64_t)(**at - '0');
	}
	return *at != start;
}

bool range_parse(const char *text, size_t length, struct range *range)
{
	const char *at = text + 6, *end = text + length;

	if (length < 8 || strncasecmp(text, "bytes=", 6) != 0)
		return false;
	if (!number(&at, end, &range->first) || at == end || *at++ != '-')
		return false;
	range->last = UINT64_MAX;
	if (at != end && (!number(&at, end, &range->last) || at != end))
		return false;
	if (range->last < range->first)
		return false;
	range->given = true;
	return true;
}

struct svc_answer *range_of(const struct rq *rq, struct range *range)
{
	const struct head_str *ours = head_get(rq->head, "x-ms-range");
	const struct head_str *plain = head_get(rq->head, "Range");

	memset(range, 0, sizeof(*range));
	if (ours) {
		if (!range_parse(ours->at, ours->length, range))
			return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "x-ms-range");
	} else if (plain && !range_parse(plain->at, plain->length, range)) {
		/* RFC 9110, 14.2: a Range that is not understood is as if it were absent */
		range->given = false;
	}
	return NULL;
}

/* ------------------------------------------------------------------ changes */

struct recording {
	const struct answer_to *to;
	change_answer *make;
	void *context;
	struct svc_answer *answer;
};

/* The bytes of an effect record: the head, then the body (of changes it is short or none). */
static size_t record(void *context, const struct store_result *result, void *bytes, size_t room)
{
	struct recording *r = context;
	const struct answer *a;
	size_t head;

	r->answer = r->make(r->to, result, r->context);
	/* no memory for the answer: then the change must not happen */
	if (r->answer->status == 503)
		return room + 1;
	a = (const struct answer *)r->answer;
	head = svc_answer_head(r->answer, NULL, 0, bytes, room);
	if (head + r->answer->body_length > room)
		return room + 1;
	if (r->answer->body_length)
		memcpy((char *)bytes + head, a->body.data, r->answer->body_length);
	return head + r->answer->body_length;
}

/* What the account keeps goes along with every change. */
enum store_error account_keep(struct svc *svc, struct store_change *change)
{
	struct accounts *accounts = svc_accounts(svc);
	const struct account *account = accounts_find(accounts, change->ref.account);

	change->keep.versions = account && account->versions;
	accounts_put(accounts);
	change->keep.container_ns = svc->retain_containers_ns;
	return settings_keep(svc->settings, change->ref.account, &change->keep);
}

struct svc_answer *change_run(struct svc *svc, const struct answer_to *to,
			      const struct svc_caller *caller, struct store_change *change,
			      change_answer *make, void *context, enum store_error *error)
{
	struct recording recording = { .to = to, .make = make, .context = context };
	struct store_effect effect = { .render = record, .context = &recording };
	struct store_result result = { 0 };

	if (caller->session) {
		memcpy(effect.session, caller->session, sizeof(effect.session));
		effect.request = caller->request;
		change->effect = &effect;
	}
	*error = account_keep(svc, change);
	if (*error != STORE_OK)
		return NULL;
	*error = store_change(svc->store, change, &result);
	if (*error != STORE_OK) {
		svc_answer_put(recording.answer);
		return NULL;
	}
	if (!recording.answer)
		return make(to, &result, context);
	recording.answer->replayable = true;
	return recording.answer;
}

struct svc_answer *change_answer_state(const struct answer_to *to,
				       const struct store_result *result, void *context)
{
	const unsigned int *status = context;
	struct answer *a = answer_new(to, *status);

	answer_add_etag(a, result->etag);
	answer_add_time(a, "Last-Modified", result->modified_ns);
	answer_add(a, "x-ms-request-server-encrypted", "false");
	return answer_done(a, to);
}
