/* SPDX-License-Identifier: MIT */
/*
 * What is written to a file before it is the blob: one writer for each file that somebody has
 * open for writing, shared by all of them.
 *
 * A block blob is written in order.  Full blocks are staged while writing goes on, and the last one
 * stays in memory; at a commit (close, fsync) all of it becomes the blob in one step, on
 * condition that nobody else has changed the blob since.  What is in memory can still be
 * changed: so a blob of at most one block can be changed anywhere, a longer one only at its end.
 * An append blob gets its bytes by Append Block.
 */
#ifndef MNT_WRITER_H
#define MNT_WRITER_H

#include <sys/types.h>

#include "cache.h"
#include "jobs.h"
#include "nodes.h"
#include "service.h"

/**
 * struct mnt_writers - what all writers use
 * @parallel: blocks that one writer may have under way.
 * @committed: the blob of @node has changed by us; called without locks.
 * @lock: protects @first and the counts of references.
 */
struct mnt_writers {
	struct mnt_service *service;
	struct mnt_cache *cache;
	struct mnt_jobs *jobs;
	struct mnt_nodes *nodes;
	unsigned int parallel;
	void (*committed)(void *context, struct mnt_node *node);
	void *context;
	pthread_mutex_t lock;
	struct mnt_writer *first;
};

void mnt_writers_init(struct mnt_writers *writers);
/* Commits what is not yet: the file system ends.  Only after all calls have returned. */
void mnt_writers_end(struct mnt_writers *writers);

/*
 * The writer of a file as its node knows it, one more reference: what was just asked has to be told
 * to the node before.  @properties: what the blob has besides; it is the writer's, or freed.  NULL
 * when out of memory.
 */
struct mnt_writer *mnt_writer_open(struct mnt_writers *writers, struct mnt_node *node,
				   struct azblob_properties *properties);
/* Commits what is not yet when it was the last one, and then frees it. */
void mnt_writer_close(struct mnt_writers *writers, struct mnt_writer *writer);
/* The writer of @node, one more reference, or NULL. */
struct mnt_writer *mnt_writer_find(struct mnt_writers *writers, struct mnt_node *node);

/*
 * Bytes that were taken, fewer than @size where the rest failed, which the next write hears of; or
 * -errno.  @end: at the end, whatever @offset says.
 */
ssize_t mnt_writer_write(struct mnt_writer *writer, const char *data, size_t size, uint64_t offset,
			 bool end);

/* All below return 0 or -errno. */

int mnt_writer_truncate(struct mnt_writer *writer, uint64_t size);
int mnt_writer_commit(struct mnt_writer *writer);
/*
 * Copies out what is in memory; *got may be less than @size at the end.  -EAGAIN: it is
 * not (all) there; after a commit it can be read from the blob.
 */
int mnt_writer_read(struct mnt_writer *writer, char *buffer, size_t size, uint64_t offset,
		    size_t *got);
/*
 * The file's name is gone, so nothing is committed any more, and commits return 0.  A file that is
 * in memory as a whole lives on there, up to the length of its buffer (-EFBIG beyond); of any other
 * a part is gone: -ESTALE.
 */
void mnt_writer_abandon(struct mnt_writer *writer);
bool mnt_writer_is_abandoned(const struct mnt_writer *writer);
/* The file has another name or another ETag by our doing; it has just been committed. */
void mnt_writer_renamed(struct mnt_writer *writer);

/*
 * Bytes written so far, and when (may be NULL), if that is more news than the blob's; with the lock
 * of the nodes held.
 */
bool mnt_writer_size(const struct mnt_writer *writer, uint64_t *size, time_t *changed);

#endif /* MNT_WRITER_H */
