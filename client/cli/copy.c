// SPDX-License-Identifier: MIT
/*
 * azblob cp: between files and blobs it is put or get; from blob to blob the service copies.
 */
#include "transfer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *text_of(const char *first, const char *second, const char *third)
{
	char *text;

	if (asprintf(&text, "%s%s%s", first, second, third) < 0)
		abort();
	return text;
}

/* ---- one copy ---- */

static int start_copy(const struct cli *cli, const struct job *job,
		      struct azblob_copy_result *result, struct azblob_error *error)
{
	struct azblob_copy_options options = AZBLOB_COPY_OPTIONS_INIT;
	struct azblob_access access = AZBLOB_ACCESS_INIT;

	access.lease_id = cli->access.lease_id;
	access.if_none_match = cli->no_clobber ? "*" : NULL;
	options.access = &access;
	options.metadata = cli->metadata;
	options.metadata_count = cli->metadata_count;
	options.tier = cli->tier;
	return azblob_copy_start(cli->conn, job->container, job->blob, job->source, &options,
				 result, error);
}

static int copy_one(struct transfer *transfer, const struct job *job)
{
	const struct cli *cli = transfer->cli;
	struct cli_meter meter = { .size_unknown = job->size == AZBLOB_SIZE_UNKNOWN };
	struct azblob_copy_result result;
	struct outcome outcome = { .verified = true, .requests = 1 };
	double start = transfer_now();
	struct azblob_error error;

	if (start_copy(cli, job, &result, &error)) {
		outcome.error = &error;
	} else if (!strcmp(result.status, "pending") && !cli->no_wait &&
		   azblob_copy_wait(cli->conn, job->container, job->blob, cli_meter, &meter,
				    &error)) {
		outcome.error = &error;
		cli_meter_undo(&meter);
	} else {
		outcome.etag = result.etag;
		outcome.bytes = job->size == AZBLOB_SIZE_UNKNOWN ? 0 : job->size;
		if (outcome.bytes > meter.done)
			cli_progress_add(outcome.bytes - meter.done);
	}
	outcome.seconds = transfer_now() - start;
	return transfer_done(transfer, job, &outcome);
}

/* ---- what is to be copied ---- */

struct collect {
	struct transfer *transfer;
	const struct cli_name *from;
	const struct cli_name *to;
	size_t prefix_length; /* of the source names, what is not part of the new ones */
	const char *base;     /* what comes first in the new ones */
	int code;
};

static int add_copy(struct transfer *transfer, const struct cli_name *from, const char *blob,
		    const struct cli_name *to, const char *to_blob, uint64_t size)
{
	struct cli *cli = transfer->cli;
	struct azblob_error error;
	char *url;
	char *label;

	if (azblob_url(cli->conn, from->container, blob, cli->access.snapshot, &url, &error))
		return cli_report(blob, &error);
	label = text_of(from->container, "/", blob);
	transfer_add(transfer, label, to->container, to_blob, size)->source = url;
	free(label);
	return EXIT_OK;
}

static int collect_entry(void *context, const struct azblob_entry *entry)
{
	struct collect *collect = context;
	char *blob =
		text_of(collect->to->blob, collect->base, entry->name + collect->prefix_length);

	collect->code =
		cli_worse(collect->code, add_copy(collect->transfer, collect->from, entry->name,
						  collect->to, blob, entry->size));
	free(blob);
	return EXIT_OK;
}

static const char *last_part(const char *blob)
{
	const char *slash = strrchr(blob, '/');

	return slash ? slash + 1 : blob;
}

/* As put -r and get -r: NAME goes with its last part, NAME/ is what is below. */
static int collect_tree(struct transfer *transfer, const char *text, const struct cli_name *from,
			const struct cli_name *to)
{
	const char *last = last_part(from->blob);
	char *base = text_of(last, *last ? "/" : "", "");
	char *prefix = cli_tree_prefix(from->blob);
	struct collect collect = { .transfer = transfer, .from = from, .to = to, .base = base };
	size_t before = transfer->count;
	int code;

	collect.prefix_length = strlen(prefix);
	code = cli_walk(transfer->cli, from->container, prefix, NULL, collect_entry, &collect);
	if (!code && !collect.code && transfer->count == before) {
		cli_error("%s: no blobs there", text);
		code = EXIT_NOT_FOUND;
	}
	free(prefix);
	free(base);
	return cli_worse(code, collect.code);
}

static bool is_url(const char *text)
{
	return !strncmp(text, "https://", 8) || !strncmp(text, "http://", 7);
}

/* An address that the service can read, with a SAS in it where it needs one. */
static int collect_url(struct transfer *transfer, const char *text, const struct cli_name *to,
		       bool into)
{
	struct job *job;

	if (into || transfer->cli->recursive || transfer->cli->access.snapshot) {
		cli_error("a source that is an address needs the full name of the blob to make");
		return EXIT_USAGE;
	}
	/* Its query may be a secret. */
	job = transfer_add(transfer, "(an address)", to->container, to->blob, AZBLOB_SIZE_UNKNOWN);
	job->source = strdup(text);
	if (!job->source)
		abort();
	return EXIT_OK;
}

static int collect_argument(struct transfer *transfer, const char *text, const struct cli_name *to,
			    bool into)
{
	struct cli_name from;
	char *blob;
	int code;

	if (is_url(text))
		return collect_url(transfer, text, to, into);
	code = cli_name_for(transfer->cli, text, &from);
	if (code)
		return code;
	if (transfer->cli->recursive) {
		code = collect_tree(transfer, text, &from, to);
	} else if (!*last_part(from.blob)) {
		cli_error("\"%s\": must name a blob (-r copies all below a name)", text);
		code = EXIT_USAGE;
	} else {
		blob = text_of(to->blob, into ? last_part(from.blob) : "", "");
		code = add_copy(transfer, &from, from.blob, to, blob, AZBLOB_SIZE_UNKNOWN);
		free(blob);
	}
	cli_name_free(&from);
	return code;
}

static int copy_all(struct transfer *transfer, struct cli_name *to)
{
	struct cli *cli = transfer->cli;
	int sources = cli->arguments - 1;
	bool into = !*to->blob || to->blob[strlen(to->blob) - 1] == '/';
	int code = EXIT_OK;

	if (cli->recursive && !into) {
		char *prefix = cli_tree_prefix(to->blob);

		free(to->blob);
		to->blob = prefix;
		into = true;
	}
	if (sources > 1 && !into) {
		cli_error("\"%s\": several blobs need a destination that ends in \"/\"",
			  cli->argument[sources]);
		return EXIT_USAGE;
	}
	/* Addresses are made by the connection. */
	code = cli_connect(cli);
	if (code)
		return code;
	cli_progress_start(cli, "cp");
	for (int i = 0; i < sources && !cli_interrupted(); i++)
		code = cli_worse(code, collect_argument(transfer, cli->argument[i], to, into));
	if (code != EXIT_USAGE && transfer->count)
		code = cli_worse(code, transfer_run(transfer));
	return code;
}

static int copy_blobs(struct cli *cli)
{
	struct transfer transfer = { .cli = cli, .op = "cp", .move = copy_one, .any_small = true };
	struct cli_name to;
	int code;

	if (cli->content_type) {
		cli_error("cp: a copy has the content type of its source");
		return EXIT_USAGE;
	}
	code = cli_name_for(cli, cli->argument[cli->arguments - 1], &to);
	if (code)
		return code;
	code = copy_all(&transfer, &to);
	transfer_free(&transfer);
	cli_name_free(&to);
	return code;
}

/* ---- which of the three ---- */

int cli_place(const char *text, bool *local)
{
	*local = text[0] == '/' || text[0] == '.' || !strcmp(text, "-");
	if (*local || strstr(text, "://") || access(text, F_OK))
		return EXIT_OK;
	cli_error("\"%s\" is a file here too: write ./%s, or azblob://ACCOUNT/%s", text, text,
		  text);
	return EXIT_USAGE;
}

int cli_cp(struct cli *cli)
{
	bool local_source = false;
	bool local_dest;
	int code;

	if (cli->arguments < 2) {
		cli_error("cp: a source and a destination are needed");
		return EXIT_USAGE;
	}
	code = cli_place(cli->argument[cli->arguments - 1], &local_dest);
	for (int i = 0; !code && i + 1 < cli->arguments; i++) {
		bool local;

		code = cli_place(cli->argument[i], &local);
		if (!code && i && local != local_source) {
			cli_error("cp: all sources must be files, or all blobs");
			code = EXIT_USAGE;
		}
		local_source = local;
	}
	if (code)
		return code;
	if (local_source && local_dest) {
		cli_error(
			"cp: neither is a blob; files start with / or . , blobs with a container");
		return EXIT_USAGE;
	}
	if (local_source)
		return cli_put(cli);
	if (local_dest && (cli->no_clobber || cli->no_wait || cli->tier || cli->content_type ||
			   cli->metadata_count)) {
		cli_error("cp: --no-clobber, --no-wait, --tier, --content-type and --metadata are "
			  "for making blobs");
		return EXIT_USAGE;
	}
	return local_dest ? cli_get(cli) : copy_blobs(cli);
}
