// SPDX-License-Identifier: MIT
/* azblob-gateway: the Blob REST API on this machine, by way of the driver. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/daemon.h"
#include "base/log.h"
#include "blob/accounts.h"
#include "blob/service.h"
#include "cert.h"
#include "config.h"
#include "door/http.h"
#include "fallback.h"
#include "gateway.h"
#include "metrics_door.h"
#include "options.h"

/* Requests that wait for the device at once: what is beyond waits in line here, not there. */
#define READERS 64u
/*
 * Besides them, threads that wait for the next request of a busy client: woken by it they need
 * nobody to find and wake them, which is half of what a small request costs here.
 */
#define STAYERS 128u
#define STAY_MS 50u

struct daemon {
	struct options options;
	struct gw *gw;
	struct accounts *accounts;
	struct svc *svc;
	struct http_door *http;
	struct metrics_door *metrics;
	struct azb_buf addresses; /* " http://..." for --ready-fd */
};

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
	if (*scheme != 'u' && strncmp(bound, "127.", 4) != 0 && strncmp(bound, "[::1]", 5) != 0)
		azb_log(AZB_LOG_WARNING,
			"%s is reachable from other machines; to the blob service their requests "
			"look like this machine's",
			bound);
	return true;
}

/* Connections that are there keep the certificate they have. */
static bool load_certificate(struct daemon *d)
{
	struct http_tls *tls;
	char error[400];

	if (!d->options.cert)
		return true;
	tls = http_tls_load(d->options.cert, d->options.key, NULL, error, sizeof(error));
	if (!tls) {
		azb_log(AZB_LOG_ERROR, "--cert: %s", error);
		return false;
	}
	http_door_set_tls(d->http, tls);
	http_tls_put(tls);
	return true;
}

/* The accounts whose signatures are checked here.  NULL: one line in @error. */
static struct accounts *make_accounts(struct gw_fallback *fallback, char *error, size_t error_size)
{
	struct accounts *accounts = accounts_new();

	if (!accounts) {
		snprintf(error, error_size, "out of memory");
	} else if (!gw_fallback_accounts(fallback, accounts, error, error_size)) {
		accounts_put(accounts);
		accounts = NULL;
	}
	return accounts;
}

/* SIGHUP: what can't be read stays as it was. */
static void reload(struct daemon *d)
{
	struct accounts *accounts = NULL;
	char error[500] = "";
	bool good = gw_fallback_reload(d->gw->fallback, error, sizeof(error));

	if (good)
		accounts = make_accounts(d->gw->fallback, error, sizeof(error));
	if (accounts)
		svc_set_accounts(d->svc, accounts);
	accounts_put(accounts);
	good = good && accounts;
	if (!good)
		azb_log(AZB_LOG_ERROR, "the keys stay as they were: %s", error);
	if (load_certificate(d) && good)
		azb_log(AZB_LOG_INFO, "keys and certificates were read again");
}

static bool open_http(struct daemon *d)
{
	const struct options *o = &d->options;
	struct http_door_config config = { .max_connections = o->max_connections,
					   .readers = READERS + STAYERS,
					   .stay_ms = STAY_MS,
					   .stayers = STAYERS,
					   .head_ms = o->head_ms,
					   .idle_ms = o->idle_ms,
					   .progress_ms = o->body_ms };

	d->http = http_door_new(&config, d->svc);
	if (!d->http) {
		azb_log(AZB_LOG_ERROR, "out of memory");
		return false;
	}
	if (!load_certificate(d))
		return false;
	azb_buf_puts(&d->addresses, "ready");
	for (unsigned int i = 0; i < o->http_count; i++)
		if (!listen_on(d, "http", o->http[i], 0))
			return false;
	for (unsigned int i = 0; i < o->https_count; i++)
		if (!listen_on(d, "https", o->https[i], HTTP_LISTEN_TLS))
			return false;
	errno = -http_door_start(d->http);
	if (errno)
		azb_log(AZB_LOG_ERROR, "can't start the HTTP door: %m");
	return !errno;
}

static bool open_all(struct daemon *d)
{
	struct gw_config config = { .device = d->options.device,
				    .memory = d->options.memory,
				    .timeout_ms = d->options.timeout_ms,
				    .touch_ms = d->options.touch_ms };
	struct gw_fallback *fallback = NULL;
	char error[400];

	if (d->options.fallback_count) {
		fallback = gw_fallback_open(d->options.fallback, d->options.fallback_count, error,
					    sizeof(error));
		if (!fallback) {
			azb_log(AZB_LOG_ERROR, "--fallback: %s", error);
			return false;
		}
	}
	d->gw = gw_new(&config, fallback);
	if (!d->gw) {
		azb_log(AZB_LOG_ERROR, "out of memory");
		return false;
	}
	d->accounts = make_accounts(fallback, error, sizeof(error));
	if (!d->accounts) {
		azb_log(AZB_LOG_ERROR, "--fallback: %s", error);
		return false;
	}
	if (d->options.metrics) {
		d->metrics = metrics_door_open(d->options.metrics, error, sizeof(error));
		if (!d->metrics) {
			azb_log(AZB_LOG_ERROR, "--metrics: %s", error);
			return false;
		}
	}
	d->svc = svc_new(&d->gw->store, d->accounts);
	if (d->svc)
		return open_http(d);
	azb_log(AZB_LOG_ERROR, "out of memory");
	return false;
}

static void close_all(struct daemon *d)
{
	http_door_close(d->http, d->options.drain_ms);
	metrics_door_close(d->metrics);
	svc_free(d->svc);
	if (d->gw)
		store_close(&d->gw->store);
	accounts_put(d->accounts);
	azb_buf_free(&d->addresses);
}

static int serve(struct daemon *d)
{
	int status = EXIT_FAILURE;
	sigset_t stop;

	azb_log_set_level(d->options.log_level);
	signal(SIGPIPE, SIG_IGN);
	/* before any thread: all of them leave these signals to sigwaitinfo() below */
	sigemptyset(&stop);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGHUP);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	azb_daemon_raise_limits();
	if (open_all(d)) {
		int got;

		azb_daemon_ready(&d->options.ready_fd, &d->addresses);
		do {
			got = sigwaitinfo(&stop, NULL);
			if (got == SIGHUP)
				reload(d);
		} while (got == SIGHUP || (got < 0 && errno == EINTR));
		azb_log(AZB_LOG_INFO, "%s: finishing what has begun", strsignal(got));
		azb_daemon_notify("STOPPING=1");
		status = EXIT_SUCCESS;
	}
	close_all(d);
	return status;
}

int main(int argc, char **argv)
{
	struct daemon d = { .gw = NULL };
	struct config config;
	char error[400];
	int status = 2;

	if (argc > 1 && !strcmp(argv[1], "cert"))
		return cert_run(argc, argv);
	if (!config_expand(&config, argc, argv, error, sizeof(error))) {
		(void)fprintf(stderr, "azblob-gateway: %s\n", error);
	} else {
		switch (options_parse(&d.options, config.argc, config.argv)) {
		case OPTIONS_RUN:
			status = serve(&d);
			break;
		case OPTIONS_DONE:
			status = EXIT_SUCCESS;
			break;
		case OPTIONS_BAD:
			break;
		}
	}
	config_free(&config);
	return status;
}
