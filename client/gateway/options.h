/* SPDX-License-Identifier: MIT */
/* The command line of azblob-gateway. */
#ifndef AZG_OPTIONS_H
#define AZG_OPTIONS_H

#include <stddef.h>

#include "base/log.h"

#define OPTIONS_MAX_LISTEN 16u
#define OPTIONS_MAX_FALLBACK 64u

/**
 * struct options - what was asked for
 * @http, @https: addresses, or paths of unix sockets (http only).
 * @fallback: what gw_fallback_open() takes.
 * @cert, @key: PEM files, for https.
 * @memory: bytes of large buffers.
 * @timeout_ms: that the host has for one request.
 * @touch_ms: how long the handle of a large body rests before it is used just to keep it.
 * @head_ms, @idle_ms, @body_ms, @max_connections: as in struct http_door_config; 0: the default.
 * @ready_fd: -1 for none.
 * @drain_ms: how long requests may go on after SIGTERM.
 */
struct options {
	const char *http[OPTIONS_MAX_LISTEN];
	const char *https[OPTIONS_MAX_LISTEN];
	unsigned int http_count;
	unsigned int https_count;
	const char *fallback[OPTIONS_MAX_FALLBACK];
	unsigned int fallback_count;
	const char *cert;
	const char *key;
	const char *device;
	const char *metrics;
	size_t memory;
	unsigned int timeout_ms;
	unsigned int touch_ms;
	unsigned int head_ms;
	unsigned int idle_ms;
	unsigned int body_ms;
	unsigned int drain_ms;
	unsigned int max_connections;
	int ready_fd;
	enum azb_log_level log_level;
};

enum options_result {
	OPTIONS_RUN,
	OPTIONS_DONE, /* --help, --version: exit 0 */
	OPTIONS_BAD,  /* one line was printed: exit 2 */
};

/* Strings point into @argv. */
enum options_result options_parse(struct options *options, int argc, char **argv);

#endif /* AZG_OPTIONS_H */
