// SPDX-License-Identifier: MIT
#include "options.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where SDKs expect the development storage. */
#define DEFAULT_HTTP "127.0.0.1:10000"
#define DEFAULT_DEVICE "/dev/azure_blob"
#define DEFAULT_MEMORY_MIB 128u
#define MAX_MEMORY_MIB 65536u
/* Longer than the longest that a relay behind the host tries again. */
#define DEFAULT_TIMEOUT_S 300u
/* A third of the time that a host keeps a handle which nobody uses. */
#define DEFAULT_TOUCH_S 40u
#define DEFAULT_DRAIN_S 30u
#define MAX_TIMEOUT_S 86400u
#define MAX_CONNECTIONS 1000000u

static const char usage[] =
	"usage: azblob-gateway [--http ADDRESS]... [--https ADDRESS]... [option]...\n"
	"       azblob-gateway cert [--out DIR] [option]...    make a certificate for --https\n"
	"\n"
	"Serve the Blob REST API on this machine, each request through the hv_azure_blob driver.\n"
	"\n"
	"  --http ADDRESS           serve HTTP there: ADDR:PORT, [ADDR]:PORT for IPv6 (port 0 "
	"takes\n"
	"                           a free one), or the path of a unix socket; may be repeated\n"
	"                           (" DEFAULT_HTTP " when neither --http nor --https is given)\n"
	"  --https ADDR:PORT        the same with TLS, by --cert and --key\n"
	"  --cert FILE, --key FILE  certificate chain and key in PEM form\n"
	"  --device PATH            the driver's node (" DEFAULT_DEVICE ")\n"
	"  --fallback SPEC          while the device is not there, ask this account by HTTPS:\n"
	"                           account=NAME[,endpoint=URL][,key-file=FILE][,...] as for the\n"
	"                           store azure of azblob-vspd; may be repeated\n"
	"  --memory MIB             memory for large bodies, for all clients together (128)\n"
	"  --timeout SECONDS        how long the host has for one request (300)\n"
	"  --touch SECONDS          how long a large body that is moved slowly may rest before "
	"the\n"
	"                           host is reminded of it (40)\n"
	"  --max-connections N      connections at once (4096)\n"
	"  --head-timeout, --idle-timeout, --body-timeout SECONDS\n"
	"                           a request's head (30); between requests (120); each 64 KiB\n"
	"                           of a body, in or out (60)\n"
	"  --metrics ADDRESS        show numbers in Prometheus' form there: a path of a unix\n"
	"                           socket, or 127.0.0.1:PORT\n"
	"  --config FILE            options from a file: lines of NAME VALUE\n"
	"  --drain SECONDS          how long requests may go on after SIGTERM (30)\n"
	"  --log-level LEVEL        error, warning, info (the default) or debug\n"
	"  --ready-fd N             write a line there when everything is being served\n"
	"  --help, --version\n";

enum {
	OPT_HTTP = 256,
	OPT_HTTPS,
	OPT_CERT,
	OPT_KEY,
	OPT_DEVICE,
	OPT_FALLBACK,
	OPT_MEMORY,
	OPT_TIMEOUT,
	OPT_TOUCH,
	OPT_MAX_CONNECTIONS,
	OPT_HEAD_TIMEOUT,
	OPT_IDLE_TIMEOUT,
	OPT_BODY_TIMEOUT,
	OPT_METRICS,
	OPT_DRAIN,
	OPT_LOG_LEVEL,
	OPT_READY_FD,
	OPT_HELP,
	OPT_VERSION,
};

static const struct option longs[] = {
	{ "http", required_argument, NULL, OPT_HTTP },
	{ "https", required_argument, NULL, OPT_HTTPS },
	{ "cert", required_argument, NULL, OPT_CERT },
	{ "key", required_argument, NULL, OPT_KEY },
	{ "device", required_argument, NULL, OPT_DEVICE },
	{ "fallback", required_argument, NULL, OPT_FALLBACK },
	{ "memory", required_argument, NULL, OPT_MEMORY },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "touch", required_argument, NULL, OPT_TOUCH },
	{ "max-connections", required_argument, NULL, OPT_MAX_CONNECTIONS },
	{ "head-timeout", required_argument, NULL, OPT_HEAD_TIMEOUT },
	{ "idle-timeout", required_argument, NULL, OPT_IDLE_TIMEOUT },
	{ "body-timeout", required_argument, NULL, OPT_BODY_TIMEOUT },
	{ "metrics", required_argument, NULL, OPT_METRICS },
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

	(void)fputs("azblob-gateway: ", stderr);
	va_start(list, format);
	(void)vfprintf(stderr, format, list);
	va_end(list);
	(void)fputc('\n', stderr);
	return OPTIONS_BAD;
}

static bool number(const char *text, unsigned long min, unsigned long max, unsigned long *value)
{
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	*value = strtoul(text, &end, 10);
	return !errno && !*end && *value >= min && *value <= max;
}

static enum options_result seconds(const char *name, const char *value, unsigned long min,
				   unsigned int *ms)
{
	unsigned long n;

	if (!number(value, min, MAX_TIMEOUT_S, &n))
		return bad("--%s: '%s': %lu to %u seconds are accepted", name, value, min,
			   MAX_TIMEOUT_S);
	*ms = (unsigned int)n * 1000;
	return OPTIONS_RUN;
}

static enum options_result add(const char *option, const char **list, unsigned int *count,
			       unsigned int max, const char *value)
{
	if (*count == max)
		return bad("--%s: at most %u are accepted", option, max);
	list[(*count)++] = value;
	return OPTIONS_RUN;
}

static enum options_result level(struct options *o, const char *value)
{
	static const char *const names[] = { "error", "warning", "info", "debug" };

	for (unsigned int i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (!strcmp(value, names[i])) {
			o->log_level = (enum azb_log_level)i;
			return OPTIONS_RUN;
		}
	}
	return bad("--log-level: '%s': error, warning, info and debug are accepted", value);
}

static enum options_result take(struct options *o, int option, const char *value)
{
	unsigned long n;

	switch (option) {
	case OPT_HTTP:
		return add("http", o->http, &o->http_count, OPTIONS_MAX_LISTEN, value);
	case OPT_HTTPS:
		return add("https", o->https, &o->https_count, OPTIONS_MAX_LISTEN, value);
	case OPT_CERT:
		o->cert = value;
		break;
	case OPT_KEY:
		o->key = value;
		break;
	case OPT_DEVICE:
		o->device = value;
		break;
	case OPT_FALLBACK:
		return add("fallback", o->fallback, &o->fallback_count, OPTIONS_MAX_FALLBACK,
			   value);
	case OPT_MEMORY:
		if (!number(value, 0, MAX_MEMORY_MIB, &n))
			return bad("--memory: '%s': 0 to %u MiB are accepted", value,
				   MAX_MEMORY_MIB);
		o->memory = n << 20;
		break;
	case OPT_TIMEOUT:
		return seconds("timeout", value, 1, &o->timeout_ms);
	case OPT_TOUCH:
		return seconds("touch", value, 1, &o->touch_ms);
	case OPT_MAX_CONNECTIONS:
		if (!number(value, 1, MAX_CONNECTIONS, &n))
			return bad("--max-connections: '%s': 1 to %u are accepted", value,
				   MAX_CONNECTIONS);
		o->max_connections = (unsigned int)n;
		break;
	case OPT_HEAD_TIMEOUT:
		return seconds("head-timeout", value, 1, &o->head_ms);
	case OPT_IDLE_TIMEOUT:
		return seconds("idle-timeout", value, 1, &o->idle_ms);
	case OPT_BODY_TIMEOUT:
		return seconds("body-timeout", value, 1, &o->body_ms);
	case OPT_METRICS:
		if (o->metrics)
			return bad("--metrics: there is one already: %s", o->metrics);
		o->metrics = value;
		break;
	case OPT_DRAIN:
		return seconds("drain", value, 0, &o->drain_ms);
	case OPT_LOG_LEVEL:
		return level(o, value);
	case OPT_READY_FD:
		if (!number(value, 0, 65535, &n) || fcntl((int)n, F_GETFD) < 0)
			return bad("--ready-fd: '%s': the number of an open descriptor is accepted",
				   value);
		o->ready_fd = (int)n;
		break;
	case OPT_HELP:
		(void)fputs(usage, stdout);
		return OPTIONS_DONE;
	case OPT_VERSION:
		puts("azblob-gateway " AZBLOB_VERSION);
		return OPTIONS_DONE;
	default:
		/* getopt_long() has said what is wrong, in one line */
		return OPTIONS_BAD;
	}
	return OPTIONS_RUN;
}

enum options_result options_parse(struct options *o, int argc, char **argv)
{
	static char program[] = "azblob-gateway";
	int option;

	*o = (struct options){ .device = DEFAULT_DEVICE,
			       .memory = (size_t)DEFAULT_MEMORY_MIB << 20,
			       .timeout_ms = DEFAULT_TIMEOUT_S * 1000,
			       .touch_ms = DEFAULT_TOUCH_S * 1000,
			       .drain_ms = DEFAULT_DRAIN_S * 1000,
			       .ready_fd = -1,
			       .log_level = AZB_LOG_INFO };
	if (argc > 0)
		argv[0] = program;
	while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		enum options_result result = take(o, option, optarg);

		if (result != OPTIONS_RUN)
			return result;
	}
	if (optind < argc)
		return bad("'%s': only options are accepted, see --help", argv[optind]);
	if (!o->cert != !o->key)
		return bad("--cert and --key belong together");
	if (!o->cert && o->https_count)
		return bad("--cert is missing: --https needs a certificate, and azblob-gateway "
			   "cert makes one");
	if (o->cert && !o->https_count)
		return bad("--cert: there is no --https that it would be for");
	if (!o->http_count && !o->https_count)
		o->http[o->http_count++] = DEFAULT_HTTP;
	return OPTIONS_RUN;
}
