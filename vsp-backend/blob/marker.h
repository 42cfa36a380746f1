/* SPDX-License-Identifier: MIT */
/*
 * Markers of list pages.  A client hands them back as they are, so what is in them is ours: the
 * name to go on with, in URL-safe base64, since a name may hold characters that XML cannot.
 */
#ifndef AZBLOB_BLOB_MARKER_H
#define AZBLOB_BLOB_MARKER_H

#include <stddef.h>
#include <stdint.h>

/* Both: to be freed with free(); NULL when memory is short, the second also for a bad marker. */
char *marker_encode(const char *name);
/* The same with a place within the name; an @at of 0 gives what marker_encode() gives. */
char *marker_encode_at(const char *name, int64_t at);
char *marker_decode_at(const char *text, int64_t *at);
char *marker_decode(const char *text);

#endif /* AZBLOB_BLOB_MARKER_H */
