// SPDX-License-Identifier: MIT
#include "permit.h"

#include <string.h>
#include <strings.h>

#include "sas.h"

enum level {
	ACCOUNT,
	CONTAINER,
	BLOB
};

/**
 * struct rule - what one operation needs
 * @method: HEAD is as GET.
 * @restype, @comp: as in the table of operations; NULL for absent.
 * @types: resource types of an account SAS, one of which is needed; "*" for any.
 * @letters: permissions, one of which is needed; "*" for any; "": no SAS will do.
 * @service: a service SAS or user delegation SAS will do too.
 * @least: the public access that opens it to everybody; NONE: it never is.
 */
struct rule {
	const char *method;
	enum level level;
	const char *restype;
	const char *comp;
	const char *types;
	const char *letters;
	bool service;
	enum store_public least;
};

#define NOBODY STORE_PUBLIC_NONE

static const struct rule rules[] = {
	{ "GET", ACCOUNT, NULL, "list", "s", "l", false, NOBODY },
	{ "GET", ACCOUNT, "service", "properties", "s", "r", false, NOBODY },
	{ "PUT", ACCOUNT, "service", "properties", "s", "w", false, NOBODY },
	{ "GET", ACCOUNT, "service", "stats", "s", "r", false, NOBODY },
	{ "POST", ACCOUNT, "service", "userdelegationkey", "", "", false, NOBODY },
	{ "GET", ACCOUNT, "account", "properties", "*", "*", true, NOBODY },
	{ "GET", ACCOUNT, NULL, "blobs", "so", "f", false, NOBODY },
	/* each of its requests brings credentials of its own */
	{ "POST", ACCOUNT, NULL, "batch", "*", "*", false, NOBODY },

	{ "PUT", CONTAINER, "container", NULL, "c", "cw", false, NOBODY },
	{ "GET", CONTAINER, "container", NULL, "c", "r", false, STORE_PUBLIC_CONTAINER },
	{ "GET", CONTAINER, "container", "metadata", "c", "r", false, STORE_PUBLIC_CONTAINER },
	{ "PUT", CONTAINER, "container", "metadata", "c", "w", false, NOBODY },
	{ "DELETE", CONTAINER, "container", NULL, "c", "d", false, NOBODY },
	{ "PUT", CONTAINER, "container", "lease", "c", "w", false, NOBODY },
	{ "GET", CONTAINER, "container", "acl", "", "", false, NOBODY },
	{ "PUT", CONTAINER, "container", "acl", "", "", false, NOBODY },
	{ "PUT", CONTAINER, "container", "undelete", "c", "cw", false, NOBODY },
	{ "GET", CONTAINER, "container", "list", "c", "l", true, STORE_PUBLIC_CONTAINER },
	{ "GET", CONTAINER, "container", "blobs", "co", "f", true, NOBODY },
	{ "POST", CONTAINER, "container", "batch", "*", "*", true, NOBODY },
	{ "GET", CONTAINER, "account", "properties", "*", "*", true, NOBODY },

	{ "GET", BLOB, NULL, NULL, "o", "r", true, STORE_PUBLIC_BLOB },
	{ "GET", BLOB, NULL, "metadata", "o", "r", true, STORE_PUBLIC_BLOB },
	{ "GET", BLOB, NULL, "blocklist", "o", "r", true, STORE_PUBLIC_BLOB },
	{ "GET", BLOB, NULL, "pagelist", "o", "r", true, STORE_PUBLIC_BLOB },
	{ "GET", BLOB, NULL, "tags", "o", "t", true, NOBODY },
	{ "GET", BLOB, "account", "properties", "*", "*", true, NOBODY },
	{ "POST", BLOB, NULL, "query", "o", "r", true, NOBODY },
	{ "PUT", BLOB, NULL, NULL, "o", "cw", true, NOBODY },
	{ "PUT", BLOB, NULL, "incrementalcopy", "o", "cw", true, NOBODY },
	{ "PUT", BLOB, NULL, "snapshot", "o", "cw", true, NOBODY },
	{ "PUT", BLOB, NULL, "appendblock", "o", "aw", true, NOBODY },
	{ "PUT", BLOB, NULL, "block", "o", "w", true, NOBODY },
	{ "PUT", BLOB, NULL, "blocklist", "o", "w", true, NOBODY },
	{ "PUT", BLOB, NULL, "copy", "o", "w", true, NOBODY },
	{ "PUT", BLOB, NULL, "expiry", "o", "w", true, NOBODY },
	{ "PUT", BLOB, NULL, "lease", "o", "w", true, NOBODY },
	{ "PUT", BLOB, NULL, "metadata", "o", "w", true, NOBODY },
	{ "PUT", BLOB, NULL, "page", "o", "w", true, NOBODY },
	{ "PUT", BLOB, NULL, "properties", "o", "w", true, NOBODY },
	{ "PUT", BLOB, NULL, "seal", "o", "w", true, NOBODY },
	{ "PUT", BLOB, NULL, "tags", "o", "t", true, NOBODY },
	{ "PUT", BLOB, NULL, "tier", "o", "w", true, NOBODY },
	{ "PUT", BLOB, NULL, "undelete", "o", "w", true, NOBODY },
	{ "PUT", BLOB, NULL, "immutabilitypolicies", "o", "i", true, NOBODY },
	{ "DELETE", BLOB, NULL, "immutabilitypolicies", "o", "i", true, NOBODY },
	{ "PUT", BLOB, NULL, "legalhold", "o", "i", true, NOBODY },
	{ "DELETE", BLOB, NULL, NULL, "o", "d", true, NOBODY },
};

static bool same(const char *a, const char *b)
{
	return a && b ? !strcasecmp(a, b) : a == b;
}

static const struct rule *find_rule(const struct rq *rq)
{
	const struct target *t = &rq->target;
	enum level level = t->blob ? BLOB : t->container ? CONTAINER : ACCOUNT;
	const struct head_str *method = &rq->head->method;
	const char *restype = target_param(t, "restype");
	const char *comp = target_param(t, "comp");

	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
		const struct rule *rule = &rules[i];

		if (rule->level == level &&
		    (head_str_is(method, rule->method) ||
		     (head_str_is(method, "HEAD") && !strcmp(rule->method, "GET"))) &&
		    same(rule->restype, restype) && same(rule->comp, comp))
			return rule;
	}
	return NULL;
}

static bool has(const struct rq *rq, char letter)
{
	return (rq->auth.permissions & sas_bit(letter)) != 0;
}

/* Where a parameter or header makes it another permission than the rule's. */
static const char *letters_of(const struct rq *rq, const struct rule *rule)
{
	const struct head_str *action = head_get(rq->head, "x-ms-lease-action");
	const char *type = target_param(&rq->target, "deletetype");

	if (same(rule->comp, "lease") && action && head_str_is_nocase(action, "break"))
		return "wd";
	if (!strcmp(rule->method, "DELETE") && rule->level == BLOB && !rule->comp) {
		if (same(type, "permanent"))
			return "y";
		if (target_param(&rq->target, "versionid"))
			return "x";
	}
	return rule->letters;
}

/* Whether one of the values of @name, with commas between or repeated, is @word. */
static bool param_lists(const struct target *t, const char *name, const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i < t->param_count; i++) {
		const char *at = t->param[i].value;

		if (strcmp(t->param[i].name, name) != 0)
			continue;
		for (; *at; at += *at == ',') {
			size_t length = strcspn(at, ",");

			if (length == n && !strncasecmp(at, word, n))
				return true;
			at += length;
		}
	}
	return false;
}

bool permit_copies_tags(const struct rq *rq)
{
	const struct head_str *option = head_get(rq->head, "x-ms-copy-source-tag-option");

	return option && head_str_is_nocase(option, "COPY");
}

bool permit_tags(const struct rq *rq)
{
	switch (rq->auth.kind) {
	case AUTH_KEY:
	case AUTH_TOKEN:
		return true;
	case AUTH_NONE:
		return false;
	default:
		return has(rq, 't');
	}
}

/* Permissions that are needed besides. */
static bool more_fits(const struct rq *rq, const struct rule *rule)
{
	const struct head *head = rq->head;

	if ((head_get(head, "x-ms-tags") || head_get(head, "x-ms-if-tags") ||
	     permit_copies_tags(rq) || param_lists(&rq->target, "include", "tags")) &&
	    !has(rq, 't'))
		return false;
	/* setting a policy with a blob is setting a policy */
	if (rule->letters[0] != 'i' &&
	    (head_get(head, "x-ms-immutability-policy-until-date") ||
	     head_get(head, "x-ms-immutability-policy-mode") ||
	     head_get(head, "x-ms-legal-hold")) &&
	    !has(rq, 'i'))
		return false;
	return true;
}

static struct svc_answer *check_sas(struct rq *rq, const struct rule *rule)
{
	const char *letters = letters_of(rq, rule);
	struct auth *auth = &rq->auth;
	bool write = head_str_is(&rq->head->method, "PUT");

	if (!*letters || (auth->kind == AUTH_SERVICE_SAS && !rule->service))
		return rq_fail(rq, ERR_AUTHORIZATION_FAILURE);
	if (auth->kind == AUTH_ACCOUNT_SAS && *rule->types != '*' &&
	    !strpbrk(rule->types, auth->types))
		return rq_fail(rq, ERR_AUTHORIZATION_RESOURCE_TYPE_MISMATCH);
	if (*letters == '*' ? !auth->permissions : !(auth->permissions & sas_bits(letters)))
		return rq_fail(rq, ERR_AUTHORIZATION_PERMISSION_MISMATCH);
	if (!more_fits(rq, rule))
		return rq_fail(rq, ERR_AUTHORIZATION_PERMISSION_MISMATCH);
	/* whoever may create may not replace */
	auth->create_only = write && rule->level == BLOB && !strcmp(letters, "cw") &&
			    !has(rq, 'w') && !same(rule->comp, "snapshot");
	/* it would have to be stored under that scope, and there is none here */
	if (auth->scope && !head_str_is(&rq->head->method, "GET") &&
	    !head_str_is(&rq->head->method, "HEAD") && !head_str_is(&rq->head->method, "DELETE"))
		return rq_unsupported(rq, "ses");
	return NULL;
}

/* Says the same of what is not there and of what is not public. */
static struct svc_answer *refuse_anonymous(const struct rq *rq)
{
	if (rq_since(rq, VERSION_CHALLENGE) || !head_get(rq->head, "x-ms-version"))
		return rq_fail(rq, ERR_NO_AUTHENTICATION_INFORMATION);
	return rq_fail(rq, ERR_RESOURCE_NOT_FOUND);
}

static struct svc_answer *check_anonymous(const struct rq *rq, const struct rule *rule)
{
	struct store_ref ref = rq_ref(rq);
	struct store_container_info info;
	enum store_error error;
	bool open;

	if (!rule || rule->least == STORE_PUBLIC_NONE || !rq->account ||
	    !target_container_name_good(rq->target.container) ||
	    head_get(rq->head, "x-ms-if-tags") || param_lists(&rq->target, "include", "tags"))
		return refuse_anonymous(rq);
	ref.blob = NULL;
	error = store_container_stat(rq->svc->store, &ref, &info);
	if (error == STORE_CONTAINER_NOT_FOUND || error == STORE_CONTAINER_BEING_DELETED)
		return refuse_anonymous(rq);
	if (error != STORE_OK)
		return rq_fail_store(rq, error);
	open = info.public_access >= rule->least;
	store_container_info_clear(&info);
	return open ? NULL : refuse_anonymous(rq);
}

struct svc_answer *permit_check(struct rq *rq)
{
	const struct rule *rule;

	if (rq->auth.kind == AUTH_KEY || rq->auth.kind == AUTH_TOKEN)
		return NULL;
	rule = find_rule(rq);
	if (rq->auth.kind == AUTH_NONE)
		return check_anonymous(rq, rule);
	return rule ? check_sas(rq, rule) : rq_fail(rq, ERR_AUTHORIZATION_FAILURE);
}
