// SPDX-License-Identifier: MIT
/* The command line. */
#include "cli.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Commands that an option is for; GLOBAL: all. */
enum {
	FOR_CONTAINER = 1,
	FOR_PUT = 2,
	FOR_GET = 4,
	FOR_LS = 8,
	FOR_STAT = 16,
	FOR_RM = 32,
	GLOBAL = 63,
};

enum {
	OPT_ACCOUNT = 256,
	OPT_KEY,
	OPT_ENDPOINT,
	OPT_TRANSPORT,
	OPT_DEVICE,
	OPT_CA_FILE,
	OPT_PARALLEL,
	OPT_BLOCK_SIZE,
	OPT_TIMEOUT,
	OPT_RETRIES,
	OPT_JSON,
	OPT_DELIMITER,
	OPT_CONTENT_TYPE,
	OPT_METADATA,
	OPT_NO_CLOBBER,
	OPT_OFFSET,
	OPT_LENGTH,
};

static const struct option long_options[] = {
	{ "account", required_argument, NULL, OPT_ACCOUNT },
	{ "key", required_argument, NULL, OPT_KEY },
	{ "endpoint", required_argument, NULL, OPT_ENDPOINT },
	{ "transport", required_argument, NULL, OPT_TRANSPORT },
	{ "device", required_argument, NULL, OPT_DEVICE },
	{ "ca-file", required_argument, NULL, OPT_CA_FILE },
	{ "parallel", required_argument, NULL, OPT_PARALLEL },
	{ "block-size", required_argument, NULL, OPT_BLOCK_SIZE },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "retries", required_argument, NULL, OPT_RETRIES },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "quiet", no_argument, NULL, 'q' },
	{ "verbose", no_argument, NULL, 'v' },
	{ "recursive", no_argument, NULL, 'r' },
	{ "long", no_argument, NULL, 'l' },
	{ "delimiter", required_argument, NULL, OPT_DELIMITER },
	{ "content-type", required_argument, NULL, OPT_CONTENT_TYPE },
	{ "metadata", required_argument, NULL, OPT_METADATA },
	{ "no-clobber", no_argument, NULL, OPT_NO_CLOBBER },
	{ "offset", required_argument, NULL, OPT_OFFSET },
	{ "length", required_argument, NULL, OPT_LENGTH },
	{ "help", no_argument, NULL, 'h' },
	{ "version", no_argument, NULL, 'V' },
	{ NULL, 0, NULL, 0 },
};

/* The options that are not for every command. */
static const struct {
	int option;
	unsigned int commands;
	const char *name;
} limited[] = {
	{ 'r', FOR_PUT | FOR_GET | FOR_RM, "-r" }, { 'l', FOR_LS, "-l" },
	{ OPT_DELIMITER, FOR_LS, "--delimiter" },  { OPT_CONTENT_TYPE, FOR_PUT, "--content-type" },
	{ OPT_METADATA, FOR_PUT, "--metadata" },   { OPT_NO_CLOBBER, FOR_PUT, "--no-clobber" },
	{ OPT_OFFSET, FOR_GET, "--offset" },       { OPT_LENGTH, FOR_GET, "--length" },
};

static const char usage[] =
	"usage: azblob [OPTION...] COMMAND ARGUMENT...\n"
	"\n"
	"  container create|rm NAME...     make or delete containers\n"
	"  container ls                    list containers\n"
	"  put [-r] FILE... DEST           upload; FILE may be - (standard input)\n"
	"  get [-r] NAME... [DEST]         download; DEST may be - (standard output)\n"
	"  ls [-l] [NAME]                  list blobs whose names start with NAME's\n"
	"  stat NAME...                    show properties\n"
	"  rm [-r] NAME...                 delete blobs\n"
	"\n"
	"NAME and DEST: azblob://ACCOUNT/CONTAINER/BLOB or CONTAINER/BLOB\n"
	"\n"
	"  --account NAME, --key BASE64    better: AZURE_STORAGE_ACCOUNT, AZURE_STORAGE_KEY or\n"
	"                                  AZURE_STORAGE_CONNECTION_STRING\n"
	"  --endpoint URL                  http[s]://HOST[:PORT][/ACCOUNT]\n"
	"  --transport auto|driver|http    auto: the driver where it answers, else HTTP\n"
	"  --device PATH                   the driver's node [/dev/azure_blob]\n"
	"  --ca-file FILE                  authorities to trust for https\n"
	"  --parallel N                    requests under way at once [4]\n"
	"  --block-size SIZE               bytes of one part, such as 512K or 8M [8M]\n"
	"  --timeout SECONDS               for one request without progress [60]\n"
	"  --retries N                     [4]\n"
	"  -r, --recursive                 directories, or all blobs below a name\n"
	"  --content-type TYPE, --metadata NAME=VALUE, --no-clobber        (put)\n"
	"  --offset SIZE, --length SIZE                                    (get)\n"
	"  -l, --long; --delimiter TEXT                                    (ls)\n"
	"  --json                          one JSON object a line on standard output\n"
	"  -q, --quiet   -v, --verbose   -h, --help   -V, --version\n"
	"\n"
	"Exit: 0 done, 1 service or transport, 2 usage, 3 not found, 4 denied, 5 checksum,\n"
	"6 conflict, 7 local file, 130 interrupted.  See azblob(1).\n";

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

static void add_metadata(struct cli *cli, char *text)
{
	char *value = strchr(text, '=');
	struct azblob_pair *grown;

	if (!value || value == text)
		bad_value(cli, "--metadata", text, "NAME=VALUE");
	*value++ = '\0';
	grown = reallocarray(cli->metadata, cli->metadata_count + 1, sizeof(*grown));
	if (!grown)
		abort();
	cli->metadata = grown;
	grown[cli->metadata_count].name = text;
	grown[cli->metadata_count++].value = value;
}

static void set_transport(struct cli *cli, const char *text)
{
	static const char *const names[] = { "auto", "driver", "http" };
	struct azblob_error error;

	for (size_t i = 0; i < 3; i++) {
		if (strcmp(text, names[i]))
			continue;
		must(cli,
		     azblob_config_set_transport(cli->config, (enum azblob_transport)i, &error),
		     &error);
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
	}
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
		add_metadata(cli, value);
		break;
	case OPT_NO_CLOBBER:
		cli->no_clobber = true;
		break;
	case OPT_OFFSET:
		cli->offset = number(cli, "--offset", value, 0, INT64_MAX, true,
				     "a size, such as 0, 512K or 8M");
		break;
	case OPT_LENGTH:
		cli->length = number(cli, "--length", value, 1, INT64_MAX, true,
				     "a size of 1 or more, such as 512K or 8M");
		break;
	case 'h':
		fputs(usage, stdout);
		exit(cli_close_output());
	case 'V':
		printf("azblob %s\n", azblob_version());
		exit(cli_close_output());
	default:
		/* getopt has printed what was wrong. */
		usage_error(cli);
	}
}

static unsigned int command_bit(const char *command)
{
	static const char *const names[] = { "container", "put", "get", "ls", "stat", "rm" };

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(command, names[i]))
			return 1u << i;
	return 0;
}

static void check_limited(struct cli *cli, const bool *seen)
{
	unsigned int bit = command_bit(cli->command);

	for (size_t i = 0; bit && i < sizeof(limited) / sizeof(limited[0]); i++) {
		if (!seen[i] || (limited[i].commands & bit))
			continue;
		cli_error("%s is not an option of \"%s\"", limited[i].name, cli->command);
		usage_error(cli);
	}
}

void cli_parse(struct cli *cli, int argc, char **argv)
{
	bool seen[sizeof(limited) / sizeof(limited[0])] = { false };
	struct azblob_error error;
	int bad_environment;
	int option;

	memset(cli, 0, sizeof(*cli));
	cli->length = AZBLOB_LENGTH_REST;
	cli->parallel = 4;
	cli->block_size = (size_t)8 << 20;
	cli->config = azblob_config_new();
	if (!cli->config)
		abort();
	/* getopt's own messages start with argv[0]. */
	argv[0] = (char *)"azblob";
	/* First, for options to win; told later, since it is not --help's business. */
	bad_environment = azblob_config_from_environment(cli->config, &error);
	while ((option = getopt_long(argc, argv, "qvrlhV", long_options, NULL)) != -1) {
		for (size_t i = 0; i < sizeof(limited) / sizeof(limited[0]); i++)
			seen[i] |= limited[i].option == option;
		if (option >= OPT_ACCOUNT && option <= OPT_RETRIES)
			connection_option(cli, option, optarg);
		else
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
	cli->config = NULL;
	cli->metadata = NULL;
}

int cli_connect(struct cli *cli)
{
	struct azblob_error error;

	if (cli->conn)
		return EXIT_OK;
	if (azblob_open(cli->config, &cli->conn, &error)) {
		int code = cli_report(NULL, &error);

		if (error.kind == AZBLOB_BAD_ARGUMENT)
			cli_error("give --account and --key, or AZURE_STORAGE_CONNECTION_STRING");
		return code;
	}
	/* The note names a missing device only when the driver was not ruled out by choice. */
	if (cli->verbose || strncmp(azblob_conn_transport_note(cli->conn), "using ", 6))
		cli_note(cli, "%s", azblob_conn_transport_note(cli->conn));
	return EXIT_OK;
}
