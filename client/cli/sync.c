// SPDX-License-Identifier: MIT
/*
 * azblob sync: makes one side what the other one is.  Nothing is deleted after a failure to read
 * the source: what could not be seen is not what is not there.  Nor after a failure to move.
 */
#include "sync.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dest.h"
#include "tree.h"

/**
 * struct sync - one run
 * @up: from files to blobs.
 * @prefix: of the blobs; "" or with its slash.
 * @doomed: names at the destination that are to go, in @to.
 * @deleted, @delete_code: under the output lock.
 */
struct sync {
	struct cli *cli;
	bool up;
	const char *directory;
	struct cli_name name;
	char *prefix;
	struct sync_tree files;
	struct sync_tree blobs;
	struct transfer transfer;
	size_t *doomed;
	size_t doomed_count;
	uint64_t deleted;
	uint64_t unchanged;
	int delete_code;
};

static struct sync_tree *source(struct sync *sync)
{
	return sync->up ? &sync->files : &sync->blobs;
}

static struct sync_tree *dest(struct sync *sync)
{
	return sync->up ? &sync->blobs : &sync->files;
}

static char *path_of(const struct sync *sync, const char *name)
{
	return cli_text("%s/%s", sync->directory, name);
}

/* ---- hashes ---- */

static void hash_one(void *context, size_t index)
{
	const struct sync *sync = context;
	struct sync_entry *entry = &sync->files.entry[index];
	const struct sync_entry *blob = sync_find(&sync->blobs, entry->name);
	char *path;

	if (entry->skipped)
		return;
	/* Of what is downloaded anyway nobody asks the hash. */
	if (!sync->up && (!blob || blob->size != entry->size || !*blob->md5))
		return;
	path = path_of(sync, entry->name);
	if (!sync_md5(path, strlen(sync->directory), entry->md5))
		cli_error("%s: %s", path, tree_error(errno));
	free(path);
}

/* ---- the plan ---- */

static void tell(const struct sync *sync, const char *op, const char *name, const char *reason)
{
	if (sync->cli->json) {
		cli_json_begin();
		cli_json_string("op", op);
		cli_json_string("name", name);
		if (reason)
			cli_json_string("reason", reason);
		cli_json_bool("dry_run", true);
		cli_json_end();
		return;
	}
	printf("%s ", op);
	cli_print_name(name);
	if (reason)
		printf(" (%s)", reason);
	putchar('\n');
}

static int plan_move(struct sync *sync, const struct sync_entry *entry, const char *reason)
{
	struct job *job;
	char *path;
	char *blob;
	int code = EXIT_OK;

	if (!sync->up && !cli_safe_path(entry->name)) {
		cli_error("%s: can't be a file below %s, skipped", entry->name, sync->directory);
		return EXIT_LOCAL;
	}
	if (sync->cli->dry_run) {
		tell(sync, sync->transfer.op, entry->name, reason);
		sync->transfer.files++;
		sync->transfer.bytes += entry->size;
		return EXIT_OK;
	}
	path = path_of(sync, entry->name);
	blob = cli_text("%s%s", sync->prefix, entry->name);
	if (!sync->up)
		code = cli_make_parents(path, strlen(sync->directory));
	if (!code) {
		job = transfer_add(&sync->transfer, path, sync->name.container, blob, entry->size);
		job->root = strlen(sync->directory);
		job->has_mtime = true;
		job->mtime = entry->mtime;
		memcpy(job->md5, entry->md5, sizeof(job->md5));
	}
	free(path);
	free(blob);
	return code;
}

static int plan(struct sync *sync)
{
	const struct sync_tree *from = source(sync);
	const struct sync_tree *to = dest(sync);
	int code = EXIT_OK;

	for (size_t i = 0; i < from->count && !cli_interrupted(); i++) {
		const struct sync_entry *entry = &from->entry[i];
		const char *reason;

		if (entry->skipped)
			continue;
		if (sync_is_skipped(to, entry->name)) {
			cli_note(sync->cli, "%s: what is not synced is in its place, skipped",
				 entry->name);
			continue;
		}
		reason = sync_reason(entry, sync_find(to, entry->name), sync->cli->compare);
		if (reason)
			code = cli_worse(code, plan_move(sync, entry, reason));
		else
			sync->unchanged++;
	}
	sync->doomed = calloc(to->count + 1, sizeof(*sync->doomed));
	if (!sync->doomed)
		abort();
	for (size_t i = 0; sync->cli->delete_others && i < to->count; i++) {
		/* What is skipped at the source is there nonetheless. */
		if (to->entry[i].skipped || sync_find(from, to->entry[i].name) ||
		    sync_is_skipped(from, to->entry[i].name))
			continue;
		if (sync->cli->dry_run)
			tell(sync, "delete", to->entry[i].name, NULL);
		sync->doomed[sync->doomed_count++] = i;
	}
	return code;
}

/* ---- deletion ---- */

/* @flags: as unlinkat() has them.  What is not there any more is no failure. */
static bool remove_name(const char *path, size_t root, int flags)
{
	const char *name;
	int parent = tree_parent(path, root, false, &name);
	bool good;
	int failure;

	if (parent < 0)
		return errno == ENOENT;
	good = !unlinkat(parent, name, flags) || errno == ENOENT;
	failure = errno;
	close(parent);
	errno = failure;
	return good;
}

static int delete_file(const struct sync *sync, const char *name, struct azblob_error *error)
{
	size_t root = strlen(sync->directory);
	char *path = path_of(sync, name);
	bool good = remove_name(path, root, 0);
	char *slash;

	if (!good)
		transfer_local_error(error, 0, "can't be deleted: %s", tree_error(errno));
	/* Directories that are empty now. */
	while (good && (slash = strrchr(path + root + 1, '/'))) {
		*slash = '\0';
		if (!remove_name(path, root, AT_REMOVEDIR))
			break;
	}
	free(path);
	return good ? 0 : -1;
}

static int delete_blob(const struct sync *sync, const struct sync_entry *entry,
		       struct azblob_error *error)
{
	struct azblob_access access = AZBLOB_ACCESS_INIT;
	char *blob = cli_text("%s%s", sync->prefix, entry->name);
	int status;

	/* Only what was seen: not what somebody has put there since. */
	access.if_match = entry->etag;
	status = azblob_delete_blob_if(sync->cli->conn, sync->name.container, blob,
				       AZBLOB_DELETE_BLOB, &access, error);
	free(blob);
	return status;
}

static void delete_one(void *context, size_t index)
{
	struct sync *sync = context;
	const struct sync_entry *entry = &dest(sync)->entry[sync->doomed[index]];
	struct azblob_error error;
	int status = sync->up ? delete_blob(sync, entry, &error)
			      : delete_file(sync, entry->name, &error);

	cli_output_lock();
	if (status) {
		sync->delete_code = cli_worse(sync->delete_code, cli_report(entry->name, &error));
	} else {
		sync->deleted++;
		if (sync->cli->json) {
			cli_json_begin();
			cli_json_string("op", "delete");
			cli_json_string("name", entry->name);
			cli_json_end();
		} else if (sync->cli->verbose) {
			cli_note(sync->cli, "%s: deleted", entry->name);
		}
	}
	cli_output_unlock();
}

/* ---- the whole of it ---- */

/* Before the summary: all has been moved. */
static void finish(struct transfer *transfer)
{
	struct sync *sync = transfer->owner;

	if (transfer->failed && sync->doomed_count)
		cli_error("sync: nothing is deleted, since not all could be moved");
	else
		cli_for_each(sync->doomed_count, sync->cli->parallel, delete_one, sync);
	transfer->code = cli_worse(transfer->code, sync->delete_code);
	transfer->deleted = sync->deleted;
	transfer->unchanged = sync->unchanged;
}

static void dry_summary(const struct sync *sync)
{
	char bytes[16];

	if (sync->cli->json)
		return;
	cli_human(sync->transfer.bytes, bytes);
	cli_note(sync->cli,
		 "sync: would %s %llu files, %s, and delete %zu; %llu are as they should be",
		 sync->transfer.op, (unsigned long long)sync->transfer.files, bytes,
		 sync->doomed_count, (unsigned long long)sync->unchanged);
}

static int scan(struct sync *sync)
{
	/* First, since a mistake in its name shows at once. */
	int code = sync_scan_blobs(sync->cli, sync->name.container, sync->prefix, &sync->blobs);

	if (code)
		return code;
	if (!sync->up && !sync->cli->dry_run && mkdir(sync->directory, 0777) && errno != EEXIST) {
		cli_error("%s: %s", sync->directory, strerrordesc_np(errno));
		return EXIT_LOCAL;
	}
	if (sync->up || !access(sync->directory, F_OK))
		code = sync_scan_files(sync->cli, sync->directory, &sync->files);
	return code;
}

static int run(struct sync *sync)
{
	struct cli *cli = sync->cli;
	int code = scan(sync);

	if (code) {
		/* One side is not known, so nothing can be said of the other. */
		cli_error("sync: nothing was done");
		return code;
	}
	if (cli->compare == CLI_COMPARE_HASH)
		cli_for_each(sync->files.count, cli->parallel, hash_one, sync);
	if (cli_interrupted())
		return cli_interrupted_code();
	cli_progress_start(cli, "sync");
	code = plan(sync);
	if (code)
		sync->doomed_count = 0;
	if (cli->dry_run) {
		cli_progress_stop();
		dry_summary(sync);
		return code;
	}
	return cli_worse(code, transfer_run(&sync->transfer));
}

int cli_sync(struct cli *cli)
{
	struct sync sync = { .cli = cli };
	bool local_source;
	bool local_dest;
	int code;

	if (cli->arguments != 2) {
		cli_error("sync: one source and one destination are needed");
		return EXIT_USAGE;
	}
	code = cli_place(cli->argument[0], &local_source);
	if (!code)
		code = cli_place(cli->argument[1], &local_dest);
	if (code)
		return code;
	if (local_source == local_dest) {
		cli_error("sync: one must be a directory (starting with / or .), the other a "
			  "container "
			  "or a name in it");
		return EXIT_USAGE;
	}
	sync.up = local_source;
	sync.directory = cli->argument[local_source ? 0 : 1];
	code = cli_name_for(cli, cli->argument[local_source ? 1 : 0], &sync.name);
	if (code)
		return code;
	sync.prefix = cli_tree_prefix(sync.name.blob);
	sync.transfer = (struct transfer){
		.cli = cli,
		.op = sync.up ? "put" : "get",
		.command = "sync",
		.move = sync.up ? transfer_put : transfer_get,
		.finish = finish,
		.owner = &sync,
	};
	code = cli_connect(cli);
	if (!code)
		code = run(&sync);
	transfer_free(&sync.transfer);
	sync_tree_free(&sync.files);
	sync_tree_free(&sync.blobs);
	free(sync.doomed);
	free(sync.prefix);
	cli_name_free(&sync.name);
	return code;
}
