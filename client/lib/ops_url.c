// SPDX-License-Identifier: MIT
/* Blobs, blocks, appends and pages whose bytes the service fetches. */
#include "ops.h"

#include <string.h>

#include "put.h"
#include "sas.h"

/* A source, checked. */
struct source {
	struct azblob_source given;
	struct azblob_access access;
};

static int take_source(const struct azblob_source *given, struct source *source,
		       struct azblob_error *error)
{
	memset(source, 0, sizeof(*source));
	if (!given ||
	    azc_copy_options(&source->given, sizeof(source->given), given, given->struct_size))
		return azc_fail(
			error, AZBLOB_BAD_ARGUMENT,
			"the source is missing or holds something that this library does not know");
	if (azc_check_source(source->given.url, error) ||
	    azc_access_take(source->given.access, 0, &source->access, error) ||
	    azc_check_header(source->given.content_md5, "the MD5", error) ||
	    azc_check_header(source->given.authorization, "the authorization", error))
		return -1;
	if (source->access.if_tags)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"there is no condition on the tags of a source");
	if (!source->given.length || (source->given.length != AZBLOB_LENGTH_REST &&
				      source->given.offset > UINT64_MAX - source->given.length))
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"the source's range of %llu bytes from %llu is empty or too large",
				(unsigned long long)source->given.length,
				(unsigned long long)source->given.offset);
	return 0;
}

static bool is_whole(const struct source *source)
{
	return !source->given.offset && source->given.length == AZBLOB_LENGTH_REST;
}

static void add_source(struct azc_request *request, const azblob_conn *conn,
		       const struct source *source)
{
	struct azb_buf url = { 0 };

	azc_source_url(&url, conn, source->given.url);
	request->no_memory |= url.failed;
	azc_request_field(request, "x-ms-copy-source", url.data);
	azb_buf_free(&url);
	if (!is_whole(source))
		azc_request_range(request, "x-ms-source-range", source->given.offset,
				  source->given.length);
	azc_source_conditions(request, &source->access);
	azc_request_field(request, "x-ms-source-content-md5", source->given.content_md5);
	azc_request_field(request, "x-ms-copy-source-authorization", source->given.authorization);
}

int azblob_put_blob_from_url(azblob_conn *conn, const char *container, const char *blob,
			     const struct azblob_source *given,
			     const struct azblob_put_options *given_options,
			     struct azblob_change_result *result, struct azblob_error *error)
{
	struct azblob_put_options options;
	struct azblob_access access;
	struct azc_request request;
	struct source source;

	if (azc_check_container(container, error) || azc_check_blob(blob, error) ||
	    azc_put_options(given_options, &options, &access, error) ||
	    take_source(given, &source, error))
		return -1;
	if (!is_whole(&source))
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"a blob is made of a whole source: blocks can be of ranges");
	azc_request_init(&request, "PUT");
	azc_request_path(&request, conn, container, blob);
	request.has_body = true;
	request.effect = true;
	azc_put_headers(&request, &options);
	/* The source's, then. */
	if (!options.content_type)
		azc_request_drop_field(&request, "x-ms-blob-content-type");
	azc_request_field(&request, "x-ms-blob-type", "BlockBlob");
	add_source(&request, conn, &source);
	azc_request_guarded(&request, AZC_GUARD_MATCH | AZC_GUARD_NEW);
	return azc_perform_change(conn, &request, result, error);
}

int azblob_put_block_from_url(azblob_conn *conn, const char *container, const char *blob,
			      const char *block_id, const struct azblob_source *given,
			      const char *lease_id, struct azblob_error *error)
{
	struct azblob_access access = { 0 };
	struct azc_request request;
	struct source source;

	if (azc_check_container(container, error) || azc_check_blob(blob, error) ||
	    azc_check_block_id(block_id, error) ||
	    (lease_id && azc_check_lease_id(lease_id, error)) || take_source(given, &source, error))
		return -1;
	access.lease_id = lease_id;
	azc_begin_change(&request, "PUT", conn, container, blob, "block", &access);
	azc_request_query(&request, "blockid", block_id);
	request.repeatable = true;
	add_source(&request, conn, &source);
	return azc_perform_simple(conn, &request, error);
}

int azblob_append_from_url(azblob_conn *conn, const char *container, const char *blob,
			   const struct azblob_source *given, uint64_t position, uint64_t max_size,
			   const struct azblob_access *given_access,
			   struct azblob_append_result *result, struct azblob_error *error)
{
	struct azblob_access access;
	struct azc_request request;
	struct source source;

	if (azc_check_call(container, blob, given_access, AZC_ACCESS_LEASE, &access, error) ||
	    take_source(given, &source, error))
		return -1;
	azc_begin_change(&request, "PUT", conn, container, blob, "appendblock", &access);
	add_source(&request, conn, &source);
	return azc_append_finish(conn, &request, position, max_size, result, error);
}

int azblob_put_pages_from_url(azblob_conn *conn, const char *container, const char *blob,
			      uint64_t offset, const struct azblob_source *given,
			      const struct azblob_page_options *options,
			      struct azblob_page_result *result, struct azblob_error *error)
{
	struct azc_request request;
	struct source source;

	if (take_source(given, &source, error))
		return -1;
	if (source.given.length > AZBLOB_PAGES_MAX)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"pages from a source need its length, at most %u",
				AZBLOB_PAGES_MAX);
	if (azc_page_begin(&request, conn, container, blob, offset, source.given.length, "update",
			   options, error))
		return -1;
	add_source(&request, conn, &source);
	return azc_page_finish(conn, &request, result, error);
}
