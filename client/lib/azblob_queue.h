/* SPDX-License-Identifier: MIT */
/*
 * The part of libazblob for programs that speak to the host themselves, have many requests under
 * way from one thread, or register their buffers.  Included by azblob.h; the rules at its start
 * hold here too, apart from these:
 *
 * - The calls named azblob_queue_* don't block, but azblob_queue_wait() and azblob_queue_free().
 * - An azblob_queue may be used by any number of threads at once.  With io_uring a thread that has
 *   submitted requests should not end before their completions have been taken: the kernel may end
 *   a thread's commands with it, and then their outcome is unknown (sys_errno ECANCELED).
 * - Memory that was handed to a submission is the library's until the completion has been
 *   taken, whatever happens in between; the caller's strings and structs are copied.
 */
#ifndef AZBLOB_QUEUE_H
#define AZBLOB_QUEUE_H

#include "azblob.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- raw requests ---- */

/**
 * struct azblob_raw_request - three buffers for the host, as the driver carries them
 * @struct_size: see AZBLOB_RAW_REQUEST_INIT.
 * @head, @head_length: what is asked; at least 1 byte; only read.
 * @answer, @answer_room: where the answer goes; at least 1 byte.  This project's host wants
 *	16 KiB or more.
 * @data, @data_length: NULL and 0 when there is none.
 * @data_valid: bytes of @data that are there for the host to read, which then does not write to it.
 *	0: the host may write to all of it.
 * @timeout_ms: for the host to answer; 0: the connection's; AZBLOB_TIMEOUT_NEVER: for ever.
 * @guid: names the request in the logs of both sides; all zeros: the library makes one.
 *
 * The library looks into none of them.  What they hold is between the program and the host;
 * docs/payload.md is what this project's host expects.
 */
struct azblob_raw_request {
	size_t struct_size;
	const void *head;
	size_t head_length;
	void *answer;
	size_t answer_room;
	void *data;
	size_t data_length;
	size_t data_valid;
	unsigned int timeout_ms;
	unsigned char guid[16];
};
#define AZBLOB_RAW_REQUEST_INIT                                                     \
	{                                                                           \
		sizeof(struct azblob_raw_request), NULL, 0, NULL, 0, NULL, 0, 0, 0, \
		{                                                                   \
			0                                                           \
		}                                                                   \
	}

#define AZBLOB_TIMEOUT_NEVER UINT32_MAX

/**
 * struct azblob_raw_result - what the host said; the caller's
 * @status: the host's HRESULT, 0 when it has answered the request.
 * @answered: not 0 when the host has said anything, with success or without.
 * @answer_length: bytes of the answer buffer that it filled.
 */
struct azblob_raw_result {
	uint32_t status;
	int answered;
	uint64_t answer_length;
	uint64_t reserved[6];
};

/*
 * Sends one request as it is, once, and waits for its answer.  Succeeds when the host answered with
 * status 0, whatever the answer is.  Needs the driver: a connection that is AZBLOB_TRANSPORT_DRIVER
 * or AZBLOB_TRANSPORT_RAW.  @result may be NULL; it is filled on failure too.
 *
 * On failure the kind is BAD_ARGUMENT (lengths, addresses: nothing was sent), RESOURCES (memory or
 * room was short: nothing was sent), or TRANSPORT with link_status or sys_errno, and
 * outcome_unknown tells whether the host may have done what was asked.  When sys_errno is
 * ETIMEDOUT the host may write to the buffers later.
 */
int azblob_request(azblob_conn *conn, const struct azblob_raw_request *request,
		   struct azblob_raw_result *result, struct azblob_error *error);

/* ---- queues ---- */

struct azblob_queue;
typedef struct azblob_queue azblob_queue;

enum azblob_queue_kind {
	/* Commands on a ring of the kernel's: no thread waits for them. */
	AZBLOB_QUEUE_URING = 1,
	/* A thread of the library's for each request that is under way, 64 at most. */
	AZBLOB_QUEUE_THREADS = 2,
};

struct azblob_queue_options {
	size_t struct_size;
	unsigned int depth;   /* requests submitted and not taken back, 1 to 4096; 0: 64 */
	unsigned int threads; /* not 0: don't use io_uring */
};
#define AZBLOB_QUEUE_OPTIONS_INIT                         \
	{                                                 \
		sizeof(struct azblob_queue_options), 0, 0 \
	}

/* @options may be NULL. */
int azblob_queue_new(azblob_conn *conn, const struct azblob_queue_options *options,
		     azblob_queue **queue, struct azblob_error *error);
/*
 * Cancels what was submitted, waits until the host is done with all of it (where it can't be told,
 * its time-outs are the bound), and drops the completions that nobody took.  NULL is allowed.
 */
void azblob_queue_free(azblob_queue *queue);
enum azblob_queue_kind azblob_queue_kind(const azblob_queue *queue);
/*
 * For poll(2) and its kin: readable when a completion may be there to take.  Only to be polled; it
 * is the queue's, and is closed with it.
 */
int azblob_queue_fd(const azblob_queue *queue);

struct azblob_submit_options {
	size_t struct_size;
	void *context;           /* comes back in the completion */
	unsigned int timeout_ms; /* of each try; 0: the connection's; not of raw requests */
	const char *if_match;    /* an ETag, or NULL; of azblob_queue_get() only */
};
#define AZBLOB_SUBMIT_OPTIONS_INIT                                  \
	{                                                           \
		sizeof(struct azblob_submit_options), NULL, 0, NULL \
	}

/*
 * Each returns 0 when the request was taken, and *id names it until its completion was taken; id
 * may be NULL.  A failure to submit has no completion; a full queue is RESOURCES with the code
 * "QueueFull".  @options may be NULL.
 */
/*
 * Get Blob: @length bytes from @offset into @buffer, 1 to what one request carries (32 MiB less
 * some pages).  Fewer arrive only where the blob ends.
 */
int azblob_queue_get(azblob_queue *queue, const char *container, const char *blob, uint64_t offset,
		     size_t length, void *buffer, const struct azblob_submit_options *options,
		     uint64_t *id, struct azblob_error *error);
/* As azblob_put_block(). */
int azblob_queue_put_block(azblob_queue *queue, const char *container, const char *blob,
			   const char *block_id, const void *data, size_t size,
			   const struct azblob_submit_options *options, uint64_t *id,
			   struct azblob_error *error);
/* As azblob_request(). */
int azblob_queue_request(azblob_queue *queue, const struct azblob_raw_request *request,
			 const struct azblob_submit_options *options, uint64_t *id,
			 struct azblob_error *error);

/**
 * struct azblob_completion - how a submitted request ended; the caller's
 * @id, @context: of the submission.
 * @result: 0, or -1 and @error says why.
 * @verified: get: not 0 when the bytes were covered by a checksum that matched.
 * @length: get: bytes now in the buffer; raw: bytes of the answer.
 * @blob_size, @etag: get: of the whole blob.
 * @status: raw: the host's HRESULT.
 * @retries: tries after the first.
 */
struct azblob_completion {
	uint64_t id;
	void *context;
	int result;
	int verified;
	uint64_t length;
	uint64_t blob_size;
	uint32_t status;
	uint32_t retries;
	uint64_t reserved[6];
	char etag[128];
	struct azblob_error error;
};

/* Takes a completion, in any order: 1 when there was one, else 0. */
int azblob_queue_poll(azblob_queue *queue, struct azblob_completion *completion);
/*
 * The same, but waits for one, @timeout_ms at most (-1: for ever).  0 when none came, and at once
 * when nothing is under way.
 */
int azblob_queue_wait(azblob_queue *queue, int timeout_ms, struct azblob_completion *completion);

/*
 * Asks that a request ends soon; does not wait for that.  It still has its one completion, by which
 * its memory is the caller's again, and which is one of these:
 * - AZBLOB_CANCELLED without outcome_unknown: it was stopped before the host had it (or it
 *   changes nothing), and has not happened;
 * - AZBLOB_CANCELLED with outcome_unknown: it was stopped while the host had it, or HTTP was at it,
 *   and may have happened;
 * - what it came to, success included: it was too far on.
 * It is not sent again in any case.  A driver that can't cancel, or a host of protocol 1, makes
 * a request that the host has run to its answer or its time-out.  A raw request is known by its
 * guid: others of the connection that were given the same one end with it.  Fails, with
 * BAD_ARGUMENT, when there is no such request any more.
 */
int azblob_cancel(azblob_queue *queue, uint64_t id, struct azblob_error *error);

/* ---- registered buffers ---- */

struct azblob_buffer;
typedef struct azblob_buffer azblob_buffer;

enum azblob_buffer_kind {
	/* Nothing is gained, nothing is lost. */
	AZBLOB_BUFFER_PLAIN = 0,
	/* The rings of the connection's queues have it pinned. */
	AZBLOB_BUFFER_URING = 1,
	/* The driver has it pinned, and the host knows its pages. */
	AZBLOB_BUFFER_HOST = 2,
};

/* azblob_buffer_register(), flags: nobody reads blobs into it. */
#define AZBLOB_BUFFER_READ_ONLY 1u

/*
 * Says that requests will often move data from and to this memory: @length bytes at @memory, both
 * multiples of 4096.  It is pinned where that can be, once instead of for each request, by
 * the best means there is (azblob_buffer_kind() tells); a program need not care which.
 * Requests whose data is wholly inside use it by themselves, whichever call they are of.  The
 * memory has to stay mapped until azblob_buffer_deregister().  At most 64 for a connection.
 */
int azblob_buffer_register(azblob_conn *conn, void *memory, size_t length, unsigned int flags,
			   azblob_buffer **buffer, struct azblob_error *error);
/* Waits until no request is in it that the host knows.  NULL is allowed. */
void azblob_buffer_deregister(azblob_buffer *buffer);
enum azblob_buffer_kind azblob_buffer_kind(const azblob_buffer *buffer);

#ifdef __cplusplus
}
#endif

#endif /* AZBLOB_QUEUE_H */
