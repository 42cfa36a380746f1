// SPDX-License-Identifier: MIT
/* Commands about a blob that move none of its bytes: snapshot, tags, lease. */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Names a blob, and connects. */
static int begin(struct cli *cli, const char *text, bool container_too, struct cli_name *name)
{
	int code = cli_name_for(cli, text, name);

	if (code)
		return code;
	if (!*name->blob && !container_too) {
		cli_error("\"%s\": must name a blob", text);
		code = EXIT_USAGE;
	} else {
		code = cli_connect(cli);
	}
	if (code)
		cli_name_free(name);
	return code;
}

static void json_names(const char *op, const struct cli_name *name)
{
	cli_json_begin();
	cli_json_string("op", op);
	cli_json_string("container", name->container);
	if (*name->blob)
		cli_json_string("name", name->blob);
}

/* ---- snapshot ---- */

static int snapshot_each(struct cli *cli, const char *text)
{
	char snapshot[AZBLOB_SNAPSHOT_ROOM];
	struct azblob_error error;
	struct cli_name name;
	int code = begin(cli, text, false, &name);

	if (code)
		return code;
	if (azblob_create_snapshot(cli->conn, name.container, name.blob, cli->metadata,
				   cli->metadata_count, &cli->access, snapshot, &error)) {
		code = cli_report(text, &error);
	} else if (cli->json) {
		json_names("snapshot", &name);
		cli_json_string("snapshot", snapshot);
		cli_json_end();
	} else {
		printf("%s\n", snapshot);
	}
	cli_name_free(&name);
	return code;
}

int cli_snapshot(struct cli *cli)
{
	int code = EXIT_OK;

	if (!cli->arguments) {
		cli_error("snapshot: which blob?");
		return EXIT_USAGE;
	}
	for (int i = 0; i < cli->arguments && !cli_interrupted(); i++)
		code = cli_worse(code, snapshot_each(cli, cli->argument[i]));
	return code;
}

/* ---- tags ---- */

static void show_tag(const struct azblob_pair *tag)
{
	cli_print_name(tag->name);
	putchar('=');
	cli_print_name(tag->value);
	putchar('\n');
}

static int show_tags(struct cli *cli, const char *text, const struct cli_name *name)
{
	struct azblob_error error;
	struct azblob_tags *tags;

	if (azblob_get_tags(cli->conn, name->container, name->blob, &cli->access, &tags, &error))
		return cli_report(text, &error);
	if (cli->json) {
		json_names("tags", name);
		cli_json_object("tags");
	}
	for (size_t i = 0; i < tags->count; i++) {
		if (cli->json)
			cli_json_string(tags->tags[i].name, tags->tags[i].value);
		else
			show_tag(&tags->tags[i]);
	}
	if (cli->json) {
		cli_json_object_end();
		cli_json_end();
	}
	azblob_tags_free(tags);
	return EXIT_OK;
}

/* TAG=VALUE arguments, taken apart in place. */
static int parse_tags(struct cli *cli, struct azblob_pair *tags, size_t *count)
{
	*count = 0;
	if (cli->arguments == 2 && !strcmp(cli->argument[1], "-"))
		return EXIT_OK;
	for (int i = 1; i < cli->arguments; i++) {
		char *value = strchr(cli->argument[i], '=');

		if (!value || value == cli->argument[i]) {
			cli_error("tag \"%s\": must be TAG=VALUE (or one - to remove all)",
				  cli->argument[i]);
			return EXIT_USAGE;
		}
		*value++ = '\0';
		tags[*count].name = cli->argument[i];
		tags[(*count)++].value = value;
	}
	return EXIT_OK;
}

int cli_tags(struct cli *cli)
{
	struct azblob_pair *tags;
	struct azblob_error error;
	struct cli_name name;
	size_t count;
	int code;

	if (!cli->arguments) {
		cli_error("tags: of which blob?");
		return EXIT_USAGE;
	}
	tags = calloc((size_t)cli->arguments, sizeof(*tags));
	if (!tags)
		abort();
	code = parse_tags(cli, tags, &count);
	if (!code)
		code = begin(cli, cli->argument[0], false, &name);
	if (code) {
		free(tags);
		return code;
	}
	if (cli->arguments > 1 && azblob_set_tags(cli->conn, name.container, name.blob, tags, count,
						  &cli->access, &error))
		code = cli_report(cli->argument[0], &error);
	else if (cli->arguments == 1 || cli->json)
		code = show_tags(cli, cli->argument[0], &name);
	free(tags);
	cli_name_free(&name);
	return code;
}

/* ---- lease ---- */

struct lease {
	struct cli *cli;
	const char *action;
	struct cli_name name;
	const char *blob; /* NULL: the container's lease */
	char id[AZBLOB_LEASE_ROOM];
	unsigned int left;
};

static int acquire(struct lease *lease, struct azblob_error *error)
{
	const struct cli *cli = lease->cli;

	return azblob_lease_acquire(cli->conn, lease->name.container, lease->blob,
				    cli->seconds < 0 ? AZBLOB_LEASE_INFINITE : cli->seconds,
				    cli->lease_id, NULL, lease->id, error);
}

static int renew(struct lease *lease, struct azblob_error *error)
{
	return azblob_lease_renew(lease->cli->conn, lease->name.container, lease->blob,
				  lease->cli->lease_id, NULL, error);
}

static int change(struct lease *lease, struct azblob_error *error)
{
	return azblob_lease_change(lease->cli->conn, lease->name.container, lease->blob,
				   lease->cli->lease_id, lease->cli->argument[2], NULL, error);
}

static int release(struct lease *lease, struct azblob_error *error)
{
	return azblob_lease_release(lease->cli->conn, lease->name.container, lease->blob,
				    lease->cli->lease_id, NULL, error);
}

static int break_it(struct lease *lease, struct azblob_error *error)
{
	const struct cli *cli = lease->cli;

	return azblob_lease_break(cli->conn, lease->name.container, lease->blob,
				  cli->seconds < 0 ? AZBLOB_LEASE_BREAK_DEFAULT : cli->seconds,
				  NULL, &lease->left, error);
}

static const struct {
	const char *name;
	int (*run)(struct lease *lease, struct azblob_error *error);
	bool needs_id;
	int arguments;
} actions[] = {
	{ "acquire", acquire, false, 2 }, { "renew", renew, true, 2 },
	{ "change", change, true, 3 },    { "release", release, true, 2 },
	{ "break", break_it, false, 2 },
};

static void show_lease(const struct lease *lease)
{
	const char *id = *lease->id                         ? lease->id
			 : !strcmp(lease->action, "change") ? lease->cli->argument[2]
			 : lease->cli->lease_id             ? lease->cli->lease_id
							    : "";

	if (lease->cli->json) {
		json_names("lease", &lease->name);
		cli_json_string("action", lease->action);
		cli_json_string("lease", id);
		if (!strcmp(lease->action, "break"))
			cli_json_number("seconds", lease->left);
		cli_json_end();
	} else if (!strcmp(lease->action, "break")) {
		printf("%u\n", lease->left);
	} else if (!strcmp(lease->action, "acquire")) {
		printf("%s\n", id);
	}
}

static int run_lease(struct lease *lease, size_t action)
{
	struct cli *cli = lease->cli;
	struct azblob_error error;
	int code;

	if (cli->arguments != actions[action].arguments) {
		cli_error(actions[action].arguments == 3
				  ? "lease change: a name and the new id are needed"
				  : "lease %s: one name is needed",
			  lease->action);
		return EXIT_USAGE;
	}
	if (actions[action].needs_id && !cli->lease_id) {
		cli_error("lease %s: --id says which lease", lease->action);
		return EXIT_USAGE;
	}
	code = begin(cli, cli->argument[1], true, &lease->name);
	if (code)
		return code;
	lease->blob = *lease->name.blob ? lease->name.blob : NULL;
	if (actions[action].run(lease, &error))
		code = cli_report(cli->argument[1], &error);
	else
		show_lease(lease);
	cli_name_free(&lease->name);
	return code;
}

int cli_lease(struct cli *cli)
{
	struct lease lease = { .cli = cli, .action = cli->arguments ? cli->argument[0] : "" };

	for (size_t i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
		if (!strcmp(lease.action, actions[i].name))
			return run_lease(&lease, i);
	cli_error("lease \"%s\": must be acquire, renew, change, release or break", lease.action);
	return EXIT_USAGE;
}
