// SPDX-License-Identifier: MIT
/*
 * Downloads.  The first request brings the blob's properties and the first part; the rest comes
 * in parallel: on the link by a handle (docs/payload.md), over HTTP by ranges of the same
 * ETag, small enough for the service to send a checksum with each.
 */
#include "parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ops.h"

/* So often a download goes on after its host has forgotten it. */
#define MAX_REOPENED 64u
/* An answer with a handle needs a buffer that the body does not fit. */
#define REOPEN_ROOM ((size_t)4096)

/* Where the bytes go: exactly one of the three. */
struct sink {
	char *memory;
	size_t room;
	int fd;
	bool positioned; /* fd can be written anywhere, by any thread */
	off_t start;
	azblob_write_fn writer; /* in order, one thread at a time */
	void *context;
};

/*
 * Offsets in here count from the start of the wanted range; @base is where that is in the blob.
 */
struct download {
	azblob_conn *conn;
	const char *container;
	const char *blob;
	struct azblob_get_options options;
	struct azblob_access access; /* of the first request */
	struct azc_op op;
	struct sink *sink;
	struct azc_parts parts;
	uint64_t base;
	uint64_t wanted; /* bytes asked for, AZBLOB_LENGTH_REST: all there are */
	uint64_t size;   /* bytes there are, known after the first answer */
	uint64_t blob_size;
	char handle[AZC_HANDLE_DIGITS + 1]; /* "" without one; workers: under handle_lock */
	pthread_mutex_t handle_lock;        /* held while it is opened again */
	unsigned int reopened;              /* under handle_lock */
	char etag[128];
	char last_modified[64];
	bool unverified; /* a part came without a checksum; under parts.lock */
};

/* ---- requests ---- */

/* Who takes parts is told their sums, unless the options say that none is wanted. */
static bool is_checked(const struct download *download)
{
	return !download->options.no_checksum &&
	       (!download->conn->no_checksums || download->options.part);
}

static void get_request(struct azc_request *request, const struct download *download)
{
	azc_request_init(request, "GET");
	azc_request_path(request, download->conn, download->container, download->blob);
	request->repeatable = true;
	request->checked = is_checked(download);
}

static void http_range_request(struct azc_request *request, const struct download *download,
			       uint64_t offset, uint64_t length, bool ask_crc)
{
	get_request(request, download);
	azc_request_range(request, "x-ms-range", download->base + offset, length);
	if (ask_crc)
		azc_request_field(request, "x-ms-range-get-content-crc64", "true");
}

static void into(struct azc_request *request, const struct download *download, void *buffer,
		 size_t room)
{
	request->room = buffer;
	request->room_length = room;
	request->room_pooled = !download->sink->memory || !download->sink->room;
}

/* ---- the first answer ---- */

static int bad_answer(struct azblob_error *error, const char *what)
{
	return azc_fail(error, AZBLOB_TRANSPORT, "the answer makes no sense: %s", what);
}

/* "bytes FIRST-LAST/TOTAL" */
static bool content_range(const char *text, uint64_t *first, uint64_t *last, uint64_t *total)
{
	const char *dash;
	const char *slash;

	if (strncmp(text, "bytes ", 6))
		return false;
	text += 6;
	dash = strchr(text, '-');
	slash = dash ? strchr(dash, '/') : NULL;
	return slash && azc_parse_number(text, (size_t)(dash - text), first) &&
	       azc_parse_number(dash + 1, (size_t)(slash - dash - 1), last) &&
	       azc_parse_number(slash + 1, strlen(slash + 1), total) && *first <= *last &&
	       *last < *total;
}

/* Sizes, ETag and handle from the head of the first answer. */
static int take_head(struct download *download, const struct azc_answer *answer,
		     struct azblob_error *error)
{
	uint64_t length = answer->body_length;
	uint64_t first = 0;
	uint64_t last;
	uint64_t available;

	if (azc_answer_field(answer, "Content-Length") &&
	    !azc_answer_number(answer, "Content-Length", &length))
		return bad_answer(error, "Content-Length is no number");
	if (answer->status == 206) {
		if (!content_range(azc_answer_text(answer, "Content-Range"), &first, &last,
				   &download->blob_size) ||
		    last - first + 1 != length || first != download->base)
			return bad_answer(error, "its Content-Range");
		available = download->blob_size - download->base;
	} else {
		/* An empty range of an empty blob, or all of it. */
		if (download->base)
			return bad_answer(error, "it is not the range that was asked for");
		download->blob_size = length;
		available = length;
	}
	download->size = available < download->wanted ? available : download->wanted;
	snprintf(download->etag, sizeof(download->etag), "%s", azc_answer_text(answer, "ETag"));
	snprintf(download->last_modified, sizeof(download->last_modified), "%s",
		 azc_answer_text(answer, "Last-Modified"));
	if (answer->body_length > download->size)
		return bad_answer(error, "it is longer than what was asked for");
	if (answer->body_length < download->size && !download->conn->transport->link &&
	    !*download->etag)
		return bad_answer(error, "it has no ETag");
	return 0;
}

static void note_crc(struct download *download, const struct azc_answer *answer)
{
	if (!answer->body_length ||
	    (is_checked(download) && azc_answer_has_crc(download->conn, answer)))
		return;
	pthread_mutex_lock(&download->parts.lock);
	download->unverified = true;
	pthread_mutex_unlock(&download->parts.lock);
}

static void ask_link_crc(struct azc_request *request, const struct download *download)
{
	if (is_checked(download))
		azc_request_field(request, "Azblob-Crc64", "true");
}

static bool ask_http_crc(const struct download *download)
{
	return is_checked(download) && !atomic_load(&download->conn->no_range_crc);
}

/* The request of the operation itself, on the link. */
static void open_request(struct azc_request *request, const struct download *download,
			 const char *if_match)
{
	get_request(request, download);
	azc_access_apply(request, &download->access);
	if (download->base || download->wanted != AZBLOB_LENGTH_REST)
		azc_request_range(request, "x-ms-range", download->base, download->wanted);
	azc_request_field(request, "If-Match", if_match);
	azc_request_field(request, "Azblob-Body", "open");
	ask_link_crc(request, download);
}

static int first_by_link(struct download *download, void *buffer, size_t room, size_t *got,
			 uint64_t *crc, struct azblob_error *error)
{
	struct azc_request request;
	struct azc_answer answer;
	int status;

	open_request(&request, download, download->options.if_match);
	into(&request, download, buffer, room);
	status = azc_perform(&download->op, &request, &answer, error);
	if (!status && azc_answer_field(&answer, "Azblob-Handle"))
		status = azc_take_handle(&answer, download->handle, error);
	if (!status)
		status = take_head(download, &answer, error);
	*got = answer.body_length;
	*crc = answer.crc;
	if (!status && *got < download->size && !*download->handle)
		status = bad_answer(error, "it has neither all bytes nor a handle");
	note_crc(download, &answer);
	azc_answer_reset(&answer);
	azc_request_free(&request);
	return status;
}

/* One try at the first range, with or without asking for a checksum. */
static int first_range(struct download *download, void *buffer, size_t room, bool ask_crc,
		       size_t *got, uint64_t *crc, struct azblob_error *error)
{
	uint64_t length = download->wanted < room ? download->wanted : room;
	struct azc_request request;
	struct azc_answer answer;
	int status;

	http_range_request(&request, download, 0, length, ask_crc);
	azc_access_apply(&request, &download->access);
	azc_request_field(&request, "If-Match", download->options.if_match);
	into(&request, download, buffer, room);
	status = azc_perform(&download->op, &request, &answer, error);
	if (status && answer.status == 416 && !download->base) {
		/* No range of an empty blob is right. */
		azc_answer_reset(&answer);
		azc_request_free(&request);
		get_request(&request, download);
		azc_access_apply(&request, &download->access);
		azc_request_field(&request, "If-Match", download->options.if_match);
		into(&request, download, buffer, room);
		status = azc_perform(&download->op, &request, &answer, error);
	}
	if (!status)
		status = take_head(download, &answer, error);
	*got = answer.body_length;
	*crc = answer.crc;
	if (!status && *got < length && *got < download->size)
		status = bad_answer(error, "it is shorter than what was asked for");
	note_crc(download, &answer);
	azc_answer_reset(&answer);
	azc_request_free(&request);
	return status;
}

static int first_by_http(struct download *download, void *buffer, size_t room, size_t *got,
			 uint64_t *crc, struct azblob_error *error)
{
	bool ask_crc = ask_http_crc(download);
	int status = first_range(download, buffer, room, ask_crc, got, crc, error);

	if (!status || !ask_crc || !azc_is_unsupported(error))
		return status;
	/* Rather unverified, which the result says, than not at all. */
	atomic_store(&download->conn->no_range_crc, true);
	return first_range(download, buffer, room, false, got, crc, error);
}

/* ---- delivery ---- */

static int write_at(const struct sink *sink, const char *data, uint64_t offset, size_t length,
		    struct azblob_error *error)
{
	while (length) {
		ssize_t done = pwrite(sink->fd, data, length, sink->start + (off_t)offset);

		if (done < 0 && errno == EINTR)
			continue;
		/* Nothing written and no reason given would go on for ever. */
		if (done <= 0)
			return azc_fail_errno(error, AZBLOB_LOCAL_IO, done ? errno : EIO,
					      "writing the destination failed");
		data += done;
		offset += (uint64_t)done;
		length -= (size_t)done;
	}
	return 0;
}

static int tell_part(struct download *download, uint64_t offset, size_t length, uint64_t crc)
{
	struct azblob_part part = {
		.offset = download->base + offset,
		.length = length,
		.crc64 = crc,
		.blob_size = download->blob_size,
		.etag = download->etag,
	};
	int stop;

	if (!download->options.part)
		return 0;
	pthread_mutex_lock(&download->parts.lock);
	stop = download->options.part(download->options.part_context, &part);
	pthread_mutex_unlock(&download->parts.lock);
	return stop;
}

/* Hands over one part, which for memory is there already. */
static int deliver(struct download *download, const char *data, uint64_t offset, size_t length,
		   uint64_t crc, struct azblob_error *error)
{
	struct sink *sink = download->sink;

	if (sink->positioned) {
		if (write_at(sink, data, offset, length, error))
			return -1;
	} else if (sink->writer && length) {
		if (!azc_parts_wait_turn(&download->parts, offset)) {
			*error = download->parts.error;
			return -1;
		}
		if (sink->writer(sink->context, data, length, download->base + offset))
			return azc_fail_errno(error, AZBLOB_LOCAL_IO, errno,
					      "writing the destination failed");
		azc_parts_delivered(&download->parts, offset + length);
	}
	if (length && tell_part(download, offset, length, crc))
		return azc_fail(error, AZBLOB_CANCELLED, "cancelled");
	azc_op_advance(&download->op, length);
	return 0;
}

/*
 * The host has forgotten the handle (a restart, or nothing was asked for too long): the same
 * request again, for the same version of the blob.  @buffer has room for @length bytes, the content
 * of which is of no use.  Another worker may have done so since @handle was taken.
 */
static int reopen(struct download *download, const char *handle, void *buffer, size_t length,
		  struct azblob_error *error)
{
	struct azc_request request;
	struct azc_answer answer;
	int status = 0;

	pthread_mutex_lock(&download->handle_lock);
	if (strcmp(handle, download->handle)) {
		pthread_mutex_unlock(&download->handle_lock);
		return 0;
	}
	/* Without an ETag it may be another blob; and a host that always forgets is not worth more.
	 */
	if (!download->conn->retries || !*download->etag || download->reopened++ >= MAX_REOPENED) {
		pthread_mutex_unlock(&download->handle_lock);
		return -1;
	}
	open_request(&request, download, download->etag);
	into(&request, download, buffer, length < REOPEN_ROOM ? length : REOPEN_ROOM);
	status = azc_perform(&download->op, &request, &answer, error);
	if (!status)
		status = azc_take_handle(&answer, download->handle, error);
	azc_answer_reset(&answer);
	azc_request_free(&request);
	pthread_mutex_unlock(&download->handle_lock);
	return status;
}

static int try_part(struct download *download, const char *handle, void *buffer, uint64_t offset,
		    size_t length, uint64_t *crc, struct azblob_error *error)
{
	struct azc_request request;
	struct azc_answer answer;
	char number[24];
	int status;

	if (*handle) {
		azc_handle_request(&request, "GET", handle);
		request.checked = is_checked(download);
		snprintf(number, sizeof(number), "%llu", (unsigned long long)offset);
		azc_request_query(&request, "offset", number);
		snprintf(number, sizeof(number), "%zu", length);
		azc_request_query(&request, "length", number);
		ask_link_crc(&request, download);
	} else {
		http_range_request(&request, download, offset, length, ask_http_crc(download));
		/* The conditions were met; what counts now is that it is still the same. */
		azc_request_query(&request, "snapshot", download->access.snapshot);
		azc_request_query(&request, "versionid", download->access.version);
		azc_request_field(&request, "x-ms-lease-id", download->access.lease_id);
		azc_request_field(&request, "If-Match", download->etag);
	}
	into(&request, download, buffer, length);
	status = azc_perform(&download->op, &request, &answer, error);
	if (!status && (answer.status != 206 || answer.body_length != length))
		status = bad_answer(error, "a part has not the length that was asked for");
	if (!status)
		note_crc(download, &answer);
	*crc = answer.crc;
	azc_answer_reset(&answer);
	azc_request_free(&request);
	return status;
}

static int get_part(struct download *download, void *buffer, uint64_t offset, size_t length,
		    uint64_t *crc, struct azblob_error *error)
{
	char handle[sizeof(download->handle)];
	int status;

	do {
		pthread_mutex_lock(&download->handle_lock);
		memcpy(handle, download->handle, sizeof(handle));
		pthread_mutex_unlock(&download->handle_lock);
		status = try_part(download, handle, buffer, offset, length, crc, error);
	} while (status && *handle && azc_is_handle_lost(error) &&
		 !reopen(download, handle, buffer, length, error));
	return status;
}

static void download_worker(void *context)
{
	struct download *download = context;
	struct azc_pool *pool = download->conn->pool;
	char *memory = download->sink->memory;
	struct azblob_error error;
	char *buffer = NULL;
	uint64_t offset;
	uint64_t crc;
	size_t length;

	if (!memory) {
		buffer = azc_pool_get(pool, download->parts.part);
		if (!buffer) {
			azc_fail_memory(&error);
			azc_parts_fail(&download->parts, &error);
			return;
		}
	}
	while (azc_parts_claim(&download->parts, &offset, &length)) {
		char *at = memory ? memory + offset : buffer;

		if (get_part(download, at, offset, length, &crc, &error) ||
		    deliver(download, at, offset, length, crc, &error)) {
			azc_parts_fail(&download->parts, &error);
			break;
		}
	}
	azc_pool_put(pool, buffer, download->parts.part);
}

/* ---- the whole of it ---- */

static int move_rest(struct download *download, size_t got, struct azblob_error *error)
{
	struct azc_parts *parts = &download->parts;

	pthread_mutex_lock(&parts->lock);
	parts->next = got;
	parts->end = download->size;
	pthread_mutex_unlock(&parts->lock);
	azc_run_parallel(azc_parts_threads(parts, download->conn->parallel), download_worker,
			 download);
	if (!parts->failed)
		return 0;
	if (error)
		*error = parts->error;
	return -1;
}

static int run(struct download *download, void *buffer, size_t room, struct azblob_error *error)
{
	struct azblob_error mine;
	uint64_t crc = 0;
	size_t got = 0;
	int status;

	if (download->conn->transport->link)
		status = first_by_link(download, buffer, room, &got, &crc, &mine);
	else
		status = first_by_http(download, buffer, room, &got, &crc, &mine);
	if (!status && download->sink->memory && download->size > download->sink->room)
		status = azc_fail(&mine, AZBLOB_BAD_ARGUMENT,
				  "the buffer has %zu bytes, %llu are needed", download->sink->room,
				  (unsigned long long)download->size);
	if (!status) {
		azc_op_set_total(&download->op, download->size);
		status = deliver(download, buffer, 0, got, crc, &mine);
	}
	if (!status && got < download->size)
		status = move_rest(download, got, &mine);
	if (*download->handle)
		azc_drop_handle(download->conn, download->handle);
	if (status && error)
		*error = mine;
	return status;
}

/* Memory takes the first part itself; others get it through a buffer. */
static int run_with_buffer(struct download *download, struct azblob_error *error)
{
	struct azc_pool *pool = download->conn->pool;
	struct sink *sink = download->sink;
	size_t part = download->parts.part;
	void *buffer;
	int status;

	if (sink->memory && sink->room)
		return run(download, sink->memory, sink->room < part ? sink->room : part, error);
	buffer = azc_pool_get(pool, part);
	if (!buffer)
		return azc_fail_memory(error);
	status = run(download, buffer, part, error);
	azc_pool_put(pool, buffer, part);
	return status;
}

static void take_result(struct azblob_get_result *result, const struct download *download)
{
	if (!result)
		return;
	memset(result, 0, sizeof(*result));
	memcpy(result->etag, download->etag, sizeof(result->etag));
	memcpy(result->last_modified, download->last_modified, sizeof(result->last_modified));
	result->size = download->size;
	result->blob_size = download->blob_size;
	result->requests = download->op.requests;
	result->retries = download->op.retries;
	result->verified = !download->unverified;
}

static int get_options(const struct azblob_get_options *given, struct azblob_get_options *options,
		       struct azblob_access *access, struct azblob_error *error)
{
	memset(options, 0, sizeof(*options));
	if (given && azc_copy_options(options, sizeof(*options), given, given->struct_size))
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"the get options hold something that this library does not know");
	if (azc_access_take(options->access, AZC_ACCESS_STATE | AZC_ACCESS_LEASE, access, error))
		return -1;
	return azc_check_condition(options->if_match, "if_match", error);
}

static int get(azblob_conn *conn, const char *container, const char *blob, uint64_t offset,
	       uint64_t length, struct sink *sink, const struct azblob_get_options *options,
	       struct azblob_get_result *result, struct azblob_error *error)
{
	struct download download = {
		.conn = conn,
		.container = container,
		.blob = blob,
		.sink = sink,
		.base = offset,
		.wanted = length,
	};
	size_t part = conn->block_size;
	int status;

	if (azc_check_container(container, error) || azc_check_blob(blob, error) ||
	    get_options(options, &download.options, &download.access, error))
		return -1;
	if (!length || (length != AZBLOB_LENGTH_REST && offset > UINT64_MAX - length))
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"the range of %llu bytes from %llu is empty or too large",
				(unsigned long long)length, (unsigned long long)offset);
	if (!conn->transport->link && part > AZC_MAX_CHECKED_RANGE)
		part = AZC_MAX_CHECKED_RANGE;
	pthread_mutex_init(&download.handle_lock, NULL);
	azc_parts_init(&download.parts, part, 0, UINT64_MAX);
	azc_op_init(&download.op, conn, download.options.progress,
		    download.options.progress_context, length);
	status = run_with_buffer(&download, error);
	if (!status) {
		take_result(result, &download);
		azc_error_clear(error);
	}
	azc_op_end(&download.op);
	azc_parts_destroy(&download.parts);
	pthread_mutex_destroy(&download.handle_lock);
	return status;
}

/* ---- the calls ---- */

int azblob_get_blob(azblob_conn *conn, const char *container, const char *blob, uint64_t offset,
		    uint64_t length, void *buffer, size_t room,
		    const struct azblob_get_options *options, struct azblob_get_result *result,
		    struct azblob_error *error)
{
	static char nothing;
	struct sink sink = { .memory = buffer, .room = room, .fd = -1 };

	if (room && !buffer)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT, "there is no buffer");
	if (!room)
		sink.memory = &nothing;
	return get(conn, container, blob, offset, length, &sink, options, result, error);
}

static int write_fd(void *context, const void *data, size_t length, uint64_t offset)
{
	const struct sink *sink = context;
	const char *at = data;

	(void)offset;
	while (length) {
		ssize_t done = write(sink->fd, at, length);

		if (done < 0 && errno == EINTR)
			continue;
		if (!done)
			errno = EIO;
		if (done <= 0)
			return -1;
		at += done;
		length -= (size_t)done;
	}
	return 0;
}

int azblob_get_blob_to_fd(azblob_conn *conn, const char *container, const char *blob,
			  uint64_t offset, uint64_t length, int fd,
			  const struct azblob_get_options *options,
			  struct azblob_get_result *result, struct azblob_error *error)
{
	struct sink sink = { .fd = fd };
	struct stat stat;
	int flags = fcntl(fd, F_GETFL);

	if (flags < 0 || fstat(fd, &stat))
		return azc_fail_errno(error, AZBLOB_LOCAL_IO, errno, "the destination");
	/* With O_APPEND pwrite() ignores where it was told to write. */
	if ((S_ISREG(stat.st_mode) || S_ISBLK(stat.st_mode)) && !(flags & O_APPEND)) {
		sink.start = lseek(fd, 0, SEEK_CUR);
		sink.positioned = sink.start >= 0;
	}
	if (!sink.positioned) {
		sink.writer = write_fd;
		sink.context = &sink;
	}
	return get(conn, container, blob, offset, length, &sink, options, result, error);
}

int azblob_get_blob_to_writer(azblob_conn *conn, const char *container, const char *blob,
			      uint64_t offset, uint64_t length, azblob_write_fn writer,
			      void *context, const struct azblob_get_options *options,
			      struct azblob_get_result *result, struct azblob_error *error)
{
	struct sink sink = { .fd = -1, .writer = writer, .context = context };

	return get(conn, container, blob, offset, length, &sink, options, result, error);
}
