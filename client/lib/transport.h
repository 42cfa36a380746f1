/* SPDX-License-Identifier: MIT */
/*
 * One signed request and its answer, and the small interface behind which the driver
 * and HTTP look the same.
 */
#ifndef AZC_TRANSPORT_H
#define AZC_TRANSPORT_H

#include <pthread.h>

#include "internal.h"

/* ---- requests ---- */

/* @value lies behind @name, in the same memory. */
struct azc_field {
	char *name;
	char *value;
};

/* Headers; starts as { 0 }.  @text: of a whole head that all of them lie in, or NULL. */
struct azc_fields {
	struct azc_field *item;
	size_t count;
	size_t room;
	char *text;
};

/**
 * struct azc_request - what is sent
 * @method: a literal.
 * @head, @head_length: all of the head, where somebody else has made it, or NULL; then @path,
 *	@query, @fields and @content_length are not used, and of @method only whether it is HEAD.
 * @path, @query: percent-encoded, as they go on the wire; @query without its "?".
 * @fields: headers without Host and Content-Length, which the transport writes.
 * @content_length: of the whole body; only with @has_body.
 * @body, @body_length: the bytes that this request carries: fewer than @content_length only
 *	for the "Azblob-Body: open" of the link.
 * @room, @room_length: where the body of a good answer goes; not with a body.
 * @room_pooled, @body_pooled: @room, @body came from azc_pool_get().
 * @response_room: for the head of the answer, and a body that comes behind it; 0: what does for
 *	every answer but few, which are asked for again with more.
 * @want_text: the body of a good answer goes to the answer's text instead.
 * @repeatable: sent again after a failure with unknown outcome changes nothing.
 * @effect: changes something on the service.
 * @sign: needs the connection's credential: Authorization, or its SAS in the query.
 * @sas_added: the query has it.
 * @in_batch: it is part of another request, which says the version of the service.
 * @checked: the answer's checksum header must fit the bytes received, where there is one.
 * @no_memory: azc_request_field() and kin failed; azc_perform() reports it.
 */
struct azc_request {
	const char *method;
	const char *head;
	size_t head_length;
	struct azb_buf path;
	struct azb_buf query;
	struct azc_fields fields;
	bool has_body;
	uint64_t content_length;
	const void *body;
	size_t body_length;
	void *room;
	size_t room_length;
	bool room_pooled;
	bool body_pooled;
	size_t response_room;
	bool want_text;
	bool repeatable;
	bool effect;
	bool sign;
	bool sas_added;
	bool in_batch;
	bool checked;
	bool no_memory;
};

/**
 * struct azc_answer - what came back
 * @status: 0 as long as there is no head.
 * @body_length: bytes now in the request's room.
 * @crc: CRC-64 of those, when the request is @checked.
 * @text: the body, when it was an error or the request wanted text.
 * @abandoned: the try failed and somebody may still use the request's pooled memory, which was
 *given other pages (azc_pool_abandon()).
 */
struct azc_answer {
	int status;
	struct azc_fields fields;
	size_t body_length;
	uint64_t crc;
	struct azb_buf text;
	bool abandoned;
};

/* More than any answer of ours has; a longer one is a transport error. */
#define AZC_MAX_TEXT ((size_t)32 << 20)

void azc_request_init(struct azc_request *request, const char *method);
void azc_request_free(struct azc_request *request);
/* The endpoint's path, then /CONTAINER/BLOB; both may be NULL. */
void azc_request_path(struct azc_request *request, const azblob_conn *conn, const char *container,
		      const char *blob);
/* A query parameter, encoded; NULL @value: nothing is added. */
void azc_request_query(struct azc_request *request, const char *name, const char *value);
/* A header, in place of one of that name; NULL @value: nothing is added. */
void azc_request_field(struct azc_request *request, const char *name, const char *value);
/* Takes a header out; false when it was not there. */
bool azc_request_drop_field(struct azc_request *request, const char *name);
/* The same with a number, and with "bytes=FIRST-LAST"; @length may be AZBLOB_LENGTH_REST. */
void azc_request_number(struct azc_request *request, const char *name, uint64_t value);
void azc_request_range(struct azc_request *request, const char *name, uint64_t first,
		       uint64_t length);
void azc_request_field_crc(struct azc_request *request, const char *name, uint64_t crc);

void azc_answer_reset(struct azc_answer *answer);
/* The value of a header, any case, or NULL. */
const char *azc_answer_field(const struct azc_answer *answer, const char *name);
/* The same, or "". */
const char *azc_answer_text(const struct azc_answer *answer, const char *name);
/* True when the header is there and a decimal number that fits. */
bool azc_answer_number(const struct azc_answer *answer, const char *name, uint64_t *value);
/*
 * Takes one line of a head, its end-of-line included or not: "HTTP/1.1 200 OK" starts a new
 * head, "Name: value" adds to it.  False when the line is neither.
 */
bool azc_answer_line(struct azc_answer *answer, const char *line, size_t length);
/*
 * Takes a head that is there as a whole, in bytes that nobody writes to any more; *@body_at is
 * where it ended.  False when it is none of a final answer.
 */
bool azc_answer_head(struct azc_answer *answer, const char *bytes, size_t length, size_t *body_at);

/* ---- operations ---- */

/**
 * struct azc_op - what the requests of one call have in common
 * @asking: held while @progress runs, so that no two threads are in it; taken before @lock.
 * @lock: protects all other fields but @conn, @timeout_ms, @progress and @context, which stay as
 *they are; never held while a function of the caller's runs, nor for long.
 * @sent: tries that the driver has, or is about to get.
 * @next, @previous, @listed, @asked: among those of the connection, and that azblob_interrupt()
 *	means it; under the connection's ops_lock.
 */
struct azc_op {
	azblob_conn *conn;
	unsigned int timeout_ms; /* of each request through the driver */
	pthread_mutex_t asking;
	pthread_mutex_t lock;
	azblob_progress_fn progress;
	void *context;
	uint64_t done;
	uint64_t total;
	uint64_t requests;
	uint64_t retries;
	bool cancelled;
	struct azc_sent *sent;
	struct azc_op *next;
	struct azc_op **previous;
	bool listed;
	bool asked;
};

/**
 * struct azc_sent - a try while a thread waits for it in the driver
 * @guid: by which the driver knows it.
 * @told: the host was told that nobody wants it any more, or can't be.
 */
struct azc_sent {
	struct azc_sent *next;
	uint8_t guid[16];
	bool told;
};

/* @progress may be NULL. */
void azc_op_init(struct azc_op *op, azblob_conn *conn, azblob_progress_fn progress, void *context,
		 uint64_t total);
void azc_op_end(struct azc_op *op);
/* It is no call that blocks: azblob_interrupt() leaves it alone. */
void azc_op_unlist(struct azc_op *op);
/* More bytes are done: tells the progress function. */
void azc_op_advance(struct azc_op *op, uint64_t bytes);
void azc_op_set_total(struct azc_op *op, uint64_t total);
/* All of it once more: nothing is done any more. */
void azc_op_restart(struct azc_op *op);
/* Gives the progress function a chance to cancel; true when it has.  Any thread. */
bool azc_op_cancelled(struct azc_op *op);
/* A try was made; @again: not the first one. */
void azc_op_count(struct azc_op *op, bool again);
/*
 * Around a call that blocks in the driver.  False when the operation was cancelled before: then
 * nothing must be sent, and there is nothing to end.
 */
bool azc_op_begin_try(struct azc_op *op, struct azc_sent *sent);
void azc_op_end_try(struct azc_op *op, struct azc_sent *sent);
/*
 * Has the driver end what it has of a cancelled operation.  True when that is to be asked again
 * soon: a try was on its way to the driver.  Never blocks for long.
 */
bool azc_op_interrupt(struct azc_op *op);

/* ---- the interface ---- */

/* How a try ended that brought no answer. */
enum azc_failure {
	AZC_SENT_NOTHING, /* it has not happened; worth another try */
	AZC_REFUSED,      /* it has not happened, and would not at another try */
	AZC_UNKNOWN,      /* it may have happened */
	AZC_GONE,         /* as AZC_UNKNOWN, and another try has no chance */
};

/**
 * struct azc_transport_ops - a way to the service
 * @exchange: one try of one request, already signed.  0 with an answer, whatever its status is; -1
 *with @error and @failure. Any thread, many at once.
 * @close: nothing is under way.
 */
struct azc_transport_ops {
	int (*exchange)(struct azc_transport *transport, const struct azc_request *request,
			struct azc_answer *answer, struct azc_op *op, enum azc_failure *failure,
			struct azblob_error *error);
	void (*close)(struct azc_transport *transport);
};

/**
 * struct azc_transport - embedded by each transport
 * @link: the request goes over the link of docs/payload.md: bodies by handle, checksums
 *	in Azblob- headers.
 * @part_max: bytes that one request may carry.
 * @server: what the probe said of itself, or "".
 */
struct azc_transport {
	const struct azc_transport_ops *ops;
	enum azblob_transport kind;
	bool link;
	size_t part_max;
	char server[96];
};

struct azc_transport *azc_http_open(const azblob_conn *conn, const char *ca_file,
				    struct azblob_error *error);

/* ---- the driver's side ---- */

struct az_blob_request;
struct az_blob_request_sync;

/**
 * struct azc_device - something that takes the driver's requests
 * @submit: as the ioctl: 0, or -errno.  Any thread, many at once.
 *
 * What follows may be 0: then there is none of it.
 * @submit_placed: as IOCTL_AZ_BLOB_REQUEST, for data in registered buffers.
 * @add_buffer: registers; @id is filled.  0 or -errno.
 * @remove_buffer: waits for the requests in it.
 * @cancel: the request of that guid is to end soon: 0, and @unsent says that it ends with ECANCELED
 *	and never got to the host; -ENOENT: there is none; -EOPNOTSUPP: the host can't be told.
 * @node: the open node, for io_uring; only when @features say that it can do that, since 0 is a
 *number that an open file may have.
 * @features: AZ_BLOB_FEATURE_URING and the like.
 */
struct azc_device {
	int (*submit)(struct azc_device *device, struct az_blob_request_sync *request);
	void (*close)(struct azc_device *device);
	int (*submit_placed)(struct azc_device *device, struct az_blob_request *request);
	int (*add_buffer)(struct azc_device *device, void *memory, size_t length, bool read_only,
			  uint32_t *id);
	void (*remove_buffer)(struct azc_device *device, uint32_t id);
	int (*cancel)(struct azc_device *device, const uint8_t guid[16], bool *unsent);
	int node;
	uint64_t features;
};

/* NULL with *sys_errno when the node is not there or can't be opened. */
struct azc_device *azc_device_open(const char *path, int *sys_errno);
/* Probes the device; it belongs to the transport on success, to the caller otherwise. */
struct azc_transport *azc_driver_open(const azblob_conn *conn, struct azc_device *device,
				      struct azblob_error *error);

/* The same without a probe: for raw requests only. */
struct azc_transport *azc_driver_open_raw(const azblob_conn *conn, struct azc_device *device,
					  struct azblob_error *error);

/* ---- performing ---- */

/*
 * Signs and sends the request, again where that is safe and helps, until there is a good answer
 * (below 300).  Otherwise fills @error; @answer then still has the last one, if any.  The answer
 * is initialised here and must be reset by the caller in every case.
 */
int azc_perform(struct azc_op *op, struct azc_request *request, struct azc_answer *answer,
		struct azblob_error *error);

/* What one try came to. */
enum azc_verdict {
	AZC_GOOD,
	AZC_FINAL, /* it failed for good */
	AZC_AGAIN, /* another try is safe and may help */
};

/* Headers by which a second time would be refused, or change nothing, had the first one happened.
 */
enum azc_guard {
	AZC_GUARD_MATCH = 1,    /* If-Match with one ETag */
	AZC_GUARD_NEW = 2,      /* If-None-Match: * */
	AZC_GUARD_LEASE = 4,    /* x-ms-lease-id */
	AZC_GUARD_POSITION = 8, /* x-ms-blob-condition-appendpos */
};
/*
 * Makes the request repeatable when it has one of @guards, by the table in docs/relay.md (What may
 * be sent twice).  What a repetition is refused with then is told with outcome_unknown.
 */
void azc_request_guarded(struct azc_request *request, unsigned int guards);

/*
 * The pieces of azc_perform(), for requests that nobody waits for.  azc_prepare() signs for one try
 * and reports what failed while the request was built; azc_judge() tells what a try came to,
 * @answered being what the transport's exchange would return 0 for, and completes @error, which the
 * exchange has filled otherwise; azc_perform_again() goes on after @tries tries, the last of which
 * failed with
 * *@error; azc_final_error() completes the error of a request that is given up.
 */
int azc_prepare(struct azc_op *op, struct azc_request *request, struct azblob_error *error);
enum azc_verdict azc_judge(const struct azc_op *op, const struct azc_request *request,
			   const struct azc_answer *answer, bool answered, enum azc_failure failure,
			   struct azblob_error *error);
int azc_perform_again(struct azc_op *op, struct azc_request *request, struct azc_answer *answer,
		      unsigned int tries, struct azblob_error *error);
void azc_final_error(struct azc_op *op, struct azblob_error *error);

/* The answer came with a checksum of its bytes. */
bool azc_answer_has_crc(const azblob_conn *conn, const struct azc_answer *answer);

/* The service does not know something that was asked for; nothing was done. */
bool azc_is_unsupported(const struct azblob_error *error);

/* ---- handles of large bodies (handle.c) ---- */

#define AZC_HANDLE_DIGITS 32

/* The host does not know the handle: it was started anew, or the handle expired. */
bool azc_is_handle_lost(const struct azblob_error *error);
/* A request to /.azblob/HANDLE: needs no signature, and is safe to repeat. */
void azc_handle_request(struct azc_request *request, const char *method, const char *handle);
/* Copies the digits of Azblob-Handle and a zero. */
int azc_take_handle(const struct azc_answer *answer, char *handle, struct azblob_error *error);
/* Tells the host that it is not needed any more; a failure does not matter. */
void azc_drop_handle(azblob_conn *conn, const char *handle);

/* ---- buffers ---- */

/*
 * Page-aligned buffers that are used again, since faulting in fresh pages costs more than
 * the copy into them.  Thread-safe.
 */
struct azc_pool *azc_pool_new(void);
void azc_pool_free(struct azc_pool *pool);
/* At least @size bytes, content undefined; NULL when out of memory. */
void *azc_pool_get(struct azc_pool *pool, size_t size);
/* @size as it was asked for. */
void azc_pool_put(struct azc_pool *pool, void *buffer, size_t size);
/*
 * Gives a buffer from azc_pool_get() other pages: somebody may still write to the ones that it
 * has.  Its content is lost; it stays the caller's.
 */
void azc_pool_abandon(void *buffer, size_t size);

#endif /* AZC_TRANSPORT_H */
