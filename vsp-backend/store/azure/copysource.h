/* SPDX-License-Identifier: MIT */
/* Where a request in the relay's own name may have upstream copy from. */
#ifndef AZB_AZURE_COPYSOURCE_H
#define AZB_AZURE_COPYSOURCE_H

#include "azure.h"

/*
 * Looks at x-ms-copy-source (@field; NULL: there is none) and writes it as upstream knows it.  With
 * the relay's name on the request, upstream reads the account's own blobs for anybody; so they
 * may be named only by who proved to hold the account's key.  Other hosts: by config.sources.
 * False: @error.
 */
bool az_copy_source(const struct az_plan *plan, const struct rest_request *request,
		    struct az_field *field, struct rest_error *error);

#endif
