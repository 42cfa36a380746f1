// SPDX-License-Identifier: MIT
#include "options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filter/filter.h"
#include "options_azurite.h"

/* Where SDKs expect the development storage. */
#define DEFAULT_HTTP "127.0.0.1:10000"
#define DEFAULT_DRAIN_S 30u
#define MAX_DRAIN_S 3600u
#define MAX_CONNECTIONS 1000000u
/* As for Azure's containers and blobs. */
#define MAX_COPY_HOST 260u
#define MAX_RETENTION_DAYS 365u
#define MAX_TIMEOUT_S 86400u

static const char usage[] =
	"usage: azblob-vspd --store SPEC [--http ADDR:PORT]... [--link SOCKET]... [option]...\n"
	"       azblob-vspd check DIR [--data]    is a store that nobody uses as it should be?\n"
	"       azblob-vspd backup DIR DEST       copy a store that may be in use\n"
	"\n"
	"Serve blobs from a local store or a storage account, over HTTP and to virtual machines\n"
	"over the VSP link.\n"
	"\n"
	"  --store SPEC             where blobs are kept: local,path=DIR or azure,account=NAME\n"
	"  --http ADDR:PORT         serve HTTP there; [ADDR]:PORT for IPv6; port 0 takes a free "
	"one;\n"
	"                           a path with a slash in it is one of a unix socket\n"
	"                           (" DEFAULT_HTTP " when neither --http nor --link is given)\n"
	"  --https ADDR:PORT        the same with TLS, by --cert and --key\n"
	"  --website ADDR:PORT      serve static websites there; --website-https with TLS\n"
	"  --cert FILE, --key FILE  certificate chain and key in PEM form; without --key FILE is\n"
	"                           PKCS #12, with --pwd PASSWORD\n"
	"  --link SOCKET            serve emulators on this Unix socket\n"
	"  --account NAME:KEY[:KEY] an account and its keys in base64; may be repeated\n"
	"  --accounts-file FILE     such lines in a file\n"
	"                           (without any: those of AZURITE_ACCOUNTS, else\n"
	"                           devstoreaccount1 with its public key)\n"
	"  --versions NAME          keep versions of this account's blobs; \"*\" for all accounts\n"
	"  --oauth basic            accept bearer tokens whose claims are right\n"
	"  --oauth-keys FILE        and that are signed with a key of this JSON key set\n"
	"  --oauth-issuer ISS, --oauth-audience AUD   in place of Azure's; may be repeated\n"
	"  --link-address IP        the address of guests, for SAS that are bound to one\n"
	"  --container-retention DAYS\n"
	"                           deleted containers can be restored for so long (0: not at "
	"all)\n"
	"  --copy-from HOST         copies may come from this host; may be repeated\n"
	"  --unsafe-copy-from-private   also where it has a private address; for tests\n"
	"  --filter SPEC            a filter in front of the store; may be repeated, the first is\n"
	"                           the outermost; --filter help lists them\n"
	"  --max-connections N      HTTP connections at once (4096)\n"
	"  --head-timeout, --idle-timeout, --body-timeout SECONDS\n"
	"                           a request's head (30); between requests (120); each 64 KiB\n"
	"                           of a body, in or out (60)\n"
	"  --metrics ADDRESS        show numbers in Prometheus' form there: a path of a Unix\n"
	"                           socket, or 127.0.0.1:PORT\n"
	"  --config FILE            options from a file: lines of NAME VALUE\n"
	"  --drain SECONDS          how long requests may go on after SIGTERM (30)\n"
	"  --log-level LEVEL        error, warning, info (the default) or debug\n"
	"  --ready-fd N             write a line there when everything is being served\n"
	"  --blobHost, --blobPort, --blobKeepAliveTimeout, --location, --silent, --debug,\n"
	"  --skipApiVersionCheck, --disableTelemetry   as Azurite's Blob service has them\n"
	"  --help, --version\n";

enum {
	OPT_STORE = 256,
	OPT_HTTP,
	OPT_LINK,
	OPT_ACCOUNT,
	OPT_ACCOUNTS_FILE,
	OPT_CONTAINER_RETENTION,
	OPT_COPY_FROM,
	OPT_COPY_PRIVATE,
	OPT_MAX_CONNECTIONS,
	OPT_DRAIN,
	OPT_LOG_LEVEL,
	OPT_READY_FD,
	OPT_HTTPS,
	OPT_WEBSITE,
	OPT_WEBSITE_TLS,
	OPT_CERT,
	OPT_KEY,
	OPT_PASSWORD,
	OPT_VERSIONS,
	OPT_LINK_ADDRESS,
	OPT_OAUTH,
	OPT_OAUTH_KEYS,
	OPT_OAUTH_ISSUER,
	OPT_OAUTH_AUDIENCE,
	OPT_FILTER,
	OPT_METRICS,
	OPT_HEAD_TIMEOUT,
	OPT_IDLE_TIMEOUT,
	OPT_BODY_TIMEOUT,
	OPT_HELP,
	OPT_VERSION,
	OPT_AZURITE, /* and those of options_azurite.h after it */
};

static const struct option longs[] = {
	{ "store", required_argument, NULL, OPT_STORE },
	{ "http", required_argument, NULL, OPT_HTTP },
	{ "link", required_argument, NULL, OPT_LINK },
	{ "account", required_argument, NULL, OPT_ACCOUNT },
	{ "accounts-file", required_argument, NULL, OPT_ACCOUNTS_FILE },
	{ "container-retention", required_argument, NULL, OPT_CONTAINER_RETENTION },
	{ "copy-from", required_argument, NULL, OPT_COPY_FROM },
	{ "unsafe-copy-from-private", no_argument, NULL, OPT_COPY_PRIVATE },
	{ "max-connections", required_argument, NULL, OPT_MAX_CONNECTIONS },
	{ "drain", required_argument, NULL, OPT_DRAIN },
	{ "log-level", required_argument, NULL, OPT_LOG_LEVEL },
	{ "ready-fd", required_argument, NULL, OPT_READY_FD },
	{ "https", required_argument, NULL, OPT_HTTPS },
	{ "website", required_argument, NULL, OPT_WEBSITE },
	{ "website-https", required_argument, NULL, OPT_WEBSITE_TLS },
	{ "cert", required_argument, NULL, OPT_CERT },
	{ "key", required_argument, NULL, OPT_KEY },
	{ "pwd", required_argument, NULL, OPT_PASSWORD },
	{ "versions", required_argument, NULL, OPT_VERSIONS },
	{ "link-address", required_argument, NULL, OPT_LINK_ADDRESS },
	{ "oauth", required_argument, NULL, OPT_OAUTH },
	{ "oauth-keys", required_argument, NULL, OPT_OAUTH_KEYS },
	{ "oauth-issuer", required_argument, NULL, OPT_OAUTH_ISSUER },
	{ "oauth-audience", required_argument, NULL, OPT_OAUTH_AUDIENCE },
	{ "filter", required_argument, NULL, OPT_FILTER },
	{ "metrics", required_argument, NULL, OPT_METRICS },
	{ "head-timeout", required_argument, NULL, OPT_HEAD_TIMEOUT },
	{ "idle-timeout", required_argument, NULL, OPT_IDLE_TIMEOUT },
	{ "body-timeout", required_argument, NULL, OPT_BODY_TIMEOUT },
	{ "blobHost", required_argument, NULL, OPT_AZURITE + AZURITE_HOST },
	{ "blobPort", required_argument, NULL, OPT_AZURITE + AZURITE_PORT },
	{ "blobKeepAliveTimeout", required_argument, NULL, OPT_AZURITE + AZURITE_KEEP_ALIVE },
	{ "location", required_argument, NULL, 'l' },
	{ "silent", no_argument, NULL, 's' },
	{ "debug", required_argument, NULL, 'd' },
	{ "skipApiVersionCheck", no_argument, NULL, OPT_AZURITE + AZURITE_SKIP_CHECK },
	{ "disableTelemetry", no_argument, NULL, OPT_AZURITE + AZURITE_NO_TELEMETRY },
	{ "loose", no_argument, NULL, 'L' },
	{ "inMemoryPersistence", no_argument, NULL, OPT_AZURITE + AZURITE_IN_MEMORY },
	{ "extentMemoryLimit", required_argument, NULL, OPT_AZURITE + AZURITE_MEMORY_LIMIT },
	{ "disableProductStyleUrl", no_argument, NULL, OPT_AZURITE + AZURITE_PATH_STYLE },
	{ "help", no_argument, NULL, OPT_HELP },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ NULL, 0, NULL, 0 },
};

enum options_result options_bad(const char *format, ...)
{
	va_list list;

	fputs("azblob-vspd: ", stderr);
	va_start(list, format);
	vfprintf(stderr, format, list);
	va_end(list);
	fputc('\n', stderr);
	return OPTIONS_BAD;
}

bool options_number(const char *text, unsigned long max, unsigned long *value)
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

static enum options_result add_address(const char *option, const char **list, unsigned int *count,
				       unsigned int max, const char *value)
{
	if (*count == max)
		return options_bad("%s: at most %u are accepted", option, max);
	list[(*count)++] = value;
	return OPTIONS_RUN;
}

static enum options_result add_account(struct options *o, bool file, const char *value)
{
	if (o->account_count == OPTIONS_MAX_ACCOUNTS)
		return options_bad("--account and --accounts-file: at most %u are accepted",
				   OPTIONS_MAX_ACCOUNTS);
	o->account[o->account_count++] = (struct options_account){ file, value };
	return OPTIONS_RUN;
}

/* "name:key:key;name:key": Azurite's form. */
static bool add_azurite(struct accounts *accounts, const char *text, char *error, size_t error_size)
{
	bool good = true;

	while (good && *text) {
		size_t n = strcspn(text, ";");
		char *one = strndup(text, n);

		if (!one) {
			snprintf(error, error_size, "out of memory");
			return false;
		}
		good = !n || accounts_add(accounts, one, error, error_size);
		explicit_bzero(one, n);
		free(one);
		text += n + (text[n] == ';');
	}
	return good;
}

static bool read_accounts(const struct options *o, struct accounts *accounts, char *error,
			  size_t error_size)
{
	char why[400];
	bool good = true;

	for (unsigned int i = 0; i < o->account_count && good; i++) {
		const struct options_account *from = &o->account[i];

		good = from->file ? accounts_load(accounts, from->value, why, sizeof(why))
				  : accounts_add(accounts, from->value, why, sizeof(why));
		if (!good)
			snprintf(error, error_size, "--account%s: %s", from->file ? "s-file" : "",
				 why);
	}
	if (good && o->azurite_accounts) {
		good = add_azurite(accounts, o->azurite_accounts, why, sizeof(why));
		if (!good)
			snprintf(error, error_size, "AZURITE_ACCOUNTS: %s", why);
	}
	if (good && o->development)
		good = accounts_add(accounts, ACCOUNTS_DEV_NAME ":" ACCOUNTS_DEV_KEY, error,
				    error_size);
	for (unsigned int i = 0; i < o->versions_count && good; i++) {
		good = accounts_keep_versions(accounts, o->versions[i]);
		if (!good)
			snprintf(error, error_size, "--versions: there is no account '%s'",
				 o->versions[i]);
	}
	return good;
}

struct accounts *options_accounts(const struct options *o, char *error, size_t error_size)
{
	struct accounts *accounts = accounts_new();

	if (!accounts) {
		snprintf(error, error_size, "out of memory");
		return NULL;
	}
	if (read_accounts(o, accounts, error, error_size) && accounts_count(accounts))
		return accounts;
	if (!accounts_count(accounts) && !*error)
		snprintf(error, error_size, "there is no account in what was given");
	accounts_put(accounts);
	return NULL;
}

bool options_tokens(const struct options *o, struct tokens **tokens, char *error, size_t error_size)
{
	bool good = true;

	*tokens = NULL;
	if (!o->oauth)
		return true;
	*tokens = tokens_new();
	if (!*tokens) {
		snprintf(error, error_size, "out of memory");
		return false;
	}
	for (unsigned int i = 0; i < o->issuer_count; i++)
		good &= tokens_add_issuer(*tokens, o->issuer[i]);
	for (unsigned int i = 0; i < o->audience_count; i++)
		good &= tokens_add_audience(*tokens, o->audience[i]);
	if (good && o->oauth_keys)
		good = tokens_load(*tokens, o->oauth_keys, error, error_size);
	if (!good) {
		tokens_put(*tokens);
		*tokens = NULL;
	}
	return good;
}

static enum options_result timeout(const char *name, const char *value, unsigned int *ms)
{
	unsigned long n;

	if (!options_number(value, MAX_TIMEOUT_S, &n) || !n)
		return options_bad("--%s: '%s': 1 to %u seconds are accepted", name, value,
				   MAX_TIMEOUT_S);
	*ms = (unsigned int)n * 1000;
	return OPTIONS_RUN;
}

static enum options_result take(struct options *o, int option, const char *value)
{
	unsigned char address[16];
	unsigned long n;

	if (option >= OPT_AZURITE)
		return options_azurite(o, (enum azurite)(option - OPT_AZURITE), value);
	switch (option) {
	case 'l':
		return options_azurite(o, AZURITE_LOCATION, value);
	case 's':
		return options_azurite(o, AZURITE_SILENT, value);
	case 'd':
		return options_azurite(o, AZURITE_DEBUG, value);
	case 'L':
		return options_azurite(o, AZURITE_LOOSE, value);
	case OPT_STORE:
		if (o->store)
			return options_bad("--store: there is one already: %s", o->store);
		o->store = value;
		break;
	case OPT_HTTP:
		return add_address("--http", o->http, &o->http_count, OPTIONS_MAX_HTTP, value);
	case OPT_LINK:
		return add_address("--link", o->link, &o->link_count, OPTIONS_MAX_LINK, value);
	case OPT_ACCOUNT:
		return add_account(o, false, value);
	case OPT_ACCOUNTS_FILE:
		return add_account(o, true, value);
	case OPT_HTTPS:
		return add_address("--https", o->https, &o->https_count, OPTIONS_MAX_HTTP, value);
	case OPT_WEBSITE:
		return add_address("--website", o->website, &o->website_count, OPTIONS_MAX_WEBSITE,
				   value);
	case OPT_WEBSITE_TLS:
		return add_address("--website-https", o->website_tls, &o->website_tls_count,
				   OPTIONS_MAX_WEBSITE, value);
	case OPT_CERT:
		o->cert = value;
		break;
	case OPT_KEY:
		o->key = value;
		break;
	case OPT_PASSWORD:
		o->password = value;
		break;
	case OPT_VERSIONS:
		if (o->versions_count == OPTIONS_MAX_ACCOUNTS)
			return options_bad("--versions: at most %u are accepted",
					   OPTIONS_MAX_ACCOUNTS);
		o->versions[o->versions_count++] = value;
		break;
	case OPT_OAUTH:
		if (strcmp(value, "basic") != 0)
			return options_bad("--oauth: '%s': only basic is accepted", value);
		o->oauth = true;
		break;
	case OPT_OAUTH_KEYS:
		o->oauth_keys = value;
		break;
	case OPT_OAUTH_ISSUER:
		if (o->issuer_count == OPTIONS_MAX_OAUTH)
			return options_bad("--oauth-issuer: at most %u are accepted",
					   OPTIONS_MAX_OAUTH);
		o->issuer[o->issuer_count++] = value;
		break;
	case OPT_OAUTH_AUDIENCE:
		if (o->audience_count == OPTIONS_MAX_OAUTH)
			return options_bad("--oauth-audience: at most %u are accepted",
					   OPTIONS_MAX_OAUTH);
		o->audience[o->audience_count++] = value;
		break;
	case OPT_LINK_ADDRESS:
		if (inet_pton(AF_INET, value, address) != 1 &&
		    inet_pton(AF_INET6, value, address) != 1)
			return options_bad("--link-address: '%s': an IPv4 or IPv6 address is "
					   "accepted",
					   value);
		o->link_address = value;
		break;
	case OPT_CONTAINER_RETENTION:
		if (!options_number(value, MAX_RETENTION_DAYS, &n))
			return options_bad("--container-retention: '%s': 0 to %u days are accepted",
					   value, MAX_RETENTION_DAYS);
		o->container_retention = (unsigned int)n;
		break;
	case OPT_COPY_FROM:
		if (!*value || strpbrk(value, "/@?# ") || strlen(value) > MAX_COPY_HOST)
			return options_bad(
				"--copy-from: '%s': a host as in a URL is accepted, with "
				":PORT where it has one",
				value);
		if (o->copy_from_count == OPTIONS_MAX_COPY_FROM)
			return options_bad("--copy-from: at most %u are accepted",
					   OPTIONS_MAX_COPY_FROM);
		o->copy_from[o->copy_from_count++] = value;
		break;
	case OPT_COPY_PRIVATE:
		o->copy_private = true;
		break;
	case OPT_FILTER:
		if (!strcmp(value, "help")) {
			fputs(filter_help(), stdout);
			return OPTIONS_DONE;
		}
		if (o->filter_count == OPTIONS_MAX_FILTER)
			return options_bad("--filter: at most %u are accepted", OPTIONS_MAX_FILTER);
		o->filter[o->filter_count++] = value;
		break;
	case OPT_METRICS:
		if (o->metrics)
			return options_bad("--metrics: there is one already: %s", o->metrics);
		o->metrics = value;
		break;
	case OPT_HEAD_TIMEOUT:
		return timeout("head-timeout", value, &o->head_ms);
	case OPT_IDLE_TIMEOUT:
		return timeout("idle-timeout", value, &o->idle_ms);
	case OPT_BODY_TIMEOUT:
		return timeout("body-timeout", value, &o->body_ms);
	case OPT_MAX_CONNECTIONS:
		if (!options_number(value, MAX_CONNECTIONS, &n) || !n)
			return options_bad("--max-connections: '%s': 1 to %u are accepted", value,
					   MAX_CONNECTIONS);
		o->max_connections = (unsigned int)n;
		break;
	case OPT_DRAIN:
		if (!options_number(value, MAX_DRAIN_S, &n))
			return options_bad("--drain: '%s': 0 to %u seconds are accepted", value,
					   MAX_DRAIN_S);
		o->drain_ms = (unsigned int)n * 1000;
		break;
	case OPT_LOG_LEVEL:
		if (!log_level(value, &o->log_level))
			return options_bad(
				"--log-level: '%s': error, warning, info and debug are accepted",
				value);
		break;
	case OPT_READY_FD:
		if (!options_number(value, 65535, &n) || fcntl((int)n, F_GETFD) < 0)
			return options_bad(
				"--ready-fd: '%s': the number of an open descriptor is accepted",
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
	char error[500] = "";
	int option;

	memset(o, 0, sizeof(*o));
	o->log_level = AZB_LOG_INFO;
	o->ready_fd = -1;
	o->drain_ms = DEFAULT_DRAIN_S * 1000;
	if (argc > 0)
		argv[0] = program;
	while ((option = getopt_long(argc, argv, "l:sd:L", longs, NULL)) != -1) {
		enum options_result result = take(o, option, optarg);

		if (result != OPTIONS_RUN)
			return result;
	}
	if (optind < argc)
		return options_bad("'%s': only options are accepted, see --help", argv[optind]);
	if (!options_azurite_end(o))
		return OPTIONS_BAD;
	if (!o->cert && (o->key || o->password || o->https_count || o->website_tls_count))
		return options_bad(
			"--cert is missing: --https, --key and --pwd need a certificate");
	if (!o->http_count && !o->https_count && !o->link_count) {
		if (o->cert)
			o->https[o->https_count++] = DEFAULT_HTTP;
		else
			o->http[o->http_count++] = DEFAULT_HTTP;
	}
	if (!o->oauth && (o->oauth_keys || o->issuer_count || o->audience_count))
		return options_bad(
			"--oauth basic is missing: the other options of --oauth need it");
	if (o->cert && !o->https_count && !o->website_tls_count)
		return options_bad("--cert: there is no --https that it would be for");
	if (!o->account_count)
		o->azurite_accounts = getenv("AZURITE_ACCOUNTS");
	if (o->azurite_accounts && !*o->azurite_accounts)
		o->azurite_accounts = NULL;
	o->development = !o->account_count && !o->azurite_accounts;
	o->accounts = options_accounts(o, error, sizeof(error));
	if (!o->accounts)
		return options_bad("%s", error);
	if (!o->store)
		return options_bad("--store is missing: --store local,path=DIR");
	return OPTIONS_RUN;
}

void options_free(struct options *o)
{
	accounts_put(o->accounts);
	o->accounts = NULL;
	free(o->made);
	o->made = NULL;
}
