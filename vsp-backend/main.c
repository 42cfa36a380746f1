// SPDX-License-Identifier: MIT
/* azblob-vspd: one Blob service behind two doors. */
#include <curl/curl.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/daemon.h"
#include "base/log.h"
#include "blob/service.h"
#include "config.h"
#include "door/http.h"
#include "door/link.h"
#include "filter/filter.h"
#include "metrics_door.h"
#include "options.h"
#include "store/rest.h"
#include "store/store.h"
#include "tools.h"

/* Requests of one link that run at once; each may wait for a commit. */
#define LINK_THREADS 64u
/* Reads by HTTP that wait for another server at once. */
#define RELAY_READERS 64u

struct daemon {
	struct options options;
	struct store *store;
	struct svc *svc;
	struct http_door *http;
	struct link_door *link[OPTIONS_MAX_LINK];
	struct metrics_door *metrics;
	struct azb_buf addresses; /* " http://..." for --ready-fd */
};

static bool is_loopback(const char *bound)
{
	return !strncmp(bound, "127.", 4) || !strncmp(bound, "[::1]", 5) || strchr(bound, '/');
}

static bool listen_on(struct daemon *d, const char *option, const char *address, unsigned int flags)
{
	const char *scheme = flags & HTTP_LISTEN_TLS ? "https://" : "http://";
	char bound[HTTP_ADDRESS_ROOM], error[400];

	if (http_door_listen(d->http, address, flags, bound, error, sizeof(error))) {
		azb_log(AZB_LOG_ERROR, "--%s: %s", option, error);
		return false;
	}
	if (strchr(bound, '/'))
		scheme = "unix:";
	azb_buf_printf(&d->addresses, " %s%s", scheme, bound);
	azb_log(AZB_LOG_INFO, "listening on %s%s", scheme, bound);
	if (d->options.development && !is_loopback(bound))
		azb_log(AZB_LOG_WARNING,
			"%s is reachable from other machines, and the key of %s is public: use "
			"--account",
			bound, ACCOUNTS_DEV_NAME);
	return true;
}

/* Connections that are there keep the certificate they have. */
static bool load_certificate(struct daemon *d)
{
	const struct options *o = &d->options;
	struct http_tls *tls;
	char error[400];

	if (!o->cert || !d->http)
		return true;
	tls = http_tls_load(o->cert, o->key, o->password, error, sizeof(error));
	if (!tls) {
		azb_log(AZB_LOG_ERROR, "--cert: %s", error);
		return false;
	}
	http_door_set_tls(d->http, tls);
	http_tls_put(tls);
	return true;
}

static bool load_tokens(struct daemon *d)
{
	struct tokens *tokens;
	char error[400];

	if (!options_tokens(&d->options, &tokens, error, sizeof(error))) {
		azb_log(AZB_LOG_ERROR, "--oauth-keys: %s", error);
		return false;
	}
	svc_set_tokens(d->svc, tokens);
	if (tokens && !tokens_are_signed(tokens))
		azb_log(AZB_LOG_WARNING,
			"--oauth without --oauth-keys: signatures of tokens are not "
			"checked, so anybody can make one");
	tokens_put(tokens);
	return true;
}

/* SIGHUP: what can't be read stays as it was. */
static void reload(struct daemon *d)
{
	struct accounts *accounts;
	char error[500] = "";
	bool good;

	accounts = options_accounts(&d->options, error, sizeof(error));
	if (accounts) {
		svc_set_accounts(d->svc, accounts);
		accounts_put(accounts);
	} else {
		azb_log(AZB_LOG_ERROR, "the accounts stay as they were: %s", error);
	}
	good = !d->store->ops->rest || d->store->ops->rest->reload(d->store, error, sizeof(error));
	if (!good)
		azb_log(AZB_LOG_ERROR, "the store's key stays as it was: %s", error);
	good &= load_certificate(d);
	good &= load_tokens(d);
	if (good && accounts)
		azb_log(AZB_LOG_INFO, "keys and certificates were read again");
}

static bool open_http(struct daemon *d)
{
	struct http_door_config config = { .max_connections = d->options.max_connections,
					   .head_ms = d->options.head_ms,
					   .idle_ms = d->options.idle_ms,
					   .progress_ms = d->options.body_ms };

	if (!d->options.http_count && !d->options.https_count && !d->options.website_count &&
	    !d->options.website_tls_count)
		return true;
	/* its reads wait for the network, not for a processor */
	if (d->store->ops->rest)
		config.readers = RELAY_READERS;
	d->http = http_door_new(&config, d->svc);
	if (!d->http) {
		azb_log(AZB_LOG_ERROR, "out of memory");
		return false;
	}
	if (!load_certificate(d))
		return false;
	for (unsigned int i = 0; i < d->options.http_count; i++)
		if (!listen_on(d, "http", d->options.http[i], 0))
			return false;
	for (unsigned int i = 0; i < d->options.https_count; i++)
		if (!listen_on(d, "https", d->options.https[i], HTTP_LISTEN_TLS))
			return false;
	for (unsigned int i = 0; i < d->options.website_count; i++)
		if (!listen_on(d, "website", d->options.website[i], HTTP_LISTEN_WEBSITE))
			return false;
	for (unsigned int i = 0; i < d->options.website_tls_count; i++)
		if (!listen_on(d, "website-https", d->options.website_tls[i],
			       HTTP_LISTEN_WEBSITE | HTTP_LISTEN_TLS))
			return false;
	errno = -http_door_start(d->http);
	if (errno)
		azb_log(AZB_LOG_ERROR, "can't start the HTTP door: %m");
	return !errno;
}

static bool open_links(struct daemon *d)
{
	for (unsigned int i = 0; i < d->options.link_count; i++) {
		struct link_door_config config = { .path = d->options.link[i],
						   .threads = LINK_THREADS,
						   .address = d->options.link_address };

		/* says in one line what is wrong */
		if (link_door_open(&config, d->svc, &d->link[i]))
			return false;
		azb_log(AZB_LOG_INFO, "listening on %s", d->options.link[i]);
	}
	return true;
}

static bool allow_copies(struct daemon *d)
{
	if (!d->options.copy_from_count)
		return true;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		azb_log(AZB_LOG_ERROR, "--copy-from: libcurl can't be set up");
		return false;
	}
	if (d->options.copy_private)
		azb_log(AZB_LOG_WARNING,
			"--unsafe-copy-from-private: who may write a blob can make "
			"this machine ask others of its network");
	svc_allow_sources(d->svc, d->options.copy_from, d->options.copy_from_count,
			  d->options.copy_private);
	return true;
}

/* Tokens that anybody can make are for tests; they must not open somebody's real account. */
static bool tokens_fit_store(const struct daemon *d)
{
	const struct rest_ops *rest = d->store->ops->rest;

	if (!d->options.oauth || d->options.oauth_keys || !rest || !rest->vouches ||
	    !rest->vouches(d->store))
		return true;
	azb_log(AZB_LOG_ERROR, "--oauth: without --oauth-keys anybody can make a token, and this "
			       "--store would serve it with its own credentials: add --oauth-keys");
	return false;
}

static bool open_all(struct daemon *d)
{
	char error[400];

	d->store = store_open(d->options.store, error, sizeof(error));
	if (!d->store) {
		azb_log(AZB_LOG_ERROR, "--store: %s", error);
		return false;
	}
	if (!tokens_fit_store(d))
		return false;
	/* the first on the command line is the outermost */
	for (unsigned int i = d->options.filter_count; i--;) {
		struct store *outer =
			filter_open(d->options.filter[i], d->store, error, sizeof(error));

		if (!outer) {
			azb_log(AZB_LOG_ERROR, "--filter: %s", error);
			return false;
		}
		d->store = outer;
	}
	if (d->options.metrics) {
		d->metrics = metrics_door_open(d->options.metrics, error, sizeof(error));
		if (!d->metrics) {
			azb_log(AZB_LOG_ERROR, "--metrics: %s", error);
			return false;
		}
	}
	d->svc = svc_new(d->store, d->options.accounts);
	if (d->svc)
		svc_retain_containers(d->svc, d->options.container_retention);
	if (!d->svc) {
		azb_log(AZB_LOG_ERROR, "out of memory");
		return false;
	}
	if (!load_tokens(d) || !allow_copies(d))
		return false;
	if (svc_resume_copies(d->svc)) {
		azb_log(AZB_LOG_ERROR, "--store: the copies that are under way can't be read");
		return false;
	}
	azb_buf_puts(&d->addresses, "ready");
	return open_http(d) && open_links(d);
}

static void close_all(struct daemon *d)
{
	/* all at once: together they have the time that one has */
	http_door_drain(d->http, d->options.drain_ms);
	for (unsigned int i = 0; i < d->options.link_count; i++)
		link_door_drain(d->link[i], d->options.drain_ms);
	http_door_close(d->http, d->options.drain_ms);
	for (unsigned int i = 0; i < d->options.link_count; i++)
		link_door_close(d->link[i], d->options.drain_ms);
	metrics_door_close(d->metrics);
	svc_free(d->svc);
	if (d->store)
		store_close(d->store);
	azb_buf_free(&d->addresses);
	options_free(&d->options);
}

int main(int argc, char **argv)
{
	struct daemon d = { 0 };
	struct config config;
	char error[400];
	sigset_t stop;
	int status = EXIT_FAILURE;

	if (tools_run(argc, argv, &status))
		return status;
	if (!config_expand(&config, argc, argv, error, sizeof(error))) {
		config_free(&config);
		(void)fprintf(stderr, "azblob-vspd: %s\n", error);
		return 2;
	}
	switch (options_parse(&d.options, config.argc, config.argv)) {
	case OPTIONS_RUN:
		break;
	case OPTIONS_DONE:
		options_free(&d.options);
		config_free(&config);
		return EXIT_SUCCESS;
	case OPTIONS_BAD:
		options_free(&d.options);
		config_free(&config);
		return 2;
	}
	azb_log_set_level(d.options.log_level);
	signal(SIGPIPE, SIG_IGN);
	/* before any thread: all of them leave these signals to sigwaitinfo() below */
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGHUP);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	azb_daemon_raise_limits();
	if (open_all(&d)) {
		int got;

		azb_daemon_ready(&d.options.ready_fd, &d.addresses);
		do {
			got = sigwaitinfo(&stop, NULL);
			if (got == SIGHUP)
				reload(&d);
		} while (got == SIGHUP || (got < 0 && errno == EINTR));
		azb_log(AZB_LOG_INFO, "%s: finishing what has begun", strsignal(got));
		azb_daemon_notify("STOPPING=1");
		status = EXIT_SUCCESS;
	}
	close_all(&d);
	config_free(&config);
	return status;
}
