/* SPDX-License-Identifier: MIT */
/* What a writer of azblob-mount meets in its unit tests: a service of one blob, which fails on
 * command. */
#ifndef MOUNT_WORLD_H
#define MOUNT_WORLD_H

#include <stdbool.h>
#include <stddef.h>

#include "writer.h"

#define BLOCK ((size_t)256 << 10)
#define MAX_STAGED 256

struct staged {
	char id[128];
	char *data;
	size_t size;
	bool committed;
};

/**
 * struct world - a service of one blob, and a writer's surroundings
 * @lock: protects what uploads change.
 * @fail_block, @fail_commit, @fail_read: -errno of the next such call.
 * @fail_head: the same, until it is 0.
 * @lose: the next commit or append takes effect, but its answer does not come.
 * @repeat: the next one takes effect, and is refused for its condition as if sent once more.
 * @kind: of the blob.
 */
struct world {
	struct mnt_service service; /* first */
	struct mnt_jobs *jobs;
	struct mnt_cache *cache;
	struct mnt_nodes nodes;
	struct mnt_writers writers;
	struct mnt_node *node;
	pthread_mutex_t lock;
	char *data;
	size_t size;
	char etag[16];
	unsigned int version;
	struct staged staged[MAX_STAGED];
	size_t staged_count;
	unsigned int puts;
	unsigned int blocks;
	unsigned int commits;
	unsigned int told;
	int fail_block;
	int fail_commit;
	int fail_head;
	int fail_read;
	bool lose;
	bool repeat;
	enum mnt_kind kind;
	size_t many; /* not 0: the blob is of so many blocks of the same size */
	bool look;   /* at the node, as somebody else's stat() would, while a commit is under way */
};

/* The blob is now this. */
void set_data(struct world *world, const char *data, size_t size);
/* Somebody has changed it; @attr: as it is now, or NULL. */
void new_version(struct world *world, struct mnt_attr *attr);

/* A blob of @size bytes that came in one Put Blob. */
void make_world(struct world *world, size_t size);
void end_world(struct world *world);

struct mnt_writer *open_writer(struct world *world);
/* As mnt_writer_write(), which has to take all or nothing: 0 or -errno. */
int write_all(struct mnt_writer *writer, const char *data, size_t size, uint64_t offset, bool end);

#endif /* MOUNT_WORLD_H */
