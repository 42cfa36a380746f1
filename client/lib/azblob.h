/* SPDX-License-Identifier: MIT */
/*
 * libazblob: Azure Blob Storage through the hv_azure_blob driver, or through
 * HTTP(S) where there is no driver.
 *
 * Rules that hold for every call here:
 *
 * - Calls that can fail return 0 on success and -1 on failure, and describe the
 *   failure in the struct azblob_error that the last argument points to; it
 *   may be NULL.  errno is not part of the interface.
 * - Calls block until the answer is there, but those of azblob_queue.h.
 * - An azblob_conn may be used by any number of threads at once.  Everything else
 *   (configurations, results, error structs) belongs to one thread at a time.
 * - Strings are UTF-8 and end with a zero byte.  The library copies what it keeps.
 * - Sizes, offsets and lengths are bytes; times are milliseconds unless said
 *   otherwise.
 * - Results that the library allocates are freed by the call named with them.
 *   Their structs grow at the end in later versions, so never allocate one or copy
 *   one by value.
 * - Option structs are the caller's and start with their own size: initialise
 *   them with the macro next to them.  NULL stands for the defaults.
 */
#ifndef AZBLOB_H
#define AZBLOB_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The version of the library that the program runs with, "major.minor.patch". */
const char *azblob_version(void);

/* ---- errors ---- */

enum azblob_error_kind {
	AZBLOB_OK = 0,
	/* The caller's mistake: nothing was sent. */
	AZBLOB_BAD_ARGUMENT = 1,
	/* The way to the service failed: device, network, TLS, time-out. */
	AZBLOB_TRANSPORT = 2,
	/* The service answered with an error: see http_status and code. */
	AZBLOB_SERVICE = 3,
	/* Bytes did not arrive as they were sent, also after repeating. */
	AZBLOB_CHECKSUM = 4,
	/* Reading the source or writing the destination failed here. */
	AZBLOB_LOCAL_IO = 5,
	/* The caller's progress function asked to stop. */
	AZBLOB_CANCELLED = 6,
	/* Out of memory, or of threads. */
	AZBLOB_RESOURCES = 7,
};

/**
 * struct azblob_error - why a call failed
 * @kind: enum azblob_error_kind.
 * @http_status: status of the service's answer, or 0.
 * @outcome_unknown: not 0 when the request may or may not have taken effect: it
 *	was sent and its answer never came.  Always 0 for requests that change
 *	nothing.
 * @link_status: the HRESULT that the host gave instead of an answer, or 0.
 * @sys_errno: errno of the system call behind a LOCAL_IO or TRANSPORT error, or 0.
 * @code: Azure's error code, such as "BlobNotFound", or "".
 * @message: one line for a person; never empty on failure.
 */
struct azblob_error {
	int kind;
	int http_status;
	int outcome_unknown;
	int sys_errno;
	uint32_t link_status;
	uint32_t reserved[7];
	char code[64];
	char message[512];
};

/* What a kind of failure is, in a word or two, and an HRESULT in link_status, in a sentence. */
const char *azblob_kind_text(int kind);
const char *azblob_link_status_text(uint32_t status);

/* ---- configuration ---- */

enum azblob_transport {
	/* The driver if the device is there and answers the probe, else HTTP(S). */
	AZBLOB_TRANSPORT_AUTO = 0,
	/* Only the driver. */
	AZBLOB_TRANSPORT_DRIVER = 1,
	/* Only HTTP(S) to the endpoint. */
	AZBLOB_TRANSPORT_HTTP = 2,
	/*
	 * The driver, with a host that need not know our payload: azblob_request() and
	 * azblob_queue_request() only, and neither account nor key is needed.
	 */
	AZBLOB_TRANSPORT_RAW = 3,
};

struct azblob_config;
struct azblob_conn;
typedef struct azblob_config azblob_config;
typedef struct azblob_conn azblob_conn;

/* A configuration with the defaults; NULL when out of memory. */
azblob_config *azblob_config_new(void);
/* NULL is allowed. */
void azblob_config_free(azblob_config *config);

/*
 * Takes account, key or SAS, and endpoint from AZURE_STORAGE_CONNECTION_STRING, then from
 * AZURE_STORAGE_ACCOUNT, AZURE_STORAGE_KEY, AZURE_STORAGE_SAS_TOKEN and
 * AZURE_STORAGE_SERVICE_ENDPOINT, which win.  Variables that are missing or empty change nothing.
 * Where there are a key and a SAS the key is used.
 */
int azblob_config_from_environment(azblob_config *config, struct azblob_error *error);
/*
 * "AccountName=...;AccountKey=...;BlobEndpoint=...", as the portal shows it.  Known
 * besides: SharedAccessSignature, DefaultEndpointsProtocol, EndpointSuffix,
 * UseDevelopmentStorage=true.  Fields for other services are ignored; others are
 * refused.
 */
int azblob_config_set_connection_string(azblob_config *config, const char *text,
					struct azblob_error *error);
/* 3 to 24 lower-case letters and digits. */
int azblob_config_set_account(azblob_config *config, const char *account,
			      struct azblob_error *error);
/* The account key in base64. */
int azblob_config_set_key(azblob_config *config, const char *key, struct azblob_error *error);
/*
 * "http[s]://HOST[:PORT][/ACCOUNT]".  Without it: for the account devstoreaccount1
 * http://127.0.0.1:10000/devstoreaccount1, for others
 * https://ACCOUNT.blob.core.windows.net.  Through the driver it only says which
 * host and form of URL the requests are signed for.
 */
int azblob_config_set_endpoint(azblob_config *config, const char *url, struct azblob_error *error);
int azblob_config_set_transport(azblob_config *config, enum azblob_transport transport,
				struct azblob_error *error);
/* The device node; default /dev/azure_blob. */
int azblob_config_set_device(azblob_config *config, const char *path, struct azblob_error *error);
/* A PEM file of the authorities to trust for https, instead of the system's. */
int azblob_config_set_ca_file(azblob_config *config, const char *path, struct azblob_error *error);
/*
 * How long one request may go without an answer (driver) or without any progress
 * (HTTP); 1 to 3,600,000 ms, default 60,000.
 */
int azblob_config_set_timeout(azblob_config *config, unsigned int milliseconds,
			      struct azblob_error *error);
/*
 * How often a request is sent again when that is safe, 0 to 20, default 4.  Waits
 * between tries grow from 0.1 s to 5 s.
 */
int azblob_config_set_retries(azblob_config *config, unsigned int retries,
			      struct azblob_error *error);
/* Requests that one large transfer has under way, 1 to 64, default 4. */
int azblob_config_set_parallel(azblob_config *config, unsigned int requests,
			       struct azblob_error *error);
/*
 * Bytes of one part of a large transfer, 64 KiB to 32 MiB, default 8 MiB.  The
 * library takes less where the transport or the service carries less, and more
 * where a blob would need more than 50,000 blocks.
 */
int azblob_config_set_block_size(azblob_config *config, size_t bytes, struct azblob_error *error);
/*
 * Whether bytes of blobs travel with their CRC-64 and are checked where they arrive; 1 is the
 * default.  0 takes that work from a slow processor and leaves it to what carries them (TLS, TCP,
 * the copy into this machine's memory) and the service's own checks; results then say that nothing
 * was verified.  What needs sums for another reason (a part function, a resumed upload) has them
 * made all the same.
 */
int azblob_config_set_checksums(azblob_config *config, int on, struct azblob_error *error);
/* The account of the configuration, or NULL; valid until it is changed. */
const char *azblob_config_account(const azblob_config *config);

/* ---- connections ---- */

/*
 * Checks the configuration, chooses the transport and makes a connection.  HTTP is
 * not dialled yet.  The configuration may be freed or used again afterwards.
 */
int azblob_open(const azblob_config *config, azblob_conn **conn, struct azblob_error *error);
/* No call may be under way, and no queue or buffer of it left.  NULL is allowed. */
void azblob_close(azblob_conn *conn);

/*
 * Ends what blocks: each call of the connection that is under way, in whatever thread, returns
 * soon, with AZBLOB_CANCELLED and outcome_unknown as azblob_cancel() has them, or with what it came
 * to before.  Requests of queues go on; so do calls that begin later.  For any thread, inside a
 * progress function, too; not for a signal handler.
 */
void azblob_interrupt(azblob_conn *conn);

/* What was chosen: one of enum azblob_transport but AUTO. */
enum azblob_transport azblob_conn_transport(const azblob_conn *conn);
/*
 * One line on what was chosen and why, such as "no /dev/azure_blob here: using
 * https://x.blob.core.windows.net"; valid until azblob_close().
 */
const char *azblob_conn_transport_note(const azblob_conn *conn);
const char *azblob_conn_account(const azblob_conn *conn);
const char *azblob_conn_endpoint(const azblob_conn *conn);

/* ---- containers ---- */

/* Container names are 3 to 63 of a-z, 0-9 and single '-', or $root, $web, $logs. */
int azblob_container_create(azblob_conn *conn, const char *container, struct azblob_error *error);
int azblob_container_delete(azblob_conn *conn, const char *container, struct azblob_error *error);

/* ---- which blob, and under which conditions ---- */

struct azblob_pair {
	const char *name;
	const char *value;
};

/**
 * struct azblob_access - which state of a blob is meant, and what must be true of it
 * @snapshot, @version: that one instead of the blob itself; at most one of them.  Only where
 *	a call reads or deletes.
 * @if_match, @if_none_match: ETags with their quotes, or "*".
 * @if_modified_since, @if_unmodified_since: HTTP dates.
 * @if_tags: an expression over the blob's tags.
 * @lease_id: the lease that the caller has.
 *
 * All may be NULL, and none may be "".  What is not met is a service error: ConditionNotMet (412),
 *or 304 for a read, LeaseIdMissing and their kin.
 */
struct azblob_access {
	size_t struct_size;
	const char *snapshot;
	const char *version;
	const char *if_match;
	const char *if_none_match;
	const char *if_modified_since;
	const char *if_unmodified_since;
	const char *if_tags;
	const char *lease_id;
};
#define AZBLOB_ACCESS_INIT                                                                   \
	{                                                                                    \
		sizeof(struct azblob_access), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL \
	}

/* ---- properties ---- */

/**
 * struct azblob_properties - what the service says of one blob
 * @size: bytes of the blob.
 * @etag: with its quotes, as If-Match wants it.
 * @last_modified: an HTTP date.
 * @blob_type: "BlockBlob", "AppendBlob" or "PageBlob".
 * @metadata: @metadata_count pairs.
 *
 * Strings that the service did not send are "".
 */
struct azblob_properties {
	uint64_t size;
	const char *etag;
	const char *last_modified;
	const char *content_type;
	const char *content_encoding;
	const char *content_language;
	const char *content_disposition;
	const char *cache_control;
	const char *content_md5;
	const char *blob_type;
	const char *access_tier;
	const char *creation_time;
	const char *lease_state;
	size_t metadata_count;
	const struct azblob_pair *metadata;
	const char *version;
	const char *copy_id; /* of the newest copy to this blob */
	const char *copy_source;
	const char *copy_status;   /* "pending", "success", "aborted" or "failed" */
	const char *copy_progress; /* "DONE/TOTAL" in bytes */
	const char *copy_description;
	uint64_t append_blocks;   /* of an append blob */
	uint64_t sequence_number; /* of a page blob */
	uint64_t tag_count;
	int is_sealed;
	int is_incremental_copy;   /* made by azblob_copy_incremental() */
	const char *copy_snapshot; /* of that: the newest snapshot that it made */
};

/* On success *properties is freed with azblob_properties_free(). */
int azblob_get_properties(azblob_conn *conn, const char *container, const char *blob,
			  struct azblob_properties **properties, struct azblob_error *error);
void azblob_properties_free(struct azblob_properties *properties);

int azblob_delete_blob(azblob_conn *conn, const char *container, const char *blob,
		       struct azblob_error *error);

/* ---- lists ---- */

struct azblob_list_options {
	size_t struct_size;
	const char *prefix;       /* only names that start so; NULL: all */
	const char *delimiter;    /* folds what follows it into one entry; NULL: none */
	const char *marker;       /* next_marker of the page before; NULL: the start */
	unsigned int max_results; /* entries of one page, 1 to 5000; 0: the service's choice */
	unsigned int include;     /* AZBLOB_INCLUDE_..., what else the entries tell */
};
#define AZBLOB_LIST_OPTIONS_INIT                                           \
	{                                                                  \
		sizeof(struct azblob_list_options), NULL, NULL, NULL, 0, 0 \
	}

enum azblob_include {
	AZBLOB_INCLUDE_METADATA = 1, /* of containers too; the rest is for blobs alone */
	AZBLOB_INCLUDE_SNAPSHOTS = 2,
	AZBLOB_INCLUDE_VERSIONS = 4,
	AZBLOB_INCLUDE_DELETED = 8,
	AZBLOB_INCLUDE_UNCOMMITTED = 16, /* blobs that have only blocks so far */
	AZBLOB_INCLUDE_COPY = 32,
	AZBLOB_INCLUDE_TAGS = 64,
};

enum azblob_entry_kind {
	AZBLOB_ENTRY_BLOB = 0,
	/* A folded prefix, with its delimiter; only kind and name are set. */
	AZBLOB_ENTRY_PREFIX = 1,
	AZBLOB_ENTRY_CONTAINER = 2,
};

struct azblob_entry {
	enum azblob_entry_kind kind;
	const char *name;
	uint64_t size;
	const char *etag;
	const char *last_modified;
	const char *content_type;
	const char *blob_type;
	/* As AZBLOB_INCLUDE_... asked for; "" and 0 where the service said nothing. */
	const char *snapshot; /* its time, for AZBLOB_ENTRY_BLOB of a snapshot */
	const char *version;
	const char *content_md5;
	const char *creation_time;
	const char *access_tier;
	const char *lease_state;
	const char *copy_status;
	int is_current_version;
	int is_deleted;
	size_t metadata_count;
	const struct azblob_pair *metadata;
	size_t tag_count;
	const struct azblob_pair *tags;
};

/**
 * struct azblob_list - one page of a list
 * @count: number of entries; a page may be empty and still not be the last.
 * @entries: @count pointers.
 * @next_marker: "" on the last page.
 */
struct azblob_list {
	size_t count;
	const struct azblob_entry *const *entries;
	const char *next_marker;
};

/* *page is freed with azblob_list_free(). */
int azblob_list_containers(azblob_conn *conn, const struct azblob_list_options *options,
			   struct azblob_list **page, struct azblob_error *error);
int azblob_list_blobs(azblob_conn *conn, const char *container,
		      const struct azblob_list_options *options, struct azblob_list **page,
		      struct azblob_error *error);
void azblob_list_free(struct azblob_list *page);

/* ---- transfers ---- */

/* A size that is not known before the source ends. */
#define AZBLOB_SIZE_UNKNOWN UINT64_MAX
/* "To the end of the blob". */
#define AZBLOB_LENGTH_REST UINT64_MAX

/*
 * Called now and then during a transfer, from any of its threads but never from two
 * at once: @done bytes of @total (AZBLOB_SIZE_UNKNOWN: not known).  Anything but 0
 * ends the transfer with AZBLOB_CANCELLED.
 */
typedef int (*azblob_progress_fn)(void *context, uint64_t done, uint64_t total);

/*
 * The next bytes of a source: at most @room into @buffer.  Returns their number, 0 at
 * the end, or -1 with errno set.  Called in order, never from two threads at
 * once, but from any thread.
 */
typedef int64_t (*azblob_read_fn)(void *context, void *buffer, size_t room);

/*
 * Takes the next @length bytes, which were verified; the first byte is at @offset of
 * the blob.  Returns 0, or -1 with errno set.  Called in order, never from two
 * threads at once, but from any thread.
 */
typedef int (*azblob_write_fn)(void *context, const void *data, size_t length, uint64_t offset);

struct azblob_put_options {
	size_t struct_size;
	const char *content_type;           /* NULL: application/octet-stream */
	const char *if_match;               /* an ETag, or NULL */
	const char *if_none_match;          /* "*": only where no blob is; or NULL */
	const struct azblob_pair *metadata; /* names are C identifiers */
	size_t metadata_count;
	azblob_progress_fn progress;
	void *progress_context;
	const struct azblob_access *access; /* conditions and lease; the two above win */
	const char *tier;                   /* "Hot", "Cool", "Cold", "Archive"; NULL: default */
	const struct azblob_pair *tags;
	size_t tag_count;
	const char *content_encoding;
	const char *content_language;
	const char *content_disposition;
	const char *cache_control;
	/*
	 * Not 0: what needs more than one request goes as blocks whose ids say what they hold,
	 * and those that the service has from an earlier try with the same part size, or from the
	 * blob that is replaced, are not sent again.  A put that fails leaves its blocks to the
	 * next one; the service drops them after a week.
	 */
	int resume;
	const char *content_md5; /* base64; checked by the service where it can be */
	/*
	 * For azblob_put_block_list(): not 0: so many ids at the start of the list mean blocks of
	 * the blob as it is, whatever was put under them since, and the others only blocks that
	 * were put since.
	 */
	size_t committed_blocks;
};
#define AZBLOB_PUT_OPTIONS_INIT                                                                 \
	{                                                                                       \
		sizeof(struct azblob_put_options), NULL, NULL, NULL, NULL, 0, NULL, NULL, NULL, \
			NULL, NULL, 0, NULL, NULL, NULL, NULL, 0, NULL, 0                       \
	}

/**
 * struct azblob_put_result - what became of an upload; the caller's, filled on success
 * @etag, @last_modified: of the new blob.
 * @size: bytes stored.
 * @requests: requests that carried them.
 * @retries: requests sent again, for whatever reason.
 * @resumed: bytes of @size that the service had already.
 */
struct azblob_put_result {
	char etag[128];
	char last_modified[64];
	uint64_t size;
	uint64_t requests;
	uint64_t retries;
	uint64_t resumed;
	uint64_t reserved[3];
};

/*
 * Put Blob (block blob) with @size bytes at @data.  Replaces a blob of that name.  One
 * request where it fits, else parts of one Put Blob (driver) or blocks and one
 * Put Block List (HTTP, or more than 5000 MiB).  Every part carries a CRC-64 of the
 * bytes.  @result may be NULL.  On failure nothing is visible under the name unless
 * outcome_unknown is set.
 */
int azblob_put_blob(azblob_conn *conn, const char *container, const char *blob, const void *data,
		    size_t size, const struct azblob_put_options *options,
		    struct azblob_put_result *result, struct azblob_error *error);
/*
 * The same from a file descriptor.  A regular file or block device is read in parallel
 * from its current position, @size bytes of it (AZBLOB_SIZE_UNKNOWN: to its end), and the
 * position is left as it was; anything else is read in order until its end or
 * @size.  An end before @size is a LOCAL_IO error.
 */
int azblob_put_blob_from_fd(azblob_conn *conn, const char *container, const char *blob, int fd,
			    uint64_t size, const struct azblob_put_options *options,
			    struct azblob_put_result *result, struct azblob_error *error);
/* The same from a function. */
int azblob_put_blob_from_reader(azblob_conn *conn, const char *container, const char *blob,
				azblob_read_fn reader, void *context, uint64_t size,
				const struct azblob_put_options *options,
				struct azblob_put_result *result, struct azblob_error *error);

/**
 * struct azblob_part - a piece of a download that has arrived
 * @offset: in the blob.
 * @crc64: CRC-64/NVME of its bytes.
 * @blob_size, @etag: of the blob; @etag is valid during the call.
 */
struct azblob_part {
	uint64_t offset;
	uint64_t length;
	uint64_t crc64;
	uint64_t blob_size;
	const char *etag;
};

/*
 * Called after each part was written to where it belongs, in whatever order that is, from any
 * thread but never from two at once.  Anything but 0 ends the transfer with AZBLOB_CANCELLED.
 */
typedef int (*azblob_part_fn)(void *context, const struct azblob_part *part);

struct azblob_get_options {
	size_t struct_size;
	const char *if_match; /* an ETag, or NULL */
	azblob_progress_fn progress;
	void *progress_context;
	const struct azblob_access *access; /* snapshot, conditions, lease; if_match above wins */
	azblob_part_fn part;
	void *part_context;
	/*
	 * Not 0: no checksum is asked for and none is computed, here and at the host.  What came is
	 * then not verified, and the parts' crc64 is 0.
	 */
	int no_checksum;
};
#define AZBLOB_GET_OPTIONS_INIT                                                          \
	{                                                                                \
		sizeof(struct azblob_get_options), NULL, NULL, NULL, NULL, NULL, NULL, 0 \
	}

/**
 * struct azblob_get_result - about a download; the caller's, filled on success
 * @size: bytes delivered.
 * @blob_size: bytes of the whole blob.
 * @verified: not 0 when every byte was covered by a checksum that matched; 0 when the
 *	service sent none.
 */
struct azblob_get_result {
	char etag[128];
	char last_modified[64];
	uint64_t size;
	uint64_t blob_size;
	uint64_t requests;
	uint64_t retries;
	int verified;
	int reserved32;
	uint64_t reserved[4];
};

/*
 * Get Blob: @length bytes from @offset (AZBLOB_LENGTH_REST: to the end; a range that goes
 * beyond the end stops there, one that starts beyond it is a service error
 * InvalidRange).  All parts come from one version of the blob: when it is replaced
 * meanwhile, the call goes on with the old one (driver) or fails with
 * ConditionNotMet (HTTP).
 *
 * To memory: @room bytes at @buffer; what does not fit is BAD_ARGUMENT.  A buffer that
 * starts on a page boundary is fastest.  On failure its content is undefined; when sys_errno is
 * ETIMEDOUT, through the driver, the host may even write to it later.
 */
int azblob_get_blob(azblob_conn *conn, const char *container, const char *blob, uint64_t offset,
		    uint64_t length, void *buffer, size_t room,
		    const struct azblob_get_options *options, struct azblob_get_result *result,
		    struct azblob_error *error);
/*
 * To a file descriptor.  A regular file is written in parallel with the first byte at
 * its current position, which is left as it was; on failure it may hold pieces.
 * Anything else is written in order, and only with verified bytes.
 */
int azblob_get_blob_to_fd(azblob_conn *conn, const char *container, const char *blob,
			  uint64_t offset, uint64_t length, int fd,
			  const struct azblob_get_options *options,
			  struct azblob_get_result *result, struct azblob_error *error);
/* To a function, in order. */
int azblob_get_blob_to_writer(azblob_conn *conn, const char *container, const char *blob,
			      uint64_t offset, uint64_t length, azblob_write_fn writer,
			      void *context, const struct azblob_get_options *options,
			      struct azblob_get_result *result, struct azblob_error *error);

/*
 * Put Block: @size bytes, 1 byte to 32 MiB less some pages, under @block_id, which is base64
 * of 1 to 64 bytes and as long as the others of the blob.
 */
int azblob_put_block(azblob_conn *conn, const char *container, const char *blob,
		     const char *block_id, const void *data, size_t size,
		     struct azblob_error *error);
/*
 * Put Block List: makes the blob of @count blocks (at most 50,000), each the newest one
 * under its id, unless the options' committed_blocks says more.
 */
int azblob_put_block_list(azblob_conn *conn, const char *container, const char *blob,
			  const char *const *block_ids, size_t count,
			  const struct azblob_put_options *options,
			  struct azblob_put_result *result, struct azblob_error *error);

#ifdef __cplusplus
}
#endif

#include "azblob_ops.h"
#include "azblob_sas.h"
#include "azblob_queue.h"

#endif /* AZBLOB_H */
