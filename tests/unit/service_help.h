/* SPDX-License-Identifier: MIT */
/* A service on a store of its own, and signed requests, for tests that need the whole of it. */
#ifndef SERVICE_HELP_H
#define SERVICE_HELP_H

#include "store_help.h"

#include "blob/accounts.h"
#include "blob/service.h"

/* As the path and the container names of all requests here start. */
#define ACCOUNT_PATH "/" ACCOUNTS_DEV_NAME

struct service {
	struct fixture store;
	struct accounts *accounts;
	struct svc *svc;
	struct head_parser *parser;
	char text[8192]; /* of the last head */
};

/* cmocka setup and teardown; there is an empty container "cont". */
int service_setup(void **state);
int service_teardown(void **state);

/*
 * A signed head, in s->text and parsed.  @lines: header lines, each with its "\r\n", without Host,
 * date and version.
 */
const struct head *service_head(struct service *s, const char *method, const char *target,
				const char *lines);

/* svc_start() for a request without a body, by the link, recorded as @request if not 0. */
struct svc_answer *service_do(struct service *s, const char *method, const char *target,
			      const char *lines, uint64_t request);
/* The same for one that brings a body. */
struct svc_upload *service_upload(struct service *s, const char *target, const char *lines);

/* A caller at the link, of the one session of these tests. */
struct svc_caller service_caller(uint64_t request);
extern const uint8_t service_session[16];

#endif
