// SPDX-License-Identifier: MIT
/* Names that come, go and move. */
#include "mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#ifndef RENAME_NOREPLACE
#define RENAME_NOREPLACE 1u
#endif

/* Replies with the node of a name that has just been made. */
static void reply_new(fuse_req_t req, fuse_ino_t parent, const char *name,
		      const struct mnt_attr *attr)
{
	struct mnt_mount *mount = mnt_of(req);
	uint64_t now = mnt_nodes_stamp(&mount->nodes);
	struct fuse_entry_param entry;
	bool changed;
	struct mnt_node *node = mnt_nodes_lookup(&mount->nodes, mnt_node_of(mount, parent), name,
						 attr, now, &changed);

	if (!node) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	mnt_fill_entry(mount, node, changed, &entry);
	if (fuse_reply_entry(req, &entry) == -ENOENT)
		mnt_nodes_forget(&mount->nodes, node, 1);
}

/* The name means something else from now on; what was written to it has nowhere to go. */
static void forget_name(struct mnt_mount *mount, struct mnt_node *parent, const char *name)
{
	struct mnt_node *node = mnt_nodes_find(&mount->nodes, parent, name);
	struct mnt_writer *writer;

	mnt_nodes_keep(&mount->nodes, parent);
	if (!node)
		return;
	mnt_nodes_unlink(&mount->nodes, node);
	writer = mnt_writer_find(&mount->writers, node);
	if (writer) {
		mnt_writer_abandon(writer);
		mnt_writer_close(&mount->writers, writer);
	}
	mnt_nodes_put(&mount->nodes, node);
}

/* ---- directories ---- */

void mnt_op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct mnt_mount *mount = mnt_of(req);
	struct mnt_attr attr;
	char *path;
	int result = mnt_child_path(mount, mnt_node_of(mount, parent), name, &path);

	(void)mode;
	if (!result)
		result = mount->service->ops->put_folder(mount->service, path);
	if (!result)
		result = mount->service->ops->head(mount->service, path, &attr, NULL);
	free(path);
	if (result)
		fuse_reply_err(req, -result);
	else
		reply_new(req, parent, name, &attr);
}

/* What is below a directory, looked at for rmdir. */
struct below {
	const char *itself; /* "dir/" */
	bool has_itself;    /* there is a blob of just that name, with nothing in it */
	bool has_others;
};

static int look(void *context, const char *name, const struct mnt_attr *attr)
{
	struct below *below = context;

	/* A folder marker is a directory by its metadata, even when it is named "dir/". */
	if (!strcmp(name, below->itself) && (!attr->directory || *attr->etag) && !attr->size)
		below->has_itself = true;
	else
		below->has_others = true;
	return 0;
}

static int look_below(struct mnt_mount *mount, struct below *below)
{
	char *marker = strdup("");
	int result = marker ? 0 : -ENOMEM;

	while (!result && !below->has_others) {
		result = mount->service->ops->list(mount->service, below->itself, 2, &marker, look,
						   below);
		if (!result && !*marker)
			break;
	}
	free(marker);
	return result;
}

static int remove_directory(struct mnt_mount *mount, const char *path)
{
	struct below below = { 0 };
	struct mnt_attr attr;
	char *itself;
	int result;

	if (asprintf(&itself, "%s/", path) < 0)
		return -ENOMEM;
	below.itself = itself;
	result = look_below(mount, &below);
	if (!result && below.has_others)
		result = -ENOTEMPTY;
	if (!result && below.has_itself)
		result = mount->service->ops->remove(mount->service, itself, NULL);
	free(itself);
	if (result)
		return result;
	result = mount->service->ops->head(mount->service, path, &attr, NULL);
	/* A directory that was there only through its files has gone with the last of them. */
	if (result)
		return result == -ENOENT ? 0 : result;
	if (!attr.directory)
		return -ENOTDIR;
	return mount->service->ops->remove(mount->service, path, attr.etag);
}

void mnt_op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct mnt_mount *mount = mnt_of(req);
	char *path;
	int result = mnt_child_path(mount, mnt_node_of(mount, parent), name, &path);

	if (!result)
		result = remove_directory(mount, path);
	free(path);
	if (!result)
		forget_name(mount, mnt_node_of(mount, parent), name);
	fuse_reply_err(req, -result);
}

/* ---- files ---- */

void mnt_op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct mnt_mount *mount = mnt_of(req);
	char *path;
	int result = mnt_child_path(mount, mnt_node_of(mount, parent), name, &path);

	if (!result)
		result = mount->service->ops->remove(mount->service, path, NULL);
	free(path);
	if (!result)
		forget_name(mount, mnt_node_of(mount, parent), name);
	fuse_reply_err(req, -result);
}

void mnt_op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device)
{
	struct mnt_mount *mount = mnt_of(req);
	struct mnt_condition condition = { .absent = true };
	struct mnt_attr attr;
	char *path;
	int result;

	(void)device;
	if (!S_ISREG(mode)) {
		fuse_reply_err(req, EPERM);
		return;
	}
	result = mnt_child_path(mount, mnt_node_of(mount, parent), name, &path);
	if (!result)
		result = mount->service->ops->put(mount->service, path, "", 0, NULL, &condition,
						  &attr);
	free(path);
	if (result)
		fuse_reply_err(req, -result);
	else
		reply_new(req, parent, name, &attr);
}

/* EPERM is what symlink(2) and link(2) name for file systems that have none. */
void mnt_op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name)
{
	(void)target;
	(void)parent;
	(void)name;
	fuse_reply_err(req, EPERM);
}

void mnt_op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name)
{
	(void)ino;
	(void)parent;
	(void)name;
	fuse_reply_err(req, EPERM);
}

/* ---- rename ---- */

/* Everything that was written to the file is in its blob afterwards. */
static int settle(struct mnt_mount *mount, struct mnt_node *node)
{
	struct mnt_writer *writer = node ? mnt_writer_find(&mount->writers, node) : NULL;
	int result;

	if (!writer)
		return 0;
	result = mnt_writer_commit(writer);
	mnt_writer_close(&mount->writers, writer);
	return result;
}

/*
 * Copy and delete, each under the condition that the source is still what was looked at.  When the
 * second fails both names are there, and the caller hears of it.  *copied: there may be something
 * else under the new name, whatever the result is.
 */
static int move_blob(struct mnt_mount *mount, const char *from, const char *to, bool replace,
		     struct mnt_attr *attr, bool *copied)
{
	struct mnt_service *service = mount->service;
	struct mnt_condition condition = { .absent = !replace };
	struct mnt_attr source;
	int result = mnt_stat_blob(mount, from, &source);

	if (!result && source.directory)
		result = -EXDEV;
	if (result)
		return result;
	*copied = true;
	result = service->ops->copy(service, from, source.etag, to, &condition, attr);
	if (result)
		return result;
	result = service->ops->remove(service, from, source.etag);
	if (result == -ESTALE)
		mnt_log(MNT_LOG_ERROR,
			"rename: \"%s\" changed while it was copied to \"%s\": both are there",
			from, to);
	return result == -ESTALE ? -EBUSY : result;
}

/* @from: the directory that it was in. */
static void moved(struct mnt_mount *mount, struct mnt_node *node, struct mnt_node *from,
		  struct mnt_node *parent, const char *name, const struct mnt_attr *attr)
{
	struct mnt_writer *writer;

	mnt_nodes_keep(&mount->nodes, from);
	forget_name(mount, parent, name);
	if (!node)
		return;
	if (mnt_nodes_rename(&mount->nodes, node, parent, name)) {
		mnt_nodes_unlink(&mount->nodes, node);
		return;
	}
	mnt_nodes_update(&mount->nodes, node, attr, MNT_OURS);
	writer = mnt_writer_find(&mount->writers, node);
	if (writer) {
		mnt_writer_renamed(writer);
		mnt_writer_close(&mount->writers, writer);
	}
}

static bool is_directory(struct mnt_mount *mount, struct mnt_node *node)
{
	bool directory;

	pthread_mutex_lock(&mount->nodes.lock);
	directory = node && node->attr.directory;
	pthread_mutex_unlock(&mount->nodes.lock);
	return directory;
}

/* The name may be something else now: ask before anything is shown of it. */
static void expire_name(struct mnt_mount *mount, struct mnt_node *parent, const char *name)
{
	struct mnt_node *node = mnt_nodes_find(&mount->nodes, parent, name);

	if (node)
		mnt_nodes_expire(&mount->nodes, node);
	mnt_nodes_put(&mount->nodes, node);
}

void mnt_op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
		   const char *new_name, unsigned int flags)
{
	struct mnt_mount *mount = mnt_of(req);
	struct mnt_node *node = mnt_nodes_find(&mount->nodes, mnt_node_of(mount, parent), name);
	struct mnt_attr attr;
	bool copied = false;
	char *from = NULL;
	char *to = NULL;
	int result = flags & ~RENAME_NOREPLACE ? -EINVAL : 0;

	if (!result)
		result = mnt_child_path(mount, mnt_node_of(mount, parent), name, &from);
	if (!result)
		result = mnt_child_path(mount, mnt_node_of(mount, new_parent), new_name, &to);
	/* Blobs have no directories to rename, only names that start alike: mv(1) copies then. */
	if (!result && is_directory(mount, node))
		result = -EXDEV;
	if (!result)
		result = settle(mount, node);
	/* Who reads the file meanwhile waits for what comes of this; see mnt_nodes_has_moved_on().
	 */
	if (node)
		mnt_nodes_begin(&mount->nodes, node);
	if (!result)
		result = move_blob(mount, from, to, !(flags & RENAME_NOREPLACE), &attr, &copied);
	if (!result)
		moved(mount, node, mnt_node_of(mount, parent), mnt_node_of(mount, new_parent),
		      new_name, &attr);
	else if (copied)
		expire_name(mount, mnt_node_of(mount, new_parent), new_name);
	if (node)
		mnt_nodes_end(&mount->nodes, node, result ? NULL : &attr);
	mnt_nodes_put(&mount->nodes, node);
	free(from);
	free(to);
	fuse_reply_err(req, -result);
}
