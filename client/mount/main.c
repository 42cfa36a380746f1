// SPDX-License-Identifier: MIT
/* azblob-mount: a container of Azure Blob Storage as a file system.  See azblob-mount(8). */
#include "mount.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Requests of the kernel that may wait for the service at once. */
#define FUSE_THREADS 128u
/* Bytes of one read or write of the kernel's: as much as it hands over. */
#define MAX_IO (1u << 20)
#define KERNEL_AHEAD_KB "2048"
/* How long the end of the mount waits for a host that was late before. */
#define LATE_MS 10000u

static const struct fuse_lowlevel_ops operations;

/* ---- the background ---- */

/*
 * The parent waits here for the child's word and leaves with its exit code: whoever started the
 * mount finds it there, or the error on the terminal.  Forked before there are threads or sockets.
 * Returns the child's end of the pipe.
 */
static int go_to_background(void)
{
	int ends[2];
	pid_t child;

	if (pipe2(ends, O_CLOEXEC))
		return -1;
	child = fork();
	if (child < 0) {
		close(ends[0]);
		close(ends[1]);
		return -1;
	}
	if (child) {
		unsigned char code;
		ssize_t got;
		int status;

		close(ends[1]);
		do
			got = read(ends[0], &code, 1);
		while (got < 0 && errno == EINTR);
		if (got == 1)
			_exit(code);
		/* It has ended without a word. */
		if (waitpid(child, &status, 0) == child && WIFEXITED(status))
			_exit(WEXITSTATUS(status));
		_exit(MNT_EXIT_SYSTEM);
	}
	close(ends[0]);
	setsid();
	return ends[1];
}

static void leave_terminal(int pipe)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	unsigned char code = MNT_EXIT_OK;

	mnt_log_to_syslog();
	if (chdir("/"))
		mnt_log(MNT_LOG_ERROR, "chdir /: %s", strerror(errno));
	for (int fd = 0; null >= 0 && fd < 3; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
	if (write(pipe, &code, 1) != 1)
		mnt_log(MNT_LOG_DEBUG, "nobody waits for the mount");
	close(pipe);
}

/* ---- the parts ---- */

void mnt_handle_add(struct mnt_mount *mount, struct mnt_handle *handle,
		    void (*end)(struct mnt_mount *mount, struct mnt_handle *handle))
{
	pthread_mutex_lock(&mount->handle_lock);
	handle->end = end;
	handle->next = mount->handles;
	handle->link = &mount->handles;
	if (handle->next)
		handle->next->link = &handle->next;
	mount->handles = handle;
	pthread_mutex_unlock(&mount->handle_lock);
}

void mnt_handle_remove(struct mnt_mount *mount, struct mnt_handle *handle)
{
	pthread_mutex_lock(&mount->handle_lock);
	*handle->link = handle->next;
	if (handle->next)
		handle->next->link = handle->link;
	pthread_mutex_unlock(&mount->handle_lock);
}

static int fetch(void *context, const struct mnt_version *version, uint64_t offset, size_t length,
		 void *buffer, bool *late)
{
	struct mnt_mount *mount = context;

	if (atomic_load(&mount->ending))
		return -EINTR;
	return mount->service->ops->read(mount->service, version->blob, version->etag, offset,
					 length, buffer, late);
}

static void *pin(void *context, void *data, size_t size)
{
	struct mnt_mount *mount = context;

	return mount->service->ops->pin(mount->service, data, size);
}

static void unpin(void *context, void *handle)
{
	struct mnt_mount *mount = context;

	mount->service->ops->unpin(mount->service, handle);
}

static void version_freed(void *context, struct mnt_version *version)
{
	struct mnt_mount *mount = context;

	mnt_version_put(mount->cache, version);
}

static void committed(void *context, struct mnt_node *node)
{
	mnt_forget_pages(context, node);
}

static int ignore_entry(void *context, const char *name, const struct mnt_attr *attr)
{
	(void)context;
	(void)name;
	(void)attr;
	return 0;
}

/* The connection, and whether there is such a container. */
static int connect_service(struct mnt_mount *mount)
{
	struct mnt_options *options = &mount->options;
	struct azblob_error error;
	azblob_conn *conn;
	char *marker;
	int result;

	if (azblob_open(options->config, &conn, &error)) {
		mnt_log(MNT_LOG_ERROR, "%s", error.message);
		if (error.kind != AZBLOB_BAD_ARGUMENT)
			return MNT_EXIT_SERVICE;
		mnt_log(MNT_LOG_ERROR, "give -o credentials=FILE, or account= and key=");
		return MNT_EXIT_USAGE;
	}
	if (options->verbose || strncmp(azblob_conn_transport_note(conn), "using ", 6) != 0)
		mnt_log(MNT_LOG_NOTE, "%s", azblob_conn_transport_note(conn));
	mount->service = mnt_service_azblob(conn, options->container, options->checksums);
	marker = strdup("");
	if (!mount->service || !marker) {
		free(marker);
		return MNT_EXIT_SYSTEM;
	}
	result = mount->service->ops->list(mount->service, options->prefix, 1, &marker,
					   ignore_entry, NULL);
	free(marker);
	if (!result)
		return MNT_EXIT_OK;
	mnt_log(MNT_LOG_ERROR, "container \"%s\": %s", options->container,
		result == -ENOENT ? "there is none of that name" : strerror(-result));
	return MNT_EXIT_SERVICE;
}

static int make_parts(struct mnt_mount *mount)
{
	struct mnt_options *options = &mount->options;
	struct mnt_cache_options cache = {
		.budget = options->cache_size,
		.block = options->block_size,
		.fetch = fetch,
		.pin = pin,
		.unpin = unpin,
		.context = mount,
	};

	pthread_mutex_init(&mount->handle_lock, NULL);
	mount->jobs = mnt_jobs_new(options->parallel);
	mount->notifier = mnt_jobs_new(1);
	cache.jobs = mount->jobs;
	mount->cache = mnt_cache_new(&cache);
	if (!mount->jobs || !mount->notifier || !mount->cache ||
	    mnt_nodes_init(&mount->nodes, options->prefix)) {
		mnt_log(MNT_LOG_ERROR, "out of memory");
		return MNT_EXIT_SYSTEM;
	}
	mount->nodes.ttl = options->ttl;
	mount->nodes.freed = version_freed;
	mount->nodes.context = mount;
	mnt_writers_init(&mount->writers);
	mount->writers.service = mount->service;
	mount->writers.cache = mount->cache;
	mount->writers.jobs = mount->jobs;
	mount->writers.nodes = &mount->nodes;
	mount->writers.parallel = options->parallel < 4 ? options->parallel : 4;
	mount->writers.committed = committed;
	mount->writers.context = mount;
	return MNT_EXIT_OK;
}

/* ---- the session ---- */

static void op_init(void *data, struct fuse_conn_info *conn)
{
	(void)data;
	conn->max_write = MAX_IO;
	conn->max_readahead = MAX_IO;
	/* O_TRUNC comes with open(), so that the old content is there until the new one is. */
	conn->want |= conn->capable & FUSE_CAP_ATOMIC_O_TRUNC;
	conn->want |= conn->capable & FUSE_CAP_PARALLEL_DIROPS;
}

static const struct fuse_lowlevel_ops operations = {
	.init = op_init,
	.lookup = mnt_op_lookup,
	.forget = mnt_op_forget,
	.forget_multi = mnt_op_forget_multi,
	.getattr = mnt_op_getattr,
	.setattr = mnt_op_setattr,
	.statfs = mnt_op_statfs,
	.opendir = mnt_op_opendir,
	.readdir = mnt_op_readdir,
	.readdirplus = mnt_op_readdirplus,
	.releasedir = mnt_op_releasedir,
	.fsyncdir = mnt_op_fsyncdir,
	.mkdir = mnt_op_mkdir,
	.rmdir = mnt_op_rmdir,
	.unlink = mnt_op_unlink,
	.rename = mnt_op_rename,
	.mknod = mnt_op_mknod,
	.symlink = mnt_op_symlink,
	.link = mnt_op_link,
	.create = mnt_op_create,
	.open = mnt_op_open,
	.read = mnt_op_read,
	.write = mnt_op_write,
	.flush = mnt_op_flush,
	.fsync = mnt_op_fsync,
	.release = mnt_op_release,
	.getxattr = mnt_op_getxattr,
	.listxattr = mnt_op_listxattr,
	.setxattr = mnt_op_setxattr,
	.removexattr = mnt_op_removexattr,
};

static void add_option(struct mnt_options *options, const char *name, const char *value)
{
	char text[256];

	/* Commas would begin another option. */
	snprintf(text, sizeof(text), "%s%s", name, value);
	for (char *at = text + strlen(name); *at; at++)
		if (*at == ',' || *at == '\\')
			*at = '_';
	if (fuse_opt_add_arg(&options->fuse, "-o") || fuse_opt_add_arg(&options->fuse, text))
		mnt_log(MNT_LOG_ERROR, "out of memory");
}

/* "\\040" and its kin back to what they stand for, as /proc has them. */
static void unescape(char *text)
{
	char *to = text;

	while (*text) {
		if (*text == '\\' && strspn(text + 1, "01234567") >= 3) {
			*to++ = (char)((text[1] - '0') << 6 | (text[2] - '0') << 3 |
				       (text[3] - '0'));
			text += 4;
		} else {
			*to++ = *text++;
		}
	}
	*to = '\0';
}

/*
 * The number of the mount's device, "MAJOR:MINOR"; false when it is not found.  Not by stat(): the
 * answer would have to come from us, and the mount would be in use meanwhile.
 */
static bool find_device(const char *mount_point, char *device, size_t room)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t length = 0;
	bool found = false;

	while (file && getline(&line, &length, file) >= 0) {
		char *rest = line;
		char *field[5];
		unsigned int count = 0;

		while (count < 5 && (field[count] = strsep(&rest, " ")))
			count++;
		if (count < 5)
			continue;
		unescape(field[4]);
		/* The last one is on top. */
		if (strcmp(field[4], mount_point) != 0)
			continue;
		found = true;
		snprintf(device, room, "%s", field[2]);
	}
	free(line);
	if (file)
		fclose(file);
	return found;
}

/*
 * The kernel reads 128 KiB ahead of a program, so it would ask for that much at a time.  Whoever
 * may tell it otherwise does; it is faster, and works without.  Two requests: while one is copied
 * to the program the next ones are on their way, on as many processors.  Not more, since it is also
 * what the kernel reads around a page of a mapping that a program touches.
 */
static void widen_read_ahead(const struct mnt_mount *mount)
{
	char device[24];
	char path[64];
	int fd;

	if (!find_device(mount->options.mount_point, device, sizeof(device)))
		return;
	snprintf(path, sizeof(path), "/sys/class/bdi/%s/read_ahead_kb", device);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, KERNEL_AHEAD_KB, strlen(KERNEL_AHEAD_KB)) < 0)
		mnt_log(MNT_LOG_DEBUG, "%s: %s", path, strerror(errno));
	close(fd);
}

static int run_loop(struct mnt_mount *mount)
{
	struct fuse_loop_config *config = fuse_loop_cfg_create();
	int result;

	if (!config)
		return MNT_EXIT_SYSTEM;
	fuse_loop_cfg_set_clone_fd(config, 1);
	fuse_loop_cfg_set_max_threads(config, FUSE_THREADS);
	result = fuse_session_loop_mt(mount->session, config);
	fuse_loop_cfg_destroy(config);
	fuse_session_unmount(mount->session);
	/* A signal has ended it, which is how it is meant to end. */
	return result < 0 ? MNT_EXIT_SYSTEM : MNT_EXIT_OK;
}

static int open_session(struct mnt_mount *mount)
{
	struct mnt_options *options = &mount->options;

	add_option(options, "fsname=", options->source);
	add_option(options, "subtype=", "azblob");
	add_option(options, "default_permissions", "");
	if (options->debug)
		add_option(options, "debug", "");
	mount->session = fuse_session_new(&options->fuse, &operations, sizeof(operations), mount);
	if (!mount->session)
		return MNT_EXIT_USAGE;
	if (fuse_set_signal_handlers(mount->session))
		return MNT_EXIT_SYSTEM;
	if (fuse_session_mount(mount->session, options->mount_point)) {
		fuse_remove_signal_handlers(mount->session);
		return MNT_EXIT_SERVICE;
	}
	return MNT_EXIT_OK;
}

static void close_parts(struct mnt_mount *mount)
{
	struct mnt_cache_stats stats;

	/* What is still open is committed with that. */
	while (mount->handles)
		mount->handles->end(mount, mount->handles);
	if (mount->writers.service)
		mnt_writers_end(&mount->writers);
	atomic_store(&mount->ending, true);
	mnt_jobs_free(mount->notifier);
	/* What is fetched now nobody waits for. */
	if (mount->service)
		mount->service->ops->interrupt(mount->service);
	mnt_jobs_free(mount->jobs);
	if (mount->session)
		fuse_session_destroy(mount->session);
	if (mount->nodes.prefix)
		mnt_nodes_destroy(&mount->nodes);
	if (mount->cache) {
		mnt_cache_get_stats(mount->cache, &stats);
		mnt_log(MNT_LOG_DEBUG,
			"cache: at most %llu bytes, %llu hits, %llu misses, %llu fetches of %llu "
			"bytes, %llu evicted, %llu of them unused",
			(unsigned long long)stats.most, (unsigned long long)stats.hits,
			(unsigned long long)stats.misses, (unsigned long long)stats.fetches,
			(unsigned long long)stats.fetched, (unsigned long long)stats.evicted,
			(unsigned long long)stats.unused);
	}
	if (!mnt_cache_free(mount->cache, LATE_MS)) {
		/* The kernel keeps those pages for the host when we are gone. */
		mnt_log(MNT_LOG_NOTE, "the host has not let go of all memory it was given");
		return;
	}
	if (mount->service)
		mount->service->ops->close(mount->service);
}

static int run(struct mnt_mount *mount)
{
	int pipe = -1;
	int code;

	if (!mount->options.foreground) {
		pipe = go_to_background();
		if (pipe < 0) {
			mnt_log(MNT_LOG_ERROR, "fork: %s", strerror(errno));
			return MNT_EXIT_SYSTEM;
		}
	}
	mount->start = time(NULL);
	code = connect_service(mount);
	if (!code)
		code = make_parts(mount);
	if (!code)
		code = open_session(mount);
	if (!code) {
		widen_read_ahead(mount);
		if (pipe >= 0)
			leave_terminal(pipe);
		code = run_loop(mount);
		fuse_remove_signal_handlers(mount->session);
	}
	close_parts(mount);
	return code;
}

int main(int argc, char **argv)
{
	/* Large, and there as long as any thread. */
	static struct mnt_mount mount;
	int code;

	mnt_parse(&mount.options, argc, argv);
	if (mount.options.debug)
		mnt_log_debug();
	code = run(&mount);
	mnt_options_free(&mount.options);
	return code;
}
