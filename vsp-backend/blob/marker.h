/* SPDX-License-Identifier: MIT */
/*
 * Markers of list pages.  A client hands them back as they are, so what is in them is ours: the
 * name to go on with, in URL-safe base64, since a name may hold characters that XML cannot.
 */
#ifndef AZBLOB_BLOB_MARKER_H
#define AZBLOB_BLOB_MARKER_H

#include <stddef.h>

/* Both: to be freed with free(); NULL when memory is short, the second also for a bad marker. */
char *marker_encode(const char *name);
char *marker_decode(const char *text);

#endif /* AZBLOB_BLOB_MARKER_H */
