// SPDX-License-Identifier: MIT
/*
 * Downloads.  A file appears under its name only when it is complete, verified and on disk:
 * until then it has a temporary name beside it.
 */
#include "transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEMP_NAME ".azblob-XXXXXX"

struct dest {
	char *final; /* NULL: the descriptor is written as it is */
	char *temp;
	int temp_slot;
	int fd;
};

static char *text_of(const char *format, ...) __attribute__((format(printf, 1, 2)));
static char *text_of(const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		abort();
	va_end(args);
	return text;
}

/* "a" for "a/b", "/" for "/b", "." for "b" */
static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return text_of(".");
	if (slash == path)
		return text_of("/");
	return text_of("%.*s", (int)(slash - path), path);
}

/* What open() would have given; umask() can only be asked by setting it. */
static mode_t file_mode(void)
{
	static mode_t mask;
	static bool known;

	cli_output_lock();
	if (!known) {
		mask = umask(0);
		umask(mask);
		known = true;
	}
	cli_output_unlock();
	return 0666 & ~mask;
}

static int open_temp(struct dest *dest, const char *path, struct azblob_error *error)
{
	char *directory = directory_of(path);

	dest->final = text_of("%s", path);
	dest->temp = text_of("%s/" TEMP_NAME, directory);
	free(directory);
	dest->fd = mkostemp(dest->temp, O_CLOEXEC);
	if (dest->fd < 0) {
		transfer_local_error(error, errno, "%s can't be made", dest->temp);
		return -1;
	}
	dest->temp_slot = cli_temp_register(dest->temp);
	fchmod(dest->fd, file_mode());
	return 0;
}

static int open_dest(struct dest *dest, const char *path, struct azblob_error *error)
{
	struct stat status;
	char *real;
	int result;

	memset(dest, 0, sizeof(*dest));
	dest->fd = -1;
	dest->temp_slot = -1;
	if (!strcmp(path, "-")) {
		dest->fd = STDOUT_FILENO;
		return 0;
	}
	if (stat(path, &status))
		return open_temp(dest, path, error);
	if (S_ISREG(status.st_mode)) {
		/* The file behind a link is replaced, not the link. */
		real = realpath(path, NULL);
		if (!real) {
			transfer_local_error(error, errno, "%s", path);
			return -1;
		}
		result = open_temp(dest, real, error);
		free(real);
		return result;
	}
	if (S_ISDIR(status.st_mode)) {
		transfer_local_error(error, EISDIR, "%s", path);
		return -1;
	}
	/* A device or a pipe. */
	dest->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	if (dest->fd < 0) {
		transfer_local_error(error, errno, "%s can't be opened", path);
		return -1;
	}
	return 0;
}

static int sync_directory(const char *path)
{
	char *directory = directory_of(path);
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result = fd < 0 ? -1 : fsync(fd);

	if (fd >= 0)
		close(fd);
	free(directory);
	/* Some file systems can't, and need not. */
	return result && errno != EINVAL && errno != EACCES ? -1 : 0;
}

/* Gives the finished file its name. */
static int publish(struct dest *dest, struct azblob_error *error)
{
	int fd = dest->fd;

	if (fsync(fd)) {
		transfer_local_error(error, errno, "%s can't be written", dest->final);
		return -1;
	}
	dest->fd = -1;
	if (close(fd)) {
		transfer_local_error(error, errno, "%s can't be written", dest->final);
		return -1;
	}
	if (rename(dest->temp, dest->final)) {
		transfer_local_error(error, errno, "%s can't be replaced", dest->final);
		return -1;
	}
	cli_temp_forget(dest->temp_slot);
	dest->temp_slot = -1;
	free(dest->temp);
	dest->temp = NULL;
	if (sync_directory(dest->final)) {
		transfer_local_error(error, errno, "the directory of %s can't be written",
				     dest->final);
		return -1;
	}
	return 0;
}

static int close_dest(struct dest *dest, bool good, struct azblob_error *error)
{
	int result = 0;

	if (good && dest->final)
		result = publish(dest, error);
	if (dest->temp) {
		unlink(dest->temp);
		cli_temp_forget(dest->temp_slot);
	}
	if (dest->fd > STDERR_FILENO && close(dest->fd) && good && !result) {
		transfer_local_error(error, errno, "writing the destination failed");
		result = -1;
	}
	free(dest->final);
	free(dest->temp);
	return result;
}

static int get_one(struct transfer *transfer, const struct job *job)
{
	struct azblob_get_options options = AZBLOB_GET_OPTIONS_INIT;
	struct cli_meter meter = { .size_unknown = job->size == AZBLOB_SIZE_UNKNOWN };
	const struct cli *cli = transfer->cli;
	struct azblob_get_result result;
	struct outcome outcome = { 0 };
	struct azblob_error error = { 0 };
	double start = transfer_now();
	struct dest dest;
	int status;

	options.progress = cli_meter;
	options.progress_context = &meter;
	options.access = &cli->access;
	status = open_dest(&dest, job->path, &error);
	if (!status)
		status = azblob_get_blob_to_fd(cli->conn, job->container, job->blob, cli->offset,
					       cli->length, dest.fd, &options, &result, &error);
	if (close_dest(&dest, !status, &error))
		status = -1;
	if (status) {
		outcome.error = &error;
		cli_meter_undo(&meter);
	} else {
		outcome.etag = result.etag;
		outcome.bytes = result.size;
		outcome.requests = result.requests;
		outcome.retries = result.retries;
		outcome.verified = result.verified;
	}
	outcome.seconds = transfer_now() - start;
	return transfer_done(transfer, job, &outcome);
}

/* ---- what is to be downloaded ---- */

struct collect {
	struct transfer *transfer;
	const struct cli_name *name;
	const char *prefix;
	const char *directory;
	int code;
};

/* Makes the directories on the way to @path, below the first @from characters. */
static int make_parents(char *path, size_t from)
{
	for (char *slash = strchr(path + from, '/'); slash; slash = strchr(slash + 1, '/')) {
		int failed;

		*slash = '\0';
		failed = mkdir(path, 0777) && errno != EEXIST;
		if (failed)
			cli_error("%s: %s", path, strerrordesc_np(errno));
		*slash = '/';
		if (failed)
			return EXIT_LOCAL;
	}
	return EXIT_OK;
}

static int collect_entry(void *context, const struct azblob_entry *entry)
{
	struct collect *collect = context;
	const char *relative = entry->name + strlen(collect->prefix);
	char *path;
	int code;

	if (!cli_safe_path(relative)) {
		cli_error("%s: can't be a file below %s, skipped", entry->name, collect->directory);
		collect->code = cli_worse(collect->code, EXIT_LOCAL);
		return EXIT_OK;
	}
	path = text_of("%s/%s", collect->directory, relative);
	code = make_parents(path, strlen(collect->directory) + 1);
	if (code)
		collect->code = cli_worse(collect->code, code);
	else
		transfer_add(collect->transfer, path, collect->name->container, entry->name,
			     entry->size);
	free(path);
	return EXIT_OK;
}

/* The last part of a blob's name; "" when it ends in a slash. */
static const char *last_part(const char *blob)
{
	const char *slash = strrchr(blob, '/');

	return slash ? slash + 1 : blob;
}

static int collect_tree(struct transfer *transfer, const struct cli_name *name, const char *text,
			const char *directory)
{
	struct collect collect = { .transfer = transfer, .name = name };
	const char *last = last_part(name->blob);
	size_t before = transfer->count;
	char *prefix = cli_tree_prefix(name->blob);
	char *below;
	int code = EXIT_OK;

	/* As cp -r does: NAME goes with its last part, NAME/ is what is below. */
	if (*last && !cli_safe_path(last)) {
		cli_error("\"%s\": its last part can't be a directory", text);
		free(prefix);
		return EXIT_USAGE;
	}
	below = text_of("%s%s%s", directory, *last ? "/" : "", last);
	collect.prefix = prefix;
	collect.directory = below;
	if (mkdir(directory, 0777) && errno != EEXIST)
		code = EXIT_LOCAL;
	if (!code && mkdir(below, 0777) && errno != EEXIST)
		code = EXIT_LOCAL;
	if (code)
		cli_error("%s: %s", below, strerrordesc_np(errno));
	else
		code = cli_walk(transfer->cli, name->container, prefix, NULL, collect_entry,
				&collect);
	if (!code && !collect.code && transfer->count == before) {
		cli_error("%s: no blobs there", text);
		code = EXIT_NOT_FOUND;
	}
	free(prefix);
	free(below);
	return cli_worse(code, collect.code);
}

static bool is_directory(const char *path)
{
	size_t length = strlen(path);
	struct stat status;

	return (length && path[length - 1] == '/') ||
	       (!stat(path, &status) && S_ISDIR(status.st_mode));
}

static int collect_argument(struct transfer *transfer, const char *text, const char *dest)
{
	struct cli_name name;
	const char *last;
	int code = cli_name_for(transfer->cli, text, &name);

	if (code)
		return code;
	last = last_part(name.blob);
	if (transfer->cli->recursive) {
		code = cli_connect(transfer->cli);
		if (!code)
			code = collect_tree(transfer, &name, text, dest);
	} else if (!*last) {
		cli_error("\"%s\": must name a blob (-r downloads all below a name)", text);
		code = EXIT_USAGE;
	} else if (strcmp(dest, "-") && is_directory(dest)) {
		size_t length = strlen(dest);
		char *path = text_of("%s%s%s", dest, dest[length - 1] == '/' ? "" : "/", last);

		if (cli_safe_path(last)) {
			transfer_add(transfer, path, name.container, name.blob,
				     AZBLOB_SIZE_UNKNOWN);
		} else {
			cli_error("\"%s\": its last part can't be a file name", text);
			code = EXIT_USAGE;
		}
		free(path);
	} else {
		transfer_add(transfer, dest, name.container, name.blob, AZBLOB_SIZE_UNKNOWN);
	}
	cli_name_free(&name);
	return code;
}

/* Connects and moves what was collected. */
static int run(struct transfer *transfer, int code)
{
	if (code != EXIT_USAGE && transfer->count) {
		int connected = cli_connect(transfer->cli);

		code = cli_worse(code, connected);
		if (!connected)
			code = cli_worse(code, transfer_run(transfer));
	}
	transfer_free(transfer);
	return code;
}

int cli_cat(struct cli *cli)
{
	struct transfer transfer = { .cli = cli, .op = "get", .move = get_one };
	int code = EXIT_OK;

	if (!cli->arguments) {
		cli_error("cat: which blob?");
		return EXIT_USAGE;
	}
	cli_progress_start(cli, "cat");
	for (int i = 0; i < cli->arguments && !cli_interrupted(); i++)
		code = cli_worse(code, collect_argument(&transfer, cli->argument[i], "-"));
	return run(&transfer, code);
}

int cli_get(struct cli *cli)
{
	struct transfer transfer = { .cli = cli, .op = "get", .move = get_one };
	int names = cli->arguments > 1 ? cli->arguments - 1 : cli->arguments;
	const char *dest = cli->arguments > 1 ? cli->argument[names] : ".";
	int code = EXIT_OK;

	if (!names) {
		cli_error("get: which blob?");
		return EXIT_USAGE;
	}
	if (cli->recursive && (!strcmp(dest, "-") || cli->offset || cli->access.snapshot ||
			       cli->length != AZBLOB_LENGTH_REST)) {
		cli_error("get -r goes to a directory, with whole blobs");
		return EXIT_USAGE;
	}
	if (names > 1 && strcmp(dest, "-") && !is_directory(dest) && !cli->recursive) {
		cli_error("%s: several blobs need a directory (or - for standard output)", dest);
		return EXIT_USAGE;
	}
	cli_progress_start(cli, "get");
	for (int i = 0; i < names && !cli_interrupted(); i++)
		code = cli_worse(code, collect_argument(&transfer, cli->argument[i], dest));
	return run(&transfer, code);
}
