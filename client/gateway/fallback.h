/* SPDX-License-Identifier: MIT */
/*
 * HTTPS in place of the device, by the backend's relay (docs/relay.md): its table of what may be
 * repeated, its attempts, its bodies.  Requests keep their callers' credentials wherever the URL's
 * form allows it.
 */
#ifndef AZG_FALLBACK_H
#define AZG_FALLBACK_H

#include "gateway.h"

struct accounts;
struct gw_fallback;

/*
 * @specs: as --store azure,... has it without "azure,": account=NAME and so on.  With key-file=FILE
 * requests whose signature can't stay are checked with that key and signed anew.  NULL: @error has
 * one line.
 */
struct gw_fallback *gw_fallback_open(const char *const *specs, unsigned int count, char *error,
				     size_t error_size);
void gw_fallback_free(struct gw_fallback *fallback); /* NULL is allowed */
/* Reads the keys again.  False: one line in @error, and that one is as it was. */
bool gw_fallback_reload(struct gw_fallback *fallback, char *error, size_t error_size);
/* Adds the accounts whose keys there are, for the check of their signatures. */
bool gw_fallback_accounts(struct gw_fallback *fallback, struct accounts *accounts, char *error,
			  size_t error_size);

/* Does it no harm to do this twice?  By the relay's table. */
bool gw_repeats(const struct head *head, const struct target *target);

/*
 * @unknown: it may have been done by the device.  Returns as the verb request(); where there is no
 * fallback for it, NULL with @error as it was.
 */
struct rest_answer *gw_fallback_request(struct gw *gw, const struct rest_request *request,
					bool unknown, struct rest_upload **upload,
					struct rest_error *error);
/*
 * The same for a request whose body of @length bytes is in memory; @head is as it goes to the
 * device.  *@tried false: there is no fallback for it, and @error is as it was.
 */
struct rest_answer *gw_fallback_body(struct gw *gw, const struct azb_buf *head, bool unknown,
				     const void *body, size_t length, bool *tried,
				     struct rest_error *error);
/* What there is to be checked before a request of the first kind. */
enum rest_auth gw_fallback_auth(struct gw *gw, const struct rest_request *request);

#endif /* AZG_FALLBACK_H */
