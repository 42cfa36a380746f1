// SPDX-License-Identifier: MIT
/* What else can be done to containers: properties, metadata, access policies, bringing back. */
#include "ops.h"

#include <stdlib.h>
#include <string.h>

#include "put.h"
#include "xml_tree.h"

/* The service's limit. */
#define MAX_POLICIES 5u
#define MAX_POLICY_ID 64u

static const char *const public_names[] = { NULL, "blob", "container" };

static int check_public(enum azblob_public access, struct azblob_error *error)
{
	if ((unsigned int)access <= AZBLOB_PUBLIC_CONTAINER)
		return 0;
	return azc_fail(error, AZBLOB_BAD_ARGUMENT,
			"public access %d: must be one of enum azblob_public", (int)access);
}

static enum azblob_public public_of(const struct azc_answer *answer)
{
	const char *text = azc_answer_text(answer, "x-ms-blob-public-access");

	if (!strcmp(text, "container"))
		return AZBLOB_PUBLIC_CONTAINER;
	return !strcmp(text, "blob") ? AZBLOB_PUBLIC_BLOB : AZBLOB_PUBLIC_NONE;
}

/* A change of a container, checked and begun. */
static int begin(struct azc_request *request, const char *method, const azblob_conn *conn,
		 const char *container, const char *comp, const struct azblob_access *given,
		 struct azblob_error *error)
{
	struct azblob_access access;

	if (azc_check_container(container, error) ||
	    azc_access_take(given, AZC_ACCESS_LEASE, &access, error))
		return -1;
	if (access.if_match || access.if_none_match || access.if_tags)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"a container has no conditions on ETags or tags");
	azc_begin_change(request, method, conn, container, NULL, NULL, &access);
	azc_request_query(request, "restype", "container");
	azc_request_query(request, "comp", comp);
	return 0;
}

int azblob_container_create_with(azblob_conn *conn, const char *container,
				 const struct azblob_container_options *given,
				 struct azblob_change_result *result, struct azblob_error *error)
{
	struct azblob_container_options options = { 0 };
	struct azc_request request;

	if (given && azc_copy_options(&options, sizeof(options), given, given->struct_size))
		return azc_fail(
			error, AZBLOB_BAD_ARGUMENT,
			"the container options hold something that this library does not know");
	if (check_public(options.public_access, error) ||
	    azc_check_metadata(options.metadata, options.metadata_count, error) ||
	    begin(&request, "PUT", conn, container, NULL, NULL, error))
		return -1;
	azc_request_field(&request, "x-ms-blob-public-access", public_names[options.public_access]);
	azc_request_metadata(&request, options.metadata, options.metadata_count);
	/* Once it is there it can't be made again. */
	request.repeatable = true;
	return azc_perform_change(conn, &request, result, error);
}

int azblob_container_delete_if(azblob_conn *conn, const char *container,
			       const struct azblob_access *access, struct azblob_error *error)
{
	struct azc_request request;

	if (begin(&request, "DELETE", conn, container, NULL, access, error))
		return -1;
	azc_request_guarded(&request, AZC_GUARD_LEASE);
	return azc_perform_simple(conn, &request, error);
}

int azblob_container_restore(azblob_conn *conn, const char *container, const char *version,
			     struct azblob_error *error)
{
	struct azc_request request;

	if (!version || !*version)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"which of the deleted containers? The version is empty");
	if (azc_check_header(version, "the version", error) ||
	    begin(&request, "PUT", conn, container, "undelete", NULL, error))
		return -1;
	azc_request_field(&request, "x-ms-deleted-container-name", container);
	azc_request_field(&request, "x-ms-deleted-container-version", version);
	/* Once it is there it can't be made again. */
	request.repeatable = true;
	return azc_perform_simple(conn, &request, error);
}

int azblob_container_set_metadata(azblob_conn *conn, const char *container,
				  const struct azblob_pair *metadata, size_t count,
				  const struct azblob_access *access,
				  struct azblob_change_result *result, struct azblob_error *error)
{
	struct azc_request request;

	if (azc_check_metadata(metadata, count, error) ||
	    begin(&request, "PUT", conn, container, "metadata", access, error))
		return -1;
	/* Who holds the lease is the only one who changes it. */
	azc_request_guarded(&request, AZC_GUARD_LEASE);
	azc_request_metadata(&request, metadata, count);
	return azc_perform_change(conn, &request, result, error);
}

/* ---- reading ---- */

static int begin_read(struct azc_request *request, const char *method, const azblob_conn *conn,
		      const char *container, const char *comp, const char *lease_id,
		      struct azblob_error *error)
{
	if (azc_check_container(container, error) ||
	    (lease_id && azc_check_lease_id(lease_id, error)))
		return -1;
	azc_request_init(request, method);
	azc_request_path(request, conn, container, NULL);
	azc_request_query(request, "restype", "container");
	azc_request_query(request, "comp", comp);
	azc_request_field(request, "x-ms-lease-id", lease_id);
	request->repeatable = true;
	return 0;
}

/* The public struct first; its strings are in the answer. */
struct properties {
	struct azblob_container_properties properties;
	struct azc_answer answer;
	struct azblob_pair *pair;
};

void azblob_container_properties_free(struct azblob_container_properties *properties)
{
	struct properties *all = (struct properties *)properties;

	if (!all)
		return;
	azc_answer_reset(&all->answer);
	free(all->pair);
	free(all);
}

static bool is_true(const struct azc_answer *answer, const char *name)
{
	return !strcmp(azc_answer_text(answer, name), "true");
}

static int fill_properties(struct properties *all)
{
	struct azblob_container_properties *to = &all->properties;
	const struct azc_answer *answer = &all->answer;

	if (azc_answer_metadata(answer, &all->pair, &to->metadata_count))
		return -1;
	to->metadata = all->pair;
	to->etag = azc_answer_text(answer, "ETag");
	to->last_modified = azc_answer_text(answer, "Last-Modified");
	to->lease_state = azc_answer_text(answer, "x-ms-lease-state");
	to->lease_status = azc_answer_text(answer, "x-ms-lease-status");
	to->public_access = public_of(answer);
	to->has_immutability_policy = is_true(answer, "x-ms-has-immutability-policy");
	to->has_legal_hold = is_true(answer, "x-ms-has-legal-hold");
	return 0;
}

int azblob_container_get_properties(azblob_conn *conn, const char *container, const char *lease_id,
				    struct azblob_container_properties **properties,
				    struct azblob_error *error)
{
	struct azc_request request;
	struct properties *all;

	if (begin_read(&request, "HEAD", conn, container, NULL, lease_id, error))
		return -1;
	all = calloc(1, sizeof(*all));
	if (!all) {
		azc_request_free(&request);
		return azc_fail_memory(error);
	}
	if (azc_perform_alone(conn, &request, &all->answer, error)) {
		azblob_container_properties_free(&all->properties);
		return -1;
	}
	if (fill_properties(all)) {
		azblob_container_properties_free(&all->properties);
		return azc_fail_memory(error);
	}
	*properties = &all->properties;
	return 0;
}

/* ---- access policies ---- */

struct acl {
	struct azblob_acl acl;
	struct azc_answer answer;
	struct azc_node *tree;
	struct azblob_policy *policy;
	const struct azblob_policy **pointer;
};

void azblob_acl_free(struct azblob_acl *acl)
{
	struct acl *all = (struct acl *)acl;

	if (!all)
		return;
	azc_answer_reset(&all->answer);
	azc_tree_free(all->tree);
	free(all->policy);
	free(all->pointer);
	free(all);
}

static int fill_acl(struct acl *all, struct azblob_error *error)
{
	size_t count = azc_tree_count(all->tree, "SignedIdentifier");
	size_t at = 0;

	all->policy = calloc(count + 1, sizeof(*all->policy));
	all->pointer = calloc(count + 1, sizeof(struct azblob_policy *));
	if (!all->policy || !all->pointer)
		return azc_fail_memory(error);
	for (const struct azc_node *node = all->tree->first; node; node = node->next) {
		const struct azc_node *terms = azc_tree_child(node, "AccessPolicy");

		if (strcmp(node->name, "SignedIdentifier") != 0)
			continue;
		all->policy[at].id = azc_tree_text(node, "Id");
		all->policy[at].start = azc_tree_text(terms, "Start");
		all->policy[at].expiry = azc_tree_text(terms, "Expiry");
		all->policy[at].permissions = azc_tree_text(terms, "Permission");
		all->pointer[at] = &all->policy[at];
		at++;
	}
	all->acl.count = count;
	all->acl.policies = all->pointer;
	all->acl.public_access = public_of(&all->answer);
	all->acl.etag = azc_answer_text(&all->answer, "ETag");
	all->acl.last_modified = azc_answer_text(&all->answer, "Last-Modified");
	return 0;
}

int azblob_container_get_acl(azblob_conn *conn, const char *container, const char *lease_id,
			     struct azblob_acl **acl, struct azblob_error *error)
{
	struct azc_request request;
	struct acl *all;
	int status;

	if (begin_read(&request, "GET", conn, container, "acl", lease_id, error))
		return -1;
	request.want_text = true;
	all = calloc(1, sizeof(*all));
	if (!all) {
		azc_request_free(&request);
		return azc_fail_memory(error);
	}
	status = azc_perform_alone(conn, &request, &all->answer, error);
	if (!status)
		status = azc_tree_parse(all->answer.text.data, all->answer.text.length,
					"SignedIdentifiers", &all->tree, error);
	if (!status)
		status = fill_acl(all, error);
	if (status) {
		azblob_acl_free(&all->acl);
		return status;
	}
	*acl = &all->acl;
	return 0;
}

static void add_element(struct azb_buf *body, const char *name, const char *text)
{
	if (!text || !*text)
		return;
	azb_buf_printf(body, "<%s>", name);
	azc_xml_escape(body, text);
	azb_buf_printf(body, "</%s>", name);
}

static int acl_document(struct azb_buf *body, const struct azblob_policy *policies, size_t count,
			struct azblob_error *error)
{
	if (count > MAX_POLICIES)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT, "%zu policies: at most %u are allowed",
				count, MAX_POLICIES);
	azb_buf_puts(body, "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<SignedIdentifiers>");
	for (size_t i = 0; i < count; i++) {
		const struct azblob_policy *policy = &policies[i];

		if (!policy->id || !*policy->id || strlen(policy->id) > MAX_POLICY_ID)
			return azc_fail(error, AZBLOB_BAD_ARGUMENT,
					"the id of policy %zu: must be 1 to %u characters", i,
					MAX_POLICY_ID);
		if (azc_check_utf8(policy->id, "the policy's id", error))
			return -1;
		azb_buf_puts(body, "<SignedIdentifier>");
		add_element(body, "Id", policy->id);
		azb_buf_puts(body, "<AccessPolicy>");
		add_element(body, "Start", policy->start);
		add_element(body, "Expiry", policy->expiry);
		add_element(body, "Permission", policy->permissions);
		azb_buf_puts(body, "</AccessPolicy></SignedIdentifier>");
	}
	azb_buf_puts(body, "</SignedIdentifiers>");
	return body->failed ? azc_fail_memory(error) : 0;
}

int azblob_container_set_acl(azblob_conn *conn, const char *container,
			     enum azblob_public public_access, const struct azblob_policy *policies,
			     size_t count, const struct azblob_access *access,
			     struct azblob_change_result *result, struct azblob_error *error)
{
	struct azc_request request;
	struct azb_buf body = { 0 };
	int status;

	if (check_public(public_access, error) || acl_document(&body, policies, count, error) ||
	    begin(&request, "PUT", conn, container, "acl", access, error)) {
		azb_buf_free(&body);
		return -1;
	}
	azc_request_guarded(&request, AZC_GUARD_LEASE);
	azc_request_field(&request, "x-ms-blob-public-access", public_names[public_access]);
	azc_request_field(&request, "Content-Type", "application/xml");
	azc_put_document(&request, conn, body.data, body.length);
	status = azc_perform_change(conn, &request, result, error);
	azb_buf_free(&body);
	return status;
}
