// SPDX-License-Identifier: MIT
/* Downloads: azblob get and cat. */
#include "dest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "partial.h"

/* ---- one download ---- */

/* From how many parts on an interrupted transfer is worth keeping. */
#define RESUME_FROM 16u

struct download {
	struct transfer *transfer;
	const struct job *job;
	struct dest dest;
	struct partial partial;
	char *url;
	bool may_keep; /* the whole of a blob, to a file */
	struct cli_meter meter;
	struct azblob_get_result result;
	uint64_t resumed;
};

static bool keeps(const struct download *download, uint64_t size)
{
	const struct cli *cli = download->transfer->cli;

	if (!download->may_keep || size <= cli->block_size)
		return false;
	return cli->resume == CLI_RESUME_ALWAYS || size / cli->block_size >= RESUME_FROM;
}

/* After each part: the first one decides whether they are kept. */
static int on_part(void *context, const struct azblob_part *part)
{
	struct download *download = context;
	struct partial *partial = &download->partial;

	if (partial->state_fd < 0 && keeps(download, part->blob_size) &&
	    partial_start(partial, download->url, part->etag, part->blob_size) &&
	    !dest_keep_as(&download->dest, partial->part))
		partial_remove(partial);
	if (partial->state_fd >= 0)
		partial_note(partial, part->offset, part->length, part->crc64);
	/* One try is enough. */
	if (partial->state_fd < 0)
		download->may_keep = false;
	return 0;
}

static void add_result(struct download *download, const struct azblob_get_result *result)
{
	uint64_t requests = download->result.requests + result->requests;
	uint64_t retries = download->result.retries + result->retries;
	uint64_t size = download->result.size + result->size;
	bool verified = download->result.verified && result->verified;

	download->result = *result;
	download->result.requests = requests;
	download->result.retries = retries;
	download->result.size = size;
	download->result.verified = verified;
}

/* The missing ranges of the version that was there. */
static int fetch_missing(struct download *download, struct azblob_get_options *options,
			 struct azblob_error *error)
{
	const struct cli *cli = download->transfer->cli;
	const struct job *job = download->job;
	struct azblob_get_result result;
	uint64_t offset = 0;
	uint64_t length;

	options->if_match = download->partial.etag;
	download->resumed = download->partial.bytes;
	snprintf(download->result.etag, sizeof(download->result.etag), "%s",
		 download->partial.etag);
	while (partial_missing(&download->partial, &offset, &length)) {
		download->meter = (struct cli_meter){ 0 };
		if (lseek(download->dest.fd, (off_t)offset, SEEK_SET) < 0) {
			transfer_local_error(error, errno, "%s", download->dest.temp);
			return -1;
		}
		if (azblob_get_blob_to_fd(cli->conn, job->container, job->blob, offset, length,
					  download->dest.fd, options, &result, error))
			return -1;
		add_result(download, &result);
		offset += length;
	}
	return 0;
}

/* 1: there is an earlier download of just this blob, which is taken up; 0: there is none. */
static int take_up(struct download *download, struct azblob_error *error)
{
	const struct cli *cli = download->transfer->cli;
	const struct job *job = download->job;
	struct partial *partial = &download->partial;
	struct azblob_properties *properties;
	bool same;
	bool busy;

	if (!partial_find(partial, download->url, &busy)) {
		/* Somebody else is at it: this one is on its own. */
		if (busy)
			download->may_keep = false;
		return 0;
	}
	if (azblob_get_properties_of(cli->conn, job->container, job->blob, &cli->access,
				     &properties, error))
		return -1;
	same = !strcmp(properties->etag, partial->etag) && properties->size == partial->size;
	azblob_properties_free(properties);
	if (same && partial->bytes) {
		dest_take(&download->dest, partial->part_fd, partial->part);
		partial->part_fd = -1;
		return 1;
	}
	cli_note(cli,
		 same ? "%s: nothing of an earlier download is usable, starting over"
		      : "%s: has changed since an earlier download, starting over",
		 job->blob);
	partial_remove(partial);
	return 0;
}

static int fetch(struct download *download, struct azblob_error *error)
{
	struct azblob_get_options options = AZBLOB_GET_OPTIONS_INIT;
	const struct cli *cli = download->transfer->cli;
	const struct job *job = download->job;
	int found = 0;

	options.progress = cli_meter;
	options.progress_context = &download->meter;
	options.access = &cli->access;
	if (download->may_keep) {
		options.part = on_part;
		options.part_context = download;
		found = take_up(download, error);
	}
	if (found < 0)
		return -1;
	if (found) {
		char bytes[16];

		cli_human(download->partial.bytes, bytes);
		cli_note(cli, "%s: %s are here from an earlier download, going on", job->blob,
			 bytes);
		if (!download->meter.size_unknown)
			cli_progress_add(download->partial.bytes);
		else
			cli_progress_expect(download->partial.size - download->partial.bytes);
		download->result.verified = 1;
		return fetch_missing(download, &options, error);
	}
	return azblob_get_blob_to_fd(cli->conn, job->container, job->blob, cli->offset, cli->length,
				     download->dest.fd, &options, &download->result, error);
}

/* What is worth keeping after a failure: not of a blob that is gone or another one by now. */
static bool worth_keeping(const struct download *download, const struct azblob_error *error)
{
	return download->partial.state_fd >= 0 && download->partial.bytes &&
	       error->kind != AZBLOB_BAD_ARGUMENT && error->http_status != 404 &&
	       error->http_status != 412;
}

static void prepare(struct download *download)
{
	const struct cli *cli = download->transfer->cli;
	const struct job *job = download->job;

	download->partial.state_fd = -1;
	download->partial.part_fd = -1;
	if (!download->dest.final || cli->offset || cli->length != AZBLOB_LENGTH_REST ||
	    cli->resume == CLI_RESUME_NEVER ||
	    azblob_url(cli->conn, job->container, job->blob, cli->access.snapshot, &download->url,
		       NULL))
		return;
	download->may_keep = true;
	partial_init(&download->partial, download->dest.directory, download->dest.final,
		     download->url);
}

/* Where that can't be, the next sync fetches it again: no reason to fail. */
static void set_time(const struct download *download)
{
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, download->job->mtime };

	futimens(download->dest.fd, times);
}

int transfer_get(struct transfer *transfer, const struct job *job)
{
	struct download download = {
		.transfer = transfer,
		.job = job,
		.meter = { .size_unknown = job->size == AZBLOB_SIZE_UNKNOWN },
	};
	struct outcome outcome = { 0 };
	struct azblob_error error = { 0 };
	double start = transfer_now();
	bool keep = false;
	int status;

	status = dest_open(&download.dest, job->path, job->root, &error);
	prepare(&download);
	if (!status)
		status = fetch(&download, &error);
	if (!status)
		status = dest_advance(&download.dest, download.result.size, &error);
	if (status)
		keep = worth_keeping(&download, &error);
	else if (job->has_mtime)
		set_time(&download);
	if (dest_close(&download.dest, !status, keep, &error))
		status = -1;
	if (!keep)
		partial_remove(&download.partial);
	else
		cli_note(transfer->cli, "%s: what has arrived is kept: the same command goes on",
			 job->blob);
	if (status) {
		outcome.error = &error;
		cli_meter_undo(&download.meter);
	} else {
		outcome.etag = download.result.etag;
		outcome.bytes = download.result.size + download.resumed;
		outcome.resumed = download.resumed;
		outcome.requests = download.result.requests;
		outcome.retries = download.result.retries;
		outcome.verified = download.result.verified;
	}
	outcome.seconds = transfer_now() - start;
	partial_free(&download.partial);
	azblob_text_free(download.url);
	return transfer_done(transfer, job, &outcome);
}

/* ---- what is to be downloaded ---- */

struct collect {
	struct transfer *transfer;
	const struct cli_name *name;
	const char *prefix;
	const char *directory; /* with the last part of the name, where that goes along */
	size_t root;
	int code;
};

static int collect_entry(void *context, const struct azblob_entry *entry)
{
	struct collect *collect = context;
	const char *relative = entry->name + strlen(collect->prefix);
	char *path;
	int code;

	/* Its file would be in the way of the directory. */
	if (cli_is_directory_mark(entry))
		return EXIT_OK;
	if (!cli_safe_path(relative)) {
		cli_error("%s: can't be a file below %s, skipped", entry->name, collect->directory);
		collect->code = cli_worse(collect->code, EXIT_LOCAL);
		return EXIT_OK;
	}
	path = cli_text("%s/%s", collect->directory, relative);
	code = cli_make_parents(path, collect->root);
	if (code)
		collect->code = cli_worse(collect->code, code);
	else
		transfer_add(collect->transfer, path, collect->name->container, entry->name,
			     entry->size)
			->root = collect->root;
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
	/* With a slash that goes when the directories are made. */
	below = cli_text("%s/%s%s", directory, last, *last ? "/" : "");
	collect.prefix = prefix;
	collect.directory = below;
	collect.root = strlen(directory);
	if (mkdir(directory, 0777) && errno != EEXIST) {
		cli_error("%s: %s", directory, strerrordesc_np(errno));
		code = EXIT_LOCAL;
	}
	if (!code)
		code = cli_make_parents(below, collect.root);
	below[strlen(below) - 1] = '\0';
	transfer->cli->list_include = AZBLOB_INCLUDE_METADATA;
	if (!code)
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
		char *path = cli_text("%s%s%s", dest, dest[length - 1] == '/' ? "" : "/", last);

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
	struct transfer transfer = { .cli = cli, .op = "get", .move = transfer_get };
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
	struct transfer transfer = { .cli = cli, .op = "get", .move = transfer_get };
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
