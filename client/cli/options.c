// SPDX-License-Identifier: MIT
/* The command line. */
#include "cli.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	OPT_ACCOUNT = 256,
	OPT_KEY,
	OPT_SAS,
	OPT_ENDPOINT,
	OPT_TRANSPORT,
	OPT_DEVICE,
	OPT_CA_FILE,
	OPT_PARALLEL,
	OPT_BLOCK_SIZE,
	OPT_TIMEOUT,
	OPT_RETRIES,
	OPT_NO_CHECKSUMS,
	/* from here on: not about the connection */
	OPT_COMPLETE,
	OPT_JSON,
	OPT_DELIMITER,
	OPT_CONTENT_TYPE,
	OPT_METADATA,
	OPT_NO_CLOBBER,
	OPT_OFFSET,
	OPT_LENGTH,
	OPT_TIER,
	OPT_TAG,
	OPT_LEASE,
	OPT_IF_MATCH,
	OPT_SNAPSHOT,
	OPT_SNAPSHOTS,
	OPT_SNAPSHOTS_ONLY,
	OPT_NO_WAIT,
	OPT_RESUME,
	OPT_NO_RESUME,
	OPT_COMPARE,
	OPT_DELETE,
	OPT_PROCESSES,
	OPT_THREADS,
	OPT_REQUESTS,
	OPT_ROUNDS,
	OPT_SIZE,
	OPT_TEST,
	OPT_PERMISSIONS,
	OPT_START,
	OPT_EXPIRY,
	OPT_IP,
	OPT_HTTPS_ONLY,
	OPT_POLICY,
	OPT_TYPES,
	OPT_SECONDS,
	OPT_ID,
};

/*
 * All options.  Those whose @commands is 0 are for every command; the others name the commands, a
 * blank between them.
 */
static const struct {
	const char *name;
	int code;
	int argument;
	const char *commands;
} known[] = {
	{ "account", OPT_ACCOUNT, required_argument, NULL },
	{ "key", OPT_KEY, required_argument, NULL },
	{ "sas", OPT_SAS, required_argument, NULL },
	{ "endpoint", OPT_ENDPOINT, required_argument, NULL },
	{ "transport", OPT_TRANSPORT, required_argument, NULL },
	{ "device", OPT_DEVICE, required_argument, NULL },
	{ "ca-file", OPT_CA_FILE, required_argument, NULL },
	{ "parallel", OPT_PARALLEL, required_argument, NULL },
	{ "block-size", OPT_BLOCK_SIZE, required_argument, NULL },
	{ "timeout", OPT_TIMEOUT, required_argument, NULL },
	{ "retries", OPT_RETRIES, required_argument, NULL },
	{ "no-checksums", OPT_NO_CHECKSUMS, no_argument, NULL },
	{ "json", OPT_JSON, no_argument, NULL },
	{ "quiet", 'q', no_argument, NULL },
	{ "verbose", 'v', no_argument, NULL },
	{ "help", 'h', no_argument, NULL },
	{ "version", 'V', no_argument, NULL },
	{ "complete", OPT_COMPLETE, required_argument, NULL },
	{ "recursive", 'r', no_argument, "put get rm cp" },
	{ "long", 'l', no_argument, "ls" },
	{ "dry-run", 'n', no_argument, "sync" },
	{ "delimiter", OPT_DELIMITER, required_argument, "ls" },
	{ "content-type", OPT_CONTENT_TYPE, required_argument, "put append cp sas" },
	{ "metadata", OPT_METADATA, required_argument, "put append cp snapshot" },
	{ "no-clobber", OPT_NO_CLOBBER, no_argument, "put cp" },
	{ "offset", OPT_OFFSET, required_argument, "get cat" },
	{ "length", OPT_LENGTH, required_argument, "get cat" },
	{ "tier", OPT_TIER, required_argument, "put cp" },
	{ "tag", OPT_TAG, required_argument, "put append" },
	{ "lease", OPT_LEASE, required_argument, "put rm cp append snapshot tags" },
	{ "if-match", OPT_IF_MATCH, required_argument, "put get cat stat rm append snapshot" },
	{ "snapshot", OPT_SNAPSHOT, required_argument, "get cat stat rm cp tags sas" },
	{ "snapshots", OPT_SNAPSHOTS, no_argument, "ls rm" },
	{ "snapshots-only", OPT_SNAPSHOTS_ONLY, no_argument, "rm" },
	{ "no-wait", OPT_NO_WAIT, no_argument, "cp" },
	{ "resume", OPT_RESUME, no_argument, "put get cp sync" },
	{ "no-resume", OPT_NO_RESUME, no_argument, "put get cp sync" },
	{ "compare", OPT_COMPARE, required_argument, "sync" },
	{ "delete", OPT_DELETE, no_argument, "sync" },
	{ "processes", OPT_PROCESSES, required_argument, "bench" },
	{ "threads", OPT_THREADS, required_argument, "bench" },
	{ "requests", OPT_REQUESTS, required_argument, "bench" },
	{ "rounds", OPT_ROUNDS, required_argument, "bench" },
	{ "size", OPT_SIZE, required_argument, "bench" },
	{ "test", OPT_TEST, required_argument, "bench" },
	{ "permissions", OPT_PERMISSIONS, required_argument, "sas" },
	{ "start", OPT_START, required_argument, "sas" },
	{ "expiry", OPT_EXPIRY, required_argument, "sas" },
	{ "ip", OPT_IP, required_argument, "sas" },
	{ "https-only", OPT_HTTPS_ONLY, no_argument, "sas" },
	{ "policy", OPT_POLICY, required_argument, "sas" },
	{ "types", OPT_TYPES, required_argument, "sas" },
	{ "seconds", OPT_SECONDS, required_argument, "lease" },
	{ "id", OPT_ID, required_argument, "lease" },
};
#define KNOWN (sizeof(known) / sizeof(known[0]))

static void usage_error(struct cli *cli) __attribute__((noreturn));
static void usage_error(struct cli *cli)
{
	cli_free(cli);
	fputs("azblob: try azblob --help\n", stderr);
	exit(EXIT_USAGE);
}

static void bad_value(struct cli *cli, const char *option, const char *value, const char *accepted)
	__attribute__((noreturn));
static void bad_value(struct cli *cli, const char *option, const char *value, const char *accepted)
{
	cli_error("%s \"%s\": must be %s", option, value, accepted);
	usage_error(cli);
}

bool cli_parse_size(const char *text, uint64_t *size)
{
	static const char units[] = "KMGT";
	unsigned int shift = 0;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	*size = strtoull(text, &end, 10);
	if (*end) {
		const char *unit = strchr(units, *end & ~0x20);

		if (!unit)
			return false;
		shift = 10 * (unsigned int)(unit - units + 1);
		end++;
		if (!strcmp(end, "iB") || !strcmp(end, "B"))
			end += strlen(end);
	}
	if (*end || *size > (uint64_t)INT64_MAX >> shift)
		return false;
	*size <<= shift;
	return true;
}

static uint64_t number(struct cli *cli, const char *option, const char *text, uint64_t low,
		       uint64_t high, bool units, const char *accepted)
{
	uint64_t value;

	if (!cli_parse_size(text, &value) || value < low || value > high ||
	    (!units && text[strspn(text, "0123456789")]))
		bad_value(cli, option, text, accepted);
	return value;
}

static void must(struct cli *cli, int result, const struct azblob_error *error)
{
	if (!result)
		return;
	cli_error("%s", error->message);
	usage_error(cli);
}

/* NAME=VALUE, to the end of a list. */
static void add_pair(struct cli *cli, const char *option, char *text, struct azblob_pair **list,
		     size_t *count)
{
	char *value = strchr(text, '=');
	struct azblob_pair *grown;

	if (!value || value == text)
		bad_value(cli, option, text, "NAME=VALUE");
	*value++ = '\0';
	grown = reallocarray(*list, *count + 1, sizeof(*grown));
	if (!grown)
		abort();
	*list = grown;
	grown[*count].name = text;
	grown[(*count)++].value = value;
}

static void set_transport(struct cli *cli, const char *text)
{
	static const char *const names[] = { "auto", "driver", "http" };
	struct azblob_error error;

	for (size_t i = 0; i < 3; i++) {
		if (strcmp(text, names[i]))
			continue;
		cli->transport = (enum azblob_transport)i;
		must(cli, azblob_config_set_transport(cli->config, cli->transport, &error), &error);
		return;
	}
	bad_value(cli, "--transport", text, "auto, driver or http");
}

static void connection_option(struct cli *cli, int option, char *value)
{
	azblob_config *config = cli->config;
	struct azblob_error error;
	uint64_t n;

	switch (option) {
	case OPT_ACCOUNT:
		must(cli, azblob_config_set_account(config, value, &error), &error);
		break;
	case OPT_KEY:
		must(cli, azblob_config_set_key(config, value, &error), &error);
		/* Others can read our command line for as long as we run. */
		explicit_bzero(value, strlen(value));
		break;
	case OPT_SAS:
		must(cli, azblob_config_set_sas(config, value, &error), &error);
		explicit_bzero(value, strlen(value));
		break;
	case OPT_ENDPOINT:
		must(cli, azblob_config_set_endpoint(config, value, &error), &error);
		break;
	case OPT_TRANSPORT:
		set_transport(cli, value);
		break;
	case OPT_DEVICE:
		must(cli, azblob_config_set_device(config, value, &error), &error);
		break;
	case OPT_CA_FILE:
		must(cli, azblob_config_set_ca_file(config, value, &error), &error);
		break;
	case OPT_PARALLEL:
		n = number(cli, "--parallel", value, 1, 64, false, "1 to 64");
		cli->parallel = (unsigned int)n;
		must(cli, azblob_config_set_parallel(config, cli->parallel, &error), &error);
		break;
	case OPT_BLOCK_SIZE:
		n = number(cli, "--block-size", value, 64 << 10, 32 << 20, true, "64K to 32M");
		cli->block_size = (size_t)n;
		must(cli, azblob_config_set_block_size(config, cli->block_size, &error), &error);
		break;
	case OPT_TIMEOUT:
		n = number(cli, "--timeout", value, 1, 3600, false, "1 to 3600 seconds");
		must(cli, azblob_config_set_timeout(config, (unsigned int)n * 1000, &error),
		     &error);
		break;
	case OPT_RETRIES:
		n = number(cli, "--retries", value, 0, 20, false, "0 to 20");
		must(cli, azblob_config_set_retries(config, (unsigned int)n, &error), &error);
		break;
	case OPT_NO_CHECKSUMS:
		cli->no_checksums = true;
		must(cli, azblob_config_set_checksums(config, 0, &error), &error);
		break;
	}
}

static void set_compare(struct cli *cli, const char *text)
{
	static const char *const names[] = { "time", "size", "hash" };

	for (size_t i = 0; i < 3; i++) {
		if (strcmp(text, names[i]))
			continue;
		cli->compare = (enum cli_compare)i;
		return;
	}
	bad_value(cli, "--compare", text, "time, size or hash");
}

/* Those of sas; the library looks whether they make sense. */
static bool sas_option(struct cli *cli, int option, const char *value)
{
	switch (option) {
	case OPT_PERMISSIONS:
		cli->permissions = value;
		return true;
	case OPT_START:
		cli->start = value;
		return true;
	case OPT_EXPIRY:
		cli->expiry = value;
		return true;
	case OPT_IP:
		cli->ip = value;
		return true;
	case OPT_HTTPS_ONLY:
		cli->https_only = true;
		return true;
	case OPT_POLICY:
		cli->policy = value;
		return true;
	case OPT_TYPES:
		cli->types = value;
		return true;
	}
	return false;
}

static unsigned int small_number(struct cli *cli, const char *option, const char *text,
				 unsigned int most, const char *accepted)
{
	return (unsigned int)number(cli, option, text, 1, most, false, accepted);
}

static bool bench_option(struct cli *cli, int option, const char *value)
{
	switch (option) {
	case OPT_PROCESSES:
		cli->processes = small_number(cli, "--processes", value, 1000, "1 to 1000");
		return true;
	case OPT_THREADS:
		cli->threads = small_number(cli, "--threads", value, 256, "1 to 256");
		return true;
	case OPT_REQUESTS:
		cli->requests = small_number(cli, "--requests", value, 1000000, "1 to 1000000");
		return true;
	case OPT_ROUNDS:
		cli->rounds = small_number(cli, "--rounds", value, 100, "1 to 100");
		return true;
	case OPT_SIZE:
		cli->size = number(cli, "--size", value, 1, 1 << 30, true,
				   "a size from 1 to 1G, such as 4K");
		return true;
	case OPT_TEST:
		if (strcmp(value, "read") && strcmp(value, "write") && strcmp(value, "both"))
			bad_value(cli, "--test", value, "read, write or both");
		cli->test = value;
		return true;
	}
	return false;
}

static bool is_for(const char *commands, const char *command)
{
	size_t length = strlen(command);

	for (const char *at = commands; at; at = strchr(at, ' ')) {
		at += *at == ' ';
		if (!strncmp(at, command, length) && (at[length] == ' ' || !at[length]))
			return true;
	}
	return false;
}

/* For the shells: the options of a command, or ("") all commands; one a line. */
static void complete(const char *command)
{
	if (!*command)
		cli_print_commands();
	for (size_t i = 0; *command && i < KNOWN; i++)
		if (known[i].code != OPT_COMPLETE &&
		    (!known[i].commands || is_for(known[i].commands, command)))
			printf("--%s\n", known[i].name);
}

static void other_option(struct cli *cli, int option, char *value)
{
	switch (option) {
	case OPT_JSON:
		cli->json = true;
		break;
	case 'q':
		cli->quiet = true;
		break;
	case 'v':
		cli->verbose = true;
		break;
	case 'r':
		cli->recursive = true;
		break;
	case 'l':
		cli->long_list = true;
		break;
	case OPT_DELIMITER:
		if (!*value)
			bad_value(cli, "--delimiter", value, "some text");
		cli->delimiter = value;
		break;
	case OPT_CONTENT_TYPE:
		cli->content_type = value;
		break;
	case OPT_METADATA:
		add_pair(cli, "--metadata", value, &cli->metadata, &cli->metadata_count);
		break;
	case OPT_NO_CLOBBER:
		cli->no_clobber = true;
		break;
	case OPT_TIER:
		cli->tier = value;
		break;
	case OPT_TAG:
		add_pair(cli, "--tag", value, &cli->tags, &cli->tag_count);
		break;
	case OPT_LEASE:
		cli->access.lease_id = value;
		break;
	case OPT_IF_MATCH:
		/* A variable of a script that is not set must not turn one blob into any. */
		if (!*value)
			bad_value(cli, "--if-match", value, "an ETag, or *");
		cli->access.if_match = value;
		break;
	case OPT_SNAPSHOT:
		if (!*value)
			bad_value(cli, "--snapshot", value, "the time of a snapshot");
		cli->access.snapshot = value;
		break;
	case OPT_SNAPSHOTS:
		cli->snapshots = AZBLOB_DELETE_WITH_SNAPSHOTS;
		break;
	case OPT_SNAPSHOTS_ONLY:
		cli->snapshots = AZBLOB_DELETE_SNAPSHOTS_ONLY;
		break;
	case OPT_NO_WAIT:
		cli->no_wait = true;
		break;
	case OPT_RESUME:
		cli->resume = CLI_RESUME_ALWAYS;
		break;
	case OPT_NO_RESUME:
		cli->resume = CLI_RESUME_NEVER;
		break;
	case OPT_COMPARE:
		set_compare(cli, value);
		break;
	case OPT_DELETE:
		cli->delete_others = true;
		break;
	case OPT_SECONDS:
		cli->seconds = (int)number(cli, "--seconds", value, 0, 60, false, "0 to 60");
		break;
	case OPT_ID:
		cli->lease_id = value;
		break;
	case OPT_OFFSET:
		cli->offset = number(cli, "--offset", value, 0, INT64_MAX, true,
				     "a size, such as 0, 512K or 8M");
		break;
	case OPT_LENGTH:
		cli->length = number(cli, "--length", value, 1, INT64_MAX, true,
				     "a size of 1 or more, such as 512K or 8M");
		break;
	case 'n':
		cli->dry_run = true;
		break;
	case OPT_COMPLETE:
		complete(value);
		exit(cli_close_output());
	case 'h':
		cli_usage();
		exit(cli_close_output());
	case 'V':
		printf("azblob %s\n", azblob_version());
		exit(cli_close_output());
	default:
		/* getopt has printed what was wrong. */
		usage_error(cli);
	}
}

/* What unknown commands get is main()'s. */
static void check_limited(struct cli *cli, const bool *seen)
{
	for (size_t i = 0; cli_is_command(cli->command) && i < KNOWN; i++) {
		if (!seen[i] || !known[i].commands || is_for(known[i].commands, cli->command))
			continue;
		if (known[i].code < OPT_ACCOUNT)
			cli_error("-%c is not an option of \"%s\"", known[i].code, cli->command);
		else
			cli_error("--%s is not an option of \"%s\"", known[i].name, cli->command);
		usage_error(cli);
	}
}

/* For getopt_long(): the same, ended by zeros. */
static void fill_long_options(struct option option[KNOWN + 1])
{
	memset(option, 0, (KNOWN + 1) * sizeof(*option));
	for (size_t i = 0; i < KNOWN; i++) {
		option[i].name = known[i].name;
		option[i].has_arg = known[i].argument;
		option[i].val = known[i].code;
	}
}

void cli_parse(struct cli *cli, int argc, char **argv)
{
	struct option long_options[KNOWN + 1];
	bool seen[KNOWN] = { false };
	struct azblob_error error;
	int bad_environment;
	int option;

	memset(cli, 0, sizeof(*cli));
	cli->length = AZBLOB_LENGTH_REST;
	cli->access = (struct azblob_access)AZBLOB_ACCESS_INIT;
	cli->seconds = -1;
	cli->processes = 1;
	cli->threads = 4;
	cli->requests = 50;
	cli->rounds = 5;
	cli->size = 1 << 20;
	cli->test = "both";
	cli->parallel = 4;
	cli->block_size = (size_t)8 << 20;
	cli->config = azblob_config_new();
	if (!cli->config)
		abort();
	/* getopt's own messages start with argv[0]. */
	argv[0] = (char *)"azblob";
	fill_long_options(long_options);
	/* First, for options to win; told later, since it is not --help's business. */
	bad_environment = azblob_config_from_environment(cli->config, &error);
	while ((option = getopt_long(argc, argv, "qvrlnhV", long_options, NULL)) != -1) {
		for (size_t i = 0; i < KNOWN; i++)
			seen[i] |= known[i].code == option;
		if (option >= OPT_ACCOUNT && option <= OPT_NO_CHECKSUMS)
			connection_option(cli, option, optarg);
		else if (!sas_option(cli, option, optarg) && !bench_option(cli, option, optarg))
			other_option(cli, option, optarg);
	}
	if (bad_environment) {
		cli_error("environment: %s", error.message);
		usage_error(cli);
	}
	if (optind == argc) {
		cli_error("a command is missing");
		usage_error(cli);
	}
	cli->command = argv[optind];
	cli->argument = argv + optind + 1;
	cli->arguments = argc - optind - 1;
	check_limited(cli, seen);
}

void cli_free(struct cli *cli)
{
	azblob_config_free(cli->config);
	free(cli->metadata);
	free(cli->tags);
	cli->config = NULL;
	cli->metadata = NULL;
	cli->tags = NULL;
}

int cli_connect(struct cli *cli)
{
	struct azblob_error error;

	if (cli->conn)
		return EXIT_OK;
	if (azblob_open(cli->config, &cli->conn, &error)) {
		int code = cli_report(NULL, &error);

		if (error.kind == AZBLOB_BAD_ARGUMENT)
			cli_error("give --account and --key or --sas, or "
				  "AZURE_STORAGE_CONNECTION_STRING");
		return code;
	}
	cli_signals_conn(cli->conn);
	/* The note names a missing device only when the driver was not ruled out by choice. */
	if (cli->verbose || strncmp(azblob_conn_transport_note(cli->conn), "using ", 6))
		cli_note(cli, "%s", azblob_conn_transport_note(cli->conn));
	return EXIT_OK;
}
