// SPDX-License-Identifier: MIT
#include "options_azurite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Azurite's own defaults. */
#define DEFAULT_HOST "127.0.0.1"
#define DEFAULT_PORT "10000"
#define MAX_KEEP_ALIVE_S 86400u

enum options_result options_azurite(struct options *o, enum azurite option, const char *value)
{
	unsigned long n;

	switch (option) {
	case AZURITE_HOST:
		o->azurite.host = value;
		break;
	case AZURITE_PORT:
		if (!options_number(value, 65535, &n))
			return options_bad("--blobPort: '%s': 0 to 65535 is accepted", value);
		o->azurite.port = value;
		break;
	case AZURITE_KEEP_ALIVE:
		if (!options_number(value, MAX_KEEP_ALIVE_S, &n) || !n)
			return options_bad("--blobKeepAliveTimeout: '%s': 1 to %u seconds are "
					   "accepted",
					   value, MAX_KEEP_ALIVE_S);
		o->idle_ms = (unsigned int)n * 1000;
		break;
	case AZURITE_LOCATION:
		o->azurite.location = value;
		break;
	case AZURITE_SILENT:
		o->log_level = AZB_LOG_WARNING;
		break;
	case AZURITE_DEBUG:
		/* the log stays on stderr, where it can be sent to any file */
		o->log_level = AZB_LOG_DEBUG;
		break;
	case AZURITE_SKIP_CHECK:
	case AZURITE_NO_TELEMETRY:
		/* it is so anyway: newer versions are taken, and nobody is told anything */
		break;
	case AZURITE_LOOSE:
		return options_bad(
			"--loose: headers and parameters that would change what a request "
			"means are refused always");
	case AZURITE_IN_MEMORY:
	case AZURITE_MEMORY_LIMIT:
		return options_bad(
			"--inMemoryPersistence and --extentMemoryLimit: blobs are kept in "
			"the directory of --store or --location, which may be on a tmpfs");
	case AZURITE_PATH_STYLE:
		return options_bad(
			"--disableProductStyleUrl: hosts like ACCOUNT.blob.ANYTHING name "
			"the account always; use another host for path style");
	}
	return OPTIONS_RUN;
}

/* One piece of memory for both texts: the store's comes first. */
bool options_azurite_end(struct options *o)
{
	static const char prefix[] = "local,path=";
	const char *host = o->azurite.host ? o->azurite.host : DEFAULT_HOST;
	const char *port = o->azurite.port ? o->azurite.port : DEFAULT_PORT;
	const char *location = o->azurite.location;
	size_t store_room = location ? sizeof(prefix) + strlen(location) : 0;
	size_t room = strlen(host) + strlen(port) + 4;
	char *address;

	if (location && o->store) {
		options_bad("--location: there is a --store already: %s", o->store);
		return false;
	}
	o->made = malloc(store_room + room);
	if (!o->made) {
		options_bad("out of memory");
		return false;
	}
	if (location) {
		snprintf(o->made, store_room, "%s%s", prefix, location);
		o->store = o->made;
	}
	if (!o->azurite.host && !o->azurite.port)
		return true;
	address = o->made + store_room;
	snprintf(address, room, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
	if ((o->cert ? o->https_count : o->http_count) == OPTIONS_MAX_HTTP) {
		options_bad("--blobHost: at most %u addresses are accepted", OPTIONS_MAX_HTTP);
		return false;
	}
	if (o->cert)
		o->https[o->https_count++] = address;
	else
		o->http[o->http_count++] = address;
	return true;
}
