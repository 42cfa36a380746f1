/* SPDX-License-Identifier: MIT */
/* What the tests of the store share: a directory of their own, short ways to do things. */
#ifndef STORE_HELP_H
#define STORE_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "store/local/schema.h"
#include "store/store.h"

#define TEXT_OF(number) #number
#define VALUE_OF(macro) TEXT_OF(macro)
/* SQL that says of a store what it says itself. */
#define OUR_FORMAT "PRAGMA user_version = " VALUE_OF(SCHEMA_FORMAT)

#define ok(call) assert_int_equal((call), STORE_OK)

struct fixture {
	char dir[64]; /* DIR/store is the store's */
	char path[80];
	struct store *store;
	bool damaged; /* on purpose: the teardown finds nothing wrong with that */
};

/*
 * cmocka setup and teardown: an open store in a new directory, with container "c"; what is left
 * of it is checked at the end, whatever the test was about.
 */
int fixture_setup(void **state);
int fixture_teardown(void **state);
/* The same, with a clock that only the test turns: fixture_now, in ns since 1970. */
int fixture_setup_clock(void **state);
int fixture_teardown_clock(void **state);
extern int64_t fixture_now;
#define SECOND INT64_C(1000000000)
/* Is a store that is not open consistent, data included? */
void store_good(const struct fixture *f);
/* Makes or removes only the directory. */
void fixture_directory(struct fixture *f);
void fixture_remove(struct fixture *f);
/* @options: ",unsafe-no-sync=on" or "". */
struct store *fixture_open(const struct fixture *f, const char *options);
void fixture_reopen(struct fixture *f);

/* Blob @name in container "c" of account "a". */
struct store_ref ref_of(const char *name);

/* Bytes that follow from @seed. */
void fill_bytes(void *bytes, size_t length, uint32_t seed);

enum store_error put_bytes(struct store *store, const char *name, const void *bytes, size_t length,
			   const struct store_conditions *conditions, struct store_result *result);
/* The same with bytes of fill_bytes(). */
enum store_error put_seed(struct store *store, const char *name, size_t length, uint32_t seed);
/* Is the blob exactly fill_bytes() of this length and seed? */
bool has_seed(struct store *store, const char *name, size_t length, uint32_t seed);
bool exists(struct store *store, const char *name);
enum store_error delete_blob(struct store *store, const char *name);
enum store_error put_block(struct store *store, const char *name, const char *id, size_t length,
			   uint32_t seed);
/* @ids: separated by spaces, each after l, c or u: latest, committed, uncommitted. */
enum store_error put_block_list(struct store *store, const char *name, const char *ids,
				struct store_result *result);

/*
 * Runs @work in a child, with the store closed here, and kills it with SIGKILL when @changes, in
 * memory that both see, has grown by @more, and @us microseconds have gone by besides.  That is
 * only to meet other moments of the child's; nothing may depend on it.
 */
void kill_in_child(const struct fixture *f, void (*work)(const struct fixture *f),
		   const atomic_uint *changes, unsigned int more, unsigned int us);

/* Bytes on the disk of all extent files, without what the file system needs to find them. */
uint64_t disk_used(const struct fixture *f);
/* A number out of the store's own tables, read from outside. */
int64_t query_number(const struct fixture *f, const char *sql);
/* Waits, but not for ever, until that number is @want. */
bool wait_for_number(const struct fixture *f, const char *sql, int64_t want);
bool wait_for_disk_below(const struct fixture *f, uint64_t limit);

#endif
