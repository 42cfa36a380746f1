// SPDX-License-Identifier: MIT
#include "copysource.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../../blob/target.h"
#include "../../door/head.h"

/* A URL's parts; @path starts with a slash or is empty. */
struct source {
	const char *host;
	size_t host_length;
	const char *path;
};

static bool take_apart(const char *url, struct source *source)
{
	const char *host = strstr(url, "://");

	if (!host || (strncasecmp(url, "https:", 6) != 0 && strncasecmp(url, "http:", 5) != 0))
		return false;
	source->host = host + 3;
	source->host_length = strcspn(source->host, "/?#");
	source->path = source->host + source->host_length;
	/* a name and password before the host would make it another host than it looks */
	return source->host_length && !memchr(source->host, '@', source->host_length) &&
	       *source->path == '/';
}

static bool is_host(const struct source *source, const char *host, size_t length)
{
	return source->host_length == length && !strncasecmp(source->host, host, length);
}

/* The account's blobs by any name that leads there: the client's, and the endpoint's. */
static const char *own_path(const struct az_config *c, const struct rest_request *request,
			    const struct source *source)
{
	const struct head_str *named = head_get(request->head, "Host");
	const char *upstream = strstr(c->base, "://") + 3;
	size_t n = strlen(c->account);
	const char *path = source->path;

	if (named && is_host(source, named->at, named->length)) {
		if (!request->target->path_style)
			return path;
	} else if (is_host(source, upstream, strlen(upstream))) {
		if (!*c->prefix)
			return path;
	} else {
		return NULL;
	}
	if (strncmp(path + 1, c->account, n) != 0 || path[n + 1] != '/')
		return NULL;
	return path + n + 1;
}

static bool is_listed(const char *list, const struct source *source)
{
	while (list && *list) {
		size_t n = strcspn(list, ";");

		if (n && is_host(source, list, n))
			return true;
		list += list[n] ? n + 1 : n;
	}
	return false;
}

/* The key's holder may read everything; what a SAS or a token allows is not known here. */
static bool holds_key(const struct az_config *c, const struct rest_request *request)
{
	const struct head_str *value = head_get(request->head, "Authorization");

	/* or nobody asked for a proof, because the machine is trusted with the account */
	if (request->link && c->trust_link)
		return true;
	return request->checked && value && value->length > 9 &&
	       !strncasecmp(value->at, "SharedKey", 9);
}

bool az_copy_source(const struct az_plan *plan, const struct rest_request *request,
		    struct az_field *field, struct rest_error *error)
{
	const struct az_config *c = &plan->az->config;
	struct azb_buf url = { 0 };
	struct source source;
	const char *path;

	if (!field)
		return true;
	if (!take_apart(field->value, &source)) {
		az_error(error, 400, "InvalidHeaderValue",
			 "x-ms-copy-source is not an absolute http or https URL.");
		return false;
	}
	path = own_path(c, request, &source);
	if (!path) {
		if (is_listed(c->sources, &source))
			return true;
		az_error(error, 403, "CannotVerifyCopySource",
			 "Copies from that host are not allowed here.");
		return false;
	}
	if (!holds_key(c, request)) {
		az_error(error, 403, "CannotVerifyCopySource",
			 "Who is not known by the account's key can't name a blob of it as the "
			 "source of a copy.");
		return false;
	}
	azb_buf_printf(&url, "%s%s%s", c->base, c->prefix, path);
	if (url.failed) {
		azb_buf_free(&url);
		az_error(error, 503, "ServerBusy", "The relay is out of memory.");
		return false;
	}
	free(field->value);
	field->value = url.data;
	return true;
}
