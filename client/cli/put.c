// SPDX-License-Identifier: MIT
#include "sync.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tree.h"

static int open_source(const struct job *job, struct azblob_error *error)
{
	int fd;

	if (!strcmp(job->path, "-"))
		return STDIN_FILENO;
	fd = tree_open(job->path, job->root);
	if (fd < 0) {
		int failure = errno;

		transfer_local_error(error, 0, "can't be opened: %s", tree_error(failure));
		error->sys_errno = failure;
	}
	return fd;
}

static int64_t read_patiently(void *context, void *buffer, size_t room)
{
	return transfer_read(*(const int *)context, buffer, room, false);
}

static bool is_stream(int fd)
{
	struct stat status;

	return !fstat(fd, &status) && !S_ISREG(status.st_mode) && !S_ISBLK(status.st_mode);
}

/* Files in parallel, streams as they come. */
static int put_fd(const struct cli *cli, const struct job *job, int fd,
		  const struct azblob_put_options *options, struct azblob_put_result *result,
		  struct azblob_error *error)
{
	int status;

	if (!is_stream(fd))
		return azblob_put_blob_from_fd(cli->conn, job->container, job->blob, fd,
					       AZBLOB_SIZE_UNKNOWN, options, result, error);
	status = azblob_put_blob_from_reader(cli->conn, job->container, job->blob, read_patiently,
					     &fd, AZBLOB_SIZE_UNKNOWN, options, result, error);
	if (status && cli_interrupted() && !error->outcome_unknown)
		error->kind = AZBLOB_CANCELLED;
	return status;
}

/* From how many parts on it is worth asking the service what it has. */
#define RESUME_FROM 16u

static bool resumes(const struct cli *cli, const struct job *job)
{
	if (cli->resume != CLI_RESUME_LARGE)
		return cli->resume == CLI_RESUME_ALWAYS;
	return job->size != AZBLOB_SIZE_UNKNOWN && job->size / cli->block_size >= RESUME_FROM;
}

/*
 * The service takes no blocks for a blob of another type; Put Blob, which is what a file of one
 * part becomes, replaces any.  To remove what is there, with all that it says, is not ours to
 * decide.
 */
static void explain(struct azblob_error *error)
{
	static const char advice[] =
		"an append or page blob of that name is there, which a file of several parts does "
		"not replace: remove it first (azblob rm), or give a --block-size (up to 32M) that "
		"all of the file fits (InvalidBlobType)";

	if (strcmp(error->code, "InvalidBlobType"))
		return;
	snprintf(error->message, sizeof(error->message), "%s", advice);
}

int transfer_put(struct transfer *transfer, const struct job *job)
{
	struct azblob_put_options options = AZBLOB_PUT_OPTIONS_INIT;
	struct cli_meter meter = { .size_unknown = job->size == AZBLOB_SIZE_UNKNOWN };
	const struct cli *cli = transfer->cli;
	struct azblob_put_result result;
	struct outcome outcome = { 0 };
	struct azblob_error error;
	double start = transfer_now();
	struct azblob_pair mtime;
	char time[SYNC_TIME_ROOM];
	int fd = open_source(job, &error);

	options.content_type = cli->content_type;
	options.if_none_match = cli->no_clobber ? "*" : NULL;
	options.metadata = cli->metadata;
	options.metadata_count = cli->metadata_count;
	if (job->has_mtime) {
		sync_format_time(&job->mtime, time);
		mtime = (struct azblob_pair){ SYNC_MTIME, time };
		options.metadata = &mtime;
		options.metadata_count = 1;
	}
	options.content_md5 = *job->md5 ? job->md5 : NULL;
	options.tags = cli->tags;
	options.tag_count = cli->tag_count;
	options.tier = cli->tier;
	options.access = &cli->access;
	options.resume = resumes(cli, job);
	options.progress = cli_meter;
	options.progress_context = &meter;
	if (fd < 0 || put_fd(cli, job, fd, &options, &result, &error)) {
		explain(&error);
		outcome.error = &error;
		cli_meter_undo(&meter);
	} else {
		outcome.etag = result.etag;
		outcome.bytes = result.size;
		outcome.resumed = result.resumed;
		outcome.requests = result.requests;
		outcome.retries = result.retries;
		outcome.verified = !cli->no_checksums;
	}
	if (fd > STDIN_FILENO)
		close(fd);
	outcome.seconds = transfer_now() - start;
	return transfer_done(transfer, job, &outcome);
}

/* ---- what is to be uploaded ---- */

/**
 * struct scan - the arguments, one after the other
 * @root: as tree.h has it, of the directory that is being read.
 */
struct scan {
	struct transfer *transfer;
	const char *container;
	size_t root;
	uint64_t skipped;
};

static char *joined(const char *first, const char *separator, const char *second)
{
	char *text;

	if (asprintf(&text, "%s%s%s", first, separator, second) < 0)
		abort();
	return text;
}

static int scan_directory(struct scan *scan, int fd, const char *path, const char *prefix);

/* @name in the directory @at, which as a whole is @path. */
static int scan_entry(struct scan *scan, int at, const char *name, const char *path,
		      const char *blob)
{
	struct stat stat;

	if (fstatat(at, name, &stat, AT_SYMLINK_NOFOLLOW)) {
		cli_error("%s: %s", path, strerrordesc_np(errno));
		return EXIT_LOCAL;
	}
	if (S_ISDIR(stat.st_mode)) {
		char *prefix = joined(blob, "/", "");
		int code = scan_directory(scan, tree_open_directory(at, name), path, prefix);

		free(prefix);
		return code;
	}
	if (S_ISREG(stat.st_mode)) {
		transfer_add(scan->transfer, path, scan->container, blob, (uint64_t)stat.st_size)
			->root = scan->root;
		return EXIT_OK;
	}
	cli_note(scan->transfer->cli, "%s: not a regular file, skipped", path);
	scan->skipped++;
	return EXIT_OK;
}

/* Closes @fd, which is -1 with errno where it could not be opened. */
static int scan_directory(struct scan *scan, int fd, const char *path, const char *prefix)
{
	size_t length = strlen(path);
	struct dirent **entry = NULL;
	int code = EXIT_OK;
	int count = -1;

	/* Sorted, so that two runs send the same things in the same order. */
	if (fd >= 0)
		count = scandirat(fd, ".", &entry, NULL, alphasort);
	if (count < 0) {
		cli_error("%s: %s", path, tree_error(errno));
		if (fd >= 0)
			close(fd);
		return EXIT_LOCAL;
	}
	for (int i = 0; i < count; i++) {
		const char *name = entry[i]->d_name;

		if (strcmp(name, ".") && strcmp(name, "..") && !cli_interrupted()) {
			char *below =
				joined(path, length && path[length - 1] == '/' ? "" : "/", name);
			char *blob = joined(prefix, "", name);

			code = cli_worse(code, scan_entry(scan, fd, name, below, blob));
			free(below);
			free(blob);
		}
		free(entry[i]);
	}
	free(entry);
	close(fd);
	return code;
}

/* The last part of a path; "" for "/", "." and "..", and for what ends in a slash. */
static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;

	return !strcmp(name, ".") || !strcmp(name, "..") ? "" : name;
}

static int scan_argument(struct scan *scan, const char *path, const struct cli_name *dest,
			 bool into)
{
	const char *base = base_name(path);
	struct stat status;
	char *blob;
	int code = EXIT_OK;

	if (!strcmp(path, "-")) {
		if (into) {
			cli_error("standard input needs a blob name, not a prefix");
			return EXIT_USAGE;
		}
		transfer_add(scan->transfer, path, scan->container, dest->blob,
			     AZBLOB_SIZE_UNKNOWN);
		return EXIT_OK;
	}
	if (stat(path, &status)) {
		cli_error("%s: %s", path, strerrordesc_np(errno));
		return EXIT_LOCAL;
	}
	if (S_ISDIR(status.st_mode)) {
		char *prefix = cli_tree_prefix(dest->blob);

		if (!scan->transfer->cli->recursive) {
			cli_error("%s: is a directory (-r uploads what is in it)", path);
			free(prefix);
			return EXIT_USAGE;
		}
		/* As cp -r does: DIR goes with its name, DIR/ and . are their contents. */
		blob = joined(prefix, base, *base ? "/" : "");
		scan->root = strlen(path);
		code = scan_directory(scan, open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), path,
				      blob);
		free(prefix);
	} else {
		blob = joined(dest->blob, "", into ? base : "");
		transfer_add(scan->transfer, path, scan->container, blob,
			     S_ISREG(status.st_mode) ? (uint64_t)status.st_size
						     : AZBLOB_SIZE_UNKNOWN);
	}
	free(blob);
	return code;
}

int cli_put(struct cli *cli)
{
	struct transfer transfer = { .cli = cli, .op = "put", .move = transfer_put };
	struct scan scan = { .transfer = &transfer };
	struct cli_name dest;
	bool into;
	int code;

	if (cli->arguments < 2) {
		cli_error("put: files and a destination are needed");
		return EXIT_USAGE;
	}
	code = cli_name_for(cli, cli->argument[cli->arguments - 1], &dest);
	if (code)
		return code;
	scan.container = dest.container;
	into = !*dest.blob || dest.blob[strlen(dest.blob) - 1] == '/';
	if (cli->arguments > 2 && !into && !cli->recursive) {
		cli_error("\"%s\": several files need a destination that ends in \"/\"",
			  cli->argument[cli->arguments - 1]);
		cli_name_free(&dest);
		return EXIT_USAGE;
	}
	if (cli->arguments > 2 && !into) {
		/* With -r everything goes below the name. */
		char *prefix = cli_tree_prefix(dest.blob);

		free(dest.blob);
		dest.blob = prefix;
		into = true;
	}
	cli_progress_start(cli, "put");
	for (int i = 0; i + 1 < cli->arguments; i++)
		code = cli_worse(code, scan_argument(&scan, cli->argument[i], &dest, into));
	/* Mistakes first: nothing is sent when an argument makes no sense. */
	if (code != EXIT_USAGE) {
		int connected = cli_connect(cli);

		code = cli_worse(code, connected);
		if (!connected)
			code = cli_worse(code, transfer_run(&transfer));
	}
	transfer_free(&transfer);
	cli_name_free(&dest);
	return code;
}
