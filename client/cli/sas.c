// SPDX-License-Identifier: MIT
/* azblob sas: an address that others can use, made with the account's key. */
#include "cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bool cli_parse_when(const char *text, time_t now, char when[CLI_TIME_ROOM])
{
	static const char units[] = "smhd";
	static const long seconds[] = { 1, 60, 3600, 86400 };
	const char *unit;
	struct tm tm;
	char *end;
	long count;

	if (strchr(text, '-')) {
		/* A time as it is; the library looks whether it is one. */
		if (strlen(text) >= CLI_TIME_ROOM)
			return false;
		snprintf(when, CLI_TIME_ROOM, "%s", text);
		return true;
	}
	if (*text < '0' || *text > '9')
		return false;
	count = strtol(text, &end, 10);
	unit = *end ? strchr(units, *end) : NULL;
	if (!unit || end[1] || count < 1 || count > 36500L * 86400 / seconds[unit - units])
		return false;
	now += count * seconds[unit - units];
	gmtime_r(&now, &tm);
	strftime(when, CLI_TIME_ROOM, "%Y-%m-%dT%H:%M:%SZ", &tm);
	return true;
}

static int fill_times(const struct cli *cli, struct azblob_sas_options *options,
		      char start[CLI_TIME_ROOM], char expiry[CLI_TIME_ROOM])
{
	time_t now = time(NULL);

	if (cli->start && !cli_parse_when(cli->start, now, start)) {
		cli_error("--start \"%s\": must be like 2026-01-02T03:04:05Z", cli->start);
		return EXIT_USAGE;
	}
	if (cli->expiry && !cli_parse_when(cli->expiry, now, expiry)) {
		cli_error("--expiry \"%s\": must be like 30m, 12h, 7d or 2026-01-02T03:04:05Z",
			  cli->expiry);
		return EXIT_USAGE;
	}
	options->start = cli->start ? start : NULL;
	options->expiry = cli->expiry ? expiry : NULL;
	if (!options->expiry && !options->policy) {
		cli_error("sas: --expiry says how long it holds, such as 12h");
		return EXIT_USAGE;
	}
	return EXIT_OK;
}

static int make(struct cli *cli, const struct cli_name *name,
		const struct azblob_sas_options *options, char **url, char **token)
{
	const char *blob = name->blob && *name->blob ? name->blob : NULL;
	struct azblob_error error;

	*url = NULL;
	*token = NULL;
	if (azblob_url(cli->conn, name->container, blob, cli->access.snapshot, url, &error) ||
	    azblob_make_sas(cli->conn, name->container, blob, cli->access.snapshot, options, token,
			    &error))
		return cli_report(NULL, &error);
	return EXIT_OK;
}

static void show(const struct cli *cli, const struct azblob_sas_options *options, const char *url,
		 const char *token)
{
	const char *separator = strchr(url, '?') ? "&" : "?";
	char *whole;

	if (!cli->json) {
		printf("%s%s%s\n", url, separator, token);
		return;
	}
	whole = cli_text("%s%s%s", url, separator, token);
	cli_json_begin();
	cli_json_string("op", "sas");
	cli_json_string("url", whole);
	cli_json_string("token", token);
	if (options->expiry)
		cli_json_string("expiry", options->expiry);
	cli_json_end();
	free(whole);
}

int cli_sas(struct cli *cli)
{
	struct azblob_sas_options options = AZBLOB_SAS_OPTIONS_INIT;
	struct cli_name name = { 0 };
	char start[CLI_TIME_ROOM];
	char expiry[CLI_TIME_ROOM];
	char *token;
	char *url;
	int code = EXIT_OK;

	if (cli->arguments > 1) {
		cli_error("sas: one name, or none for the account");
		return EXIT_USAGE;
	}
	if (cli->arguments)
		code = cli_name_for(cli, cli->argument[0], &name);
	if (code)
		return code;
	options.permissions = cli->permissions;
	/* What people want most, and not more. */
	if (!options.permissions && name.container && !cli->policy)
		options.permissions = *name.blob ? "r" : "rl";
	options.ip = cli->ip;
	options.policy = cli->policy;
	options.resource_types = cli->types;
	options.content_type = cli->content_type;
	options.https_only = cli->https_only;
	code = fill_times(cli, &options, start, expiry);
	/* Nothing is sent, so no device is needed either. */
	if (!code) {
		azblob_config_set_transport(cli->config, AZBLOB_TRANSPORT_HTTP, NULL);
		code = cli_connect(cli);
	}
	if (!code) {
		code = make(cli, &name, &options, &url, &token);
		if (!code)
			show(cli, &options, url, token);
		azblob_text_free(url);
		azblob_text_free(token);
	}
	cli_name_free(&name);
	return code;
}
