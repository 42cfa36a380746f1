/* SPDX-License-Identifier: MIT */
/* What the files of azblob-mount share.  See azblob-mount(8) and docs/mount.md. */
#ifndef MNT_MOUNT_H
#define MNT_MOUNT_H

#define FUSE_USE_VERSION 312

#include <fuse_lowlevel.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "cache.h"
#include "jobs.h"
#include "log.h"
#include "nodes.h"
#include "service.h"
#include "stream.h"
#include "writer.h"

/* ---- options (options.c) ---- */

/* Exit codes; azblob-mount.8 documents them.  Those that mount(8) knows are the same there. */
enum {
	MNT_EXIT_OK = 0,
	MNT_EXIT_USAGE = 1,
	MNT_EXIT_SYSTEM = 2,   /* memory, threads, /dev/fuse */
	MNT_EXIT_SERVICE = 32, /* the mount failed: service, credentials, mount point */
};

/**
 * struct mnt_options - the command line, taken apart
 * @source: as it was given; @container and @prefix (with a slash at its end, or "") from it.
 * @fuse: what is handed on to libfuse.
 * @ttl: ms for which names and attributes are trusted.
 */
struct mnt_options {
	azblob_config *config;
	char *source;
	char *container;
	char *prefix;
	char *mount_point;
	struct fuse_args fuse;
	bool foreground;
	bool debug;
	bool read_only;
	bool quiet;
	bool verbose;
	uid_t uid;
	gid_t gid;
	mode_t file_mode;
	mode_t directory_mode;
	size_t cache_size;
	size_t block_size;
	size_t read_ahead;
	unsigned int parallel;
	unsigned int ttl;
	enum mnt_checksums checksums;
};

/* Fills @options or ends the program: help, version, usage errors. */
void mnt_parse(struct mnt_options *options, int argc, char **argv);
void mnt_options_free(struct mnt_options *options);

/* ---- the mount ---- */

/**
 * struct mnt_handle - what is open, so that the end of the mount finds it
 * @end: frees what it is embedded in, and takes it out by mnt_handle_remove().
 */
struct mnt_mount;
struct mnt_handle {
	struct mnt_handle *next;
	struct mnt_handle **link;
	void (*end)(struct mnt_mount *mount, struct mnt_handle *handle);
};

/**
 * struct mnt_mount - one mounted container
 * @start: seconds; the time of directories that have none.
 * @notifier: a thread of its own, since the kernel may make it wait for our other threads.
 * @ending: what is only read ahead is not worth waiting for any more.
 */
struct mnt_mount {
	struct mnt_options options;
	struct mnt_service *service;
	struct mnt_jobs *jobs;
	struct mnt_jobs *notifier;
	struct mnt_cache *cache;
	struct mnt_nodes nodes;
	struct mnt_writers writers;
	struct fuse_session *session;
	time_t start;
	atomic_bool ending;
	pthread_mutex_t handle_lock; /* protects @handles and the links of those in it */
	struct mnt_handle *handles;
};

void mnt_handle_add(struct mnt_mount *mount, struct mnt_handle *handle,
		    void (*end)(struct mnt_mount *mount, struct mnt_handle *handle));
void mnt_handle_remove(struct mnt_mount *mount, struct mnt_handle *handle);

/**
 * struct mnt_file - an open file
 * @epoch: the node's when it was opened: another one, and the file is not what it was.
 * @writer: of handles that may write, or NULL.
 * @lock: protects @stream.
 */
struct mnt_file {
	struct mnt_handle handle; /* first */
	struct mnt_node *node;
	uint64_t epoch;
	struct mnt_writer *writer;
	pthread_mutex_t lock;
	struct mnt_stream stream;
};

static inline struct mnt_mount *mnt_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static inline struct mnt_file *mnt_file_of(struct fuse_file_info *info)
{
	return (struct mnt_file *)(uintptr_t)info->fh; // NOLINT(performance-no-int-to-ptr)
}

struct mnt_node *mnt_node_of(struct mnt_mount *mount, fuse_ino_t ino);

/* ---- attributes (attr.c) ---- */

/* Asks the service about @blob: a blob, or a prefix.  0 or -errno. */
int mnt_stat_blob(struct mnt_mount *mount, const char *blob, struct mnt_attr *attr);
/* What stat() shows of the node now. */
void mnt_fill_stat(struct mnt_mount *mount, struct mnt_node *node, struct stat *stat);
/* The same of something without a node. */
void mnt_attr_stat(struct mnt_mount *mount, const struct mnt_attr *attr, uint64_t ino,
		   struct stat *stat);
/* A lookup of the node is given to the kernel; @changed as mnt_nodes_lookup() told it. */
void mnt_fill_entry(struct mnt_mount *mount, struct mnt_node *node, bool changed,
		    struct fuse_entry_param *entry);
/* Asks again when what is known is too old, or anyway.  0 or -errno. */
int mnt_refresh(struct mnt_mount *mount, struct mnt_node *node, bool anyway);
/* The blob's name for @name below @parent, or -errno. */
int mnt_child_path(struct mnt_mount *mount, struct mnt_node *parent, const char *name, char **path);
/* What the kernel keeps of the file's pages is out of date.  Any thread; does not wait. */
void mnt_forget_pages(struct mnt_mount *mount, struct mnt_node *node);

/*
 * The same, and waits until they are gone.  Not from a request for which the kernel may hold pages
 * of the file locked (a read through the page cache), nor with a lock that such a read takes.
 */
void mnt_forget_pages_now(struct mnt_mount *mount, struct mnt_node *node);

void mnt_op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name);
void mnt_op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups);
void mnt_op_forget_multi(fuse_req_t req, size_t count, struct fuse_forget_data *forgets);
void mnt_op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info);
void mnt_op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *stat, int to_set,
		    struct fuse_file_info *info);
void mnt_op_statfs(fuse_req_t req, fuse_ino_t ino);

/* ---- directories (dir.c) ---- */

void mnt_op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info);
void mnt_op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		    struct fuse_file_info *info);
void mnt_op_readdirplus(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
			struct fuse_file_info *info);
void mnt_op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info);
void mnt_op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *info);

/* ---- names (names.c) ---- */

void mnt_op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode);
void mnt_op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name);
void mnt_op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name);
void mnt_op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t new_parent,
		   const char *new_name, unsigned int flags);
void mnt_op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t device);
void mnt_op_symlink(fuse_req_t req, const char *target, fuse_ino_t parent, const char *name);
void mnt_op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t parent, const char *name);

/* ---- files (file.c) ---- */

void mnt_op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		   struct fuse_file_info *info);
void mnt_op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info);
void mnt_op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t offset,
		 struct fuse_file_info *info);
void mnt_op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t size, off_t offset,
		  struct fuse_file_info *info);
void mnt_op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info);
void mnt_op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *info);
void mnt_op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *info);

/* ---- extended attributes (xattr.c) ---- */

void mnt_op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size);
void mnt_op_listxattr(fuse_req_t req, fuse_ino_t ino, size_t size);
void mnt_op_setxattr(fuse_req_t req, fuse_ino_t ino, const char *name, const char *value,
		     size_t size, int flags);
void mnt_op_removexattr(fuse_req_t req, fuse_ino_t ino, const char *name);

#endif /* MNT_MOUNT_H */
