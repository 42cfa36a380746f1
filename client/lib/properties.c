// SPDX-License-Identifier: MIT
/* Get Blob Properties. */
#include "ops.h"

#include <stdlib.h>
#include <string.h>

/* The public struct first; the strings live in the answer that is kept with it. */
struct properties {
	struct azblob_properties properties;
	struct azc_answer answer;
	struct azblob_pair *pair;
};

void azblob_properties_free(struct azblob_properties *properties)
{
	struct properties *all = (struct properties *)properties;

	if (!all)
		return;
	azc_answer_reset(&all->answer);
	free(all->pair);
	free(all);
}

#define METADATA "x-ms-meta-"

int azc_answer_metadata(const struct azc_answer *answer, struct azblob_pair **pair, size_t *count)
{
	*count = 0;
	*pair = calloc(answer->fields.count + 1, sizeof(**pair));
	if (!*pair)
		return -1;
	for (size_t i = 0; i < answer->fields.count; i++) {
		const struct azc_field *field = &answer->fields.item[i];

		if (strncasecmp(field->name, METADATA, strlen(METADATA)))
			continue;
		(*pair)[*count].name = field->name + strlen(METADATA);
		(*pair)[(*count)++].value = field->value;
	}
	return 0;
}

/* 0 where there is none. */
static uint64_t number_of(const struct azc_answer *answer, const char *name)
{
	uint64_t value;

	return azc_answer_number(answer, name, &value) ? value : 0;
}

static void take_headers(struct azblob_properties *properties, const struct azc_answer *answer)
{
	properties->etag = azc_answer_text(answer, "ETag");
	properties->last_modified = azc_answer_text(answer, "Last-Modified");
	properties->content_type = azc_answer_text(answer, "Content-Type");
	properties->content_encoding = azc_answer_text(answer, "Content-Encoding");
	properties->content_language = azc_answer_text(answer, "Content-Language");
	properties->content_disposition = azc_answer_text(answer, "Content-Disposition");
	properties->cache_control = azc_answer_text(answer, "Cache-Control");
	properties->content_md5 = azc_answer_text(answer, "Content-MD5");
	properties->blob_type = azc_answer_text(answer, "x-ms-blob-type");
	properties->access_tier = azc_answer_text(answer, "x-ms-access-tier");
	properties->creation_time = azc_answer_text(answer, "x-ms-creation-time");
	properties->lease_state = azc_answer_text(answer, "x-ms-lease-state");
	properties->version = azc_answer_text(answer, "x-ms-version-id");
	properties->copy_id = azc_answer_text(answer, "x-ms-copy-id");
	properties->copy_source = azc_answer_text(answer, "x-ms-copy-source");
	properties->copy_status = azc_answer_text(answer, "x-ms-copy-status");
	properties->copy_progress = azc_answer_text(answer, "x-ms-copy-progress");
	properties->copy_description = azc_answer_text(answer, "x-ms-copy-status-description");
	properties->copy_snapshot = azc_answer_text(answer, "x-ms-copy-destination-snapshot");
	properties->is_incremental_copy =
		!strcmp(azc_answer_text(answer, "x-ms-incremental-copy"), "true");
	properties->append_blocks = number_of(answer, "x-ms-blob-committed-block-count");
	properties->sequence_number = number_of(answer, "x-ms-blob-sequence-number");
	properties->tag_count = number_of(answer, "x-ms-tag-count");
	properties->is_sealed = !strcmp(azc_answer_text(answer, "x-ms-blob-sealed"), "true");
}

int azblob_get_properties_of(azblob_conn *conn, const char *container, const char *blob,
			     const struct azblob_access *given,
			     struct azblob_properties **properties, struct azblob_error *error)
{
	struct azblob_access access;
	struct azc_request request;
	struct properties *all;

	if (azc_check_call(container, blob, given, AZC_ACCESS_STATE | AZC_ACCESS_LEASE, &access,
			   error))
		return -1;
	all = calloc(1, sizeof(*all));
	if (!all)
		return azc_fail_memory(error);
	azc_request_init(&request, "HEAD");
	request.repeatable = true;
	azc_request_path(&request, conn, container, blob);
	azc_access_apply(&request, &access);
	if (azc_perform_alone(conn, &request, &all->answer, error)) {
		azblob_properties_free(&all->properties);
		return -1;
	}
	take_headers(&all->properties, &all->answer);
	if (!azc_answer_number(&all->answer, "Content-Length", &all->properties.size)) {
		azblob_properties_free(&all->properties);
		return azc_fail(error, AZBLOB_TRANSPORT, "the answer has no Content-Length");
	}
	if (azc_answer_metadata(&all->answer, &all->pair, &all->properties.metadata_count)) {
		azblob_properties_free(&all->properties);
		return azc_fail_memory(error);
	}
	all->properties.metadata = all->pair;
	*properties = &all->properties;
	return 0;
}

int azblob_get_properties(azblob_conn *conn, const char *container, const char *blob,
			  struct azblob_properties **properties, struct azblob_error *error)
{
	return azblob_get_properties_of(conn, container, blob, NULL, properties, error);
}
