/* SPDX-License-Identifier: MIT */
#ifndef AZB_LOCAL_SCHEMA_H
#define AZB_LOCAL_SCHEMA_H

#include "store/local/db.h"

/*
 * The version of the tables and of the extent files; any other is refused.  1 had no history, no
 * page and append blobs and no checksums of blocks, 2 no pending copies; neither was ever in a
 * release.
 */
#define SCHEMA_FORMAT 3

/* Bytes of an extent file, and the unit of space in it. */
#define EXTENT_FILE_SIZE (UINT64_C(1) << 30)
#define EXTENT_UNIT 4096u
#define EXTENT_FILE_UNITS (EXTENT_FILE_SIZE / EXTENT_UNIT)

/* history.kind */
enum past_kind {
	PAST_SNAPSHOT = 1,
	PAST_VERSION = 2,
	PAST_BLOB = 3, /* the blob itself, deleted */
	PAST_ROOT = -1 /* never in a row: see list.c */
};

/* garbage.kind: what garbage.what is an id of */
enum garbage_kind {
	GARBAGE_CHUNK = 1,     /* one reference to a chunk */
	GARBAGE_CONTENT = 2,   /* one reference to a content */
	GARBAGE_CONTAINER = 3, /* a deleted container with all that is in it */
	GARBAGE_STAGED = 4,    /* uncommitted blocks that no blob has any more */
	GARBAGE_VIEW = 5,      /* a look at a content of runs at garbage.at, see runs.c */
};

enum store_error schema_pragmas(struct db *db, bool writer, bool no_sync);

/**
 * schema_prepare - make the tables of a new store, or see that they can be used
 * @error: one line for a person when it fails.
 */
enum store_error schema_prepare(struct db *db, const char *path, char *error, size_t error_size);

/* The same for a store that must be there already; changes nothing. */
enum store_error schema_recognise(struct db *db, const char *path, char *error, size_t error_size);

#endif
