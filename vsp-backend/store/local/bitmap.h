/* SPDX-License-Identifier: MIT */
/* Ranges in a map of bits; a set bit is a unit in use. */
#ifndef AZB_LOCAL_BITMAP_H
#define AZB_LOCAL_BITMAP_H

#include <stdbool.h>
#include <stdint.h>

void bitmap_set(uint64_t *map, uint32_t start, uint32_t count);
void bitmap_clear(uint64_t *map, uint32_t start, uint32_t count);

/**
 * bitmap_find - the first run of @want clear bits
 * @bits: of the map, a multiple of 64.
 */
bool bitmap_find(const uint64_t *map, uint32_t bits, uint32_t want, uint32_t *start);

#endif
