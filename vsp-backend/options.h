/* SPDX-License-Identifier: MIT */
/* The command line of azblob-vspd. */
#ifndef AZBLOB_OPTIONS_H
#define AZBLOB_OPTIONS_H

#include "base/log.h"
#include "blob/accounts.h"

#define OPTIONS_MAX_HTTP 16u
#define OPTIONS_MAX_LINK 16u

/**
 * struct options - what was asked for
 * @store: as store_open() takes it.
 * @accounts: with the development account when none was named.
 * @development: that account is served.
 * @ready_fd: -1 for none.
 * @drain_ms: how long requests may go on after SIGTERM.
 * @max_connections: 0 for the default.
 */
struct options {
	const char *store;
	const char *http[OPTIONS_MAX_HTTP];
	unsigned int http_count;
	const char *link[OPTIONS_MAX_LINK];
	unsigned int link_count;
	struct accounts *accounts;
	bool development;
	enum azb_log_level log_level;
	int ready_fd;
	unsigned int drain_ms;
	unsigned int max_connections;
};

enum options_result {
	OPTIONS_RUN,
	OPTIONS_DONE, /* --help, --version: exit 0 */
	OPTIONS_BAD,  /* one line was printed: exit 2 */
};

/* Strings point into @argv.  End with options_free() in every case. */
enum options_result options_parse(struct options *options, int argc, char **argv);
void options_free(struct options *options);

#endif /* AZBLOB_OPTIONS_H */
