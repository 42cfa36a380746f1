/* SPDX-License-Identifier: MIT */
/*
 * For test programs that use libazblob as any program does: <azblob.h> and nothing else.  Each is
 * run by tests/client/test_library.py, over HTTP with the shared library and over the payload of
 * the driver with AZBLOB_TEST_DEVICE naming the daemon's link socket; the account comes from the
 * environment, and the container in argv[1] is there and empty.  Exit status 0 is a pass.
 */
#ifndef TEST_API_H
#define TEST_API_H

#include <azblob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Something that has to be true. */
#define CHECK(what)                                                                        \
	do {                                                                               \
		if (!(what)) {                                                             \
			fprintf(stderr, "%s:%d: %s: not so\n", __FILE__, __LINE__, #what); \
			exit(1);                                                           \
		}                                                                          \
	} while (0)

/* A call that has to succeed; it gets &api_error. */
#define OK(call)                                                                      \
	do {                                                                          \
		if (call) {                                                           \
			fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #call, \
				api_error.message);                                   \
			exit(1);                                                      \
		}                                                                     \
	} while (0)

/* A call that has to fail so. */
#define FAILS(call, expected)                                                                  \
	do {                                                                                   \
		CHECK((call) == -1);                                                           \
		CHECK(*api_error.message);                                                     \
		if (api_error.kind != (expected)) {                                            \
			fprintf(stderr, "%s:%d: %s: kind %d, %s\n", __FILE__, __LINE__, #call, \
				api_error.kind, api_error.message);                            \
			exit(1);                                                               \
		}                                                                              \
	} while (0)

static struct azblob_error api_error;

static inline azblob_config *api_config(void)
{
	const char *device = getenv("AZBLOB_TEST_DEVICE");
	azblob_config *config = azblob_config_new();

	CHECK(config);
	OK(azblob_config_from_environment(config, &api_error));
	OK(azblob_config_set_transport(
		config, device ? AZBLOB_TRANSPORT_DRIVER : AZBLOB_TRANSPORT_HTTP, &api_error));
	if (device)
		OK(azblob_config_set_device(config, device, &api_error));
	return config;
}

static inline azblob_conn *api_open(void)
{
	azblob_config *config = api_config();
	azblob_conn *conn;

	OK(azblob_open(config, &conn, &api_error));
	azblob_config_free(config);
	return conn;
}

#endif
