/* SPDX-License-Identifier: MIT */
/* Opening and closing the local store. */
#include "store/local/local.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "store/stores.h"

struct options {
	char *path;
	bool no_sync;
	enum sums_policy verify;
};

/* One line for whoever chose the option; always false. */
__attribute__((format(printf, 3, 4))) static bool complain(char *error, size_t size,
							   const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, size, format, args);
	va_end(args);
	return false;
}

static bool parse_option(struct options *options, char *option, char *error, size_t size)
{
	char *value = strchr(option, '=');

	if (!value)
		return complain(error, size, "store local: '%s' needs a value: %s=...", option,
				option);
	*value++ = '\0';
	if (!strcmp(option, "path")) {
		if (options->path)
			return complain(error, size, "store local: path is given twice");
		if (!*value)
			return complain(error, size, "store local: path is empty");
		options->path = value;
		return true;
	}
	if (!strcmp(option, "unsafe-no-sync")) {
		options->no_sync = !strcmp(value, "on");
		if (!options->no_sync && strcmp(value, "off") != 0)
			return complain(error, size,
					"store local: unsafe-no-sync is on or off, not '%s'",
					value);
		return true;
	}
	if (!strcmp(option, "verify")) {
		static const char *const names[] = { "first", "always", "never" };

		for (int i = 0; i < 3; i++)
			if (!strcmp(value, names[i])) {
				options->verify = (enum sums_policy)i;
				return true;
			}
		return complain(error, size,
				"store local: verify is always, first or never, not '%s'", value);
	}
	return complain(error, size,
			"store local: unknown option '%s'; there are: path=DIR, verify=always, "
			"unsafe-no-sync=on",
			option);
}

/* Changes @text, and keeps pointers into it. */
static bool parse_options(struct options *options, char *text, char *error, size_t size)
{
	char *save = NULL;

	*options = (struct options){ 0 };
	for (char *option = strtok_r(text, ",", &save); option; option = strtok_r(NULL, ",", &save))
		if (!parse_option(options, option, error, size))
			return false;
	if (!options->path) {
		complain(error, size, "store local: path=DIR is missing");
		return false;
	}
	return true;
}

/* A directory that holds something else is refused rather than filled. */
static bool is_ours(struct local *local, char *error, size_t size)
{
	static const char *const known[] = { ".", "..", "lock", "extents", "lost+found",
					     /* left by a crash while the store was made */
					     "metadata.db-wal", "metadata.db-shm" };
	struct dirent *entry;
	bool ours = true;
	DIR *dir;
	int fd;

	if (!faccessat(local->dir, "metadata.db", F_OK, 0))
		return true;
	fd = openat(local->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		if (fd >= 0)
			close(fd);
		return complain(error, size, "store local: %s: %s", local->path, strerror(errno));
	}
	while (ours && (entry = readdir(dir))) {
		ours = false;
		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]) && !ours; i++)
			ours = !strcmp(entry->d_name, known[i]);
		if (!ours)
			complain(error, size,
				 "store local: %s is neither empty nor a store: it holds '%.64s'",
				 local->path, entry->d_name);
	}
	closedir(dir);
	return ours;
}

static bool open_directory(struct local *local, char *error, size_t size)
{
	bool made = !mkdir(local->path, 0700);

	if (!made && errno != EEXIST)
		return complain(error, size, "store local: can't make %s: %s", local->path,
				strerror(errno));
	local->dir = open(local->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (local->dir < 0)
		return complain(error, size, "store local: can't open %s: %s", local->path,
				strerror(errno));
	local->lock_fd = openat(local->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (local->lock_fd < 0)
		return complain(error, size, "store local: can't write in %s: %s", local->path,
				strerror(errno));
	if (flock(local->lock_fd, LOCK_EX | LOCK_NB))
		return complain(error, size, "store local: %s is in use by another process",
				local->path);
	if (!is_ours(local, error, size))
		return false;
	if (mkdirat(local->dir, "extents", 0700) && errno != EEXIST)
		return complain(error, size, "store local: can't make %s/extents: %s", local->path,
				strerror(errno));
	local->extents_dir = openat(local->dir, "extents", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (local->extents_dir < 0)
		return complain(error, size, "store local: can't open %s/extents: %s", local->path,
				strerror(errno));
	return true;
}

/* The names in the directory, and its own name in its parent, are on the disk. */
static bool sync_directory(struct local *local, char *error, size_t size)
{
	int parent;
	bool failed;

	if (local->no_sync)
		return true;
	parent = openat(local->dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	failed = fsync(local->dir) || (parent >= 0 && fsync(parent));
	if (parent >= 0)
		close(parent);
	return !failed ||
	       complain(error, size, "store local: sync %s: %s", local->path, strerror(errno));
}

static bool open_metadata(struct local *local, char *error, size_t size)
{
	enum store_error result;
	char *path;

	if (asprintf(&path, "%s/metadata.db", local->path) < 0)
		return complain(error, size, "store local: no memory");
	result = db_open(&local->writer.db, path, true, local->no_sync);
	free(path);
	if (result)
		return complain(error, size, "store local: can't open %s/metadata.db: %s",
				local->path, store_error_name(result));
	return !schema_prepare(&local->writer.db, local->path, error, size);
}

static void close_all(struct local *local)
{
	numbers_stop(local);
	collector_stop(local);
	if (local->writer.running)
		alloc_stop(local);
	writer_stop(local);
	readers_end(local);
	slices_end(local);
	sums_end(local);
	alloc_end(local);
	leases_end(local);
	collector_end(local);
	db_close(&local->writer.db);
	if (local->extents_dir >= 0)
		close(local->extents_dir);
	if (local->lock_fd >= 0)
		close(local->lock_fd);
	if (local->dir >= 0)
		close(local->dir);
	free(local->path);
	free(local);
}

static void local_close(struct store *store)
{
	close_all(to_local(store));
}

static const struct store_ops local_ops = {
	.name = "local",
	.close = local_close,
	.change = local_change,
	.account_get = local_account_get,
	.container_stat = local_container_stat,
	.container_list = local_container_list,
	.blob_stat = local_blob_stat,
	.blob_list = local_blob_list,
	.tags_find = local_tags_find,
	.block_list = local_block_list,
	.copies_list = local_copies_list,
	.page_list = local_page_list,
	.read_open = local_read_open,
	.read_map = local_read_map,
	.read_at = local_read_at,
	.read_close = local_read_close,
	.upload_begin = local_upload_begin,
	.upload_write = local_upload_write,
	.upload_digest = local_upload_digest,
	.upload_read = local_upload_read,
	.upload_abort = local_upload_abort,
	.effect_lookup = local_effect_lookup,
	.effect_forget = local_effect_forget,
	.effect_forget_session = local_effect_forget_session,
};

/* Everything after the directory is ours alone. */
static bool start(struct local *local, char *error, size_t size)
{
	enum store_error result;

	if (!open_directory(local, error, size) || !open_metadata(local, error, size) ||
	    !sync_directory(local, error, size))
		return false;
	result = leases_init(local);
	if (!result)
		result = alloc_start(local);
	if (!result)
		result = writer_start(local);
	if (!result)
		result = collector_start(local);
	return !result || complain(error, size, "store local: can't start with %s: %s, see the log",
				   local->path, store_error_name(result));
}

/*
 * SQLite counts its memory under one lock for all connections, which nobody asks for.
 * It refuses if the program has used it before, and then counts on.
 */
static void configure_sqlite(void)
{
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

struct store *store_local_open(const char *text, char *error, size_t error_size)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct local *local = calloc(1, sizeof(*local));
	char *copy = strdup(text);
	struct options options;

	if (!local || !copy) {
		complain(error, error_size, "store local: no memory");
		free(local);
		free(copy);
		return NULL;
	}
	pthread_once(&once, configure_sqlite);
	local->store.ops = &local_ops;
	local->dir = local->extents_dir = local->lock_fd = -1;
	if (!parse_options(&options, copy, error, error_size)) {
		free(copy);
		free(local);
		return NULL;
	}
	/* so that all of these can be ended however far we got */
	readers_init(local);
	slices_init(local);
	sums_init(local);
	numbers_start(local);
	alloc_init(local);
	collector_init(local);
	local->no_sync = options.no_sync;
	local->verify = options.verify;
	local->path = strdup(options.path);
	free(copy);
	if (!local->path || !start(local, error, error_size)) {
		if (!local->path)
			complain(error, error_size, "store local: no memory");
		close_all(local);
		return NULL;
	}
	if (local->no_sync)
		azb_log(AZB_LOG_WARNING,
			"store: unsafe-no-sync: what is acknowledged may be lost in a power cut");
	return &local->store;
}
