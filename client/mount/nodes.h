/* SPDX-License-Identifier: MIT */
/* The names that the kernel knows of, as a tree. */
#ifndef MNT_NODES_H
#define MNT_NODES_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "service.h"

struct mnt_version;
struct mnt_writer;

#define MNT_NODE_BUCKETS 4096u
#define MNT_OURS UINT64_MAX

/**
 * struct mnt_node - one name
 * @parent: NULL for the root; held by a reference.
 * @ino: what stat() shows: made of the name, so that it is the same after the next mount.
 * @lookups: how many the kernel has; @refs: of children, handles and calls.  Gone when both are 0.
 * @unlinked: not in the tree any more; handles may have it still.
 * @kept: a directory whose files this mount has removed: it stays until it is removed itself.
 * @attr: as last heard of; @expires: until when that may be shown, ms of CLOCK_MONOTONIC.
 * @heard: stamp of the request that said so, or of the change of ours that made it so.
 * @changing: changes of ours that are under way: what the service says meanwhile may be one of
 *	them, which is not to be taken for somebody else's.
 * @removed: of a directory: stamp of the last name that this mount took from it.
 * @epoch: counts changes that did not come from this mount.
 * @version: of @attr, made when it is first read, or NULL.
 * @writer: of the handles that may write, or NULL.
 * @pages: ETag of the version that the kernel may have pages of.
 *
 * All of it is protected by the table's lock.
 */
struct mnt_node {
	struct mnt_node *parent;
	char *name;
	struct mnt_node *next;
	uint64_t ino;
	uint64_t lookups;
	unsigned int refs;
	bool unlinked;
	bool kept;
	struct mnt_attr attr;
	uint64_t expires;
	uint64_t heard;
	unsigned int changing;
	uint64_t removed;
	uint64_t epoch;
	struct mnt_version *version;
	struct mnt_writer *writer;
	char pages[MNT_ETAG_ROOM];
};

/**
 * struct mnt_nodes - the table
 * @prefix: of every blob's name, "" or with a slash at its end.
 * @stamps: the last stamp that was given; needs no lock.
 * @ttl: ms for which attributes may be shown.
 * @freed: called with the lock held when a node with a version goes.
 * @settled: a change of ours has ended.
 */
struct mnt_nodes {
	pthread_mutex_t lock;
	pthread_cond_t settled;
	char *prefix;
	_Atomic uint64_t stamps;
	unsigned int ttl;
	void (*freed)(void *context, struct mnt_version *version);
	void *context;
	struct mnt_node root;
	struct mnt_node *table[MNT_NODE_BUCKETS];
	uint64_t count;
};

/* Milliseconds of CLOCK_MONOTONIC. */
uint64_t mnt_now(void);

/*
 * What happens later has a greater one.  To be taken before a request is sent that asks what a
 * name is: its answer may be older than what has become known meanwhile.
 */
uint64_t mnt_nodes_stamp(struct mnt_nodes *nodes);

int mnt_nodes_init(struct mnt_nodes *nodes, const char *prefix);
/* Whatever the kernel still had. */
void mnt_nodes_destroy(struct mnt_nodes *nodes);

/*
 * The node of @name below @parent, there or new, with one more lookup, and what is now known of it:
 * @attr was asked for at @asked, and is dropped where something newer is known.  *changed tells of
 * a change from elsewhere.  NULL when out of memory.
 */
struct mnt_node *mnt_nodes_lookup(struct mnt_nodes *nodes, struct mnt_node *parent,
				  const char *name, const struct mnt_attr *attr, uint64_t asked,
				  bool *changed);
/* The same for one that is there, with one more reference instead; or NULL. */
struct mnt_node *mnt_nodes_find(struct mnt_nodes *nodes, struct mnt_node *parent, const char *name);
void mnt_nodes_forget(struct mnt_nodes *nodes, struct mnt_node *node, uint64_t lookups);
void mnt_nodes_get(struct mnt_nodes *nodes, struct mnt_node *node);
/* NULL is allowed. */
void mnt_nodes_put(struct mnt_nodes *nodes, struct mnt_node *node);

/*
 * What is now known of the node: @asked as above, or MNT_OURS: because this mount did it.  Returns
 * true when something else had changed it.
 */
bool mnt_nodes_update(struct mnt_nodes *nodes, struct mnt_node *node, const struct mnt_attr *attr,
		      uint64_t asked);
/*
 * A change of ours is under way until mnt_nodes_end(), which tells what it made of the blob, or
 * NULL: nothing, or nobody knows.  Answers to what was asked before its end don't count.
 */
void mnt_nodes_begin(struct mnt_nodes *nodes, struct mnt_node *node);
void mnt_nodes_end(struct mnt_nodes *nodes, struct mnt_node *node, const struct mnt_attr *attr);
/*
 * Whether this mount has made something else of the node than @version, which is then worth another
 * look; waits for changes that are under way.
 */
bool mnt_nodes_has_moved_on(struct mnt_nodes *nodes, struct mnt_node *node,
			    const struct mnt_version *version);
/* What is known of it now. */
void mnt_nodes_attr(struct mnt_nodes *nodes, struct mnt_node *node, struct mnt_attr *attr);
/* The number that a node of this name has, or would have.  Needs no lock. */
uint64_t mnt_child_ino(const struct mnt_node *parent, const char *name);
/* What is known may be wrong: ask before it is shown. */
void mnt_nodes_expire(struct mnt_nodes *nodes, struct mnt_node *node);
/* A name in the directory was removed by us. */
void mnt_nodes_keep(struct mnt_nodes *nodes, struct mnt_node *directory);
/* Whether that happened after @asked: then the answer may tell of a name that is gone. */
bool mnt_nodes_removed(struct mnt_nodes *nodes, struct mnt_node *directory, uint64_t asked);
/* Whether @name below @parent is such a directory; fills @attr. */
bool mnt_nodes_kept(struct mnt_nodes *nodes, struct mnt_node *parent, const char *name,
		    struct mnt_attr *attr);
/* The name is gone, or is now something else's. */
void mnt_nodes_unlink(struct mnt_nodes *nodes, struct mnt_node *node);
bool mnt_nodes_is_unlinked(struct mnt_nodes *nodes, struct mnt_node *node);
/* It has this name from now on, and the number of that; what had it is unlinked.  0 or -ENOMEM. */
int mnt_nodes_rename(struct mnt_nodes *nodes, struct mnt_node *node, struct mnt_node *parent,
		     const char *name);

/*
 * The name of the blob: of @name below @node, or of @node itself when that is NULL.  The caller's
 * to free; NULL when out of memory.  That of the root is the prefix.
 */
char *mnt_nodes_path(struct mnt_nodes *nodes, struct mnt_node *node, const char *name);
/* The same with the lock held. */
char *mnt_nodes_path_locked(const struct mnt_nodes *nodes, const struct mnt_node *node,
			    const char *name);

#endif /* MNT_NODES_H */
