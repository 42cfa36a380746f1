// SPDX-License-Identifier: MIT
/* Page blobs. */
#include "ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "put.h"
#include "xml_tree.h"

/* The service's limit of one list. */
#define RANGES_MAX 10000u

static int check_pages(uint64_t offset, uint64_t length, struct azblob_error *error)
{
	if (length && !(offset % AZBLOB_PAGE_SIZE) && !(length % AZBLOB_PAGE_SIZE) &&
	    offset <= INT64_MAX - length && length <= INT64_MAX)
		return 0;
	return azc_fail(error, AZBLOB_BAD_ARGUMENT,
			"pages of %llu bytes at %llu: both must be multiples of %u, and the length "
			"not 0",
			(unsigned long long)length, (unsigned long long)offset, AZBLOB_PAGE_SIZE);
}

static int check_size(uint64_t size, struct azblob_error *error)
{
	if (!(size % AZBLOB_PAGE_SIZE) && size <= INT64_MAX)
		return 0;
	return azc_fail(error, AZBLOB_BAD_ARGUMENT,
			"a page blob of %llu bytes: must be a multiple of %u",
			(unsigned long long)size, AZBLOB_PAGE_SIZE);
}

int azblob_page_create(azblob_conn *conn, const char *container, const char *blob, uint64_t size,
		       uint64_t sequence_number, const struct azblob_put_options *given,
		       struct azblob_change_result *result, struct azblob_error *error)
{
	struct azblob_put_options options;
	struct azblob_access access;
	struct azc_request request;

	if (azc_check_container(container, error) || azc_check_blob(blob, error) ||
	    check_size(size, error) || azc_put_options(given, &options, &access, error))
		return -1;
	azc_request_init(&request, "PUT");
	azc_request_path(&request, conn, container, blob);
	request.has_body = true;
	request.effect = true;
	azc_request_field(&request, "x-ms-blob-type", "PageBlob");
	azc_request_number(&request, "x-ms-blob-content-length", size);
	azc_request_number(&request, "x-ms-blob-sequence-number", sequence_number);
	azc_put_headers(&request, &options);
	azc_request_guarded(&request, AZC_GUARD_MATCH | AZC_GUARD_NEW);
	return azc_perform_change(conn, &request, result, error);
}

/* ---- changes ---- */

int azc_page_begin(struct azc_request *request, const azblob_conn *conn, const char *container,
		   const char *blob, uint64_t offset, uint64_t length, const char *write,
		   const struct azblob_page_options *given, struct azblob_error *error)
{
	struct azblob_page_options options = { 0 };
	struct azblob_access access;

	if (given && azc_copy_options(&options, sizeof(options), given, given->struct_size))
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"the page options hold something that this library does not know");
	if (azc_check_call(container, blob, options.access, AZC_ACCESS_LEASE, &access, error) ||
	    check_pages(offset, length, error))
		return -1;
	azc_begin_change(request, "PUT", conn, container, blob, "page", &access);
	azc_request_guarded(request, AZC_GUARD_MATCH | AZC_GUARD_LEASE);
	azc_request_field(request, "x-ms-page-write", write);
	azc_request_range(request, "x-ms-range", offset, length);
	if (options.if_sequence_le)
		azc_request_number(request, "x-ms-if-sequence-number-le", *options.if_sequence_le);
	if (options.if_sequence_lt)
		azc_request_number(request, "x-ms-if-sequence-number-lt", *options.if_sequence_lt);
	if (options.if_sequence_eq)
		azc_request_number(request, "x-ms-if-sequence-number-eq", *options.if_sequence_eq);
	return 0;
}

int azc_page_finish(azblob_conn *conn, struct azc_request *request,
		    struct azblob_page_result *result, struct azblob_error *error)
{
	struct azc_answer answer;
	int status = azc_perform_alone(conn, request, &answer, error);

	if (!status && result) {
		memset(result, 0, sizeof(*result));
		azc_take_text(result->etag, sizeof(result->etag), &answer, "ETag");
		azc_take_text(result->last_modified, sizeof(result->last_modified), &answer,
			      "Last-Modified");
		if (!azc_answer_number(&answer, "x-ms-blob-sequence-number",
				       &result->sequence_number))
			result->sequence_number = 0;
	}
	azc_answer_reset(&answer);
	return status;
}

int azblob_put_pages(azblob_conn *conn, const char *container, const char *blob, uint64_t offset,
		     const void *data, size_t size, const struct azblob_page_options *options,
		     struct azblob_page_result *result, struct azblob_error *error)
{
	struct azc_request request;

	if (size > AZBLOB_PAGES_MAX || !data)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"pages of %zu bytes: must be at most %u, from a buffer", size,
				AZBLOB_PAGES_MAX);
	if (azc_page_begin(&request, conn, container, blob, offset, size, "update", options, error))
		return -1;
	request.content_length = size;
	azc_put_carry(&request, conn, data, size, azc_put_sum(conn, data, size));
	return azc_page_finish(conn, &request, result, error);
}

int azblob_clear_pages(azblob_conn *conn, const char *container, const char *blob, uint64_t offset,
		       uint64_t length, const struct azblob_page_options *options,
		       struct azblob_page_result *result, struct azblob_error *error)
{
	struct azc_request request;

	if (azc_page_begin(&request, conn, container, blob, offset, length, "clear", options,
			   error))
		return -1;
	return azc_page_finish(conn, &request, result, error);
}

/* Set Blob Properties of what only page blobs have; the rest stays as it is. */
static int begin_properties(struct azc_request *request, const azblob_conn *conn,
			    const char *container, const char *blob,
			    const struct azblob_access *given, struct azblob_error *error)
{
	struct azblob_access access;

	if (azc_check_call(container, blob, given, AZC_ACCESS_LEASE, &access, error))
		return -1;
	azc_begin_change(request, "PUT", conn, container, blob, "properties", &access);
	azc_request_guarded(request, AZC_GUARD_MATCH);
	return 0;
}

int azblob_page_resize(azblob_conn *conn, const char *container, const char *blob, uint64_t size,
		       const struct azblob_access *access, struct azblob_page_result *result,
		       struct azblob_error *error)
{
	struct azc_request request;

	if (check_size(size, error) ||
	    begin_properties(&request, conn, container, blob, access, error))
		return -1;
	azc_request_number(&request, "x-ms-blob-content-length", size);
	return azc_page_finish(conn, &request, result, error);
}

int azblob_page_set_sequence(azblob_conn *conn, const char *container, const char *blob,
			     enum azblob_sequence action, uint64_t number,
			     const struct azblob_access *access, struct azblob_page_result *result,
			     struct azblob_error *error)
{
	static const char *const actions[] = { "update", "max", "increment" };
	struct azc_request request;

	if ((unsigned int)action > AZBLOB_SEQUENCE_INCREMENT ||
	    (action == AZBLOB_SEQUENCE_INCREMENT && number))
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"a sequence number is set, raised, or incremented by one with no "
				"number given");
	if (begin_properties(&request, conn, container, blob, access, error))
		return -1;
	azc_request_field(&request, "x-ms-sequence-number-action", actions[action]);
	if (action != AZBLOB_SEQUENCE_INCREMENT)
		azc_request_number(&request, "x-ms-blob-sequence-number", number);
	return azc_page_finish(conn, &request, result, error);
}

/* ---- ranges ---- */

/* The public struct first; its strings are in the answer and the document. */
struct page_list {
	struct azblob_page_list list;
	struct azc_answer answer;
	struct azc_node *tree;
	struct azblob_page_range *range;
	const struct azblob_page_range **pointer;
};

void azblob_page_list_free(struct azblob_page_list *list)
{
	struct page_list *all = (struct page_list *)list;

	if (!all)
		return;
	azc_answer_reset(&all->answer);
	azc_tree_free(all->tree);
	free(all->range);
	free(all->pointer);
	free(all);
}

/* First and last byte of an element. */
static bool read_range(const struct azc_node *node, struct azblob_page_range *range)
{
	const char *start = azc_tree_text(node, "Start");
	const char *end = azc_tree_text(node, "End");
	uint64_t last;

	if (!azc_parse_number(start, strlen(start), &range->offset) ||
	    !azc_parse_number(end, strlen(end), &last) || last < range->offset ||
	    last == UINT64_MAX)
		return false;
	range->length = last - range->offset + 1;
	return true;
}

static int fill(struct page_list *all, struct azblob_error *error)
{
	size_t room = azc_tree_count(all->tree, "PageRange") +
		      azc_tree_count(all->tree, "ClearRange") + 1;
	size_t count = 0;

	all->range = calloc(room, sizeof(*all->range));
	all->pointer = calloc(room, sizeof(struct azblob_page_range *));
	if (!all->range || !all->pointer)
		return azc_fail_memory(error);
	for (const struct azc_node *at = all->tree->first; at; at = at->next) {
		bool written = !strcmp(at->name, "PageRange");

		if (!written && strcmp(at->name, "ClearRange") != 0)
			continue;
		if (!read_range(at, &all->range[count]))
			return azc_fail(error, AZBLOB_TRANSPORT,
					"the answer makes no sense: a range of pages");
		all->range[count].written = written;
		all->pointer[count] = &all->range[count];
		count++;
	}
	all->list.count = count;
	all->list.ranges = all->pointer;
	all->list.next_marker = azc_tree_text(all->tree, "NextMarker");
	all->list.etag = azc_answer_text(&all->answer, "ETag");
	if (!azc_answer_number(&all->answer, "x-ms-blob-content-length", &all->list.blob_size))
		return azc_fail(error, AZBLOB_TRANSPORT,
				"the answer does not say how long the blob is");
	return 0;
}

static int begin_list(struct azc_request *request, const azblob_conn *conn, const char *container,
		      const char *blob, const struct azblob_page_list_options *given,
		      struct azblob_error *error)
{
	struct azblob_page_list_options options = { 0 };
	struct azblob_access access;
	char number[16];

	if (given && azc_copy_options(&options, sizeof(options), given, given->struct_size))
		return azc_fail(
			error, AZBLOB_BAD_ARGUMENT,
			"the page list options hold something that this library does not know");
	if (azc_check_call(container, blob, options.access, AZC_ACCESS_STATE | AZC_ACCESS_LEASE,
			   &access, error))
		return -1;
	if (options.max_results > RANGES_MAX || options.offset > INT64_MAX ||
	    options.length > INT64_MAX)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"max_results %u from %llu: must be 0 to %u, from inside of a blob",
				options.max_results, (unsigned long long)options.offset,
				RANGES_MAX);
	azc_request_init(request, "GET");
	azc_request_path(request, conn, container, blob);
	azc_request_query(request, "comp", "pagelist");
	azc_request_query(request, "prevsnapshot", options.previous_snapshot);
	azc_request_query(request, "marker",
			  options.marker && *options.marker ? options.marker : NULL);
	if (options.max_results) {
		snprintf(number, sizeof(number), "%u", options.max_results);
		azc_request_query(request, "maxresults", number);
	}
	azc_access_apply(request, &access);
	if (options.offset || options.length)
		azc_request_range(request, "x-ms-range", options.offset,
				  options.length ? options.length : AZBLOB_LENGTH_REST);
	request->repeatable = true;
	request->want_text = true;
	return 0;
}

int azblob_get_page_ranges(azblob_conn *conn, const char *container, const char *blob,
			   const struct azblob_page_list_options *options,
			   struct azblob_page_list **list, struct azblob_error *error)
{
	struct azc_request request;
	struct page_list *all;
	int status;

	if (begin_list(&request, conn, container, blob, options, error))
		return -1;
	all = calloc(1, sizeof(*all));
	if (!all) {
		azc_request_free(&request);
		return azc_fail_memory(error);
	}
	status = azc_perform_alone(conn, &request, &all->answer, error);
	if (!status)
		status = azc_tree_parse(all->answer.text.data, all->answer.text.length, "PageList",
					&all->tree, error);
	if (!status)
		status = fill(all, error);
	if (status) {
		azblob_page_list_free(&all->list);
		return status;
	}
	*list = &all->list;
	return 0;
}
