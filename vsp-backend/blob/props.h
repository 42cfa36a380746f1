/* SPDX-License-Identifier: MIT */
/*
 * The properties of the Blob service of one account ("Set Blob Service Properties" in Azure's
 * reference): read from XML, checked, and written again.  The service keeps them in this same XML.
 */
#ifndef AZBLOB_BLOB_PROPS_H
#define AZBLOB_BLOB_PROPS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "../base/buf.h"

/* The reference: 5 CORS rules. */
#define PROPS_MAX_RULES 5u
/* The reference: 2 KiB of rules; the rest are numbers and three paths. */
#define PROPS_MAX_BYTES (64u * 1024u)

struct props_retention {
	bool enabled;
	unsigned int days; /* 1 to 365 when enabled */
};

/* Of storage analytics: kept, without effect. */
struct props_logging {
	bool delete, read, write;
	struct props_retention retention;
};

struct props_metrics {
	bool enabled, apis;
	struct props_retention retention;
};

/* Lists with commas between, as given. */
struct props_cors {
	char *origins;
	char *methods;
	char *headers;
	char *exposed;
	unsigned int max_age; /* seconds */
};

/**
 * struct props - all of them
 * @version: DefaultServiceVersion; "" for none.
 * @permanent: deleted blobs that are kept may be deleted for good.
 * @website: static website; its strings are NULL when not given.
 * Counted references; never changed once others have one.
 */
struct props {
	atomic_uint references;
	struct props_logging logging;
	struct props_metrics hours, minutes;
	struct props_cors cors[PROPS_MAX_RULES];
	unsigned int cors_count;
	char version[11];
	struct props_retention deleted;
	bool permanent;
	struct {
		bool enabled;
		char *index;
		char *not_found;
		char *default_index;
	} website;
};

enum props_status {
	PROPS_OK,
	PROPS_BAD_XML,
	PROPS_BAD_VALUE,
	PROPS_MISSING,
	PROPS_NO_MEMORY,
};

struct props *props_new(void); /* Azure's defaults; NULL when memory is short */
struct props *props_get(struct props *props);
void props_put(struct props *props); /* NULL is allowed */

/*
 * What @xml has takes the place of what is in @props, which nobody else has; the rest stays.
 * @wrong receives the name of the element that is not right.
 */
enum props_status props_read(struct props *props, const void *xml, size_t length,
			     const char **wrong);

/* All of it. */
void props_write(const struct props *props, struct azb_buf *xml);

/* A deep copy with one reference, or NULL. */
struct props *props_copy(const struct props *props);

#endif /* AZBLOB_BLOB_PROPS_H */
