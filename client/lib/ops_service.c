// SPDX-License-Identifier: MIT
/* The account, finding by tags, and what protects a blob or brings it back. */
#include "ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "put.h"
#include "xml_tree.h"

/* ---- the account ---- */

static void begin_account(struct azc_request *request, const char *method, const azblob_conn *conn,
			  const char *restype, const char *comp)
{
	azc_request_init(request, method);
	azc_request_path(request, conn, NULL, NULL);
	azc_request_query(request, "restype", restype);
	azc_request_query(request, "comp", comp);
}

int azblob_get_account_info(azblob_conn *conn, struct azblob_account_info *info,
			    struct azblob_error *error)
{
	struct azc_request request;
	struct azc_answer answer;
	int status;

	begin_account(&request, "HEAD", conn, "account", "properties");
	request.repeatable = true;
	status = azc_perform_alone(conn, &request, &answer, error);
	if (!status) {
		memset(info, 0, sizeof(*info));
		azc_take_text(info->sku, sizeof(info->sku), &answer, "x-ms-sku-name");
		azc_take_text(info->kind, sizeof(info->kind), &answer, "x-ms-account-kind");
		info->is_hns = !strcmp(azc_answer_text(&answer, "x-ms-is-hns-enabled"), "true");
	}
	azc_answer_reset(&answer);
	return status;
}

int azblob_get_service_properties(azblob_conn *conn, char **xml, struct azblob_error *error)
{
	struct azc_request request;
	struct azc_answer answer;
	int status;

	begin_account(&request, "GET", conn, "service", "properties");
	request.repeatable = true;
	request.want_text = true;
	status = azc_perform_alone(conn, &request, &answer, error);
	if (!status) {
		*xml = strdup(answer.text.data ? answer.text.data : "");
		if (!*xml)
			status = azc_fail_memory(error);
	}
	azc_answer_reset(&answer);
	return status;
}

int azblob_set_service_properties(azblob_conn *conn, const char *xml, struct azblob_error *error)
{
	struct azc_request request;
	size_t length = xml ? strlen(xml) : 0;

	if (!length)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT, "the document is empty");
	begin_account(&request, "PUT", conn, "service", "properties");
	request.has_body = true;
	request.effect = true;
	azc_request_field(&request, "Content-Type", "application/xml");
	azc_put_document(&request, conn, xml, length);
	return azc_perform_simple(conn, &request, error);
}

int azblob_get_service_stats(azblob_conn *conn, struct azblob_service_stats *stats,
			     struct azblob_error *error)
{
	struct azc_node *tree = NULL;
	struct azc_request request;
	struct azc_answer answer;
	int status;

	begin_account(&request, "GET", conn, "service", "stats");
	request.repeatable = true;
	request.want_text = true;
	status = azc_perform_alone(conn, &request, &answer, error);
	if (!status)
		status = azc_tree_parse(answer.text.data, answer.text.length, "StorageServiceStats",
					&tree, error);
	if (!status) {
		const struct azc_node *state = azc_tree_child(tree, "GeoReplication");

		memset(stats, 0, sizeof(*stats));
		snprintf(stats->status, sizeof(stats->status), "%s",
			 azc_tree_text(state, "Status"));
		snprintf(stats->last_sync_time, sizeof(stats->last_sync_time), "%s",
			 azc_tree_text(state, "LastSyncTime"));
	}
	azc_tree_free(tree);
	azc_answer_reset(&answer);
	return status;
}

/* ---- finding ---- */

/* The public struct first; its strings are in the document. */
struct found {
	struct azblob_found found;
	struct azc_node *tree;
	struct azblob_found_blob *blob;
	const struct azblob_found_blob **pointer;
	struct azblob_pair *tag;
};

void azblob_found_free(struct azblob_found *page)
{
	struct found *all = (struct found *)page;

	if (!all)
		return;
	azc_tree_free(all->tree);
	free(all->blob);
	free(all->pointer);
	free(all->tag);
	free(all);
}

static const struct azc_node *tag_set(const struct azc_node *blob)
{
	return azc_tree_child(azc_tree_child(blob, "Tags"), "TagSet");
}

static int fill_found(struct found *all, struct azblob_error *error)
{
	const struct azc_node *blobs = azc_tree_child(all->tree, "Blobs");
	struct azblob_found_blob *blob;
	struct azblob_pair *tag;
	size_t tags = 0;

	all->found.count = azc_tree_count(blobs, "Blob");
	for (const struct azc_node *at = blobs ? blobs->first : NULL; at; at = at->next)
		tags += azc_tree_count(tag_set(at), "Tag");
	all->blob = calloc(all->found.count + 1, sizeof(*all->blob));
	all->pointer = calloc(all->found.count + 1, sizeof(struct azblob_found_blob *));
	all->tag = calloc(tags + 1, sizeof(*all->tag));
	if (!all->blob || !all->pointer || !all->tag)
		return azc_fail_memory(error);
	blob = all->blob;
	tag = all->tag;
	for (const struct azc_node *at = blobs ? blobs->first : NULL; at; at = at->next) {
		const struct azc_node *set = tag_set(at);

		if (strcmp(at->name, "Blob") != 0)
			continue;
		blob->container = azc_tree_text(at, "ContainerName");
		blob->name = azc_tree_text(at, "Name");
		blob->tags = tag;
		for (const struct azc_node *one = set ? set->first : NULL; one; one = one->next) {
			if (strcmp(one->name, "Tag") != 0)
				continue;
			tag->name = azc_tree_text(one, "Key");
			tag++->value = azc_tree_text(one, "Value");
			blob->tag_count++;
		}
		all->pointer[blob - all->blob] = blob;
		blob++;
	}
	all->found.blobs = all->pointer;
	all->found.next_marker = azc_tree_text(all->tree, "NextMarker");
	return 0;
}

int azblob_find_blobs(azblob_conn *conn, const char *container, const char *expression,
		      const char *marker, unsigned int max_results, struct azblob_found **page,
		      struct azblob_error *error)
{
	struct azc_request request;
	struct azc_answer answer;
	char number[16];
	struct found *all;
	int status;

	if (container && azc_check_container(container, error))
		return -1;
	if (!expression || !*expression || max_results > 5000)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"finding needs an expression, and max_results of 0 to 5000");
	if (azc_check_utf8(expression, "the expression", error))
		return -1;
	azc_request_init(&request, "GET");
	azc_request_path(&request, conn, container, NULL);
	azc_request_query(&request, "restype", container ? "container" : NULL);
	azc_request_query(&request, "comp", "blobs");
	azc_request_query(&request, "where", expression);
	azc_request_query(&request, "marker", marker && *marker ? marker : NULL);
	if (max_results) {
		snprintf(number, sizeof(number), "%u", max_results);
		azc_request_query(&request, "maxresults", number);
	}
	request.repeatable = true;
	request.want_text = true;
	all = calloc(1, sizeof(*all));
	if (!all) {
		azc_request_free(&request);
		return azc_fail_memory(error);
	}
	status = azc_perform_alone(conn, &request, &answer, error);
	if (!status)
		status = azc_tree_parse(answer.text.data, answer.text.length, "EnumerationResults",
					&all->tree, error);
	azc_answer_reset(&answer);
	if (!status)
		status = fill_found(all, error);
	if (status) {
		azblob_found_free(&all->found);
		return status;
	}
	*page = &all->found;
	return 0;
}

/* ---- blobs: bringing back, keeping ---- */

int azblob_undelete_blob(azblob_conn *conn, const char *container, const char *blob,
			 struct azblob_error *error)
{
	struct azblob_access none = { 0 };
	struct azc_request request;

	if (azc_check_container(container, error) || azc_check_blob(blob, error))
		return -1;
	azc_begin_change(&request, "PUT", conn, container, blob, "undelete", &none);
	return azc_perform_simple(conn, &request, error);
}

int azblob_rehydrate(azblob_conn *conn, const char *container, const char *blob, const char *tier,
		     int high, const struct azblob_access *given, struct azblob_error *error)
{
	struct azblob_access access;
	struct azc_request request;

	if (azc_check_call(container, blob, given, AZC_ACCESS_LEASE, &access, error) ||
	    azc_check_tier(tier, error))
		return -1;
	azc_begin_change(&request, "PUT", conn, container, blob, "tier", &access);
	azc_request_field(&request, "x-ms-access-tier", tier);
	azc_request_field(&request, "x-ms-rehydrate-priority", high ? "High" : "Standard");
	return azc_perform_simple(conn, &request, error);
}

static int begin_protection(struct azc_request *request, const char *method,
			    const azblob_conn *conn, const char *container, const char *blob,
			    const char *comp, const struct azblob_access *given,
			    struct azblob_error *error)
{
	struct azblob_access access;

	if (azc_check_call(container, blob, given, AZC_ACCESS_STATE, &access, error))
		return -1;
	azc_begin_change(request, method, conn, container, blob, comp, &access);
	return 0;
}

int azblob_set_immutability(azblob_conn *conn, const char *container, const char *blob,
			    const char *until, int locked, const struct azblob_access *access,
			    struct azblob_error *error)
{
	struct azc_request request;

	if (!until || !*until)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT, "until when? The date is empty");
	if (azc_check_header(until, "the date", error) ||
	    begin_protection(&request, "PUT", conn, container, blob, "immutabilityPolicies", access,
			     error))
		return -1;
	azc_request_field(&request, "x-ms-immutability-policy-until-date", until);
	azc_request_field(&request, "x-ms-immutability-policy-mode",
			  locked ? "locked" : "unlocked");
	return azc_perform_simple(conn, &request, error);
}

int azblob_delete_immutability(azblob_conn *conn, const char *container, const char *blob,
			       const struct azblob_access *access, struct azblob_error *error)
{
	struct azc_request request;

	if (begin_protection(&request, "DELETE", conn, container, blob, "immutabilityPolicies",
			     access, error))
		return -1;
	return azc_perform_simple(conn, &request, error);
}

int azblob_set_legal_hold(azblob_conn *conn, const char *container, const char *blob, int hold,
			  const struct azblob_access *access, struct azblob_error *error)
{
	struct azc_request request;

	if (begin_protection(&request, "PUT", conn, container, blob, "legalhold", access, error))
		return -1;
	azc_request_field(&request, "x-ms-legal-hold", hold ? "true" : "false");
	return azc_perform_simple(conn, &request, error);
}
