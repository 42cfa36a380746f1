/* SPDX-License-Identifier: MIT */
/* Options of Azurite's Blob service, for those who replace it by this program. */
#ifndef AZBLOB_OPTIONS_AZURITE_H
#define AZBLOB_OPTIONS_AZURITE_H

#include "options.h"

enum azurite {
	AZURITE_HOST,
	AZURITE_PORT,
	AZURITE_KEEP_ALIVE,
	AZURITE_LOCATION,
	AZURITE_SILENT,
	AZURITE_DEBUG,
	AZURITE_SKIP_CHECK,
	AZURITE_NO_TELEMETRY,
	/* understood, and refused with the reason */
	AZURITE_LOOSE,
	AZURITE_IN_MEMORY,
	AZURITE_MEMORY_LIMIT,
	AZURITE_PATH_STYLE,
};

enum options_result options_azurite(struct options *options, enum azurite option,
				    const char *value);
/* After the last option: host and port become an address.  False: one line was printed. */
bool options_azurite_end(struct options *options);

/* Shared with options.c: one line on stderr; a number without a sign, up to @max. */
enum options_result options_bad(const char *format, ...) __attribute__((format(printf, 1, 2)));
bool options_number(const char *text, unsigned long max, unsigned long *value);

#endif /* AZBLOB_OPTIONS_AZURITE_H */
