// SPDX-License-Identifier: MIT
#include "operations.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "../../blob/target.h"
#include "../../door/head.h"

#define COPY "x-ms-copy-source"
#define ACTION "x-ms-lease-action"

#define STATE (AZ_IF_MATCH | AZ_IF_NONE_MATCH)
#define PAGES (AZ_IF_MATCH | AZ_IF_LEASE)
#define APPEND (AZ_IF_POSITION | AZ_IF_MATCH)

/* The first row that fits counts: those with a header or parameter come before those without. */
static const struct az_operation rows[] = {
	/* name, method, level, restype, comp, with, value, repeat, conditions */
	{ "Preflight Blob Request", "OPTIONS", AZ_ANY, NULL, NULL, NULL, NULL, AZ_SAFE, 0 },
	{ "Get Account Information", "GET", AZ_ANY, "account", "properties", NULL, NULL, AZ_SAFE,
	  0 },

	{ "List Containers", "GET", AZ_ACCOUNT, NULL, "list", NULL, NULL, AZ_SAFE, 0 },
	{ "Get Blob Service Properties", "GET", AZ_ACCOUNT, "service", "properties", NULL, NULL,
	  AZ_SAFE, 0 },
	{ "Set Blob Service Properties", "PUT", AZ_ACCOUNT, "service", "properties", NULL, NULL,
	  AZ_NEVER, 0 },
	{ "Get Blob Service Stats", "GET", AZ_ACCOUNT, "service", "stats", NULL, NULL, AZ_SAFE, 0 },
	{ "Get User Delegation Key", "POST", AZ_ACCOUNT, "service", "userdelegationkey", NULL, NULL,
	  AZ_SAFE, 0 },
	{ "Find Blobs by Tags", "GET", AZ_ACCOUNT, NULL, "blobs", NULL, NULL, AZ_SAFE, 0 },
	{ "Blob Batch", "POST", AZ_ACCOUNT, NULL, "batch", NULL, NULL, AZ_NEVER, 0 },

	{ "Create Container", "PUT", AZ_CONTAINER, "container", NULL, NULL, NULL, AZ_CONDITION,
	  AZ_IF_ITSELF },
	{ "Get Container Properties", "GET", AZ_CONTAINER, "container", NULL, NULL, NULL, AZ_SAFE,
	  0 },
	{ "Get Container Metadata", "GET", AZ_CONTAINER, "container", "metadata", NULL, NULL,
	  AZ_SAFE, 0 },
	{ "Set Container Metadata", "PUT", AZ_CONTAINER, "container", "metadata", NULL, NULL,
	  AZ_CONDITION, AZ_IF_LEASE },
	{ "Get Container ACL", "GET", AZ_CONTAINER, "container", "acl", NULL, NULL, AZ_SAFE, 0 },
	{ "Set Container ACL", "PUT", AZ_CONTAINER, "container", "acl", NULL, NULL, AZ_CONDITION,
	  AZ_IF_LEASE },
	{ "Delete Container", "DELETE", AZ_CONTAINER, "container", NULL, NULL, NULL, AZ_CONDITION,
	  AZ_IF_LEASE },
	{ "Lease Container, acquire", "PUT", AZ_CONTAINER, "container", "lease", ACTION, "acquire",
	  AZ_CONDITION, AZ_IF_PROPOSED },
	{ "Lease Container, renew", "PUT", AZ_CONTAINER, "container", "lease", ACTION, "renew",
	  AZ_SAFE, 0 },
	{ "Lease Container, change", "PUT", AZ_CONTAINER, "container", "lease", ACTION, "change",
	  AZ_SAFE, 0 },
	{ "Lease Container, release", "PUT", AZ_CONTAINER, "container", "lease", ACTION, "release",
	  AZ_CONDITION, AZ_IF_ITSELF },
	{ "Lease Container, break", "PUT", AZ_CONTAINER, "container", "lease", ACTION, "break",
	  AZ_NEVER, 0 },
	{ "Restore Container", "PUT", AZ_CONTAINER, "container", "undelete", NULL, NULL,
	  AZ_CONDITION, AZ_IF_ITSELF },
	{ "List Blobs", "GET", AZ_CONTAINER, "container", "list", NULL, NULL, AZ_SAFE, 0 },
	{ "Find Blobs by Tags in Container", "GET", AZ_CONTAINER, "container", "blobs", NULL, NULL,
	  AZ_SAFE, 0 },
	{ "Blob Batch in Container", "POST", AZ_CONTAINER, "container", "batch", NULL, NULL,
	  AZ_NEVER, 0 },

	{ "Get Blob Properties", "HEAD", AZ_BLOB, NULL, NULL, NULL, NULL, AZ_SAFE, 0 },
	{ "Get Blob", "GET", AZ_BLOB, NULL, NULL, NULL, NULL, AZ_SAFE, 0 },
	{ "Get Blob Metadata", "GET", AZ_BLOB, NULL, "metadata", NULL, NULL, AZ_SAFE, 0 },
	{ "Get Blob Tags", "GET", AZ_BLOB, NULL, "tags", NULL, NULL, AZ_SAFE, 0 },
	{ "Get Block List", "GET", AZ_BLOB, NULL, "blocklist", NULL, NULL, AZ_SAFE, 0 },
	{ "Get Page Ranges", "GET", AZ_BLOB, NULL, "pagelist", NULL, NULL, AZ_SAFE, 0 },
	{ "Query Blob Contents", "POST", AZ_BLOB, NULL, "query", NULL, NULL, AZ_SAFE, 0 },

	{ "Put Blob From URL", "PUT", AZ_BLOB, NULL, NULL, "x-ms-blob-type+" COPY, NULL,
	  AZ_CONDITION, STATE },
	{ "Copy Blob From URL", "PUT", AZ_BLOB, NULL, NULL, "x-ms-requires-sync", "true",
	  AZ_CONDITION, STATE },
	{ "Copy Blob", "PUT", AZ_BLOB, NULL, NULL, COPY, NULL, AZ_CONDITION, STATE },
	{ "Put Blob", "PUT", AZ_BLOB, NULL, NULL, NULL, NULL, AZ_CONDITION, STATE },
	{ "Abort Copy Blob", "PUT", AZ_BLOB, NULL, "copy", NULL, NULL, AZ_CONDITION, AZ_IF_ITSELF },
	{ "Incremental Copy Blob", "PUT", AZ_BLOB, NULL, "incrementalcopy", NULL, NULL,
	  AZ_CONDITION, STATE },
	{ "Put Block From URL", "PUT", AZ_BLOB, NULL, "block", COPY, NULL, AZ_SAFE, 0 },
	{ "Put Block", "PUT", AZ_BLOB, NULL, "block", NULL, NULL, AZ_SAFE, 0 },
	{ "Put Block List", "PUT", AZ_BLOB, NULL, "blocklist", NULL, NULL, AZ_CONDITION, STATE },
	{ "Append Block From URL", "PUT", AZ_BLOB, NULL, "appendblock", COPY, NULL, AZ_CONDITION,
	  APPEND },
	{ "Append Block", "PUT", AZ_BLOB, NULL, "appendblock", NULL, NULL, AZ_CONDITION, APPEND },
	{ "Append Blob Seal", "PUT", AZ_BLOB, NULL, "seal", NULL, NULL, AZ_CONDITION, APPEND },
	{ "Put Page From URL", "PUT", AZ_BLOB, NULL, "page", COPY, NULL, AZ_CONDITION, PAGES },
	{ "Clear Page", "PUT", AZ_BLOB, NULL, "page", "x-ms-page-write", "clear", AZ_CONDITION,
	  PAGES },
	{ "Put Page", "PUT", AZ_BLOB, NULL, "page", NULL, NULL, AZ_CONDITION, PAGES },

	{ "Set Blob Properties", "PUT", AZ_BLOB, NULL, "properties", NULL, NULL, AZ_CONDITION,
	  AZ_IF_MATCH },
	{ "Set Blob Metadata", "PUT", AZ_BLOB, NULL, "metadata", NULL, NULL, AZ_CONDITION,
	  AZ_IF_MATCH },
	{ "Set Blob Tags", "PUT", AZ_BLOB, NULL, "tags", NULL, NULL, AZ_NEVER, 0 },
	{ "Set Blob Tier", "PUT", AZ_BLOB, NULL, "tier", NULL, NULL, AZ_NEVER, 0 },
	{ "Set Blob Expiry", "PUT", AZ_BLOB, NULL, "expiry", NULL, NULL, AZ_NEVER, 0 },
	{ "Set Immutability Policy", "PUT", AZ_BLOB, NULL, "immutabilityPolicies", NULL, NULL,
	  AZ_NEVER, 0 },
	{ "Delete Immutability Policy", "DELETE", AZ_BLOB, NULL, "immutabilityPolicies", NULL, NULL,
	  AZ_NEVER, 0 },
	{ "Set Blob Legal Hold", "PUT", AZ_BLOB, NULL, "legalhold", NULL, NULL, AZ_NEVER, 0 },
	{ "Lease Blob, acquire", "PUT", AZ_BLOB, NULL, "lease", ACTION, "acquire", AZ_CONDITION,
	  AZ_IF_PROPOSED },
	{ "Lease Blob, renew", "PUT", AZ_BLOB, NULL, "lease", ACTION, "renew", AZ_SAFE, 0 },
	{ "Lease Blob, change", "PUT", AZ_BLOB, NULL, "lease", ACTION, "change", AZ_SAFE, 0 },
	{ "Lease Blob, release", "PUT", AZ_BLOB, NULL, "lease", ACTION, "release", AZ_CONDITION,
	  AZ_IF_ITSELF },
	{ "Lease Blob, break", "PUT", AZ_BLOB, NULL, "lease", ACTION, "break", AZ_NEVER, 0 },
	{ "Snapshot Blob", "PUT", AZ_BLOB, NULL, "snapshot", NULL, NULL, AZ_NEVER, 0 },
	{ "Delete Snapshot", "DELETE", AZ_BLOB, NULL, NULL, "?snapshot", NULL, AZ_CONDITION,
	  AZ_IF_ITSELF },
	{ "Delete Version", "DELETE", AZ_BLOB, NULL, NULL, "?versionid", NULL, AZ_CONDITION,
	  AZ_IF_ITSELF },
	{ "Delete Blob", "DELETE", AZ_BLOB, NULL, NULL, NULL, NULL, AZ_CONDITION, AZ_IF_MATCH },
	{ "Undelete Blob", "PUT", AZ_BLOB, NULL, "undelete", NULL, NULL, AZ_NEVER, 0 },
};

/* Relayed all the same: the other side may know it. */
static const struct az_operation unknown = { .name = "Unknown", .method = "", .repeat = AZ_NEVER };
static const struct az_operation unknown_read = { .name = "Unknown read",
						  .method = "",
						  .repeat = AZ_SAFE };

static bool same(const char *want, const char *have)
{
	return want && have ? !strcasecmp(want, have) : want == have;
}

static bool has_value(const struct head *head, const char *name, const char *value)
{
	const struct head_str *field = head_get(head, name);

	return field && (!value || head_str_is_nocase(field, value));
}

static bool is_with(const struct az_operation *row, const struct head *head,
		    const struct target *target)
{
	const char *plus;
	char first[32];

	if (!row->with)
		return true;
	if (*row->with == '?')
		return target_param(target, row->with + 1) != NULL;
	plus = strchr(row->with, '+');
	if (!plus)
		return has_value(head, row->with, row->value);
	snprintf(first, sizeof(first), "%.*s", (int)(plus - row->with), row->with);
	return has_value(head, first, NULL) && has_value(head, plus + 1, NULL);
}

static const struct az_operation *find(const char *method, enum az_level level,
				       const struct head *head, const struct target *target)
{
	const char *restype = target_param(target, "restype");
	const char *comp = target_param(target, "comp");

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct az_operation *row = &rows[i];

		if (strcmp(row->method, method) != 0 ||
		    (row->level != AZ_ANY && row->level != level))
			continue;
		if (strcmp(method, "OPTIONS") != 0 &&
		    (!same(row->restype, restype) || !same(row->comp, comp)))
			continue;
		if (is_with(row, head, target))
			return row;
	}
	return NULL;
}

const struct az_operation *az_operation_find(const struct head *head, const struct target *target)
{
	static const char *const methods[] = { "GET", "HEAD", "PUT", "POST", "DELETE", "OPTIONS" };
	enum az_level level = target->blob        ? AZ_BLOB
			      : target->container ? AZ_CONTAINER
						  : AZ_ACCOUNT;
	const struct az_operation *row = NULL;

	for (size_t i = 0; i < sizeof(methods) / sizeof(*methods); i++) {
		if (!head_str_is(&head->method, methods[i]))
			continue;
		row = find(methods[i], level, head, target);
		if (!row && !strcmp(methods[i], "HEAD"))
			row = find("GET", level, head, target);
	}
	if (row)
		return row;
	return head_str_is(&head->method, "GET") || head_str_is(&head->method, "HEAD")
		       ? &unknown_read
		       : &unknown;
}

const struct az_operation *az_operation_named(const char *name)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		if (!strcmp(rows[i].name, name))
			return &rows[i];
	return NULL;
}

/* One strong or weak ETag, not "*" and not a list. */
static bool one_etag(const struct head_str *value)
{
	return value && value->length && !head_str_is(value, "*") &&
	       !memchr(value->at, ',', value->length);
}

bool az_operation_repeats(const struct az_operation *operation, const struct head *head)
{
	const struct head_str *none = head_get(head, "If-None-Match");
	unsigned int c = operation->conditions;

	if (operation->repeat != AZ_CONDITION)
		return operation->repeat == AZ_SAFE;
	return c & AZ_IF_ITSELF || (c & AZ_IF_MATCH && one_etag(head_get(head, "If-Match"))) ||
	       (c & AZ_IF_NONE_MATCH && none && head_str_is(none, "*")) ||
	       (c & AZ_IF_LEASE && head_get(head, "x-ms-lease-id")) ||
	       (c & AZ_IF_POSITION && head_get(head, "x-ms-blob-condition-appendpos")) ||
	       (c & AZ_IF_PROPOSED && head_get(head, "x-ms-proposed-lease-id"));
}

const char *az_operation_line(size_t index, char *line, size_t room)
{
	static const struct {
		unsigned int bit;
		const char *text;
	} names[] = {
		{ AZ_IF_MATCH, "If-Match" },
		{ AZ_IF_NONE_MATCH, "If-None-Match: *" },
		{ AZ_IF_LEASE, "x-ms-lease-id" },
		{ AZ_IF_POSITION, "x-ms-blob-condition-appendpos" },
		{ AZ_IF_PROPOSED, "x-ms-proposed-lease-id" },
		{ AZ_IF_ITSELF, "by itself" },
	};
	const struct az_operation *row;
	const char *separator = "\t";
	size_t used;

	if (index >= sizeof(rows) / sizeof(*rows))
		return NULL;
	row = &rows[index];
	used = (size_t)snprintf(line, room, "%s%s", row->name,
				row->repeat == AZ_SAFE    ? "\tsafe"
				: row->repeat == AZ_NEVER ? "\tnever"
							  : "");
	for (size_t i = 0; i < sizeof(names) / sizeof(*names) && used < room; i++) {
		if (!(row->conditions & names[i].bit))
			continue;
		used += (size_t)snprintf(line + used, room - used, "%s%s", separator,
					 names[i].text);
		separator = ", ";
	}
	return line;
}
