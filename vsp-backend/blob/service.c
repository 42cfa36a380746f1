// SPDX-License-Identifier: MIT
/*
 * What every request goes through: form, version, credentials, which operation it is, and whether
 * each of its headers and parameters is one that the operation knows.  A header that
 * would change what happens and is not known is refused: doing something else than what was asked
 * for is worse than an error.
 */
#include "service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "auth.h"
#include "blobid.h"
#include "lease.h"
#include "op.h"
#include "pending.h"
#include "permit.h"
#include "relay.h"
#include "request.h"
#include "settings.h"
#include "token.h"
#include "upload.h"
#include "website.h"

/* Groups of x-ms- headers that operations take. */
enum {
	H_ALWAYS = 1 << 0,
	H_META = 1 << 1,
	H_CONTENT = 1 << 2,
	H_TYPE = 1 << 3,
	H_CRC64 = 1 << 4,
	H_RANGE = 1 << 5,
	H_LEASE = 1 << 6,
	H_SNAPSHOTS = 1 << 7,
	H_PUBLIC = 1 << 8,
	H_IF_TAGS = 1 << 9,
	H_TAGS = 1 << 10,
	H_TIER = 1 << 11,
	H_REHYDRATE = 1 << 12,
	H_LEASING = 1 << 13,
	H_SOURCE = 1 << 14,  /* x-ms-copy-source: it makes another operation of it */
	H_COPYING = 1 << 15, /* what only copies of whole blobs have */
	H_ABORT = 1 << 16,
	H_APPEND = 1 << 17,
	H_PAGE = 1 << 18,
	H_SIZE = 1 << 19,
	H_SEQUENCE = 1 << 20,
	H_SUM = 1 << 21,
	H_RESTORE = 1 << 22,
	H_FRAMED = 1 << 26, /* a structured body, in an answer */
	H_FRAMES = 1 << 27, /* and in a request: its length too */
	H_POLICY = 1 << 23,
	H_HOLD = 1 << 28,
	/* not headers: the parameters snapshot and versionid */
	P_SNAPSHOT = 1 << 24,
	P_VERSION = 1 << 25,
	P_PAST = P_SNAPSHOT | P_VERSION,
};

#define H_GUARD (H_LEASE | H_IF_TAGS) /* conditions beyond those of HTTP */

struct header_rule {
	const char *name;   /* lower case; with a "*" at the end: a prefix */
	unsigned int group; /* 0: a feature that is not here */
};

static const struct header_rule header_rules[] = {
	{ "x-ms-date", H_ALWAYS },
	{ "x-ms-version", H_ALWAYS },
	{ "x-ms-client-request-id", H_ALWAYS },
	{ "x-ms-return-client-request-id", H_ALWAYS },
	{ "x-ms-meta-*", H_META },
	{ "x-ms-blob-content-md5", H_CONTENT },
	/* Ruby's library sends it with every body; elsewhere than at H_CONTENT it is idle. */
	{ "x-ms-blob-content-type", H_CONTENT | H_ALWAYS },
	{ "x-ms-blob-content-encoding", H_CONTENT },
	{ "x-ms-blob-content-language", H_CONTENT },
	{ "x-ms-blob-content-disposition", H_CONTENT },
	{ "x-ms-blob-cache-control", H_CONTENT },
	{ "x-ms-blob-type", H_TYPE },
	{ "x-ms-content-crc64", H_CRC64 },
	{ "x-ms-range", H_RANGE },
	{ "x-ms-range-get-content-md5", H_SUM },
	{ "x-ms-range-get-content-crc64", H_SUM },
	{ "x-ms-blob-condition-appendpos", H_APPEND },
	{ "x-ms-blob-condition-maxsize", H_APPEND },
	{ "x-ms-page-write", H_PAGE },
	{ "x-ms-if-sequence-number-le", H_PAGE },
	{ "x-ms-if-sequence-number-lt", H_PAGE },
	{ "x-ms-if-sequence-number-eq", H_PAGE },
	{ "x-ms-sequence-number-action", H_SEQUENCE },
	/* Also by the library for Ruby, with page blobs; Azure knows no such header. */
	{ "x-ms-sequence-number", H_ALWAYS },
	{ "x-ms-lease-id", H_LEASE },
	{ "x-ms-lease-action", H_LEASING },
	{ "x-ms-lease-duration", H_LEASING },
	{ "x-ms-lease-break-period", H_LEASING },
	{ "x-ms-proposed-lease-id", H_LEASING },
	{ "x-ms-delete-snapshots", H_SNAPSHOTS },
	{ "x-ms-blob-public-access", H_PUBLIC },
	{ "x-ms-access-tier", H_TIER },
	{ "x-ms-blob-content-length", H_SIZE },
	{ "x-ms-blob-sequence-number", H_SIZE },
	{ "x-ms-copy-action", H_ABORT },
	{ "x-ms-copy-source", H_SOURCE },
	{ "x-ms-copy-source-authorization", H_SOURCE },
	{ "x-ms-copy-source-*", H_COPYING },
	{ "x-ms-deleted-container-name", H_RESTORE },
	{ "x-ms-deleted-container-version", H_RESTORE },
	{ "x-ms-default-encryption-scope", 0 },
	{ "x-ms-deny-encryption-scope-override", 0 },
	{ "x-ms-encryption-*", 0 },
	{ "x-ms-expiry-*", 0 },
	{ "x-ms-file-request-intent", 0 },
	{ "x-ms-if-tags", H_IF_TAGS },
	{ "x-ms-immutability-policy-until-date", H_POLICY },
	{ "x-ms-immutability-policy-mode", H_POLICY },
	{ "x-ms-legal-hold", H_HOLD },
	{ "x-ms-rehydrate-priority", H_REHYDRATE },
	{ "x-ms-requires-sync", H_COPYING },
	{ "x-ms-source-encryption-*", 0 },
	{ "x-ms-source-*", H_SOURCE },
	{ "x-ms-structured-body", H_FRAMED | H_FRAMES },
	{ "x-ms-structured-content-length", H_FRAMES },
	{ "x-ms-tags", H_TAGS },
	{ "x-ms-upn", 0 },
};

enum level {
	ACCOUNT,
	CONTAINER,
	BLOB
};

/**
 * struct op - one operation
 * @method: HEAD is the same as GET unless it has an entry of its own before it.
 * @restype, @comp: parameters that choose it, NULL for absent.
 * @headers: groups of x-ms- headers.
 */
struct op {
	const char *method;
	enum level level;
	const char *restype;
	const char *comp;
	op_run *run;
	unsigned int headers;
	bool write;
};

static const struct op ops[] = {
	{ "GET", ACCOUNT, "service", "properties", op_service_properties, 0, false },
	{ "PUT", ACCOUNT, "service", "properties", op_service_set_properties, H_CRC64, true },
	{ "GET", ACCOUNT, "service", "stats", op_service_stats, 0, false },
	{ "POST", ACCOUNT, "service", "userdelegationkey", op_delegation_key, H_CRC64, false },
	{ "GET", ACCOUNT, "account", "properties", op_account_info, 0, false },
	{ "GET", CONTAINER, "account", "properties", op_account_info, 0, false },
	{ "GET", BLOB, "account", "properties", op_account_info, 0, false },
	{ "GET", ACCOUNT, NULL, "list", op_list_containers, 0, false },
	{ "GET", ACCOUNT, NULL, "blobs", op_find_blobs, 0, false },
	{ "GET", CONTAINER, "container", "blobs", op_find_blobs, 0, false },
	{ "POST", ACCOUNT, NULL, "batch", op_batch, 0, true },
	/* The SDK for JavaScript takes the account in a path-style URL for a container. */
	{ "POST", ACCOUNT, "container", "batch", op_batch, 0, false },
	{ "POST", CONTAINER, "container", "batch", op_batch, 0, true },
	{ "PUT", CONTAINER, "container", "undelete", op_container_restore, H_RESTORE, true },
	{ "PUT", CONTAINER, "container", NULL, op_container_create, H_META | H_PUBLIC, true },
	{ "DELETE", CONTAINER, "container", NULL, op_container_delete, H_LEASE, true },
	{ "GET", CONTAINER, "container", NULL, op_container_properties, H_LEASE, false },
	{ "GET", CONTAINER, "container", "metadata", op_container_properties, H_LEASE, false },
	{ "PUT", CONTAINER, "container", "metadata", op_container_set_metadata, H_META | H_LEASE,
	  true },
	{ "GET", CONTAINER, "container", "acl", op_container_get_acl, H_LEASE, false },
	{ "PUT", CONTAINER, "container", "acl", op_container_set_acl, H_PUBLIC | H_LEASE | H_CRC64,
	  true },
	{ "GET", CONTAINER, "container", "list", op_list_blobs, 0, false },
	{ "PUT", CONTAINER, "container", "lease", op_lease, H_LEASE | H_LEASING, true },
	{ "HEAD", BLOB, NULL, NULL, op_blob_properties, H_GUARD | H_RANGE | H_SUM | P_PAST, false },
	{ "GET", BLOB, NULL, NULL, op_get_blob, H_RANGE | H_SUM | H_GUARD | P_PAST | H_FRAMED,
	  false },
	{ "GET", BLOB, NULL, "metadata", op_blob_properties, H_GUARD | P_PAST, false },
	{ "GET", BLOB, NULL, "blocklist", op_get_block_list, H_GUARD | P_PAST, false },
	{ "GET", BLOB, NULL, "tags", op_get_tags, H_GUARD | P_PAST, false },
	{ "PUT", BLOB, NULL, NULL, op_copy_blob,
	  H_META | H_CONTENT | H_TYPE | H_GUARD | H_TAGS | H_TIER | H_REHYDRATE | H_SOURCE |
		  H_COPYING | H_POLICY | H_HOLD,
	  true },
	{ "PUT", BLOB, NULL, "incrementalcopy", op_copy_incremental, H_META | H_GUARD | H_SOURCE,
	  true },
	{ "PUT", BLOB, NULL, "copy", op_abort_copy, H_LEASE | H_ABORT, true },
	{ "PUT", BLOB, NULL, "block", op_put_block_from_url, H_LEASE | H_SOURCE, true },
	{ "PUT", BLOB, NULL, "appendblock", op_append_from_url, H_APPEND | H_GUARD | H_SOURCE,
	  true },
	{ "PUT", BLOB, NULL, "page", op_put_page_from_url, H_PAGE | H_RANGE | H_GUARD | H_SOURCE,
	  true },
	{ "PUT", BLOB, NULL, NULL, op_put_blob,
	  H_META | H_CONTENT | H_TYPE | H_CRC64 | H_GUARD | H_TAGS | H_TIER | H_SIZE | H_FRAMES |
		  H_POLICY | H_HOLD,
	  true },
	{ "PUT", BLOB, NULL, "block", op_put_block, H_CRC64 | H_LEASE | H_FRAMES, true },
	{ "PUT", BLOB, NULL, "blocklist", op_put_block_list,
	  H_META | H_CONTENT | H_CRC64 | H_GUARD | H_TAGS | H_TIER | H_POLICY | H_HOLD, true },
	{ "PUT", BLOB, NULL, "metadata", op_set_metadata, H_META | H_GUARD, true },
	{ "PUT", BLOB, NULL, "properties", op_set_properties,
	  H_CONTENT | H_GUARD | H_SIZE | H_SEQUENCE, true },
	{ "PUT", BLOB, NULL, "tags", op_set_tags, H_CRC64 | H_GUARD, true },
	{ "PUT", BLOB, NULL, "tier", op_set_tier, H_TIER | H_REHYDRATE | H_GUARD, true },
	{ "PUT", BLOB, NULL, "immutabilitypolicies", op_set_policy, H_POLICY | P_PAST, true },
	{ "DELETE", BLOB, NULL, "immutabilitypolicies", op_delete_policy, P_PAST, true },
	{ "PUT", BLOB, NULL, "legalhold", op_set_hold, H_HOLD | P_PAST, true },
	{ "PUT", BLOB, NULL, "lease", op_lease, H_GUARD | H_LEASING, true },
	{ "DELETE", BLOB, NULL, NULL, op_delete_blob, H_GUARD | H_SNAPSHOTS | P_PAST, true },
	{ "PUT", BLOB, NULL, "snapshot", op_snapshot_blob, H_META | H_GUARD, true },
	{ "PUT", BLOB, NULL, "undelete", op_undelete_blob, 0, true },
	{ "PUT", BLOB, NULL, "appendblock", op_append_block,
	  H_APPEND | H_CRC64 | H_GUARD | H_FRAMES, true },
	{ "PUT", BLOB, NULL, "seal", op_append_seal, H_APPEND | H_GUARD, true },
	{ "PUT", BLOB, NULL, "page", op_put_page, H_PAGE | H_RANGE | H_CRC64 | H_GUARD | H_FRAMES,
	  true },
	{ "GET", BLOB, NULL, "pagelist", op_get_page_ranges, H_RANGE | H_GUARD | P_PAST, false },
};

static bool same(const char *a, const char *b)
{
	return a && b ? !strcasecmp(a, b) : a == b;
}

static bool method_fits(const struct op *op, const struct head_str *method)
{
	return head_str_is(method, op->method) ||
	       (head_str_is(method, "HEAD") && !strcmp(op->method, "GET"));
}

static const struct op *find_op(const struct rq *rq)
{
	const struct target *t = &rq->target;
	enum level level = t->blob ? BLOB : t->container ? CONTAINER : ACCOUNT;
	const char *restype = target_param(t, "restype");
	const char *comp = target_param(t, "comp");

	const struct op *found = NULL;

	for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
		if (ops[i].level != level || !method_fits(&ops[i], &rq->head->method) ||
		    !same(ops[i].restype, restype) || !same(ops[i].comp, comp))
			continue;
		/* with a source it is another operation, where there is one */
		if (!(ops[i].headers & H_SOURCE) == !head_get(rq->head, "x-ms-copy-source"))
			return &ops[i];
		if (!found || !(ops[i].headers & H_SOURCE))
			found = &ops[i];
	}
	return found;
}

static const struct header_rule *find_rule(const struct head_str *name)
{
	for (size_t i = 0; i < sizeof(header_rules) / sizeof(*header_rules); i++) {
		const struct header_rule *rule = &header_rules[i];
		size_t n = strlen(rule->name);

		if (rule->name[n - 1] == '*'
			    ? name->length >= n - 1 && !strncasecmp(name->at, rule->name, n - 1)
			    : head_str_is_nocase(name, rule->name))
			return rule;
	}
	return NULL;
}

static bool has_prefix(const struct head_str *name, const char *prefix)
{
	size_t n = strlen(prefix);

	return name->length >= n && !strncasecmp(name->at, prefix, n);
}

static struct svc_answer *fail_field(const struct rq *rq, enum err err, const struct head_str *name)
{
	char text[128];
	size_t n = name->length < sizeof(text) - 1 ? name->length : sizeof(text) - 1;

	memcpy(text, name->at, n);
	text[n] = 0;
	return err == ERR_NOT_IMPLEMENTED ? rq_unsupported(rq, text)
					  : rq_fail_header(rq, err, text);
}

/* Before credentials: what no request may have. */
static struct svc_answer *check_form(const struct rq *rq)
{
	const struct head *head = rq->head;

	for (size_t i = 0; i < head->field_count; i++) {
		const struct head_str *name = &head->field[i].name;

		/* ours, and only between a client and the VSP */
		if (!rq->caller->link && has_prefix(name, "Azblob-"))
			return fail_field(rq, ERR_UNSUPPORTED_HEADER, name);
		if (!has_prefix(name, "x-ms-"))
			continue;
		for (size_t k = 0; k < i; k++)
			if (head->field[k].name.length == name->length &&
			    !strncasecmp(head->field[k].name.at, name->at, name->length))
				return fail_field(rq, ERR_INVALID_HEADER_VALUE, name);
	}
	return NULL;
}

/* Which version a request is of that doesn't say it by a header; NULL: it must. */
static const char *implied_version(const struct rq *rq)
{
	const struct target *t = &rq->target;
	const char *version;

	/* the reference, "Versioning for Azure Storage": api-version, else that of the SAS */
	if (!head_get(rq->head, "Authorization") && target_param(t, "sig")) {
		version = target_param(t, "api-version");
		return version ? version : target_param(t, "sv");
	}
	if (rq->props && *rq->props->version)
		return rq->props->version;
	/* a browser at a public blob: Azure takes its oldest version */
	return head_get(rq->head, "Authorization") ? NULL : VERSION_OLDEST;
}

static struct svc_answer *check_version(struct rq *rq)
{
	const char *reason = "2018-11-09 is the oldest version that is served here; newer ones, "
			     "also those not known yet, are accepted.";
	struct err_detail details[3] = {
		{ "HeaderName", "x-ms-version" },
		{ "Reason", reason },
		{ NULL, NULL },
	};
	const char *version;

	/* a batch has said it for all of its requests */
	if (rq->sub)
		return NULL;
	if (head_get(rq->head, "x-ms-version")) {
		if (!version_good(rq->to.version))
			return err_answer(&rq->to, ERR_INVALID_HEADER_VALUE, details);
		return NULL;
	}
	version = implied_version(rq);
	if (!version)
		return err_answer(&rq->to, ERR_MISSING_REQUIRED_HEADER, details);
	if (strlen(version) >= sizeof(rq->to.version) || !version_good(version)) {
		details[0] = (struct err_detail){ "QueryParameterName",
						  target_param(&rq->target, "api-version")
							  ? "api-version"
							  : "sv" };
		return err_answer(&rq->to, ERR_INVALID_QUERY_PARAMETER_VALUE, details);
	}
	memcpy(rq->to.version, version, strlen(version) + 1);
	return NULL;
}

/* Every x-ms- header is known to the operation. */
static struct svc_answer *check_headers(struct rq *rq, const struct op *op)
{
	for (size_t i = 0; i < rq->head->field_count; i++) {
		const struct head_str *name = &rq->head->field[i].name;
		const struct header_rule *rule;

		if (!has_prefix(name, "x-ms-"))
			continue;
		rule = find_rule(name);
		if (rule && !rule->group)
			return fail_field(rq, ERR_NOT_IMPLEMENTED, name);
		if (!rule || !(rule->group & (op->headers | H_ALWAYS)))
			return fail_field(rq, ERR_UNSUPPORTED_HEADER, name);
	}
	return NULL;
}

/* They name another thing than the blob, so they are never ignored. */
static struct svc_answer *check_past(struct rq *rq, const struct op *op)
{
	static const struct {
		const char *name;
		unsigned int flag;
	} params[] = { { "snapshot", P_SNAPSHOT }, { "versionid", P_VERSION } };

	for (size_t i = 0; i < 2; i++) {
		const char *text = target_param(&rq->target, params[i].name);
		int64_t *at = i ? &rq->version : &rq->snapshot;

		if (!text)
			continue;
		if (!(op->headers & params[i].flag) || !blobid_parse(text, at))
			return rq_fail_param(rq, ERR_INVALID_QUERY_PARAMETER_VALUE, params[i].name);
	}
	/* one thing can't be both */
	if (rq->snapshot && rq->version)
		return rq_fail_param(rq, ERR_INVALID_QUERY_PARAMETER_VALUE, "versionid");
	return NULL;
}

static struct svc_answer *check_params(const struct rq *rq, const struct op *op)
{
	if (op->run != op_get_page_ranges && target_param(&rq->target, "prevsnapshot"))
		return rq_fail_param(rq, ERR_INVALID_QUERY_PARAMETER_VALUE, "prevsnapshot");
	return NULL;
}

static struct svc_answer *check_names(const struct rq *rq)
{
	const struct target *t = &rq->target;

	if (t->container && !target_container_name_good(t->container))
		return rq_fail(rq, strlen(t->container) < 3 ||
						   strlen(t->container) > TARGET_MAX_CONTAINER
					   ? ERR_OUT_OF_RANGE_INPUT
					   : ERR_INVALID_RESOURCE_NAME);
	if (t->blob && !target_blob_name_good(t->blob, t->blob_length))
		return rq_fail(rq, ERR_OUT_OF_RANGE_INPUT);
	return NULL;
}

/* Headers that any operation may have which has conditions. */
static struct svc_answer *read_guards(struct rq *rq)
{
	const struct head_str *lease = head_get(rq->head, "x-ms-lease-id");
	const struct head_str *tags = head_get(rq->head, "x-ms-if-tags");
	char reason[200], *text;
	struct err_detail details[3] = { { "HeaderName", "x-ms-if-tags" },
					 { "Reason", reason },
					 { NULL, NULL } };

	if (lease) {
		rq->has_lease = lease_id_parse(lease->at, lease->length, rq->lease);
		if (!rq->has_lease)
			return rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "x-ms-lease-id");
	}
	if (!tags)
		return NULL;
	text = strndup(tags->at, tags->length);
	if (!text)
		return rq_fail(rq, ERR_SERVER_BUSY);
	rq->if_tags = tagexpr_parse(text, false, reason, sizeof(reason));
	free(text);
	return rq->if_tags ? NULL : err_answer(&rq->to, ERR_INVALID_HEADER_VALUE, details);
}

/* Those that look at no conditional header: it would be ignored, and somebody relies on it. */
static struct svc_answer *check_conditions(const struct rq *rq, const struct op *op)
{
	static op_run *const none[] = { op_list_containers, op_list_blobs, op_find_blobs,
					op_batch,           op_abort_copy, op_get_block_list };

	for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++)
		if (op->run == none[i])
			return conditions_refuse(rq);
	return NULL;
}

static struct svc_answer *no_such_op(const struct rq *rq)
{
	static const char *const methods[] = { "GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS" };
	const char *comp = target_param(&rq->target, "comp");

	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++)
		if (head_str_is(&rq->head->method, methods[i]))
			return rq_unsupported(rq, comp ? comp : methods[i]);
	return rq_fail(rq, ERR_UNSUPPORTED_HTTP_VERB);
}

/* Not needed by a write that says its version and comes from no page. */
static struct svc_answer *load_props(struct rq *rq)
{
	const struct head *head = rq->head;
	bool reads = head_str_is(&head->method, "GET") || head_str_is(&head->method, "HEAD");
	enum store_error error;

	if (!reads && head_get(head, "x-ms-version") && !head_get(head, "Origin"))
		return NULL;
	if (!accounts_find(rq->accounts, rq->target.account))
		return NULL;
	error = settings_props(rq->svc->settings, rq->target.account, &rq->props);
	if (error != STORE_OK)
		return rq_fail_store(rq, error);
	cors_begin(&rq->cors, head, rq->props);
	return NULL;
}

static struct svc_answer *run(struct rq *rq, struct svc_upload **upload)
{
	struct svc_answer *answer;
	const struct op *op;

	answer = load_props(rq);
	if (answer)
		return answer;
	if (head_str_is(&rq->head->method, "OPTIONS"))
		return cors_preflight(rq, rq->props);
	answer = check_version(rq);
	if (!answer)
		answer = auth_check(rq);
	if (!answer)
		answer = permit_check(rq);
	if (answer)
		return answer;
	/* of the Data Lake endpoint; here they would make it another operation than was meant */
	if (target_param(&rq->target, "resource"))
		return rq_unsupported(rq, "resource");
	op = find_op(rq);
	if (!op)
		return no_such_op(rq);
	if (op->write && rq->target.secondary)
		return rq_fail(rq, ERR_INSUFFICIENT_PERMISSIONS);
	answer = check_params(rq, op);
	if (!answer)
		answer = check_past(rq, op);
	if (!answer)
		answer = check_headers(rq, op);
	if (!answer)
		answer = check_conditions(rq, op);
	if (!answer)
		answer = check_names(rq);
	if (!answer)
		answer = read_guards(rq);
	if (!answer)
		answer = op->run(rq, upload);
	return answer;
}

/* What credentials and the page that asks change of an answer. */
static struct svc_answer *adjust(const struct rq *rq, struct svc_answer *answer)
{
	/* the order of struct auth's @override */
	static const char *const names[AUTH_OVERRIDES] = { "Cache-Control", "Content-Disposition",
							   "Content-Encoding", "Content-Language",
							   "Content-Type" };

	if (rq->auth.create_only)
		answer = err_overwrite(&rq->to, answer);
	if (rq->target.blob && !target_param(&rq->target, "comp") &&
	    (answer->status == 200 || answer->status == 206))
		for (unsigned int i = 0; i < AUTH_OVERRIDES; i++)
			if (rq->auth.override[i])
				answer = answer_replace(answer, names[i], rq->auth.override[i]);
	return cors_apply(&rq->cors, answer);
}

static struct svc_answer *bad_target(const struct rq *rq, enum target_status status)
{
	switch (status) {
	case TARGET_REPEATED_PARAM:
		return rq_fail(rq, ERR_INVALID_QUERY_PARAMETER_VALUE);
	case TARGET_NO_MEMORY:
		return rq_fail(rq, ERR_SERVER_BUSY);
	case TARGET_INVALID_URI:
	case TARGET_OK:
		break;
	}
	return rq_fail(rq, ERR_INVALID_URI);
}

/* Ends what svc_start() began. */
static enum svc_next finish_start(struct rq *rq, struct svc_answer **answer,
				  struct svc_upload **upload)
{
	if (*answer) {
		*answer = adjust(rq, *answer);
		cors_end(&rq->cors);
	} else if (*upload) {
		(*upload)->create_only = rq->auth.create_only;
		(*upload)->cors = rq->cors;
	}
	props_put(rq->props);
	accounts_put(rq->accounts);
	target_free(&rq->target);
	tagexpr_free(rq->if_tags);
	return *answer ? SVC_ANSWER : SVC_BODY;
}

enum svc_next svc_start(struct svc *svc, const struct head *head, const struct svc_caller *caller,
			struct svc_answer **answer, struct svc_upload **upload)
{
	struct rq rq = { .svc = svc, .head = head, .caller = caller };
	enum target_status status;

	*upload = NULL;
	answer_to_init(&rq.to, head);
	*answer = check_form(&rq);
	if (*answer)
		return SVC_ANSWER;
	if (head->minor >= 1 && !head_get(head, "Host")) {
		*answer = rq_fail_header(&rq, ERR_MISSING_REQUIRED_HEADER, "Host");
		return SVC_ANSWER;
	}
	if (caller->website) {
		rq.accounts = svc_accounts(svc);
		*answer = website_answer(&rq);
		accounts_put(rq.accounts);
		return SVC_ANSWER;
	}
	status = target_parse(&rq.target, head);
	if (status == TARGET_OK && !target_account_name_good(rq.target.account)) {
		target_free(&rq.target);
		status = TARGET_INVALID_URI;
	}
	if (status != TARGET_OK) {
		*answer = bad_target(&rq, status);
		return SVC_ANSWER;
	}
	rq.accounts = svc_accounts(svc);
	*answer = svc->store->ops->rest ? relay_start(&rq, upload) : run(&rq, upload);
	return finish_start(&rq, answer, upload);
}

/* A batch may have these two, and nothing that brings a body. */
static bool batchable(const struct rq *rq)
{
	const char *comp = target_param(&rq->target, "comp");

	if (!rq->target.blob)
		return false;
	if (head_str_is(&rq->head->method, "DELETE"))
		return !comp;
	return head_str_is(&rq->head->method, "PUT") && same(comp, "tier");
}

struct svc_answer *service_sub(struct svc *svc, const struct head *head,
			       const struct svc_caller *caller, const struct sub *sub)
{
	struct rq rq = { .svc = svc, .head = head, .caller = caller, .sub = true };
	struct svc_upload *upload = NULL;
	enum target_status status;
	struct svc_answer *answer;

	answer_to_init(&rq.to, head);
	snprintf(rq.to.version, sizeof(rq.to.version), "%s", sub->version);
	answer = check_form(&rq);
	if (answer)
		return answer;
	status = target_parse(&rq.target, head);
	if (status != TARGET_OK)
		return bad_target(&rq, status);
	rq.accounts = svc_accounts(svc);
	if (strcmp(rq.target.account, sub->account) != 0 ||
	    (sub->container && rq.target.container &&
	     strcmp(rq.target.container, sub->container) != 0) ||
	    !batchable(&rq))
		answer = rq_fail(&rq, ERR_INVALID_INPUT);
	else
		answer = svc->store->ops->rest ? relay_start(&rq, &upload) : run(&rq, &upload);
	finish_start(&rq, &answer, &upload);
	return answer;
}

/* ------------------------------------------------------------ effect records */

int svc_replay(struct svc *svc, const uint8_t session[16], uint64_t request, char **bytes,
	       size_t *head_length, size_t *length)
{
	enum store_error error;
	const char *end;
	void *kept;

	error = store_effect_lookup(svc->store, session, request, &kept, length);
	if (error != STORE_OK)
		return error == STORE_NO_MEMORY ? -ENOMEM : -EIO;
	if (!kept)
		return 0;
	end = memmem(kept, *length, "\r\n\r\n", 4);
	if (!end) {
		free(kept);
		return -EIO;
	}
	*bytes = kept;
	*head_length = (size_t)(end - (const char *)kept) + 4;
	return 1;
}

void svc_acknowledge(struct svc *svc, const uint8_t session[16], uint64_t request)
{
	store_effect_forget(svc->store, session, request);
}

void svc_session_end(struct svc *svc, const uint8_t session[16])
{
	store_effect_forget_session(svc->store, session);
}

/* ------------------------------------------------------------------- set-up */

struct accounts *svc_accounts(struct svc *svc)
{
	struct accounts *accounts;

	pthread_mutex_lock(&svc->lock);
	accounts = accounts_get(svc->accounts);
	pthread_mutex_unlock(&svc->lock);
	return accounts;
}

void svc_set_accounts(struct svc *svc, struct accounts *accounts)
{
	struct accounts *old;

	pthread_mutex_lock(&svc->lock);
	old = svc->accounts;
	svc->accounts = accounts_get(accounts);
	pthread_mutex_unlock(&svc->lock);
	accounts_put(old);
}

struct tokens *svc_tokens(struct svc *svc)
{
	struct tokens *tokens;

	pthread_mutex_lock(&svc->lock);
	tokens = svc->tokens ? tokens_get(svc->tokens) : NULL;
	pthread_mutex_unlock(&svc->lock);
	return tokens;
}

void svc_set_tokens(struct svc *svc, struct tokens *tokens)
{
	struct tokens *old;

	pthread_mutex_lock(&svc->lock);
	old = svc->tokens;
	svc->tokens = tokens ? tokens_get(tokens) : NULL;
	pthread_mutex_unlock(&svc->lock);
	tokens_put(old);
}

struct svc *svc_new(struct store *store, struct accounts *accounts)
{
	struct svc *svc = calloc(1, sizeof(*svc));

	if (!svc)
		return NULL;
	pthread_mutex_init(&svc->lock, NULL);
	svc->store = store;
	svc->accounts = accounts_get(accounts);
	svc->settings = settings_new(store);
	if (svc->settings)
		return svc;
	svc_free(svc);
	return NULL;
}

void svc_retain_containers(struct svc *svc, unsigned int days)
{
	svc->retain_containers_ns = (int64_t)days * 24 * 3600 * 1000000000;
}

void svc_allow_sources(struct svc *svc, const char *const *hosts, size_t count, bool private_too)
{
	svc->sources = (struct fetch_rules){ hosts, count, private_too };
}

int svc_resume_copies(struct svc *svc)
{
	enum store_error error = pending_resume(svc);

	return error == STORE_OK ? 0 : error == STORE_NO_MEMORY ? -ENOMEM : -EIO;
}

void svc_free(struct svc *svc)
{
	if (!svc)
		return;
	pending_stop(svc);
	tokens_put(svc->tokens);
	settings_free(svc->settings);
	accounts_put(svc->accounts);
	pthread_mutex_destroy(&svc->lock);
	free(svc);
}
