// SPDX-License-Identifier: MIT
#include "fallback.h"

#include <stdlib.h>

#include "store/azure/operations.h"

struct gw_fallback {
	int unused;
};

bool gw_repeats(const struct head *head, const struct target *target)
{
	return az_operation_repeats(az_operation_find(head, target), head);
}

struct rest_answer *gw_fallback_request(struct gw *gw, const struct rest_request *request,
					bool unknown, struct rest_upload **upload,
					struct rest_error *error)
{
	(void)gw;
	(void)request;
	(void)unknown;
	(void)upload;
	(void)error;
	return NULL;
}

struct rest_answer *gw_fallback_body(struct gw *gw, const struct azb_buf *head, bool unknown,
				     const void *body, size_t length, bool *tried,
				     struct rest_error *error)
{
	(void)gw;
	(void)head;
	(void)unknown;
	(void)body;
	(void)length;
	(void)error;
	*tried = false;
	return NULL;
}

enum rest_auth gw_fallback_auth(struct gw *gw, const struct rest_request *request)
{
	(void)gw;
	(void)request;
	return REST_AUTH_NONE;
}

bool gw_fallback_reload(struct gw_fallback *fallback, char *error, size_t error_size)
{
	(void)fallback;
	(void)error;
	(void)error_size;
	return true;
}

void gw_fallback_free(struct gw_fallback *fallback)
{
	free(fallback);
}
