// SPDX-License-Identifier: MIT
#include "options.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where SDKs expect the development storage. */
#define DEFAULT_HTTP "127.0.0.1:10000"
#define DEFAULT_DRAIN_S 30u
#define MAX_DRAIN_S 3600u
#define MAX_CONNECTIONS 1000000u

static const char usage[] =
	"usage: azblob-vspd --store SPEC [--http ADDR:PORT]... [--link SOCKET]... [option]...\n"
	"       azblob-vspd check DIR [--data]    is a store that nobody uses as it should be?\n"
	"       azblob-vspd backup DIR DEST       copy a store that may be in use\n"
	"\n"
	"Serve blobs from a local store, over HTTP and to virtual machines over the VSP link.\n"
	"\n"
	"  --store SPEC             where blobs are kept: local,path=DIR\n"
	"  --http ADDR:PORT         serve HTTP there; [ADDR]:PORT for IPv6; port 0 takes a free "
	"one\n"
	"                           (" DEFAULT_HTTP " when neither --http nor --link is given)\n"
	"  --link SOCKET            serve emulators on this Unix socket\n"
	"  --account NAME:KEY[:KEY] an account and its keys in base64; may be repeated\n"
	"  --accounts-file FILE     such lines in a file\n"
	"                           (without any: devstoreaccount1 with its public key)\n"
	"  --max-connections N      HTTP connections at once (4096)\n"
	"  --drain SECONDS          how long requests may go on after SIGTERM (30)\n"
	"  --log-level LEVEL        error, warning, info (the default) or debug\n"
	"  --ready-fd N             write a line there when everything is being served\n"
	"  --help, --version\n";

enum {
	OPT_STORE = 256,
	OPT_HTTP,
	OPT_LINK,
	OPT_ACCOUNT,
	OPT_ACCOUNTS_FILE,
	OPT_MAX_CONNECTIONS,
	OPT_DRAIN,
	OPT_LOG_LEVEL,
	OPT_READY_FD,
	OPT_HELP,
	OPT_VERSION,
};

static const struct option longs[] = {
	{ "store", required_argument, NULL, OPT_STORE },
	{ "http", required_argument, NULL, OPT_HTTP },
	{ "link", required_argument, NULL, OPT_LINK },
	{ "account", required_argument, NULL, OPT_ACCOUNT },
	{ "accounts-file", required_argument, NULL, OPT_ACCOUNTS_FILE },
	{ "max-connections", required_argument, NULL, OPT_MAX_CONNECTIONS },
	{ "drain", required_argument, NULL, OPT_DRAIN },
	{ "log-level", required_argument, NULL, OPT_LOG_LEVEL },
	{ "ready-fd", required_argument, NULL, OPT_READY_FD },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ NULL, 0, NULL, 0 },
};

static enum options_result bad(const char *format, ...) __attribute__((format(printf, 1, 2)));

static enum options_result bad(const char *format, ...)
{
	va_list list;

	fputs("azblob-vspd: ", stderr);
	va_start(list, format);
	vfprintf(stderr, format, list);
	va_end(list);
	fputc('\n', stderr);
	return OPTIONS_BAD;
}

static bool number(const char *text, unsigned long max, unsigned long *value)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*value = strtoul(text, &end, 10);
	return !errno && !*end && *value <= max;
}

static bool log_level(const char *text, enum azb_log_level *level)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };

	for (unsigned int i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (!strcmp(text, names[i])) {
			*level = (enum azb_log_level)i;
			return true;
		}
	}
	return false;
}

static enum options_result take(struct options *o, int option, const char *value)
{
	unsigned long n;
	char error[400];

	switch (option) {
	case OPT_STORE:
		if (o->store)
			return bad("--store: there is one already: %s", o->store);
		o->store = value;
		break;
	case OPT_HTTP:
		if (o->http_count == OPTIONS_MAX_HTTP)
			return bad("--http: at most %u are accepted", OPTIONS_MAX_HTTP);
		o->http[o->http_count++] = value;
		break;
	case OPT_LINK:
		if (o->link_count == OPTIONS_MAX_LINK)
			return bad("--link: at most %u are accepted", OPTIONS_MAX_LINK);
		o->link[o->link_count++] = value;
		break;
	case OPT_ACCOUNT:
		if (!accounts_add(o->accounts, value, error, sizeof(error)))
			return bad("--account: %s", error);
		break;
	case OPT_ACCOUNTS_FILE:
		if (!accounts_load(o->accounts, value, error, sizeof(error)))
			return bad("--accounts-file: %s", error);
		break;
	case OPT_MAX_CONNECTIONS:
		if (!number(value, MAX_CONNECTIONS, &n) || !n)
			return bad("--max-connections: '%s': 1 to %u are accepted", value,
				   MAX_CONNECTIONS);
		o->max_connections = (unsigned int)n;
		break;
	case OPT_DRAIN:
		if (!number(value, MAX_DRAIN_S, &n))
			return bad("--drain: '%s': 0 to %u seconds are accepted", value,
				   MAX_DRAIN_S);
		o->drain_ms = (unsigned int)n * 1000;
		break;
	case OPT_LOG_LEVEL:
		if (!log_level(value, &o->log_level))
			return bad("--log-level: '%s': error, warning, info and debug are accepted",
				   value);
		break;
	case OPT_READY_FD:
		if (!number(value, 65535, &n) || fcntl((int)n, F_GETFD) < 0)
			return bad("--ready-fd: '%s': the number of an open descriptor is accepted",
				   value);
		o->ready_fd = (int)n;
		break;
	case OPT_HELP:
		fputs(usage, stdout);
		return OPTIONS_DONE;
	case OPT_VERSION:
		puts("azblob-vspd " AZBLOB_VERSION);
		return OPTIONS_DONE;
	default:
		/* getopt_long() has said what is wrong, in one line */
		return OPTIONS_BAD;
	}
	return OPTIONS_RUN;
}

enum options_result options_parse(struct options *o, int argc, char **argv)
{
	static char program[] = "azblob-vspd";
	char error[400];
	int option;

	memset(o, 0, sizeof(*o));
	o->log_level = AZB_LOG_INFO;
	o->ready_fd = -1;
	o->drain_ms = DEFAULT_DRAIN_S * 1000;
	o->accounts = accounts_new();
	if (!o->accounts)
		return bad("out of memory");
	if (argc > 0)
		argv[0] = program;
	while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		enum options_result result = take(o, option, optarg);

		if (result != OPTIONS_RUN)
			return result;
	}
	if (optind < argc)
		return bad("'%s': only options are accepted, see --help", argv[optind]);
	if (!o->store)
		return bad("--store is missing: --store local,path=DIR");
	if (!o->http_count && !o->link_count)
		o->http[o->http_count++] = DEFAULT_HTTP;
	if (!accounts_count(o->accounts)) {
		if (!accounts_add(o->accounts, ACCOUNTS_DEV_NAME ":" ACCOUNTS_DEV_KEY, error,
				  sizeof(error)))
			return bad("%s", error);
		o->development = true;
	}
	return OPTIONS_RUN;
}

void options_free(struct options *o)
{
	accounts_put(o->accounts);
	o->accounts = NULL;
}
