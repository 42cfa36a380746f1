// SPDX-License-Identifier: MIT
/*
 * An open directory: what the service listed, in the order it came, fetched page by page as it is
 * read.  What was read stays, so that a program can go back in it.
 */
#include "mount.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NAME 255u

/**
 * struct entry - one name
 * @name: and behind its zero the ETag.
 * @asked: stamp of the page that it came with.
 */
struct entry {
	char *name;
	const char *etag;
	uint64_t size;
	uint64_t asked;
	time_t mtime;
	enum mnt_kind kind;
	bool directory;
};

/**
 * struct listing - an open directory
 * @prefix: of the blobs in it, with its slash.
 * @marker: of the next page; NULL before the first one.
 * @asked: stamp of the page that is being fetched.
 * @complete: there are no more pages.
 * @set: hash table of indexes into @entry plus 1, since a blob "a" and a prefix "a/" are one name.
 * @hidden: names that no file can have.
 */
struct listing {
	struct mnt_handle handle; /* first */
	pthread_mutex_t lock;     /* protects all below */
	struct mnt_mount *mount;
	struct mnt_node *node;
	char *prefix;
	char *marker;
	bool complete;
	uint64_t asked;
	struct entry *entry;
	size_t count;
	size_t room;
	size_t *set;
	size_t set_room;
	size_t hidden;
};

static struct listing *listing_of(struct fuse_file_info *info)
{
	return (struct listing *)(uintptr_t)info->fh; // NOLINT(performance-no-int-to-ptr)
}

/* ---- the set of names ---- */

static size_t *slot_of(struct listing *listing, const char *name)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	size_t at;

	for (const char *c = name; *c; c++)
		hash = (hash ^ (unsigned char)*c) * UINT64_C(0x100000001b3);
	at = (size_t)(hash % listing->set_room);
	while (listing->set[at] && strcmp(listing->entry[listing->set[at] - 1].name, name) != 0)
		at = at + 1 == listing->set_room ? 0 : at + 1;
	return &listing->set[at];
}

static int grow(struct listing *listing)
{
	size_t room = listing->room ? 2 * listing->room : 64;
	struct entry *entry = reallocarray(listing->entry, room, sizeof(*entry));
	size_t *set;

	if (!entry)
		return -ENOMEM;
	listing->entry = entry;
	set = calloc(2 * room, sizeof(*set));
	if (!set)
		return -ENOMEM;
	free(listing->set);
	listing->room = room;
	listing->set = set;
	listing->set_room = 2 * room;
	for (size_t i = 0; i < listing->count; i++)
		*slot_of(listing, entry[i].name) = i + 1;
	return 0;
}

/* ---- entries ---- */

/* "", "." and ".." and what is too long cannot be file names; the rest can. */
static bool can_show(const char *name, size_t length)
{
	return length && length <= MAX_NAME && !(length == 1 && name[0] == '.') &&
	       !(length == 2 && name[0] == '.' && name[1] == '.');
}

static int add(void *context, const char *full, const struct mnt_attr *attr)
{
	struct listing *listing = context;
	const char *name = full + strlen(listing->prefix);
	size_t length = strlen(name);
	size_t etag = strlen(attr->etag);
	struct entry *entry;
	size_t *slot;

	if (attr->directory && length && name[length - 1] == '/')
		length--;
	if (!can_show(name, length)) {
		/* "dir/" itself stands for the directory, and is no name in it. */
		listing->hidden += *name != '\0';
		return 0;
	}
	if (listing->count == listing->room && grow(listing))
		return -ENOMEM;
	entry = &listing->entry[listing->count];
	entry->name = malloc(length + 1 + etag + 1);
	if (!entry->name)
		return -ENOMEM;
	memcpy(entry->name, name, length);
	entry->name[length] = '\0';
	entry->etag = memcpy(entry->name + length + 1, attr->etag, etag + 1);
	slot = slot_of(listing, entry->name);
	if (*slot) {
		/* The blob comes first in every list, and it is what a lookup finds. */
		free(entry->name);
		return 0;
	}
	entry->size = attr->size;
	entry->asked = listing->asked;
	entry->mtime = attr->mtime;
	entry->kind = attr->kind;
	entry->directory = attr->directory;
	*slot = ++listing->count;
	return 0;
}

static void clear(struct listing *listing)
{
	for (size_t i = 0; i < listing->count; i++)
		free(listing->entry[i].name);
	free(listing->entry);
	free(listing->set);
	free(listing->marker);
	listing->entry = NULL;
	listing->set = NULL;
	listing->marker = NULL;
	listing->count = 0;
	listing->room = 0;
	listing->complete = false;
	listing->hidden = 0;
}

/* Fetches pages until there are more than @index entries or no more pages. */
static int reach(struct listing *listing, size_t index)
{
	struct mnt_service *service = listing->mount->service;

	while (!listing->complete && listing->count <= index) {
		int result;

		if (!listing->marker)
			listing->marker = strdup("");
		if (!listing->marker)
			return -ENOMEM;
		listing->asked = mnt_nodes_stamp(&listing->mount->nodes);
		result = service->ops->list(service, listing->prefix, 0, &listing->marker, add,
					    listing);
		if (result)
			return result;
		if (*listing->marker)
			continue;
		listing->complete = true;
		if (listing->hidden)
			mnt_log(MNT_LOG_NOTE, "\"%s\": %zu blobs cannot be shown as files",
				listing->prefix, listing->hidden);
	}
	return 0;
}

/* ---- requests ---- */

static void free_listing(struct listing *listing)
{
	mnt_handle_remove(listing->mount, &listing->handle);
	clear(listing);
	mnt_nodes_put(&listing->mount->nodes, listing->node);
	pthread_mutex_destroy(&listing->lock);
	free(listing->prefix);
	free(listing);
}

static void end_listing(struct mnt_mount *mount, struct mnt_handle *handle)
{
	(void)mount;
	free_listing((struct listing *)handle);
}

static struct listing *make_listing(struct mnt_mount *mount, struct mnt_node *node)
{
	struct listing *listing = calloc(1, sizeof(*listing));

	if (!listing)
		return NULL;
	/* The root's prefix has its slash. */
	listing->prefix = mnt_nodes_path(&mount->nodes, node, node->parent ? "" : NULL);
	if (!listing->prefix) {
		free(listing);
		return NULL;
	}
	pthread_mutex_init(&listing->lock, NULL);
	listing->mount = mount;
	listing->node = node;
	mnt_nodes_get(&mount->nodes, node);
	mnt_handle_add(mount, &listing->handle, end_listing);
	return listing;
}

void mnt_op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
	struct mnt_mount *mount = mnt_of(req);
	struct listing *listing = make_listing(mount, mnt_node_of(mount, ino));

	if (!listing) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	info->fh = (uintptr_t)listing;
	if (fuse_reply_open(req, info) == -ENOENT)
		free_listing(listing);
}

void mnt_op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
	(void)ino;
	free_listing(listing_of(info));
	fuse_reply_err(req, 0);
}

void mnt_op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *info)
{
	(void)ino;
	(void)datasync;
	(void)info;
	fuse_reply_err(req, 0);
}

/* Entries as the buffer takes them: "." is at 0, ".." at 1. */
struct reply {
	fuse_req_t req;
	char *buffer;
	size_t size;
	size_t used;
	bool plus;
};

/* False when it does not fit. */
static bool put_plain(struct reply *reply, const char *name, const struct stat *stat, off_t next)
{
	size_t room = reply->size - reply->used;
	struct fuse_entry_param entry = { .attr = *stat };
	size_t need;

	/* Without an inode number the kernel takes no lookup of it. */
	if (reply->plus)
		need = fuse_add_direntry_plus(reply->req, reply->buffer + reply->used, room, name,
					      &entry, next);
	else
		need = fuse_add_direntry(reply->req, reply->buffer + reply->used, room, name, stat,
					 next);
	if (need > room)
		return false;
	reply->used += need;
	return true;
}

static bool put_node(struct reply *reply, struct listing *listing, const struct entry *from,
		     const struct mnt_attr *attr, off_t next)
{
	struct mnt_mount *mount = listing->mount;
	size_t room = reply->size - reply->used;
	struct fuse_entry_param entry;
	struct mnt_node *node;
	bool changed;
	size_t need = fuse_add_direntry_plus(reply->req, NULL, 0, from->name, NULL, 0);

	if (need > room)
		return false;
	node = mnt_nodes_lookup(&mount->nodes, listing->node, from->name, attr, from->asked,
				&changed);
	/* Out of memory: the name alone, which is better than an end of the directory. */
	if (!node) {
		mnt_attr_stat(mount, attr, mnt_child_ino(listing->node, from->name), &entry.attr);
		return put_plain(reply, from->name, &entry.attr, next);
	}
	mnt_fill_entry(mount, node, changed, &entry);
	reply->used += fuse_add_direntry_plus(reply->req, reply->buffer + reply->used, room,
					      from->name, &entry, next);
	return true;
}

static bool put_entry(struct reply *reply, struct listing *listing, size_t index)
{
	const struct entry *from = &listing->entry[index];
	struct mnt_attr attr = {
		.directory = from->directory,
		.kind = from->kind,
		.size = from->size,
		.mtime = from->mtime,
	};
	struct stat stat;

	/*
	 * The page was fetched before a name in here was removed by us: it is shown as a name,
	 * which says nothing of what there is now, and the kernel asks before it believes in it.
	 */
	if (reply->plus && !mnt_nodes_removed(&listing->mount->nodes, listing->node, from->asked)) {
		memcpy(attr.etag, from->etag, strlen(from->etag) + 1);
		return put_node(reply, listing, from, &attr, (off_t)index + 3);
	}
	mnt_attr_stat(listing->mount, &attr, mnt_child_ino(listing->node, from->name), &stat);
	return put_plain(reply, from->name, &stat, (off_t)index + 3);
}

static int fill(struct reply *reply, struct listing *listing, size_t at)
{
	struct stat stat = { .st_mode = S_IFDIR, .st_ino = listing->node->ino };

	if (at == 0 && put_plain(reply, ".", &stat, 1))
		at++;
	if (at == 1) {
		if (listing->node->parent)
			stat.st_ino = listing->node->parent->ino;
		if (put_plain(reply, "..", &stat, 2))
			at++;
	}
	while (at >= 2) {
		int result = reach(listing, at - 2);

		/* What is there is given; the failure comes with the next call. */
		if (result)
			return reply->used ? 0 : result;
		if (at - 2 >= listing->count || !put_entry(reply, listing, at - 2))
			break;
		at++;
	}
	return 0;
}

static void read_entries(fuse_req_t req, size_t size, off_t offset, struct listing *listing,
			 bool plus)
{
	struct reply reply = { .req = req, .size = size, .plus = plus };
	int result;

	reply.buffer = malloc(size);
	if (!reply.buffer) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	pthread_mutex_lock(&listing->lock);
	/* Somebody went back to the start: that means a fresh look. */
	if (!offset && listing->marker)
		clear(listing);
	result = fill(&reply, listing, (size_t)offset);
	pthread_mutex_unlock(&listing->lock);
	if (result)
		fuse_reply_err(req, -result);
	else
		fuse_reply_buf(req, reply.buffer, reply.used);
	free(reply.buffer);
}

void mnt_op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *info)
{
	(void)ino;
	read_entries(req, size, offset, listing_of(info), false);
}

void mnt_op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
			struct fuse_file_info *info)
{
	(void)ino;
	read_entries(req, size, offset, listing_of(info), true);
}
