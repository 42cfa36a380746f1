/* SPDX-License-Identifier: MIT */
/*
 * GET from another host, for copies: only from hosts that were allowed by name, only to addresses
 * of the public internet, and never on to where an answer points.
 *
 * A guest chooses the URL, so this is where it could make the host talk to what only the host can
 * reach.  The address is looked at when the connection is made, after the name was resolved, and
 * no redirect is followed, so a name that changes its mind in between gains nothing.
 */
#ifndef AZBLOB_BLOB_FETCH_H
#define AZBLOB_BLOB_FETCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "../base/buf.h"

/**
 * struct fetch_rules - where may be fetched from
 * @host: as in a URL, with ":PORT" where the URL has one; any case.
 * @private_too: loopback, link-local and private addresses too: unsafe, for tests.
 */
struct fetch_rules {
	const char *const *host;
	size_t count;
	bool private_too;
};

/* May the authority of a URL be asked at all? */
bool fetch_host_allowed(const struct fetch_rules *rules, const char *host, size_t length);
/* Is it an address of the public internet? */
bool fetch_address_public(const struct sockaddr *address);

/**
 * struct fetch_head - the head of an answer
 * @status: of HTTP.
 * @length: of the body, -1 when it is not said.
 * @headers: name, zero, value, zero and so on, names in lower case.
 */
struct fetch_head {
	unsigned int status;
	int64_t length;
	struct azb_buf headers;
};

/* NULL when it is not there. */
const char *fetch_header(const struct fetch_head *head, const char *name);

/**
 * struct fetch - a GET
 * @url: http or https.
 * @line: header lines, "Name: value".
 * @head: once, before the body: anything but 0 ends it, and is what fetch_run() returns.
 * @body: the same for each piece of the body; not called for an answer that is no success.
 */
struct fetch {
	const struct fetch_rules *rules;
	const char *url;
	const char *line[12];
	unsigned int line_count;
	int (*head)(void *context, const struct fetch_head *head);
	int (*body)(void *context, const void *bytes, size_t length);
	void *context;
};

/*
 * Blocks until it is done, or nobody waits for it any more (base/stop.h).  Return: 0; what a
 * callback said; -EACCES: a forbidden address; -ECANCELED; -ENOMEM; -EIO: it could not be had, or
 * broke off.  @error has one line for a person with these.
 */
int fetch_run(const struct fetch *fetch, char *error, size_t error_size);

#endif /* AZBLOB_BLOB_FETCH_H */
