/* SPDX-License-Identifier: MIT */
/* Looking at a store that nobody uses, and copying one that is in use. */
#ifndef AZB_LOCAL_CHECK_H
#define AZB_LOCAL_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * struct check_result - what was looked at
 * @problems: lines that say what contradicts what; 0: the store is as it should be.
 * @bytes: of data that was compared with its checksums, with @data of local_check().
 */
struct check_result {
	uint64_t problems;
	uint64_t containers, blobs, chunks;
	uint64_t bytes;
};

/* Gets a line for a person, without its end.  @problem: else it is only worth knowing. */
typedef void check_say(void *context, bool problem, const char *line);

/**
 * local_check - is a store consistent?
 * @path: of its directory, which no process may use; nothing in it is changed.
 * @data: read all data and compare it with its checksums.
 * @error: one line when it can't be looked at.
 *
 * False: it could not be looked at.  Otherwise @result says what there is.
 */
bool local_check(const char *path, bool data, check_say *say, void *context,
		 struct check_result *result, char *error, size_t error_size);

/**
 * local_backup - copy a store, which another process may be serving
 * @path: of its directory.
 * @to: a directory that is not there, or is empty.  It is a store when this returns true, and
 *	never looks like one before.
 * @result: as above; problems are data that is not what its checksum says: the copy has it
 *	as it is, so that the copy's readers are told.
 *
 * The copy is the store at one moment.  Until the end the store takes changes, but gives no
 * space back.
 */
bool local_backup(const char *path, const char *to, check_say *say, void *context,
		  struct check_result *result, char *error, size_t error_size);

#endif
