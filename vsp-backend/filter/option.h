/* SPDX-License-Identifier: MIT */
/* What the options of filters have in common. */
#ifndef AZB_FILTER_OPTION_H
#define AZB_FILTER_OPTION_H

#include <stdatomic.h>

#include "filter/filter.h"

/**
 * option_next - the next "NAME=VALUE" of a list with commas
 * @at: of the rest, which is changed; NULL after the last one.
 * @value: NULL for a name alone.
 */
bool option_next(char **at, char **name, char **value);

/* Is it "all", or the name of a verb?  Bits of those it means, 0: neither. */
unsigned int option_verbs(const char *name);

/* "5ms", "10us", "2s", "300ns", "0"; at most an hour. */
bool option_time(const char *text, uint64_t *ns);
bool option_number(const char *text, uint64_t max, uint64_t *value);

/* One line; always false. */
bool option_bad(char *error, size_t size, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/**
 * struct trigger - which of the calls a filter acts on
 * @permille: of them, by a random generator that starts the same each time; 1000: all.
 * @every: each so-manieth; 0: all.
 * @skip: leaves so many alone first.  @count: stops after so many; 0: never.
 * @file: only while it exists; NULL: always.
 */
struct trigger {
	uint64_t permille, every, skip, count;
	char *file;
	atomic_ullong seen, hit, random;
};

void trigger_init(struct trigger *trigger);
void trigger_free(struct trigger *trigger);
/* rate=P%, every=N, skip=N, count=N, if=FILE.  *@mine: it is one of these. */
bool trigger_option(struct trigger *trigger, const char *name, const char *value, bool *mine,
		    char *error, size_t size);
bool trigger_hits(struct trigger *trigger);
#define TRIGGER_OPTIONS "rate=P%, every=N, skip=N, count=N, if=FILE"

/* The filters.  @options: what follows the name, to be changed. */
typedef struct store *filter_make(char *options, struct store *next, char *error, size_t size);
filter_make filter_cache, filter_delay, filter_error, filter_fault, filter_log, filter_stats;

#endif
