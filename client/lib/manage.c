// SPDX-License-Identifier: MIT
/* Containers, deletion, lists. */
#include "ops.h"

#include <stdio.h>
#include <string.h>

#include "xml.h"

int azblob_container_create(azblob_conn *conn, const char *container, struct azblob_error *error)
{
	struct azc_request request;

	if (azc_check_container(container, error))
		return -1;
	azc_request_init(&request, "PUT");
	request.has_body = true;
	request.effect = true;
	/* Once it is there it can't be made again. */
	request.repeatable = true;
	azc_request_path(&request, conn, container, NULL);
	azc_request_query(&request, "restype", "container");
	return azc_perform_simple(conn, &request, error);
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
	return azc_perform_simple(conn, &request, error);
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
	return azc_perform_simple(conn, &request, error);
}

/* ---- lists ---- */

#define ALL_INCLUDES (2u * AZBLOB_INCLUDE_TAGS - 1)

static int get_options(const struct azblob_list_options *given, unsigned int may_include,
		       struct azblob_list_options *options, struct azblob_error *error)
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
	if (options->include & ~may_include)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"include 0x%x: this list knows only 0x%x", options->include,
				may_include);
	if (options->prefix && azc_check_utf8(options->prefix, "the prefix", error))
		return -1;
	return 0;
}

static void include_query(struct azc_request *request, unsigned int include)
{
	static const char *const names[] = { "metadata",         "snapshots", "versions", "deleted",
					     "uncommittedblobs", "copy",      "tags" };
	struct azb_buf text = { 0 };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!(include & 1u << i))
			continue;
		if (text.length)
			azb_buf_puts(&text, ",");
		azb_buf_puts(&text, names[i]);
	}
	request->no_memory |= text.failed;
	azc_request_query(request, "include", text.data);
	azb_buf_free(&text);
}

static int list(azblob_conn *conn, struct azc_request *request, unsigned int may_include,
		const struct azblob_list_options *given, struct azblob_list **page,
		struct azblob_error *error)
{
	struct azblob_list_options options;
	struct azc_answer answer;
	char max_results[16];
	int result;

	if (get_options(given, may_include, &options, error)) {
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
	include_query(request, options.include);
	result = azc_perform_alone(conn, request, &answer, error);
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
	return list(conn, &request, AZBLOB_INCLUDE_METADATA | AZBLOB_INCLUDE_DELETED, options, page,
		    error);
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
	return list(conn, &request, ALL_INCLUDES, options, page, error);
}
