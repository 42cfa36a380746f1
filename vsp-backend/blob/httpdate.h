/* SPDX-License-Identifier: MIT */
/* Dates as HTTP and Azure's XML write them.  No state, any thread. */
#ifndef AZBLOB_BLOB_HTTPDATE_H
#define AZBLOB_BLOB_HTTPDATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* "Sun, 06 Nov 1994 08:49:37 GMT" and a zero */
#define HTTPDATE_ROOM 30u

void httpdate_format(char out[HTTPDATE_ROOM], time_t seconds);
/* The three forms of RFC 9110.  False when it is none. */
bool httpdate_parse(const char *text, size_t length, time_t *seconds);
/* Nanoseconds to whole seconds, downwards. */
time_t httpdate_seconds(int64_t ns);

#endif /* AZBLOB_BLOB_HTTPDATE_H */
