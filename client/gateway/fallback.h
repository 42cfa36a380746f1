/* SPDX-License-Identifier: MIT */
/* HTTPS in place of the device, by the backend's relay (docs/relay.md). */
#ifndef AZG_FALLBACK_H
#define AZG_FALLBACK_H

#include "gateway.h"

struct gw_fallback;

/* Does it no harm to do this twice?  By the relay's table. */
bool gw_repeats(const struct head *head, const struct target *target);

/*
 * All accounts of @fallback (NULL: none), which gw_new() takes over.
 * @unknown: it may have been done by the device.  Returns as the verb request(); where there is no
 * fallback for it, NULL with @error as it was.
 */
struct rest_answer *gw_fallback_request(struct gw *gw, const struct rest_request *request,
					bool unknown, struct rest_upload **upload,
					struct rest_error *error);
/*
 * The same for a request whose body of @length bytes is in memory; @head is as it goes to the
 * device.
 * *@tried false: there is no fallback for it, and @error is as it was.
 */
struct rest_answer *gw_fallback_body(struct gw *gw, const struct azb_buf *head, bool unknown,
				     const void *body, size_t length, bool *tried,
				     struct rest_error *error);
/* What there is to be checked before such a request. */
enum rest_auth gw_fallback_auth(struct gw *gw, const struct rest_request *request);
bool gw_fallback_reload(struct gw_fallback *fallback, char *error, size_t error_size);
void gw_fallback_free(struct gw_fallback *fallback); /* NULL is allowed */

#endif /* AZG_FALLBACK_H */
