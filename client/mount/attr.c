// SPDX-License-Identifier: MIT
/* Names and attributes: what is asked of the service, and what the kernel is told. */
#include "mount.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

/* A blob's name is at most this long, in characters; a part of it as long as others have it. */
#define MAX_BLOB_NAME 1024u
#define MAX_NAME 255u
#define STAT_BLOCK 512u

struct mnt_node *mnt_node_of(struct mnt_mount *mount, fuse_ino_t ino)
{
	if (ino == FUSE_ROOT_ID)
		return &mount->nodes.root;
	return (struct mnt_node *)(uintptr_t)ino; // NOLINT(performance-no-int-to-ptr)
}

/* ---- what the service says ---- */

static int found_one(void *context, const char *name, const struct mnt_attr *attr)
{
	(void)name;
	(void)attr;
	*(bool *)context = true;
	return 0;
}

/* A prefix that some blob has is a directory. */
static int stat_prefix(struct mnt_mount *mount, const char *blob, struct mnt_attr *attr)
{
	size_t length = strlen(blob);
	char *prefix = malloc(length + 2);
	char *marker = strdup("");
	bool found = false;
	int result = prefix && marker ? 0 : -ENOMEM;

	if (prefix) {
		memcpy(prefix, blob, length);
		memcpy(prefix + length, "/", 2);
	}
	/* A page may be empty and not the last. */
	while (!result && !found) {
		result = mount->service->ops->list(mount->service, prefix, 1, &marker, found_one,
						   &found);
		if (!result && !*marker)
			break;
	}
	free(marker);
	free(prefix);
	if (result)
		return result;
	memset(attr, 0, sizeof(*attr));
	attr->directory = true;
	return found ? 0 : -ENOENT;
}

int mnt_stat_blob(struct mnt_mount *mount, const char *blob, struct mnt_attr *attr)
{
	int result = mount->service->ops->head(mount->service, blob, attr, NULL);

	return result == -ENOENT ? stat_prefix(mount, blob, attr) : result;
}

int mnt_refresh(struct mnt_mount *mount, struct mnt_node *node, bool anyway)
{
	uint64_t asked = mnt_nodes_stamp(&mount->nodes);
	struct mnt_attr attr;
	bool fresh;
	char *blob;
	int result;

	pthread_mutex_lock(&mount->nodes.lock);
	fresh = node->attr.directory || node->unlinked || (!anyway && mnt_now() < node->expires);
	pthread_mutex_unlock(&mount->nodes.lock);
	if (fresh)
		return 0;
	blob = mnt_nodes_path(&mount->nodes, node, NULL);
	if (!blob)
		return -ENOMEM;
	result = mount->service->ops->head(mount->service, blob, &attr, NULL);
	free(blob);
	/* It is another thing now, which the next lookup will find. */
	if (!result && attr.directory)
		result = -ENOENT;
	if (!result && mnt_nodes_update(&mount->nodes, node, &attr, asked))
		mnt_forget_pages(mount, node);
	return result;
}

int mnt_child_path(struct mnt_mount *mount, struct mnt_node *parent, const char *name, char **path)
{
	size_t characters = 0;

	*path = NULL;
	if (strlen(name) > MAX_NAME)
		return -ENAMETOOLONG;
	*path = mnt_nodes_path(&mount->nodes, parent, name);
	if (!*path)
		return -ENOMEM;
	for (const char *at = *path; *at; at++)
		characters += (*at & 0xc0) != 0x80;
	if (characters <= MAX_BLOB_NAME)
		return 0;
	free(*path);
	*path = NULL;
	return -ENAMETOOLONG;
}

/* ---- what the kernel is told ---- */

void mnt_attr_stat(struct mnt_mount *mount, const struct mnt_attr *attr, uint64_t ino,
		   struct stat *stat)
{
	const struct mnt_options *options = &mount->options;

	memset(stat, 0, sizeof(*stat));
	stat->st_ino = ino;
	stat->st_uid = options->uid;
	stat->st_gid = options->gid;
	stat->st_blksize = 1 << 20;
	stat->st_mtim.tv_sec = attr->mtime ? attr->mtime : mount->start;
	if (attr->directory) {
		stat->st_mode = S_IFDIR | options->directory_mode;
		/* "Not counted", to programs that save themselves looks into leaves. */
		stat->st_nlink = 1;
	} else {
		stat->st_mode = S_IFREG | options->file_mode;
		stat->st_nlink = 1;
		stat->st_size = (off_t)attr->size;
	}
	stat->st_blocks = (blkcnt_t)((stat->st_size + STAT_BLOCK - 1) / STAT_BLOCK);
	stat->st_atim = stat->st_mtim;
	stat->st_ctim = stat->st_mtim;
}

/* With the lock of the nodes. */
static void fill_locked(struct mnt_mount *mount, struct mnt_node *node, struct stat *stat)
{
	struct mnt_attr attr = node->attr;
	time_t changed;
	uint64_t size;

	if (node->writer && mnt_writer_size(node->writer, &size, &changed)) {
		attr.size = size;
		attr.mtime = changed;
	}
	mnt_attr_stat(mount, &attr, node->ino, stat);
	if (node->unlinked)
		stat->st_nlink = 0;
}

void mnt_fill_stat(struct mnt_mount *mount, struct mnt_node *node, struct stat *stat)
{
	pthread_mutex_lock(&mount->nodes.lock);
	fill_locked(mount, node, stat);
	pthread_mutex_unlock(&mount->nodes.lock);
}

void mnt_fill_entry(struct mnt_mount *mount, struct mnt_node *node, bool changed,
		    struct fuse_entry_param *entry)
{
	memset(entry, 0, sizeof(*entry));
	entry->ino = (uintptr_t)node;
	entry->attr_timeout = mount->options.ttl / 1000.0;
	entry->entry_timeout = mount->options.ttl / 1000.0;
	mnt_fill_stat(mount, node, &entry->attr);
	if (changed)
		mnt_forget_pages(mount, node);
}

struct notice {
	struct mnt_job job;
	struct mnt_mount *mount;
	fuse_ino_t ino;
};

static void run_notice(struct mnt_job *job)
{
	struct notice *notice = (struct notice *)job;

	if (!atomic_load(&notice->mount->ending))
		fuse_lowlevel_notify_inval_inode(notice->mount->session, notice->ino, 0, 0);
	free(notice);
}

void mnt_forget_pages(struct mnt_mount *mount, struct mnt_node *node)
{
	struct notice *notice = calloc(1, sizeof(*notice));

	/* Without memory they stay until the next open, which looks at the version too. */
	if (!notice)
		return;
	notice->job.run = run_notice;
	notice->mount = mount;
	notice->ino = (uintptr_t)node;
	mnt_jobs_add(mount->notifier, &notice->job, false);
}

void mnt_forget_pages_now(struct mnt_mount *mount, struct mnt_node *node)
{
	bool none;

	pthread_mutex_lock(&mount->nodes.lock);
	/* Nobody has opened it for reading yet. */
	none = !*node->pages;
	pthread_mutex_unlock(&mount->nodes.lock);
	if (!none)
		fuse_lowlevel_notify_inval_inode(mount->session, (uintptr_t)node, 0, 0);
}

/* ---- requests ---- */

void mnt_op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct mnt_mount *mount = mnt_of(req);
	struct fuse_entry_param entry;
	struct mnt_node *node;
	struct mnt_attr attr;
	bool changed;
	char *path;
	uint64_t asked = mnt_nodes_stamp(&mount->nodes);
	int result = mnt_child_path(mount, mnt_node_of(mount, parent), name, &path);

	if (!result)
		result = mnt_stat_blob(mount, path, &attr);
	free(path);
	if (result == -ENOENT &&
	    mnt_nodes_kept(&mount->nodes, mnt_node_of(mount, parent), name, &attr))
		result = 0;
	if (result) {
		fuse_reply_err(req, -result);
		return;
	}
	node = mnt_nodes_lookup(&mount->nodes, mnt_node_of(mount, parent), name, &attr, asked,
				&changed);
	if (!node) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	mnt_fill_entry(mount, node, changed, &entry);
	/* The answer was under way while a name was removed, perhaps this one: ask again next time.
	 */
	if (mnt_nodes_removed(&mount->nodes, mnt_node_of(mount, parent), asked)) {
		entry.entry_timeout = 0;
		entry.attr_timeout = 0;
	}
	/* The caller was killed: the kernel does not have it. */
	if (fuse_reply_entry(req, &entry) == -ENOENT)
		mnt_nodes_forget(&mount->nodes, node, 1);
}

void mnt_op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups)
{
	struct mnt_mount *mount = mnt_of(req);

	mnt_nodes_forget(&mount->nodes, mnt_node_of(mount, ino), lookups);
	fuse_reply_none(req);
}

void mnt_op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets)
{
	struct mnt_mount *mount = mnt_of(req);

	for (size_t i = 0; i < count; i++)
		mnt_nodes_forget(&mount->nodes, mnt_node_of(mount, forgets[i].ino),
				 forgets[i].nlookup);
	fuse_reply_none(req);
}

static void reply_attr(fuse_req_t req, struct mnt_node *node)
{
	struct mnt_mount *mount = mnt_of(req);
	struct stat stat;

	mnt_fill_stat(mount, node, &stat);
	fuse_reply_attr(req, &stat, mount->options.ttl / 1000.0);
}

static bool has_writer(struct mnt_mount *mount, struct mnt_node *node)
{
	bool has;

	pthread_mutex_lock(&mount->nodes.lock);
	has = node->writer;
	pthread_mutex_unlock(&mount->nodes.lock);
	return has;
}

void mnt_op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
	struct mnt_mount *mount = mnt_of(req);
	struct mnt_node *node = mnt_node_of(mount, ino);
	int result = mnt_refresh(mount, node, false);

	/*
	 * The blob is gone from elsewhere.  What is being written has attributes still; otherwise,
	 * who came by its name is told so by the lookup that the kernel makes then.
	 */
	if (result == -ENOENT)
		result = info || has_writer(mount, node) ? 0 : -ESTALE;
	if (result)
		fuse_reply_err(req, -result);
	else
		reply_attr(req, node);
}

/* ---- setattr ---- */

static int set_size(struct mnt_mount *mount, struct mnt_node *node, struct mnt_file *file,
		    uint64_t size)
{
	struct azblob_properties *properties = NULL;
	uint64_t asked = mnt_nodes_stamp(&mount->nodes);
	struct mnt_writer *writer;
	struct mnt_attr attr;
	char *blob;
	int result;

	if (file && file->writer)
		return mnt_writer_truncate(file->writer, size);
	if (mnt_nodes_is_unlinked(&mount->nodes, node)) {
		/* By its entry in /proc; the blob of that name is another file. */
		writer = mnt_writer_find(&mount->writers, node);
		result = writer ? mnt_writer_truncate(writer, size) : -ESTALE;
		mnt_writer_close(&mount->writers, writer);
		return result;
	}
	/* By name: a writer for this alone. */
	blob = mnt_nodes_path(&mount->nodes, node, NULL);
	if (!blob)
		return -ENOMEM;
	result = mount->service->ops->head(mount->service, blob, &attr, &properties);
	free(blob);
	if (result)
		return result;
	if (attr.directory || attr.kind == MNT_OTHER_BLOB) {
		azblob_properties_free(properties);
		return attr.directory ? -EISDIR : -EOPNOTSUPP;
	}
	if (mnt_nodes_update(&mount->nodes, node, &attr, asked))
		mnt_forget_pages(mount, node);
	writer = mnt_writer_open(&mount->writers, node, properties);
	if (!writer)
		return -ENOMEM;
	result = mnt_writer_truncate(writer, size);
	if (!result)
		result = mnt_writer_commit(writer);
	mnt_writer_close(&mount->writers, writer);
	return result;
}

/* Only "now", which is what a change makes of it. */
static int set_times(struct mnt_mount *mount, struct mnt_node *node, int to_set)
{
	struct mnt_writer *writer;
	struct mnt_attr known;
	struct mnt_attr attr;
	char *blob;
	uint64_t size;
	bool pending;
	int result;

	if (!(to_set & FUSE_SET_ATTR_MTIME))
		return to_set & FUSE_SET_ATTR_ATIME_NOW || mount->options.quiet ? 0 : -EPERM;
	if (!(to_set & FUSE_SET_ATTR_MTIME_NOW))
		return mount->options.quiet ? 0 : -EPERM;
	pthread_mutex_lock(&mount->nodes.lock);
	writer = node->writer;
	pending = writer && mnt_writer_size(writer, &size, NULL);
	known = node->attr;
	pthread_mutex_unlock(&mount->nodes.lock);
	/* The commit will do. */
	if (pending || known.directory)
		return 0;
	blob = mnt_nodes_path(&mount->nodes, node, NULL);
	if (!blob)
		return -ENOMEM;
	mnt_nodes_begin(&mount->nodes, node);
	result = mount->service->ops->touch(mount->service, blob, known.etag, &attr);
	mnt_nodes_end(&mount->nodes, node, result ? NULL : &attr);
	free(blob);
	if (result)
		return result;
	writer = mnt_writer_find(&mount->writers, node);
	if (writer) {
		mnt_writer_renamed(writer);
		mnt_writer_close(&mount->writers, writer);
	}
	return 0;
}

/* Owner and mode are those of the mount. */
static int set_owner(struct mnt_mount *mount, struct mnt_node *node, const struct stat *wanted,
		     int to_set)
{
	struct stat stat;

	mnt_fill_stat(mount, node, &stat);
	if (mount->options.quiet ||
	    ((!(to_set & FUSE_SET_ATTR_MODE) ||
	      (wanted->st_mode & 07777) == (stat.st_mode & 07777)) &&
	     (!(to_set & FUSE_SET_ATTR_UID) || wanted->st_uid == stat.st_uid) &&
	     (!(to_set & FUSE_SET_ATTR_GID) || wanted->st_gid == stat.st_gid)))
		return 0;
	return -EPERM;
}

void mnt_op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *stat, int to_set,
		    struct fuse_file_info *info)
{
	struct mnt_mount *mount = mnt_of(req);
	struct mnt_node *node = mnt_node_of(mount, ino);
	struct mnt_file *file = info ? mnt_file_of(info) : NULL;
	int result = set_owner(mount, node, stat, to_set);

	if (!result && (to_set & FUSE_SET_ATTR_SIZE))
		result = set_size(mount, node, file, (uint64_t)stat->st_size);
	/* A change of size brings its own time. */
	else if (!result && (to_set & (FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME)))
		result = set_times(mount, node, to_set);
	if (result)
		fuse_reply_err(req, -result);
	else
		reply_attr(req, node);
}

void mnt_op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	/* Nothing is known of limits: what an account may hold by default, 5 PiB, all free. */
	struct statvfs stat = {
		.f_bsize = 1 << 20,
		.f_frsize = 1 << 20,
		.f_blocks = UINT64_C(5) << 30,
		.f_bfree = UINT64_C(5) << 30,
		.f_bavail = UINT64_C(5) << 30,
		.f_namemax = MAX_NAME,
	};

	(void)ino;
	fuse_reply_statfs(req, &stat);
}
