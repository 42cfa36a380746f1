// SPDX-License-Identifier: MIT
/* --store azure,...: what is accepted, and one line about what is not. */
#include "azure.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../../blob/target.h"

#define DEFAULT_IMDS "http://169.254.169.254"

struct reader {
	struct az_config *config;
	bool plain;
	char *error;
	size_t error_size;
};

static bool bad(struct reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

static bool bad(struct reader *r, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(r->error, r->error_size, format, list);
	va_end(list);
	return false;
}

static bool set(struct reader *r, char **to, const char *value)
{
	free(*to);
	*to = strdup(value);
	return *to || bad(r, "azure: out of memory");
}

static bool number(struct reader *r, const char *name, const char *value, unsigned long min,
		   unsigned long max, unsigned int *to)
{
	unsigned long n;
	char *end;

	errno = 0;
	n = strtoul(value, &end, 10);
	if (*value < '0' || *value > '9' || *end || errno || n < min || n > max)
		return bad(r, "azure: %s=%s: %lu to %lu is accepted", name, value, min, max);
	*to = (unsigned int)n;
	return true;
}

static bool on_off(struct reader *r, const char *name, const char *value, bool *to)
{
	*to = !strcmp(value, "on");
	return *to || !strcmp(value, "off") ||
	       bad(r, "azure: %s=%s: on and off are accepted", name, value);
}

static bool one_credential(struct reader *r, enum az_credential credential)
{
	if (r->config->credential != AZ_PASS)
		return bad(r, "azure: one of key-file, sas-file and identity is accepted, not two");
	r->config->credential = credential;
	return true;
}

static bool read_host(struct reader *r, const char *name, const char *value, char **to)
{
	if (strncmp(value, "http://", 7) != 0 && strncmp(value, "https://", 8) != 0)
		return bad(r, "azure: %s=%s: a URL with http:// or https:// is accepted", name,
			   value);
	free(*to);
	*to = strndup(value, strlen(value) - (value[strlen(value) - 1] == '/' ? 1 : 0));
	return *to || bad(r, "azure: out of memory");
}

static bool take(struct reader *r, const char *name, const char *value)
{
	struct az_config *c = r->config;
	unsigned int n = 0;

	if (!strcmp(name, "account")) {
		if (!target_account_name_good(value))
			return bad(r,
				   "azure: account=%s: 3 to 24 lower-case letters and digits are "
				   "accepted",
				   value);
		snprintf(c->account, sizeof(c->account), "%s", value);
		return true;
	}
	if (!strcmp(name, "endpoint"))
		return read_host(r, name, value, &r->config->endpoint);
	if (!strcmp(name, "key-file"))
		return one_credential(r, AZ_KEY) && set(r, &c->key_file, value);
	if (!strcmp(name, "sas-file"))
		return one_credential(r, AZ_SAS) && set(r, &c->sas_file, value);
	if (!strcmp(name, "identity"))
		return strcmp(value, "managed") != 0
			       ? bad(r, "azure: identity=%s: managed is accepted", value)
			       : one_credential(r, AZ_IDENTITY);
	if (!strcmp(name, "client-id"))
		return strspn(value, "0123456789abcdefABCDEF-") == strlen(value) && *value
			       ? set(r, &c->client_id, value)
			       : bad(r, "azure: client-id=%s: a GUID is accepted", value);
	if (!strcmp(name, "imds"))
		return read_host(r, name, value, &c->imds);
	if (!strcmp(name, "ca"))
		return access(value, R_OK) ? bad(r, "azure: ca=%s: %m", value)
					   : set(r, (char **)&c->up.ca_file, value);
	if (!strcmp(name, "proxy"))
		return set(r, (char **)&c->up.proxy, strcmp(value, "none") != 0 ? value : "");
	if (!strcmp(name, "copy-from"))
		return set(r, &c->sources, value);
	if (!strcmp(name, "spool")) {
		struct stat st;

		if (stat(value, &st) || !S_ISDIR(st.st_mode) || access(value, W_OK | X_OK))
			return bad(r,
				   "azure: spool=%s: a folder that can be written to is accepted",
				   value);
		return set(r, &c->spool, value);
	}
	if (!strcmp(name, "trust-link"))
		return on_off(r, name, value, &c->trust_link);
	if (!strcmp(name, "unsafe-plain-http"))
		return on_off(r, name, value, &r->plain);
	if (!strcmp(name, "connections"))
		return number(r, name, value, 1, 4096, &c->up.lanes);
	if (!strcmp(name, "connect-timeout"))
		return number(r, name, value, 1, 600000, &c->up.connect_ms);
	if (!strcmp(name, "timeout"))
		return number(r, name, value, 1, 3600000, &c->up.idle_ms);
	if (!strcmp(name, "retries"))
		return number(r, name, value, 0, 100, &c->retries);
	if (!strcmp(name, "retry-delay"))
		return number(r, name, value, 0, 600000, &c->retry_ms);
	if (!strcmp(name, "retry-max-delay"))
		return number(r, name, value, 0, 3600000, &c->retry_max_ms);
	if (!strcmp(name, "retry-budget"))
		return number(r, name, value, 0, 3600000, &c->budget_ms);
	if (!strcmp(name, "hold-max")) {
		if (!number(r, name, value, 0, 256, &n))
			return false;
		c->hold_max = (size_t)n << 20;
		return true;
	}
	if (!strcmp(name, "hold-total")) {
		if (!number(r, name, value, 0, 65536, &n))
			return false;
		c->hold_total = (size_t)n << 20;
		return true;
	}
	return bad(r,
		   "azure: unknown option '%.40s'; there are: account, endpoint, key-file, "
		   "sas-file, identity, client-id, imds, ca, proxy, connections, connect-timeout, "
		   "timeout, retries, retry-delay, retry-max-delay, retry-budget, hold-max, "
		   "hold-total, spool, copy-from, trust-link",
		   name);
}

/* "https://host[:port][/prefix]" into its two parts. */
static bool split(struct reader *r, const char *url, char **base, char **prefix)
{
	const char *host = strstr(url, "://") + 3;
	const char *path = strchr(host, '/');
	size_t length = path ? (size_t)(path - url) : strlen(url);

	if (host[strcspn(host, "@?#")] || host == path || !*host)
		return bad(r, "azure: endpoint=%s: https://HOST[:PORT][/ACCOUNT] is accepted", url);
	free(*base);
	free(*prefix);
	*base = strndup(url, length);
	*prefix = strdup(path ? path : "");
	return (*base && *prefix) || bad(r, "azure: out of memory");
}

static bool make_endpoints(struct reader *r)
{
	struct az_config *c = r->config;
	struct azb_buf url = { 0 };
	size_t n = strlen(c->account);
	const char *host;
	bool fine;

	if (!r->config->endpoint) {
		azb_buf_printf(&url, "https://%s.blob.core.windows.net", c->account);
		fine = !url.failed && set(r, &r->config->endpoint, url.data);
		azb_buf_free(&url);
		if (!fine)
			return bad(r, "azure: out of memory");
	}
	if (!strncmp(r->config->endpoint, "http://", 7)) {
		if (!r->plain)
			return bad(r,
				   "azure: endpoint=%s: https:// is accepted; http:// only with "
				   "unsafe-plain-http=on",
				   r->config->endpoint);
		c->up.plain = true;
	}
	if (!split(r, r->config->endpoint, &c->base, &c->prefix))
		return false;
	if (*c->prefix && (strcmp(c->prefix + 1, c->account) != 0))
		return bad(r, "azure: endpoint=%s: its path can only be /%s", r->config->endpoint,
			   c->account);
	/* the copy's name: the account's with "-secondary", wherever that is */
	if (*c->prefix) {
		azb_buf_printf(&url, "%s/%s-secondary", c->base, c->account);
	} else {
		host = strstr(c->base, "://") + 3;
		if (!strncmp(host, c->account, n) && host[n] == '.')
			azb_buf_printf(&url, "%.*s%s-secondary%s", (int)(host - c->base), c->base,
				       c->account, host + n);
		else
			azb_buf_puts(&url, c->base);
	}
	fine = !url.failed && split(r, url.data, &c->secondary_base, &c->secondary_prefix);
	azb_buf_free(&url);
	return fine;
}

static bool check(struct reader *r)
{
	struct az_config *c = r->config;

	if (!*c->account)
		return bad(r, "azure: account=NAME is missing");
	if (!make_endpoints(r))
		return false;
	if ((c->client_id || c->imds) && c->credential != AZ_IDENTITY)
		return bad(r, "azure: client-id and imds are of use only with identity=managed");
	if (c->trust_link && c->credential == AZ_PASS)
		return bad(r, "azure: trust-link=on needs key-file, sas-file or identity");
	if (!c->imds && !set(r, &c->imds, DEFAULT_IMDS))
		return false;
	if (!c->spool) {
		const char *folder = getenv("TMPDIR");

		if (!set(r, &c->spool, folder && *folder ? folder : "/var/tmp"))
			return false;
	}
	return true;
}

bool az_config_parse(struct az_config *config, const char *options, char *error, size_t error_size)
{
	struct reader r = { .config = config, .error = error, .error_size = error_size };
	char *copy = strdup(options), *at = copy, *pair;
	bool fine = copy || bad(&r, "azure: out of memory");

	memset(config, 0, sizeof(*config));
	/* what Azure's own libraries do: 3 more attempts after 0.8 s and twice as long each time */
	config->retries = 3;
	config->retry_ms = 800;
	config->retry_max_ms = 60000;
	config->budget_ms = 100000;
	config->hold_max = 8u << 20;
	config->hold_total = 128u << 20;
	config->up = (struct up_config){ .lanes = 64, .connect_ms = 15000, .idle_ms = 60000 };
	while (fine && (pair = strsep(&at, ","))) {
		char *value = strchr(pair, '=');

		if (!*pair)
			continue;
		if (!value) {
			fine = bad(&r, "azure: '%.40s': NAME=VALUE is accepted", pair);
			break;
		}
		*value++ = 0;
		fine = take(&r, pair, value);
	}
	fine = fine && check(&r);
	free(copy);
	return fine;
}

void az_config_free(struct az_config *config)
{
	free(config->endpoint);
	free(config->base);
	free(config->prefix);
	free(config->secondary_base);
	free(config->secondary_prefix);
	free(config->key_file);
	free(config->sas_file);
	free(config->imds);
	free(config->client_id);
	free(config->sources);
	free(config->spool);
	free((char *)config->up.ca_file);
	free((char *)config->up.proxy);
}
