// SPDX-License-Identifier: MIT
#include "nodes.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

uint64_t mnt_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t mnt_nodes_stamp(struct mnt_nodes *nodes)
{
	return atomic_fetch_add(&nodes->stamps, 1) + 1;
}

int mnt_nodes_init(struct mnt_nodes *nodes, const char *prefix)
{
	memset(nodes, 0, sizeof(*nodes));
	nodes->prefix = strdup(prefix);
	if (!nodes->prefix)
		return -ENOMEM;
	pthread_mutex_init(&nodes->lock, NULL);
	pthread_cond_init(&nodes->settled, NULL);
	nodes->root.name = nodes->prefix;
	nodes->root.ino = 1;
	nodes->root.refs = 1;
	nodes->root.attr.directory = true;
	return 0;
}

/* ---- the table; all with the lock held ---- */

static struct mnt_node **bucket_of(struct mnt_nodes *nodes, const struct mnt_node *parent,
				   const char *name)
{
	uint64_t hash = (uintptr_t)parent / 16;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
	return &nodes->table[(hash ^ hash >> 32) % MNT_NODE_BUCKETS];
}

static struct mnt_node *find(struct mnt_nodes *nodes, const struct mnt_node *parent,
			     const char *name)
{
	struct mnt_node *node = *bucket_of(nodes, parent, name);

	while (node && (node->parent != parent || strcmp(node->name, name)))
		node = node->next;
	return node;
}

static void insert(struct mnt_nodes *nodes, struct mnt_node *node)
{
	struct mnt_node **bucket = bucket_of(nodes, node->parent, node->name);

	node->next = *bucket;
	*bucket = node;
}

static void take_out(struct mnt_nodes *nodes, struct mnt_node *node)
{
	struct mnt_node **at = bucket_of(nodes, node->parent, node->name);

	if (node->unlinked)
		return;
	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
	node->unlinked = true;
}

static void free_node(struct mnt_nodes *nodes, struct mnt_node *node)
{
	take_out(nodes, node);
	if (node->version)
		nodes->freed(nodes->context, node->version);
	free(node->name);
	free(node);
	nodes->count--;
}

/* Frees it when nobody has it any more, and then perhaps its parents. */
static void put(struct mnt_nodes *nodes, struct mnt_node *node)
{
	while (node && !node->refs && !node->lookups && node->parent) {
		struct mnt_node *parent = node->parent;

		free_node(nodes, node);
		parent->refs--;
		node = parent;
	}
}

uint64_t mnt_child_ino(const struct mnt_node *parent, const char *name)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325) ^ parent->ino;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
	/* 1 is the root's; 0 and -1 mean something to programs. */
	return hash < 2 || hash == UINT64_MAX ? 2 : hash;
}

static struct mnt_node *make(struct mnt_nodes *nodes, struct mnt_node *parent, const char *name)
{
	struct mnt_node *node = calloc(1, sizeof(*node));

	if (!node)
		return NULL;
	node->name = strdup(name);
	if (!node->name) {
		free(node);
		return NULL;
	}
	node->parent = parent;
	node->ino = mnt_child_ino(parent, name);
	parent->refs++;
	insert(nodes, node);
	nodes->count++;
	return node;
}

static bool update(struct mnt_nodes *nodes, struct mnt_node *node, const struct mnt_attr *attr,
		   uint64_t asked)
{
	bool ours = asked == MNT_OURS;
	bool other = *node->attr.etag && strcmp(node->attr.etag, attr->etag) != 0;

	if (ours)
		asked = mnt_nodes_stamp(nodes);
	/* The answer was under way for longer, or may be of a change that we are making. */
	if (asked < node->heard || (node->changing && !ours))
		return false;
	node->heard = asked;
	if (other && node->version) {
		nodes->freed(nodes->context, node->version);
		node->version = NULL;
	}
	node->attr = *attr;
	node->expires = mnt_now() + nodes->ttl;
	if (!other || ours)
		return false;
	node->epoch++;
	return true;
}

/* ---- the calls ---- */

void mnt_nodes_destroy(struct mnt_nodes *nodes)
{
	for (unsigned int i = 0; i < MNT_NODE_BUCKETS; i++)
		while (nodes->table[i])
			free_node(nodes, nodes->table[i]);
	pthread_cond_destroy(&nodes->settled);
	pthread_mutex_destroy(&nodes->lock);
	free(nodes->prefix);
}

struct mnt_node *mnt_nodes_lookup(struct mnt_nodes *nodes, struct mnt_node *parent,
				  const char *name, const struct mnt_attr *attr, uint64_t asked,
				  bool *changed)
{
	struct mnt_node *node;

	*changed = false;
	pthread_mutex_lock(&nodes->lock);
	node = find(nodes, parent, name);
	/* A file that became a directory is another inode. */
	if (node && node->attr.directory != attr->directory && asked >= node->heard &&
	    !node->changing) {
		take_out(nodes, node);
		node = NULL;
	}
	if (!node)
		node = make(nodes, parent, name);
	if (node) {
		*changed = update(nodes, node, attr, asked);
		node->lookups++;
	}
	pthread_mutex_unlock(&nodes->lock);
	return node;
}

struct mnt_node *mnt_nodes_find(struct mnt_nodes *nodes, struct mnt_node *parent, const char *name)
{
	struct mnt_node *node;

	pthread_mutex_lock(&nodes->lock);
	node = find(nodes, parent, name);
	if (node)
		node->refs++;
	pthread_mutex_unlock(&nodes->lock);
	return node;
}

void mnt_nodes_forget(struct mnt_nodes *nodes, struct mnt_node *node, uint64_t lookups)
{
	if (!node->parent)
		return;
	pthread_mutex_lock(&nodes->lock);
	node->lookups -= lookups < node->lookups ? lookups : node->lookups;
	put(nodes, node);
	pthread_mutex_unlock(&nodes->lock);
}

void mnt_nodes_get(struct mnt_nodes *nodes, struct mnt_node *node)
{
	pthread_mutex_lock(&nodes->lock);
	node->refs++;
	pthread_mutex_unlock(&nodes->lock);
}

void mnt_nodes_put(struct mnt_nodes *nodes, struct mnt_node *node)
{
	if (!node)
		return;
	pthread_mutex_lock(&nodes->lock);
	node->refs--;
	put(nodes, node);
	pthread_mutex_unlock(&nodes->lock);
}

bool mnt_nodes_update(struct mnt_nodes *nodes, struct mnt_node *node, const struct mnt_attr *attr,
		      uint64_t asked)
{
	bool changed;

	pthread_mutex_lock(&nodes->lock);
	changed = update(nodes, node, attr, asked);
	pthread_mutex_unlock(&nodes->lock);
	return changed;
}

void mnt_nodes_begin(struct mnt_nodes *nodes, struct mnt_node *node)
{
	pthread_mutex_lock(&nodes->lock);
	node->changing++;
	pthread_mutex_unlock(&nodes->lock);
}

void mnt_nodes_end(struct mnt_nodes *nodes, struct mnt_node *node, const struct mnt_attr *attr)
{
	pthread_mutex_lock(&nodes->lock);
	if (attr)
		update(nodes, node, attr, MNT_OURS);
	else
		node->expires = 0;
	node->heard = mnt_nodes_stamp(nodes);
	node->changing--;
	pthread_cond_broadcast(&nodes->settled);
	pthread_mutex_unlock(&nodes->lock);
}

bool mnt_nodes_has_moved_on(struct mnt_nodes *nodes, struct mnt_node *node,
			    const struct mnt_version *version)
{
	bool moved;

	pthread_mutex_lock(&nodes->lock);
	while (node->changing)
		pthread_cond_wait(&nodes->settled, &nodes->lock);
	moved = node->version != version;
	pthread_mutex_unlock(&nodes->lock);
	return moved;
}

void mnt_nodes_attr(struct mnt_nodes *nodes, struct mnt_node *node, struct mnt_attr *attr)
{
	pthread_mutex_lock(&nodes->lock);
	*attr = node->attr;
	pthread_mutex_unlock(&nodes->lock);
}

void mnt_nodes_expire(struct mnt_nodes *nodes, struct mnt_node *node)
{
	pthread_mutex_lock(&nodes->lock);
	node->expires = 0;
	pthread_mutex_unlock(&nodes->lock);
}

void mnt_nodes_keep(struct mnt_nodes *nodes, struct mnt_node *directory)
{
	pthread_mutex_lock(&nodes->lock);
	directory->removed = mnt_nodes_stamp(nodes);
	for (; directory; directory = directory->parent)
		directory->kept = true;
	pthread_mutex_unlock(&nodes->lock);
}

bool mnt_nodes_removed(struct mnt_nodes *nodes, struct mnt_node *directory, uint64_t asked)
{
	bool removed;

	pthread_mutex_lock(&nodes->lock);
	removed = asked < directory->removed;
	pthread_mutex_unlock(&nodes->lock);
	return removed;
}

bool mnt_nodes_kept(struct mnt_nodes *nodes, struct mnt_node *parent, const char *name,
		    struct mnt_attr *attr)
{
	struct mnt_node *node;
	bool kept;

	pthread_mutex_lock(&nodes->lock);
	node = find(nodes, parent, name);
	kept = node && node->kept && node->attr.directory;
	if (kept) {
		*attr = node->attr;
		/* Its blob, if it had one, is gone. */
		attr->etag[0] = '\0';
	}
	pthread_mutex_unlock(&nodes->lock);
	return kept;
}

void mnt_nodes_unlink(struct mnt_nodes *nodes, struct mnt_node *node)
{
	pthread_mutex_lock(&nodes->lock);
	if (node->parent)
		take_out(nodes, node);
	pthread_mutex_unlock(&nodes->lock);
}

bool mnt_nodes_is_unlinked(struct mnt_nodes *nodes, struct mnt_node *node)
{
	bool unlinked;

	pthread_mutex_lock(&nodes->lock);
	unlinked = node->unlinked;
	pthread_mutex_unlock(&nodes->lock);
	return unlinked;
}

int mnt_nodes_rename(struct mnt_nodes *nodes, struct mnt_node *node, struct mnt_node *parent,
		     const char *name)
{
	char *copy = strdup(name);
	struct mnt_node *before;
	struct mnt_node *from;

	if (!copy)
		return -ENOMEM;
	pthread_mutex_lock(&nodes->lock);
	before = find(nodes, parent, name);
	if (before && before != node)
		take_out(nodes, before);
	take_out(nodes, node);
	from = node->parent;
	free(node->name);
	node->name = copy;
	node->parent = parent;
	/* Or the next file of the old name would be taken for this one. */
	node->ino = mnt_child_ino(parent, name);
	parent->refs++;
	node->unlinked = false;
	insert(nodes, node);
	from->refs--;
	put(nodes, from);
	pthread_mutex_unlock(&nodes->lock);
	return 0;
}

/* Puts @text before @end; returns where it starts. */
static char *prepend(char *end, const char *text)
{
	size_t length = strlen(text);

	return memcpy(end - length, text, length);
}

char *mnt_nodes_path_locked(const struct mnt_nodes *nodes, const struct mnt_node *node,
			    const char *name)
{
	size_t length = name ? strlen(name) : 0;
	const struct mnt_node *at;
	char *path;
	char *end;

	for (at = node; at->parent; at = at->parent)
		length += strlen(at->name) + 1;
	/* Room for one slash too many when there is no name. */
	path = malloc(strlen(nodes->prefix) + length + 1);
	if (path) {
		if (!name && node->parent)
			length--;
		end = path + strlen(nodes->prefix) + length;
		*end = '\0';
		if (name)
			end = prepend(end, name);
		for (at = node; at->parent; at = at->parent) {
			if (name || at != node)
				*--end = '/';
			end = prepend(end, at->name);
		}
		prepend(end, nodes->prefix);
	}
	return path;
}

char *mnt_nodes_path(struct mnt_nodes *nodes, struct mnt_node *node, const char *name)
{
	char *path;

	pthread_mutex_lock(&nodes->lock);
	path = mnt_nodes_path_locked(nodes, node, name);
	pthread_mutex_unlock(&nodes->lock);
	return path;
}
