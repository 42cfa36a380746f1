// SPDX-License-Identifier: MIT
/* The calls that move no blob data: containers, properties, deletion, lists. */
#include "transport.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xml.h"

/* One request without progress or data, from start to end. */
static int perform_alone(azblob_conn *conn, struct azc_request *request, struct azc_answer *answer,
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

static int perform_simple(azblob_conn *conn, struct azc_request *request,
			  struct azblob_error *error)
{
	struct azc_answer answer;
	int result = perform_alone(conn, request, &answer, error);

	azc_answer_reset(&answer);
	return result;
}

int azblob_container_create(azblob_conn *conn, const char *container, struct azblob_error *error)
{
	struct azc_request request;

	if (azc_check_container(container, error))
		return -1;
	azc_request_init(&request, "PUT");
	request.has_body = true;
	request.effect = true;
	azc_request_path(&request, conn, container, NULL);
	azc_request_query(&request, "restype", "container");
	return perform_simple(conn, &request, error);
}

int azblob_container_delete(azblob_conn *conn, const char *container, struct azblob_error *error)
{
	struct azc_request request;

	if (azc_check_container(container, error))
		return -1;
	azc_request_init(&request, "DELETE");
	request.effect = true;
	azc_request_path(&request, conn, container, NULL);
	azc_request_query(&request, "restype", "container");
	return perform_simple(conn, &request, error);
}

int azblob_delete_blob(azblob_conn *conn, const char *container, const char *blob,
		       struct azblob_error *error)
{
	struct azc_request request;

	if (azc_check_container(container, error) || azc_check_blob(blob, error))
		return -1;
	azc_request_init(&request, "DELETE");
	request.effect = true;
	azc_request_path(&request, conn, container, blob);
	return perform_simple(conn, &request, error);
}

/* ---- properties ---- */

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

static int take_metadata(struct properties *all)
{
	size_t count = 0;

	all->pair = calloc(all->answer.fields.count + 1, sizeof(*all->pair));
	if (!all->pair)
		return -1;
	for (size_t i = 0; i < all->answer.fields.count; i++) {
		const struct azc_field *field = &all->answer.fields.item[i];

		if (strncasecmp(field->name, METADATA, strlen(METADATA)))
			continue;
		all->pair[count].name = field->name + strlen(METADATA);
		all->pair[count++].value = field->value;
	}
	all->properties.metadata = all->pair;
	all->properties.metadata_count = count;
	return 0;
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
}

int azblob_get_properties(azblob_conn *conn, const char *container, const char *blob,
			  struct azblob_properties **properties, struct azblob_error *error)
{
	struct azc_request request;
	struct properties *all;

	if (azc_check_container(container, error) || azc_check_blob(blob, error))
		return -1;
	all = calloc(1, sizeof(*all));
	if (!all)
		return azc_fail_memory(error);
	azc_request_init(&request, "HEAD");
	request.repeatable = true;
	azc_request_path(&request, conn, container, blob);
	if (perform_alone(conn, &request, &all->answer, error)) {
		azblob_properties_free(&all->properties);
		return -1;
	}
	take_headers(&all->properties, &all->answer);
	if (!azc_answer_number(&all->answer, "Content-Length", &all->properties.size)) {
		azblob_properties_free(&all->properties);
		return azc_fail(error, AZBLOB_TRANSPORT, "the answer has no Content-Length");
	}
	if (take_metadata(all)) {
		azblob_properties_free(&all->properties);
		return azc_fail_memory(error);
	}
	*properties = &all->properties;
	return 0;
}

/* ---- lists ---- */

static int get_options(const struct azblob_list_options *given, struct azblob_list_options *options,
		       struct azblob_error *error)
{
	memset(options, 0, sizeof(*options));
	if (!given)
		return 0;
	/* A program built with a later header: what we don't know must not be set. */
	if (azc_copy_options(options, sizeof(*options), given, given->struct_size))
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"the list options hold something that this library does not know");
	if (options->max_results > 5000)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT, "max_results %u: must be 1 to 5000",
				options->max_results);
	if (options->prefix && azc_check_utf8(options->prefix, "the prefix", error))
		return -1;
	return 0;
}

static int list(azblob_conn *conn, struct azc_request *request,
		const struct azblob_list_options *given, struct azblob_list **page,
		struct azblob_error *error)
{
	struct azblob_list_options options;
	struct azc_answer answer;
	char max_results[16];
	int result;

	if (get_options(given, &options, error)) {
		azc_request_free(request);
		return -1;
	}
	request->repeatable = true;
	request->want_text = true;
	azc_request_query(request, "comp", "list");
	azc_request_query(request, "prefix", options.prefix);
	azc_request_query(request, "delimiter", options.delimiter);
	azc_request_query(request, "marker",
			  options.marker && *options.marker ? options.marker : NULL);
	if (options.max_results) {
		snprintf(max_results, sizeof(max_results), "%u", options.max_results);
		azc_request_query(request, "maxresults", max_results);
	}
	result = perform_alone(conn, request, &answer, error);
	if (!result)
		result = azc_xml_list(answer.text.data ? answer.text.data : "", answer.text.length,
				      page, error);
	azc_answer_reset(&answer);
	return result;
}

int azblob_list_containers(azblob_conn *conn, const struct azblob_list_options *options,
			   struct azblob_list **page, struct azblob_error *error)
{
	struct azc_request request;

	azc_request_init(&request, "GET");
	azc_request_path(&request, conn, NULL, NULL);
	return list(conn, &request, options, page, error);
}

int azblob_list_blobs(azblob_conn *conn, const char *container,
		      const struct azblob_list_options *options, struct azblob_list **page,
		      struct azblob_error *error)
{
	struct azc_request request;

	if (azc_check_container(container, error))
		return -1;
	azc_request_init(&request, "GET");
	azc_request_path(&request, conn, container, NULL);
	azc_request_query(&request, "restype", "container");
	return list(conn, &request, options, page, error);
}
