/* SPDX-License-Identifier: MIT */
/* --metrics: the numbers of base/metrics.h by HTTP, on this machine only. */
#ifndef AZBLOB_METRICS_DOOR_H
#define AZBLOB_METRICS_DOOR_H

#include <stddef.h>

struct metrics_door;

/**
 * metrics_door_open - answer with the numbers
 * @address: a path of a Unix socket (with a slash in it), "127.0.0.1:PORT" or "[::1]:PORT".
 *
 * Whoever may connect sees them; they hold no names of blobs and no keys.  One client at a time,
 * each cut off after some seconds.  NULL, and one line in @error.
 */
struct metrics_door *metrics_door_open(const char *address, char *error, size_t error_size);
/* NULL is allowed. */
void metrics_door_close(struct metrics_door *door);

#endif /* AZBLOB_METRICS_DOOR_H */
