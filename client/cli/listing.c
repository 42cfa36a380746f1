// SPDX-License-Identifier: MIT
/* Commands that list, show and delete: container, ls, stat, rm. */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One page of containers (@container NULL) or blobs. */
static int get_page(struct cli *cli, const char *container,
		    const struct azblob_list_options *options, struct azblob_list **page,
		    struct azblob_error *error)
{
	if (container)
		return azblob_list_blobs(cli->conn, container, options, page, error);
	return azblob_list_containers(cli->conn, options, page, error);
}

int cli_walk(struct cli *cli, const char *container, const char *prefix, const char *delimiter,
	     int (*each)(void *context, const struct azblob_entry *entry), void *context)
{
	struct azblob_list_options options = AZBLOB_LIST_OPTIONS_INIT;
	struct azblob_error error;
	char *marker = NULL;
	size_t prefix_length = prefix ? strlen(prefix) : 0;
	int code = EXIT_OK;

	options.prefix = prefix_length ? prefix : NULL;
	options.delimiter = delimiter;
	options.include = cli->list_include;
	do {
		struct azblob_list *page;

		options.marker = marker;
		if (get_page(cli, container, &options, &page, &error)) {
			code = cli_report(container, &error);
			break;
		}
		for (size_t i = 0; !code && i < page->count; i++) {
			const struct azblob_entry *entry = page->entries[i];

			/* What is done to a tree is not to be done to what is outside of it. */
			if (prefix_length && strncmp(entry->name, prefix, prefix_length)) {
				cli_error("%s: the service lists \"%s\", which does not start "
					  "with \"%s\"",
					  container, entry->name, prefix);
				code = EXIT_FAILED;
			} else {
				code = each(context, entry);
			}
		}
		free(marker);
		marker = NULL;
		if (*page->next_marker) {
			marker = strdup(page->next_marker);
			if (!marker)
				abort();
		}
		azblob_list_free(page);
		if (cli_interrupted())
			code = cli_interrupted_code();
	} while (!code && marker);
	free(marker);
	return code;
}

bool cli_is_directory_mark(const struct azblob_entry *entry)
{
	if (entry->size)
		return false;
	for (size_t i = 0; i < entry->metadata_count; i++)
		if (!strcasecmp(entry->metadata[i].name, "hdi_isfolder") &&
		    !strcasecmp(entry->metadata[i].value, "true"))
			return true;
	return false;
}

/* ---- ls ---- */

/* Ends a walk, and is no exit code. */
#define STOP (-1)

struct ls {
	struct cli *cli;
	const char *container;
	uint64_t count;
	uint64_t bytes;
};

static void ls_json(const struct ls *ls, const struct azblob_entry *entry)
{
	static const char *const kinds[] = { "blob", "prefix", "container" };

	cli_json_begin();
	cli_json_string("kind", kinds[entry->kind]);
	if (ls->container)
		cli_json_string("container", ls->container);
	cli_json_string("name", entry->name);
	if (entry->kind == AZBLOB_ENTRY_BLOB) {
		cli_json_number("bytes", entry->size);
		cli_json_string("content_type", entry->content_type);
		cli_json_string("blob_type", entry->blob_type);
		if (*entry->snapshot)
			cli_json_string("snapshot", entry->snapshot);
	}
	if (entry->kind != AZBLOB_ENTRY_PREFIX) {
		cli_json_string("last_modified", entry->last_modified);
		cli_json_string("etag", entry->etag);
	}
	cli_json_end();
}

static int ls_entry(void *context, const struct azblob_entry *entry)
{
	struct ls *ls = context;

	ls->count++;
	ls->bytes += entry->size;
	if (ls->cli->json) {
		ls_json(ls, entry);
		return cli_output_ok() ? EXIT_OK : STOP;
	}
	if (ls->cli->long_list) {
		if (entry->kind == AZBLOB_ENTRY_BLOB)
			printf("%15llu  ", (unsigned long long)entry->size);
		else
			printf("%15s  ", "-");
		printf("%-29s  ", *entry->last_modified ? entry->last_modified : "-");
	}
	cli_print_name(entry->name);
	if (*entry->snapshot)
		printf(" (%s)", entry->snapshot);
	putchar('\n');
	/* Nobody reads on: no reason to fetch more pages. */
	return cli_output_ok() ? EXIT_OK : STOP;
}

int cli_ls(struct cli *cli)
{
	struct ls ls = { .cli = cli };
	struct cli_name name = { 0 };
	int code;

	if (cli->arguments > 1) {
		cli_error("ls takes one name");
		return EXIT_USAGE;
	}
	if (!cli->arguments && cli->delimiter) {
		cli_error("--delimiter needs a container to list");
		return EXIT_USAGE;
	}
	if (cli->arguments) {
		code = cli_name_for(cli, cli->argument[0], &name);
		if (code)
			return code;
	}
	ls.container = name.container;
	if (cli->snapshots && name.container)
		cli->list_include = AZBLOB_INCLUDE_SNAPSHOTS;
	code = cli_connect(cli);
	if (!code)
		code = cli_walk(cli, name.container, name.blob, cli->delimiter, ls_entry, &ls);
	/* What happened to the output is for main() to say. */
	if (code == STOP)
		code = EXIT_OK;
	if (!code && cli->verbose) {
		char bytes[16];

		cli_human(ls.bytes, bytes);
		cli_note(cli, "%llu entries, %s", (unsigned long long)ls.count, bytes);
	}
	cli_name_free(&name);
	return code;
}

/* ---- containers ---- */

static int container_each(struct cli *cli, const char *text, bool create)
{
	struct azblob_error error;
	struct cli_name name;
	int code = cli_name_for(cli, text, &name);

	if (code)
		return code;
	if (*name.blob) {
		cli_error("\"%s\": must name a container, not a blob", text);
		code = EXIT_USAGE;
	} else {
		code = cli_connect(cli);
	}
	if (!code && (create ? azblob_container_create(cli->conn, name.container, &error)
			     : azblob_container_delete(cli->conn, name.container, &error)))
		code = cli_report(text, &error);
	if (!code && cli->json) {
		cli_json_begin();
		cli_json_string("op", create ? "container create" : "container rm");
		cli_json_string("container", name.container);
		cli_json_end();
	}
	cli_name_free(&name);
	return code;
}

int cli_container(struct cli *cli)
{
	const char *what = cli->arguments ? cli->argument[0] : "";
	int code = EXIT_OK;

	cli->argument++;
	cli->arguments--;
	if (!strcmp(what, "ls")) {
		if (cli->arguments) {
			cli_error("container ls takes no names");
			return EXIT_USAGE;
		}
		return cli_ls(cli);
	}
	if (strcmp(what, "create") && strcmp(what, "rm")) {
		cli_error("container \"%s\": must be create, ls or rm", what);
		return EXIT_USAGE;
	}
	if (cli->arguments < 1) {
		cli_error("container %s: which one?", what);
		return EXIT_USAGE;
	}
	for (int i = 0; i < cli->arguments && !cli_interrupted(); i++)
		code = cli_worse(code,
				 container_each(cli, cli->argument[i], !strcmp(what, "create")));
	return code;
}

/* ---- stat ---- */

static void show_line(const char *name, const char *value)
{
	if (!*value)
		return;
	printf("%-20s ", name);
	cli_print_name(value);
	putchar('\n');
}

static void stat_text(const char *text, const struct azblob_properties *p)
{
	show_line("name:", text);
	printf("%-20s %llu\n", "bytes:", (unsigned long long)p->size);
	show_line("type:", p->blob_type);
	show_line("etag:", p->etag);
	show_line("last modified:", p->last_modified);
	show_line("created:", p->creation_time);
	show_line("content type:", p->content_type);
	show_line("content encoding:", p->content_encoding);
	show_line("content language:", p->content_language);
	show_line("content disposition:", p->content_disposition);
	show_line("cache control:", p->cache_control);
	show_line("content md5:", p->content_md5);
	show_line("access tier:", p->access_tier);
	show_line("lease:", p->lease_state);
	for (size_t i = 0; i < p->metadata_count; i++) {
		fputs("metadata:            ", stdout);
		cli_print_name(p->metadata[i].name);
		putchar('=');
		cli_print_name(p->metadata[i].value);
		putchar('\n');
	}
}

static void stat_json(const struct cli_name *name, const struct azblob_properties *p)
{
	cli_json_begin();
	cli_json_string("container", name->container);
	cli_json_string("name", name->blob);
	cli_json_number("bytes", p->size);
	cli_json_string("blob_type", p->blob_type);
	cli_json_string("etag", p->etag);
	cli_json_string("last_modified", p->last_modified);
	cli_json_string("creation_time", p->creation_time);
	cli_json_string("content_type", p->content_type);
	cli_json_string("content_encoding", p->content_encoding);
	cli_json_string("content_language", p->content_language);
	cli_json_string("content_disposition", p->content_disposition);
	cli_json_string("cache_control", p->cache_control);
	cli_json_string("content_md5", p->content_md5);
	cli_json_string("access_tier", p->access_tier);
	cli_json_string("lease_state", p->lease_state);
	cli_json_object("metadata");
	for (size_t i = 0; i < p->metadata_count; i++)
		cli_json_string(p->metadata[i].name, p->metadata[i].value);
	cli_json_object_end();
	cli_json_end();
}

static int stat_each(struct cli *cli, const char *text)
{
	struct azblob_properties *properties;
	struct azblob_error error;
	struct cli_name name;
	int code = cli_name_for(cli, text, &name);

	if (code)
		return code;
	if (!*name.blob) {
		cli_error("\"%s\": must name a blob", text);
		code = EXIT_USAGE;
	} else {
		code = cli_connect(cli);
	}
	if (!code && azblob_get_properties_of(cli->conn, name.container, name.blob, &cli->access,
					      &properties, &error)) {
		code = cli_report(text, &error);
	} else if (!code) {
		if (cli->json)
			stat_json(&name, properties);
		else
			stat_text(text, properties);
		azblob_properties_free(properties);
	}
	cli_name_free(&name);
	return code;
}

int cli_stat(struct cli *cli)
{
	int code = EXIT_OK;

	if (!cli->arguments) {
		cli_error("stat: which blob?");
		return EXIT_USAGE;
	}
	for (int i = 0; i < cli->arguments && !cli_interrupted(); i++) {
		if (i && !cli->json)
			putchar('\n');
		code = cli_worse(code, stat_each(cli, cli->argument[i]));
	}
	return code;
}

/* ---- rm ---- */

struct rm {
	struct cli *cli;
	const char *container;
	char **blob;
	size_t count;
	size_t room;
	uint64_t deleted; /* this and code: under the output lock */
	int code;
};

static int rm_collect(void *context, const struct azblob_entry *entry)
{
	struct rm *rm = context;

	if (rm->count == rm->room) {
		size_t room = rm->room ? 2 * rm->room : 256;
		char **grown = reallocarray(rm->blob, room, sizeof(*grown));

		if (!grown)
			abort();
		rm->blob = grown;
		rm->room = room;
	}
	rm->blob[rm->count] = strdup(entry->name);
	if (!rm->blob[rm->count])
		abort();
	rm->count++;
	return EXIT_OK;
}

static void rm_one(void *context, size_t index)
{
	struct rm *rm = context;
	struct azblob_error error;
	int status = azblob_delete_blob_if(rm->cli->conn, rm->container, rm->blob[index],
					   rm->cli->snapshots, &rm->cli->access, &error);

	cli_output_lock();
	if (status) {
		rm->code = cli_worse(rm->code, cli_report(rm->blob[index], &error));
	} else {
		rm->deleted++;
		if (rm->cli->json) {
			cli_json_begin();
			cli_json_string("op", "rm");
			cli_json_string("container", rm->container);
			cli_json_string("name", rm->blob[index]);
			cli_json_end();
		}
	}
	cli_output_unlock();
}

static int rm_each(struct cli *cli, const char *text)
{
	struct rm rm = { .cli = cli };
	struct cli_name name;
	int code = cli_name_for(cli, text, &name);

	if (code)
		return code;
	rm.container = name.container;
	if (!cli->recursive && (!*name.blob || name.blob[strlen(name.blob) - 1] == '/')) {
		cli_error("\"%s\": must name a blob (-r deletes all below a name)", text);
		code = EXIT_USAGE;
	} else {
		code = cli_connect(cli);
	}
	if (!code && cli->recursive) {
		char *prefix = cli_tree_prefix(name.blob);

		code = cli_walk(cli, name.container, prefix, NULL, rm_collect, &rm);
		free(prefix);
		if (!code && !rm.count) {
			cli_error("%s: no blobs there", text);
			code = EXIT_NOT_FOUND;
		}
	} else if (!code) {
		struct azblob_entry entry = { .name = name.blob };

		rm_collect(&rm, &entry);
	}
	if (!code)
		cli_for_each(rm.count, cli->parallel, rm_one, &rm);
	if (rm.count && cli->verbose)
		cli_note(cli, "%llu of %zu deleted", (unsigned long long)rm.deleted, rm.count);
	while (rm.count)
		free(rm.blob[--rm.count]);
	free(rm.blob);
	cli_name_free(&name);
	return cli_worse(code, rm.code);
}

int cli_rm(struct cli *cli)
{
	int code = EXIT_OK;

	if (!cli->arguments) {
		cli_error("rm: which blob?");
		return EXIT_USAGE;
	}
	for (int i = 0; i < cli->arguments && !cli_interrupted(); i++)
		code = cli_worse(code, rm_each(cli, cli->argument[i]));
	return code;
}
