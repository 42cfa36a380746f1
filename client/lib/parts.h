/* SPDX-License-Identifier: MIT */
/* A large transfer as parts that several threads move. */
#ifndef AZC_PARTS_H
#define AZC_PARTS_H

#include <pthread.h>

#include "transport.h"

/**
 * struct azc_parts - what is left to do, shared by the threads
 * @lock: protects everything below but @part.
 * @changed: signalled when @delivered moves or @failed is set.
 * @part: bytes of each part but the last.
 * @next: start of the next part that nobody has taken.
 * @end: where the last part ends; UINT64_MAX as long as that is not known.
 * @delivered: everything before was handed to an ordered sink.
 * @failed, @error: the first failure; nothing more is handed out after it.
 */
struct azc_parts {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	size_t part;
	uint64_t next;
	uint64_t end;
	uint64_t delivered;
	bool failed;
	struct azblob_error error;
};

void azc_parts_init(struct azc_parts *parts, size_t part, uint64_t start, uint64_t end);
void azc_parts_destroy(struct azc_parts *parts);
/* Takes the next part; false when there is none or something failed. */
bool azc_parts_claim(struct azc_parts *parts, uint64_t *offset, size_t *length);
/* The source ended at @end: no parts beyond are handed out. */
void azc_parts_ends(struct azc_parts *parts, uint64_t end);
void azc_parts_fail(struct azc_parts *parts, const struct azblob_error *error);
/* Waits until all before @offset was delivered; false when something failed. */
bool azc_parts_wait_turn(struct azc_parts *parts, uint64_t offset);
void azc_parts_delivered(struct azc_parts *parts, uint64_t up_to);
/* How many threads are worth having for what is left, at most @limit. */
unsigned int azc_parts_threads(struct azc_parts *parts, unsigned int limit);

/*
 * Runs @worker(@context) in @threads threads at once, one of them the caller's, and returns when
 * all have.  With fewer threads where the system gives no more.
 */
void azc_run_parallel(unsigned int threads, void (*worker)(void *context), void *context);

#endif /* AZC_PARTS_H */
