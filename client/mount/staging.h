/* SPDX-License-Identifier: MIT */
/* What the two files of the writer share: its state, and how blocks are staged (staging.c). */
#ifndef MNT_STAGING_H
#define MNT_STAGING_H

#include <pthread.h>
#include <stdatomic.h>

#include "writer.h"

/* Bytes of the ids that we make, and the most that the service takes. */
#define MNT_ID_BYTES 16u
#define MNT_MAX_ID_BYTES 64u

/**
 * struct mnt_attempt - a commit of which nobody knows whether it took effect
 * @made: there is one.
 * @size: of the blob that it makes.
 * @crc: of what was in the buffer.
 * @last: id of the block that this commit alone has, or NULL.
 * @count: blocks of that blob; 0: it came in one put.
 * @ids: of these, how many are the first ones of the writer's.
 */
struct mnt_attempt {
	bool made;
	uint64_t size;
	uint64_t crc;
	char *last;
	size_t count;
	size_t ids;
};

/**
 * struct mnt_writer - all that is written but not committed
 * @lock: held throughout each call.  Taken before the nodes' and the cache's.
 * @upload_lock: protects @uploads and @failed, which the uploads' threads change.
 * @blob: name of the blob.
 * @attr: of the blob as it was last committed, or found.
 * @size: of the file as written so far; @changed: seconds, when that was.
 * @start, @fill: what @buffer holds: bytes [start, start + fill) of the file.
 * @owned: @buffer is a small one of ours, not the cache's.
 * @loaded: @ids and @buffer are all of the file.
 * @ids: the blocks before @start, in order; the first @committed of them are the blob's.
 * @id_bytes: how long ids are, decoded.
 * @dirty: something is to be committed.
 * @abandoned: the name is gone.  With it @dirty is always set where the file lives on in @buffer,
 *so that its size is the writer's.
 * @attempt: the last commit, when it failed in such a way.
 * @failed: nothing can be committed any more: -errno.
 */
struct mnt_writer {
	struct mnt_writers *all;
	struct mnt_writer *next;
	struct mnt_node *node;
	unsigned int refs; /* under all->lock */
	pthread_mutex_t lock;
	pthread_mutex_t upload_lock;
	pthread_cond_t uploaded;
	unsigned int uploads;
	int failed;
	char *blob;
	struct mnt_attr attr;
	struct azblob_properties *properties;
	_Atomic uint64_t size;
	_Atomic time_t changed;
	uint64_t start;
	char *buffer;
	size_t fill;
	size_t room;
	bool owned;
	bool loaded;
	_Atomic bool dirty;
	_Atomic bool abandoned;
	char **ids;
	size_t count;
	size_t committed;
	struct mnt_attempt attempt;
	size_t id_room;
	size_t id_bytes;
	uint8_t id_seed[MNT_MAX_ID_BYTES];
	uint32_t id_next;
};

/* All but the first are called with the writer's lock; those with a result return 0 or -errno. */

/* The first failure of an upload or a commit that cannot be repeated, or 0. */
int mnt_writer_failure(struct mnt_writer *writer);
/* Makes @result that, unless there is one; returns @result. */
int mnt_writer_fail(struct mnt_writer *writer, int result);
/* What failed is of no importance any more. */
void mnt_writer_recover(struct mnt_writer *writer);
/* All of the file is in @buffer, however long it is. */
bool mnt_writer_in_memory(const struct mnt_writer *writer);
/* Until at most @most are under way; how many are. */
unsigned int mnt_wait_uploads(struct mnt_writer *writer, unsigned int most);

/* A buffer, unless there is one. */
int mnt_get_buffer(struct mnt_writer *writer);
void mnt_drop_buffer(struct mnt_writer *writer);
void mnt_free_ids(struct mnt_writer *writer);
/* Room for one more, and for the one that a commit adds. */
int mnt_grow_ids(struct mnt_writer *writer);
/* An id that no other block of the blob has; NULL when out of memory. */
char *mnt_new_id(struct mnt_writer *writer);
/* The full buffer goes on its way. */
int mnt_make_room(struct mnt_writer *writer);
/*
 * The same for an append blob, full or not, and waits.  A failure may be repeated unless it has
 * become the writer's.
 */
int mnt_append_buffer(struct mnt_writer *writer);
/*
 * All that was written becomes the blob, unless nothing was.  After a failure whose outcome
 * is unknown it asks what there is; when there is no answer to that either, the next call asks.
 */
int mnt_commit(struct mnt_writer *writer);
void mnt_forget_attempt(struct mnt_writer *writer);
/* Finds out what the blob is made of, unless that is known. */
int mnt_load(struct mnt_writer *writer);

#endif /* MNT_STAGING_H */
