// SPDX-License-Identifier: MIT
/* Deletion with conditions, metadata, headers, tier, snapshots. */
#include "ops.h"

#include <string.h>

int azblob_delete_blob_if(azblob_conn *conn, const char *container, const char *blob,
			  enum azblob_delete what, const struct azblob_access *given,
			  struct azblob_error *error)
{
	static const char *const snapshots[] = { NULL, "include", "only" };
	struct azblob_access access;
	struct azc_request request;

	if (azc_check_call(container, blob, given, AZC_ACCESS_STATE | AZC_ACCESS_LEASE, &access,
			   error))
		return -1;
	if ((unsigned int)what > AZBLOB_DELETE_SNAPSHOTS_ONLY ||
	    (what && (access.snapshot || access.version)))
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"a deletion is of a blob, with or without its snapshots, or of one "
				"snapshot or version");
	azc_begin_change(&request, "DELETE", conn, container, blob, NULL, &access);
	azc_request_field(&request, "x-ms-delete-snapshots", snapshots[what]);
	azc_request_guarded(&request, AZC_GUARD_MATCH);
	/* A snapshot or version that is gone is not there a second time. */
	request.repeatable |= access.snapshot || access.version;
	return azc_perform_simple(conn, &request, error);
}

int azblob_delete_permanently(azblob_conn *conn, const char *container, const char *blob,
			      const struct azblob_access *given, struct azblob_error *error)
{
	struct azblob_access access;
	struct azc_request request;

	if (azc_check_call(container, blob, given, AZC_ACCESS_STATE | AZC_ACCESS_LEASE, &access,
			   error))
		return -1;
	/* Nor does the service do it to a blob; a slip here would delete what is there. */
	if (!access.snapshot && !access.version)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"only a snapshot or a version can be deleted permanently");
	azc_begin_change(&request, "DELETE", conn, container, blob, NULL, &access);
	azc_request_query(&request, "deletetype", "permanent");
	/* It is not there a second time. */
	request.repeatable = true;
	return azc_perform_simple(conn, &request, error);
}

int azblob_set_metadata(azblob_conn *conn, const char *container, const char *blob,
			const struct azblob_pair *metadata, size_t count,
			const struct azblob_access *given, struct azblob_change_result *result,
			struct azblob_error *error)
{
	struct azblob_access access;
	struct azc_request request;

	if (azc_check_call(container, blob, given, AZC_ACCESS_LEASE, &access, error) ||
	    azc_check_metadata(metadata, count, error))
		return -1;
	azc_begin_change(&request, "PUT", conn, container, blob, "metadata", &access);
	azc_request_guarded(&request, AZC_GUARD_MATCH);
	azc_request_metadata(&request, metadata, count);
	return azc_perform_change(conn, &request, result, error);
}

int azblob_set_headers(azblob_conn *conn, const char *container, const char *blob,
		       const struct azblob_headers *given_headers,
		       const struct azblob_access *given, struct azblob_change_result *result,
		       struct azblob_error *error)
{
	struct azblob_headers headers = { 0 };
	struct azblob_access access;
	struct azc_request request;

	if (given_headers &&
	    azc_copy_options(&headers, sizeof(headers), given_headers, given_headers->struct_size))
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"the headers hold something that this library does not know");
	if (azc_check_call(container, blob, given, AZC_ACCESS_LEASE, &access, error) ||
	    azc_check_header(headers.content_type, "the content type", error) ||
	    azc_check_header(headers.content_encoding, "the content encoding", error) ||
	    azc_check_header(headers.content_language, "the content language", error) ||
	    azc_check_header(headers.content_disposition, "the content disposition", error) ||
	    azc_check_header(headers.cache_control, "the cache control", error) ||
	    azc_check_header(headers.content_md5, "the MD5", error))
		return -1;
	azc_begin_change(&request, "PUT", conn, container, blob, "properties", &access);
	azc_request_guarded(&request, AZC_GUARD_MATCH);
	/* The service takes it as a change of headers when one is named; the others are cleared. */
	if (!headers.content_encoding && !headers.content_language &&
	    !headers.content_disposition && !headers.cache_control && !headers.content_md5 &&
	    !headers.content_type)
		headers.content_type = "application/octet-stream";
	azc_request_field(&request, "x-ms-blob-content-type", headers.content_type);
	azc_request_field(&request, "x-ms-blob-content-encoding", headers.content_encoding);
	azc_request_field(&request, "x-ms-blob-content-language", headers.content_language);
	azc_request_field(&request, "x-ms-blob-content-disposition", headers.content_disposition);
	azc_request_field(&request, "x-ms-blob-cache-control", headers.cache_control);
	azc_request_field(&request, "x-ms-blob-content-md5", headers.content_md5);
	return azc_perform_change(conn, &request, result, error);
}

int azblob_set_tier(azblob_conn *conn, const char *container, const char *blob, const char *tier,
		    const struct azblob_access *given, struct azblob_error *error)
{
	struct azblob_access access;
	struct azc_request request;

	if (azc_check_call(container, blob, given, AZC_ACCESS_STATE | AZC_ACCESS_LEASE, &access,
			   error) ||
	    azc_check_tier(tier, error))
		return -1;
	azc_begin_change(&request, "PUT", conn, container, blob, "tier", &access);
	azc_request_field(&request, "x-ms-access-tier", tier);
	return azc_perform_simple(conn, &request, error);
}

int azblob_create_snapshot(azblob_conn *conn, const char *container, const char *blob,
			   const struct azblob_pair *metadata, size_t count,
			   const struct azblob_access *given, char snapshot[AZBLOB_SNAPSHOT_ROOM],
			   struct azblob_error *error)
{
	struct azblob_access access;
	struct azc_request request;
	struct azc_answer answer;
	int status;

	if (azc_check_call(container, blob, given, AZC_ACCESS_LEASE, &access, error) ||
	    azc_check_metadata(metadata, count, error))
		return -1;
	azc_begin_change(&request, "PUT", conn, container, blob, "snapshot", &access);
	azc_request_metadata(&request, metadata, count);
	status = azc_perform_alone(conn, &request, &answer, error);
	if (!status) {
		azc_take_text(snapshot, AZBLOB_SNAPSHOT_ROOM, &answer, "x-ms-snapshot");
		if (!*snapshot)
			status = azc_fail_mute(error,
					       "the answer does not say which snapshot was made");
	}
	azc_answer_reset(&answer);
	return status;
}
