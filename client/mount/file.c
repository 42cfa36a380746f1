// SPDX-License-Identifier: MIT
/* Open files: reading through the cache, writing through the writer. */
#include "mount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

/* ---- opening ---- */

static void free_file(struct mnt_mount *mount, struct mnt_file *file)
{
	mnt_handle_remove(mount, &file->handle);
	mnt_writer_close(&mount->writers, file->writer);
	mnt_nodes_put(&mount->nodes, file->node);
	pthread_mutex_destroy(&file->lock);
	free(file);
}

static void end_file(struct mnt_mount *mount, struct mnt_handle *handle)
{
	free_file(mount, (struct mnt_file *)handle);
}

/* With a reference to the node. */
static struct mnt_file *make_file(struct mnt_mount *mount, struct mnt_node *node)
{
	struct mnt_file *file = calloc(1, sizeof(*file));

	if (!file)
		return NULL;
	pthread_mutex_init(&file->lock, NULL);
	file->node = node;
	mnt_nodes_get(&mount->nodes, node);
	pthread_mutex_lock(&mount->nodes.lock);
	file->epoch = node->epoch;
	pthread_mutex_unlock(&mount->nodes.lock);
	mnt_handle_add(mount, &file->handle, end_file);
	return file;
}

static bool for_writing(int flags)
{
	return (flags & O_ACCMODE) != O_RDONLY;
}

/*
 * A file without a name, by its entry in /proc: only who has it open for writing has something of
 * it.  The blob of that name, if there is one, is another file.
 */
static int open_removed(struct mnt_mount *mount, struct mnt_node *node, bool truncate,
			struct mnt_writer **writer)
{
	int result = 0;

	*writer = mnt_writer_find(&mount->writers, node);
	if (!*writer)
		return -ESTALE;
	if (truncate)
		result = mnt_writer_truncate(*writer, 0);
	if (result) {
		mnt_writer_close(&mount->writers, *writer);
		*writer = NULL;
	}
	return result;
}

/* Asks what the blob is now; the writer of the file becomes the handle's. */
static int open_writer(struct mnt_mount *mount, struct mnt_node *node, bool truncate,
		       struct mnt_writer **writer)
{
	struct azblob_properties *properties = NULL;
	uint64_t asked = mnt_nodes_stamp(&mount->nodes);
	struct mnt_attr attr;
	char *blob = mnt_nodes_path(&mount->nodes, node, NULL);
	int result;

	if (!blob)
		return -ENOMEM;
	if (mnt_nodes_is_unlinked(&mount->nodes, node)) {
		free(blob);
		return open_removed(mount, node, truncate, writer);
	}
	result = mount->service->ops->head(mount->service, blob, &attr, &properties);
	free(blob);
	if (!result && attr.directory)
		result = -EISDIR;
	if (!result && attr.kind == MNT_OTHER_BLOB)
		result = -EOPNOTSUPP;
	if (result) {
		azblob_properties_free(properties);
		return result;
	}
	if (mnt_nodes_update(&mount->nodes, node, &attr, asked))
		mnt_forget_pages(mount, node);
	*writer = mnt_writer_open(&mount->writers, node, properties);
	if (!*writer)
		return -ENOMEM;
	if (truncate)
		result = mnt_writer_truncate(*writer, 0);
	if (result) {
		mnt_writer_close(&mount->writers, *writer);
		*writer = NULL;
	}
	return result;
}

/* How the kernel is to treat the pages of the file. */
static void set_caching(struct mnt_mount *mount, struct mnt_file *file, struct fuse_file_info *info)
{
	struct mnt_node *node = file->node;

	/* Past the page cache: a shared mapping that could be written is refused by the kernel. */
	info->direct_io = file->writer != NULL;
	pthread_mutex_lock(&mount->nodes.lock);
	info->keep_cache = !strcmp(node->pages, node->attr.etag);
	if (!file->writer)
		memcpy(node->pages, node->attr.etag, sizeof(node->pages));
	pthread_mutex_unlock(&mount->nodes.lock);
	info->fh = (uintptr_t)file;
}

static int open_node(struct mnt_mount *mount, struct mnt_node *node, int flags,
		     struct mnt_file **result)
{
	struct mnt_writer *writer = NULL;
	struct mnt_file *file;
	int status;

	/* The kernel takes a file that was opened with it for empty, however it was opened. */
	if (for_writing(flags) || flags & O_TRUNC)
		status = open_writer(mount, node, flags & O_TRUNC, &writer);
	else
		status = mnt_refresh(mount, node, false);
	if (status)
		return status;
	file = make_file(mount, node);
	if (!file) {
		mnt_writer_close(&mount->writers, writer);
		return -ENOMEM;
	}
	file->writer = writer;
	*result = file;
	return 0;
}

void mnt_op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
	struct mnt_mount *mount = mnt_of(req);
	struct mnt_file *file;
	int result = open_node(mount, mnt_node_of(mount, ino), info->flags, &file);

	if (result) {
		fuse_reply_err(req, -result);
		return;
	}
	set_caching(mount, file, info);
	if (fuse_reply_open(req, info) == -ENOENT)
		free_file(mount, file);
}

/* An empty blob, so that the name is there, and O_EXCL is what it says, among all machines. */
static int create_blob(struct mnt_mount *mount, const char *path, struct mnt_attr *attr)
{
	struct mnt_condition condition = { .absent = true };

	return mount->service->ops->put(mount->service, path, "", 0, NULL, &condition, attr);
}

void mnt_op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		   struct fuse_file_info *info)
{
	struct mnt_mount *mount = mnt_of(req);
	struct fuse_entry_param entry;
	struct mnt_file *file = NULL;
	struct mnt_node *node = NULL;
	struct mnt_attr attr;
	bool changed;
	char *path;
	uint64_t asked = mnt_nodes_stamp(&mount->nodes);
	int result = mnt_child_path(mount, mnt_node_of(mount, parent), name, &path);

	(void)mode;
	if (!result)
		result = create_blob(mount, path, &attr);
	/* Somebody was faster. */
	if (result == -EEXIST && !(info->flags & O_EXCL))
		result = mnt_stat_blob(mount, path, &attr);
	free(path);
	if (!result && attr.directory)
		result = -EISDIR;
	if (!result) {
		node = mnt_nodes_lookup(&mount->nodes, mnt_node_of(mount, parent), name, &attr,
					asked, &changed);
		result = node ? open_node(mount, node, info->flags, &file) : -ENOMEM;
	}
	if (result) {
		if (node)
			mnt_nodes_forget(&mount->nodes, node, 1);
		fuse_reply_err(req, -result);
		return;
	}
	set_caching(mount, file, info);
	mnt_fill_entry(mount, node, changed, &entry);
	if (fuse_reply_create(req, &entry, info) == -ENOENT) {
		free_file(mount, file);
		mnt_nodes_forget(&mount->nodes, node, 1);
	}
}

void mnt_op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
	(void)ino;
	free_file(mnt_of(req), mnt_file_of(info));
	fuse_reply_err(req, 0);
}

/* ---- reading ---- */

/* The version that the file is open with, with a reference. */
static int get_version(struct mnt_mount *mount, struct mnt_file *file, struct mnt_version **version)
{
	struct mnt_node *node = file->node;
	int result = 0;
	char *blob;

	/* Name and ETag at one time: a rename changes both. */
	pthread_mutex_lock(&mount->nodes.lock);
	if (node->epoch != file->epoch)
		result = -ESTALE;
	if (!result && !node->version) {
		blob = mnt_nodes_path_locked(&mount->nodes, node, NULL);
		if (blob)
			node->version = mnt_cache_version(mount->cache, blob, node->attr.etag,
							  node->attr.size);
		free(blob);
	}
	if (!result && !node->version)
		result = -ENOMEM;
	if (!result) {
		*version = node->version;
		mnt_version_get(mount->cache, *version);
	}
	pthread_mutex_unlock(&mount->nodes.lock);
	return result;
}

/* How much of the blob behind the read itself is worth fetching with it. */
static size_t read_ahead(struct mnt_mount *mount, struct mnt_file *file,
			 struct mnt_version *version, uint64_t offset, size_t size)
{
	size_t block = mnt_cache_block_size(mount->cache);
	uint64_t reached;
	uint64_t from;
	uint64_t to;
	size_t wish;

	pthread_mutex_lock(&file->lock);
	mnt_stream_read(&file->stream, version->size, block, mount->options.read_ahead, offset,
			size, &from, &to);
	wish = file->stream.window > block ? block : (size_t)file->stream.window;
	pthread_mutex_unlock(&file->lock);
	if (from == to)
		return wish;
	reached = mnt_cache_ahead(mount->cache, version, from, to);
	if (reached < to) {
		pthread_mutex_lock(&file->lock);
		if (file->stream.ahead == to)
			file->stream.ahead = reached;
		pthread_mutex_unlock(&file->lock);
	}
	return wish;
}

static bool was_interrupted(void *context)
{
	return fuse_req_interrupted(context);
}

static void on_interrupt(fuse_req_t req, void *data)
{
	struct mnt_mount *mount = data;

	(void)req;
	mnt_cache_wake(mount->cache);
}

/* A read that more than one block serves. */
static int read_pieces(struct mnt_mount *mount, struct mnt_version *version, char *buffer,
		       size_t size, uint64_t offset, size_t wish, const struct mnt_wait *wait)
{
	while (size) {
		struct mnt_hold hold;
		int result = mnt_cache_hold(mount->cache, version, offset, size, wish, wait, &hold);

		if (result)
			return result;
		memcpy(buffer, hold.data, hold.length);
		buffer += hold.length;
		offset += hold.length;
		size -= hold.length;
		mnt_cache_release(mount->cache, &hold);
	}
	return 0;
}

static int reply_version(fuse_req_t req, struct mnt_file *file, struct mnt_version *version,
			 size_t size, uint64_t offset)
{
	struct mnt_mount *mount = mnt_of(req);
	struct mnt_wait wait = { .given_up = was_interrupted, .context = req };
	size_t block = mnt_cache_block_size(mount->cache);
	struct mnt_hold hold;
	size_t wish;
	char *buffer;
	int result;

	if (offset >= version->size) {
		fuse_reply_buf(req, NULL, 0);
		return 0;
	}
	if (size > version->size - offset)
		size = (size_t)(version->size - offset);
	wish = read_ahead(mount, file, version, offset, size);
	fuse_req_interrupt_func(req, on_interrupt, mount);
	if (offset / block == (offset + size - 1) / block) {
		result = mnt_cache_hold(mount->cache, version, offset, size, wish, &wait, &hold);
		if (!result) {
			/* Straight from the cache into the caller's pages. */
			fuse_reply_buf(req, hold.data, hold.length);
			mnt_cache_release(mount->cache, &hold);
		}
		return result;
	}
	buffer = malloc(size);
	if (!buffer)
		return -ENOMEM;
	result = read_pieces(mount, version, buffer, size, offset, wish, &wait);
	if (!result)
		fuse_reply_buf(req, buffer, size);
	free(buffer);
	return result;
}

/* What is written but not yet in the blob; -EAGAIN: read the blob. */
static int reply_written(fuse_req_t req, struct mnt_writer *writer, size_t size, uint64_t offset)
{
	char *buffer = malloc(size ? size : 1);
	size_t got;
	int result;

	if (!buffer)
		return -ENOMEM;
	result = mnt_writer_read(writer, buffer, size, offset, &got);
	if (!result)
		fuse_reply_buf(req, buffer, got);
	free(buffer);
	if (result == -EAGAIN) {
		result = mnt_writer_commit(writer);
		return result ? result : -EAGAIN;
	}
	return result;
}

static bool is_dirty(struct mnt_mount *mount, struct mnt_node *node)
{
	uint64_t size;
	bool dirty;

	pthread_mutex_lock(&mount->nodes.lock);
	dirty = node->writer && mnt_writer_size(node->writer, &size, NULL);
	pthread_mutex_unlock(&mount->nodes.lock);
	return dirty;
}

/*
 * What others on this machine have written to the file is read too: it has to be in the blob, or
 * comes from where it is when there is no blob any more.  -EAGAIN: read the blob.
 */
static int reply_others(fuse_req_t req, struct mnt_node *node, size_t size, uint64_t offset)
{
	struct mnt_mount *mount = mnt_of(req);
	struct mnt_writer *writer =
		is_dirty(mount, node) ? mnt_writer_find(&mount->writers, node) : NULL;
	int result = -EAGAIN;

	if (writer && mnt_writer_is_abandoned(writer))
		result = reply_written(req, writer, size, offset);
	/* A failure is the writer's to hear of, at its close. */
	mnt_writer_close(&mount->writers, writer);
	return result;
}

void mnt_op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		 struct fuse_file_info *info)
{
	struct mnt_mount *mount = mnt_of(req);
	struct mnt_file *file = mnt_file_of(info);
	int result;

	(void)ino;
	do {
		struct mnt_version *version = NULL;

		if (file->writer)
			result = reply_written(req, file->writer, size, (uint64_t)offset);
		else
			result = reply_others(req, file->node, size, (uint64_t)offset);
		if (result != -EAGAIN)
			break;
		result = get_version(mount, file, &version);
		if (!result)
			result = reply_version(req, file, version, size, (uint64_t)offset);
		/* A commit or a rename of ours was faster: the file goes on with what it made. */
		if (result == -ESTALE && version &&
		    mnt_nodes_has_moved_on(&mount->nodes, file->node, version))
			result = -EAGAIN;
		mnt_version_put(mount->cache, version);
	} while (result == -EAGAIN);
	if (!result)
		return;
	/* Who asks again will hear of what is there now. */
	if (result == -ESTALE)
		mnt_nodes_expire(&mount->nodes, file->node);
	fuse_reply_err(req, -result);
}

/* ---- writing ---- */

void mnt_op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
		  struct fuse_file_info *info)
{
	struct mnt_mount *mount = mnt_of(req);
	struct mnt_file *file = mnt_file_of(info);
	bool dirty = is_dirty(mount, file->node);
	ssize_t result = -EBADF;

	(void)ino;
	if (file->writer)
		result = mnt_writer_write(file->writer, data, size, (uint64_t)offset,
					  info->flags & O_APPEND);
	/*
	 * Who has the file open reads it anew, and does not see zeros behind its old end.  Nothing
	 * else would tell readers of a file without a name.
	 */
	if (result >= 0 && (!dirty || mnt_writer_is_abandoned(file->writer)))
		mnt_forget_pages_now(mount, file->node);
	if (result < 0)
		fuse_reply_err(req, (int)-result);
	else
		fuse_reply_write(req, (size_t)result);
}

static void reply_commit(fuse_req_t req, struct mnt_file *file)
{
	struct mnt_mount *mount = mnt_of(req);
	bool dirty = file->writer && is_dirty(mount, file->node);
	int result = file->writer ? mnt_writer_commit(file->writer) : 0;

	if (dirty)
		mnt_forget_pages_now(mount, file->node);
	fuse_reply_err(req, -result);
}

void mnt_op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info)
{
	(void)ino;
	reply_commit(req, mnt_file_of(info));
}

void mnt_op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *info)
{
	(void)ino;
	(void)datasync;
	reply_commit(req, mnt_file_of(info));
}
