/* SPDX-License-Identifier: MIT */
/* The command line of azblob-vspd. */
#ifndef AZBLOB_OPTIONS_H
#define AZBLOB_OPTIONS_H

#include "base/log.h"
#include "blob/accounts.h"
#include "blob/token.h"

#define OPTIONS_MAX_HTTP 16u
#define OPTIONS_MAX_LINK 16u
#define OPTIONS_MAX_WEBSITE 4u
#define OPTIONS_MAX_FILTER 16u
#define OPTIONS_MAX_OAUTH 16u

/* Where accounts come from, in the order given: read again when keys have changed. */
struct options_account {
	bool file;
	const char *value;
};

#define OPTIONS_MAX_ACCOUNTS 256u
#define OPTIONS_MAX_COPY_FROM 64u

/**
 * struct options - what was asked for
 * @store: as store_open() takes it.
 * @https: the same with TLS; needs @cert.
 * @website, @website_tls: addresses for static websites alone.
 * @cert, @key, @password: as http_tls_load() takes them.
 * @account, @account_count: sources; none means @azurite_accounts or the development account.
 * @azurite_accounts: of the environment, or NULL.
 * @versions: accounts that keep versions, "*" for all.
 * @accounts: with the development account when none was named.
 * @link_address: whose requests those by the link are, for SAS that are bound to an address.
 * @oauth: bearer tokens are accepted; @oauth_keys: a file with a key set, or NULL; @issuer,
 *	@audience: none means Azure's.
 * @head_ms, @idle_ms, @body_ms: as in struct http_door_config; 0 for the default.
 * @filter: around the store, the outermost first.
 * @copy_from: hosts that copies may come from; @copy_private: also by private addresses, for tests.
 * @metrics: where numbers are shown, or NULL.
 * @azurite, @made: while Azurite's options become ours, and what they became.
 * @development: that account is served.
 * @ready_fd: -1 for none.
 * @drain_ms: how long requests may go on after SIGTERM.
 * @container_retention: days; 0: deleted containers are gone at once.
 * @max_connections: 0 for the default.
 */
struct options {
	const char *store;
	const char *http[OPTIONS_MAX_HTTP];
	const char *https[OPTIONS_MAX_HTTP];
	const char *website[OPTIONS_MAX_WEBSITE];
	const char *website_tls[OPTIONS_MAX_WEBSITE];
	const char *link[OPTIONS_MAX_LINK];
	const char *filter[OPTIONS_MAX_FILTER];
	const char *copy_from[OPTIONS_MAX_COPY_FROM];
	const char *cert;
	const char *key;
	const char *password;
	struct options_account account[OPTIONS_MAX_ACCOUNTS];
	const char *azurite_accounts;
	const char *versions[OPTIONS_MAX_ACCOUNTS];
	const char *link_address;
	const char *oauth_keys;
	const char *issuer[OPTIONS_MAX_OAUTH];
	const char *audience[OPTIONS_MAX_OAUTH];
	const char *metrics;
	struct {
		const char *host, *port, *location;
	} azurite;
	char *made;
	struct accounts *accounts;
	/* how many of each of the above */
	unsigned int http_count;
	unsigned int https_count;
	unsigned int website_count;
	unsigned int website_tls_count;
	unsigned int link_count;
	unsigned int filter_count;
	unsigned int copy_from_count;
	unsigned int account_count;
	unsigned int versions_count;
	unsigned int issuer_count;
	unsigned int audience_count;
	enum azb_log_level log_level;
	int ready_fd;
	unsigned int head_ms;
	unsigned int idle_ms;
	unsigned int body_ms;
	unsigned int drain_ms;
	unsigned int container_retention;
	unsigned int max_connections;
	bool oauth;
	bool development;
	bool copy_private;
};

enum options_result {
	OPTIONS_RUN,
	OPTIONS_DONE, /* --help, --version: exit 0 */
	OPTIONS_BAD,  /* one line was printed: exit 2 */
};

/* Strings point into @argv.  End with options_free() in every case. */
enum options_result options_parse(struct options *options, int argc, char **argv);
/*
 * Reads the accounts once more from where they came.  NULL: @error has one line, and what was read
 * before stays good.
 */
struct accounts *options_accounts(const struct options *options, char *error, size_t error_size);
/* The same for bearer tokens.  True with *@tokens NULL: there are none. */
bool options_tokens(const struct options *options, struct tokens **tokens, char *error,
		    size_t error_size);
void options_free(struct options *options);

#endif /* AZBLOB_OPTIONS_H */
