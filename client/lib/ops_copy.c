// SPDX-License-Identifier: MIT
/* Addresses, and copies that the service does. */
#include "ops.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sas.h"

/* How often a copy under way is looked at: more and more rarely. */
#define FIRST_LOOK_MS 100
#define LAST_LOOK_MS 5000
/* How often a waiting thread asks whether it was cancelled. */
#define WAIT_SLICE_MS 50

int azblob_url(azblob_conn *conn, const char *container, const char *blob, const char *snapshot,
	       char **url, struct azblob_error *error)
{
	struct azc_request request;
	struct azb_buf text = { 0 };

	if ((container && azc_check_container(container, error)) ||
	    (blob && azc_check_blob(blob, error)) ||
	    azc_check_condition(snapshot, "the snapshot", error))
		return -1;
	if ((blob && !container) || (snapshot && !blob))
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"an address needs the container of a blob, and the blob of a "
				"snapshot");
	azc_request_init(&request, "GET");
	azc_request_path(&request, conn, container, blob);
	azc_request_query(&request, "snapshot", snapshot);
	azb_buf_printf(&text, "%s://%s%s%s%s", conn->endpoint.https ? "https" : "http",
		       conn->endpoint.host, request.path.data ? request.path.data : "",
		       request.query.length ? "?" : "",
		       request.query.length ? request.query.data : "");
	text.failed |= request.no_memory;
	azc_request_free(&request);
	if (text.failed) {
		azb_buf_free(&text);
		return azc_fail_memory(error);
	}
	azc_error_clear(error);
	*url = text.data;
	return 0;
}

void azblob_text_free(char *text)
{
	free(text);
}

void azc_source_conditions(struct azc_request *request, const struct azblob_access *source)
{
	azc_request_field(request, "x-ms-source-if-match", source->if_match);
	azc_request_field(request, "x-ms-source-if-none-match", source->if_none_match);
	azc_request_field(request, "x-ms-source-if-modified-since", source->if_modified_since);
	azc_request_field(request, "x-ms-source-if-unmodified-since", source->if_unmodified_since);
	azc_request_field(request, "x-ms-source-lease-id", source->lease_id);
}

int azc_check_source(const char *source, struct azblob_error *error)
{
	if (!source || (strncasecmp(source, "http://", 7) && strncasecmp(source, "https://", 8)))
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"the source of a copy must be an http:// or https:// address");
	for (const char *s = source; *s; s++)
		if ((unsigned char)*s <= 0x20 || (unsigned char)*s >= 0x7f)
			return azc_fail(error, AZBLOB_BAD_ARGUMENT,
					"the source of a copy must be percent-encoded");
	return 0;
}

static int copy_options(const struct azblob_copy_options *given,
			struct azblob_copy_options *options, struct azblob_access *access,
			struct azblob_access *source, struct azblob_error *error)
{
	memset(options, 0, sizeof(*options));
	if (given && azc_copy_options(options, sizeof(*options), given, given->struct_size))
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"the copy options hold something that this library does not know");
	if (azc_access_take(options->access, AZC_ACCESS_LEASE, access, error) ||
	    azc_access_take(options->source, AZC_ACCESS_LEASE, source, error) ||
	    azc_check_metadata(options->metadata, options->metadata_count, error) ||
	    (options->tier && azc_check_tier(options->tier, error)))
		return -1;
	if (source->if_tags)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"there is no condition on the tags of a copy's source");
	return 0;
}

/* Performs and frees a request that begins a copy; @result may be NULL. */
static int finish_start(azblob_conn *conn, struct azc_request *request, const char *source_url,
			struct azblob_copy_result *result, struct azblob_error *error)
{
	struct azc_answer answer;
	struct azb_buf url = { 0 };
	int status;

	azc_source_url(&url, conn, source_url);
	request->no_memory |= url.failed;
	azc_request_field(request, "x-ms-copy-source", url.data);
	azb_buf_free(&url);
	azc_request_guarded(request, AZC_GUARD_MATCH | AZC_GUARD_NEW);
	status = azc_perform_alone(conn, request, &answer, error);
	if (!status && result) {
		memset(result, 0, sizeof(*result));
		azc_take_text(result->etag, sizeof(result->etag), &answer, "ETag");
		azc_take_text(result->last_modified, sizeof(result->last_modified), &answer,
			      "Last-Modified");
		azc_take_text(result->copy_id, sizeof(result->copy_id), &answer, "x-ms-copy-id");
		azc_take_text(result->status, sizeof(result->status), &answer, "x-ms-copy-status");
	}
	azc_answer_reset(&answer);
	return status;
}

int azblob_copy_incremental(azblob_conn *conn, const char *container, const char *blob,
			    const char *source, const struct azblob_access *given,
			    struct azblob_copy_result *result, struct azblob_error *error)
{
	struct azblob_access access;
	struct azc_request request;

	if (azc_check_call(container, blob, given, 0, &access, error) ||
	    azc_check_source(source, error))
		return -1;
	azc_begin_change(&request, "PUT", conn, container, blob, "incrementalcopy", &access);
	return finish_start(conn, &request, source, result, error);
}

int azblob_copy_start(azblob_conn *conn, const char *container, const char *blob,
		      const char *source_url, const struct azblob_copy_options *given,
		      struct azblob_copy_result *result, struct azblob_error *error)
{
	struct azblob_copy_options options;
	struct azblob_access access = { 0 };
	struct azblob_access source = { 0 };
	struct azc_request request;

	if (azc_check_container(container, error) || azc_check_blob(blob, error) ||
	    azc_check_source(source_url, error) ||
	    copy_options(given, &options, &access, &source, error))
		return -1;
	azc_begin_change(&request, "PUT", conn, container, blob, NULL, &access);
	azc_source_conditions(&request, &source);
	azc_request_metadata(&request, options.metadata, options.metadata_count);
	azc_request_field(&request, "x-ms-access-tier", options.tier);
	if (options.synchronous)
		azc_request_field(&request, "x-ms-requires-sync", "true");
	return finish_start(conn, &request, source_url, result, error);
}

int azblob_copy_abort(azblob_conn *conn, const char *container, const char *blob,
		      const char *copy_id, const char *lease_id, struct azblob_error *error)
{
	struct azblob_access lease = AZBLOB_ACCESS_INIT;
	struct azblob_access access;
	struct azc_request request;

	lease.lease_id = lease_id;
	if (azc_check_call(container, blob, &lease, AZC_ACCESS_LEASE, &access, error))
		return -1;
	if (!copy_id || !*copy_id)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT, "which copy? Its id is empty");
	azc_begin_change(&request, "PUT", conn, container, blob, "copy", &access);
	azc_request_query(&request, "copyid", copy_id);
	azc_request_field(&request, "x-ms-copy-action", "abort");
	/* Of one that is aborted nothing is pending. */
	request.repeatable = true;
	return azc_perform_simple(conn, &request, error);
}

/* ---- waiting ---- */

static void copy_progress(struct azc_op *op, const char *text)
{
	const char *slash = strchr(text, '/');
	uint64_t done;
	uint64_t total;

	if (!slash || !azc_parse_number(text, (size_t)(slash - text), &done) ||
	    !azc_parse_number(slash + 1, strlen(slash + 1), &total))
		return;
	azc_op_set_total(op, total);
	azc_op_advance(op, done > op->done ? done - op->done : 0);
}

/* 0: done; 1: still under way; -1: it failed. */
static int look(struct azc_op *op, const char *container, const char *blob,
		struct azblob_error *error)
{
	struct azblob_properties *properties;
	int status = 0;

	if (azblob_get_properties(op->conn, container, blob, &properties, error))
		return -1;
	copy_progress(op, properties->copy_progress);
	if (!strcmp(properties->copy_status, "pending")) {
		status = 1;
	} else if (*properties->copy_status && strcmp(properties->copy_status, "success") != 0) {
		status = azc_fail(error, AZBLOB_SERVICE,
				  "the copy was not completed (%.20s): %.200s",
				  properties->copy_status, properties->copy_description);
	}
	azblob_properties_free(properties);
	return status;
}

/* False when cancelled. */
static bool pause_ms(struct azc_op *op, unsigned int milliseconds)
{
	struct timespec slice = { .tv_nsec = WAIT_SLICE_MS * 1000000L };

	for (unsigned int waited = 0; waited < milliseconds; waited += WAIT_SLICE_MS) {
		if (azc_op_cancelled(op))
			return false;
		nanosleep(&slice, NULL);
	}
	return !azc_op_cancelled(op);
}

int azblob_copy_wait(azblob_conn *conn, const char *container, const char *blob,
		     azblob_progress_fn progress, void *context, struct azblob_error *error)
{
	unsigned int wait = FIRST_LOOK_MS;
	struct azc_op op;
	int status;

	azc_op_init(&op, conn, progress, context, AZBLOB_SIZE_UNKNOWN);
	while ((status = look(&op, container, blob, error)) > 0) {
		if (!pause_ms(&op, wait)) {
			status = azc_fail(error, AZBLOB_CANCELLED, "cancelled");
			break;
		}
		wait = 2 * wait < LAST_LOOK_MS ? 2 * wait : LAST_LOOK_MS;
	}
	azc_op_end(&op);
	return status;
}
