// SPDX-License-Identifier: MIT
#include "ops.h"

#include <stdio.h>
#include <string.h>

/* The service's limits of blob index tags. */
#define MAX_TAGS 10u
#define MAX_TAG_NAME 128u
#define MAX_TAG_VALUE 256u

int azc_perform_alone(azblob_conn *conn, struct azc_request *request, struct azc_answer *answer,
		      struct azblob_error *error)
{
	struct azc_op op;
	int result;

	azc_op_init(&op, conn, NULL, NULL, 0);
	result = azc_perform(&op, request, answer, error);
	azc_op_end(&op);
	azc_request_free(request);
	if (!result)
		azc_error_clear(error);
	return result;
}

int azc_perform_simple(azblob_conn *conn, struct azc_request *request, struct azblob_error *error)
{
	struct azc_answer answer;
	int result = azc_perform_alone(conn, request, &answer, error);

	azc_answer_reset(&answer);
	return result;
}

int azc_fail_mute(struct azblob_error *error, const char *message)
{
	azc_fail(error, AZBLOB_TRANSPORT, "%s", message);
	if (error)
		error->outcome_unknown = 1;
	return -1;
}

void azc_take_text(char *to, size_t room, const struct azc_answer *answer, const char *name)
{
	snprintf(to, room, "%s", azc_answer_text(answer, name));
}

int azc_perform_change(azblob_conn *conn, struct azc_request *request,
		       struct azblob_change_result *result, struct azblob_error *error)
{
	struct azc_answer answer;
	int status = azc_perform_alone(conn, request, &answer, error);

	if (!status && result) {
		memset(result, 0, sizeof(*result));
		azc_take_text(result->etag, sizeof(result->etag), &answer, "ETag");
		azc_take_text(result->last_modified, sizeof(result->last_modified), &answer,
			      "Last-Modified");
		azc_take_text(result->version, sizeof(result->version), &answer, "x-ms-version-id");
	}
	azc_answer_reset(&answer);
	return status;
}

/* ---- conditions ---- */

int azc_access_take(const struct azblob_access *given, unsigned int use,
		    struct azblob_access *access, struct azblob_error *error)
{
	memset(access, 0, sizeof(*access));
	if (given && azc_copy_options(access, sizeof(*access), given, given->struct_size))
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"the conditions hold something that this library does not know");
	if ((access->snapshot || access->version) && !(use & AZC_ACCESS_STATE))
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"this cannot be done to a snapshot or version");
	if (access->snapshot && access->version)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"a snapshot or a version may be named, not both");
	if (access->lease_id && !(use & AZC_ACCESS_LEASE))
		return azc_fail(error, AZBLOB_BAD_ARGUMENT, "a lease has no place here");
	if (azc_check_condition(access->snapshot, "the snapshot", error) ||
	    azc_check_condition(access->version, "the version", error) ||
	    azc_check_condition(access->if_match, "if_match", error) ||
	    azc_check_condition(access->if_none_match, "if_none_match", error) ||
	    azc_check_condition(access->if_modified_since, "if_modified_since", error) ||
	    azc_check_condition(access->if_unmodified_since, "if_unmodified_since", error) ||
	    azc_check_condition(access->if_tags, "if_tags", error))
		return -1;
	return access->lease_id ? azc_check_lease_id(access->lease_id, error) : 0;
}

void azc_access_apply(struct azc_request *request, const struct azblob_access *access)
{
	azc_request_query(request, "snapshot", access->snapshot);
	azc_request_query(request, "versionid", access->version);
	azc_request_field(request, "If-Match", access->if_match);
	azc_request_field(request, "If-None-Match", access->if_none_match);
	azc_request_field(request, "If-Modified-Since", access->if_modified_since);
	azc_request_field(request, "If-Unmodified-Since", access->if_unmodified_since);
	azc_request_field(request, "x-ms-if-tags", access->if_tags);
	azc_request_field(request, "x-ms-lease-id", access->lease_id);
}

int azc_check_call(const char *container, const char *blob, const struct azblob_access *given,
		   unsigned int use, struct azblob_access *access, struct azblob_error *error)
{
	if (azc_check_container(container, error) || azc_check_blob(blob, error))
		return -1;
	return azc_access_take(given, use, access, error);
}

void azc_begin_change(struct azc_request *request, const char *method, const azblob_conn *conn,
		      const char *container, const char *blob, const char *comp,
		      const struct azblob_access *access)
{
	azc_request_init(request, method);
	request->has_body = strcmp(method, "DELETE") != 0;
	request->effect = true;
	azc_request_path(request, conn, container, blob);
	azc_request_query(request, "comp", comp);
	azc_access_apply(request, access);
}

/* ---- metadata, tags, leases, tiers ---- */

int azc_check_metadata(const struct azblob_pair *pair, size_t count, struct azblob_error *error)
{
	for (size_t i = 0; i < count; i++) {
		size_t length = pair[i].name ? strlen(pair[i].name) : 0;

		if (!length ||
		    strspn(pair[i].name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					 "0123456789_") != length ||
		    (pair[i].name[0] >= '0' && pair[i].name[0] <= '9'))
			return azc_fail(error, AZBLOB_BAD_ARGUMENT,
					"metadata name \"%.60s\": must be letters, digits and '_', "
					"and not start with a digit",
					pair[i].name ? pair[i].name : "");
		if (azc_check_header(pair[i].value, "the metadata value", error))
			return -1;
	}
	return 0;
}

void azc_request_metadata(struct azc_request *request, const struct azblob_pair *pair, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct azb_buf name = { 0 };

		azb_buf_printf(&name, "x-ms-meta-%s", pair[i].name);
		if (name.failed)
			request->no_memory = true;
		else
			azc_request_field(request, name.data, pair[i].value);
		azb_buf_free(&name);
	}
}

static bool tag_text_ok(const char *text, size_t least, size_t most)
{
	size_t length = text ? strlen(text) : 0;

	return text && length >= least && length <= most &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
			    " +-./:=_") == length;
}

int azc_check_tags(const struct azblob_pair *tag, size_t count, struct azblob_error *error)
{
	if (count > MAX_TAGS)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT, "%zu tags: at most %u are allowed",
				count, MAX_TAGS);
	for (size_t i = 0; i < count; i++)
		if (!tag_text_ok(tag[i].name, 1, MAX_TAG_NAME) ||
		    !tag_text_ok(tag[i].value, 0, MAX_TAG_VALUE))
			return azc_fail(error, AZBLOB_BAD_ARGUMENT,
					"tag \"%.60s\": names have 1 to %u, values up to %u "
					"letters, digits, blanks or any of + - . / : = _",
					tag[i].name ? tag[i].name : "", MAX_TAG_NAME,
					MAX_TAG_VALUE);
	return 0;
}

void azc_request_tags(struct azc_request *request, const struct azblob_pair *tag, size_t count)
{
	struct azb_buf text = { 0 };

	for (size_t i = 0; i < count; i++) {
		if (i)
			azb_buf_puts(&text, "&");
		azc_escape(&text, tag[i].name, "");
		azb_buf_puts(&text, "=");
		azc_escape(&text, tag[i].value, "");
	}
	if (text.failed)
		request->no_memory = true;
	else if (count)
		azc_request_field(request, "x-ms-tags", text.data);
	azb_buf_free(&text);
}

int azc_check_lease_id(const char *id, struct azblob_error *error)
{
	size_t length = id ? strlen(id) : 0;

	/* The service takes a GUID in several forms: plain, with hyphens, in braces. */
	if (length >= 32 && length < AZBLOB_LEASE_ROOM &&
	    strspn(id, "0123456789abcdefABCDEF-{}()") == length)
		return 0;
	return azc_fail(error, AZBLOB_BAD_ARGUMENT,
			"lease \"%.60s\": must be a GUID, such as "
			"01234567-89ab-cdef-0123-456789abcdef",
			id ? id : "");
}

int azc_check_tier(const char *tier, struct azblob_error *error)
{
	static const char *const known[] = { "Hot", "Cool", "Cold", "Archive" };

	for (size_t i = 0; tier && i < sizeof(known) / sizeof(known[0]); i++)
		if (!strcmp(tier, known[i]))
			return 0;
	/* Page blobs have P4 to P80. */
	if (tier && tier[0] == 'P' && tier[1] && strlen(tier) < 4 &&
	    strspn(tier + 1, "0123456789") == strlen(tier + 1))
		return 0;
	return azc_fail(error, AZBLOB_BAD_ARGUMENT,
			"tier \"%.20s\": must be Hot, Cool, Cold or Archive", tier ? tier : "");
}
