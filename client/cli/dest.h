/* SPDX-License-Identifier: MIT */
#ifndef AZBLOB_CLI_DEST_H
#define AZBLOB_CLI_DEST_H

#include "transfer.h"

/**
 * struct dest - where a download goes
 * @final: the file's path, for messages; NULL: the descriptor is written as it is.
 * @directory: where it is, or -1; @name: what it is called there, within @final.
 * @temp: what the file is called there until it is complete.
 * @temp_slot: of cli_temp_register(), or -1.
 */
struct dest {
	char *final;
	int directory;
	const char *name;
	char *temp;
	int temp_slot;
	int fd;
};

/*
 * "-" is standard output; devices and pipes are written as they are.  With a @root, as tree.h has
 * it, only a regular file is replaced, and a link on the way is an error.  dest_close() follows in
 * any case.
 */
int dest_open(struct dest *dest, const char *path, size_t root, struct azblob_error *error);
/*
 * After a download of @bytes: what is written next through the same open file follows them.  0, or
 * -1 with an error.
 */
int dest_advance(const struct dest *dest, uint64_t bytes, struct azblob_error *error);
/* The file is called @temp (in the same directory) from now on, and outlives the program. */
bool dest_keep_as(struct dest *dest, const char *temp);
/* Takes @fd and the name @temp, which is kept, in place of the temporary file. */
void dest_take(struct dest *dest, int fd, const char *temp);
/*
 * Publishes what is @good, removes what is not, unless @keep.  0, or -1 with an error when that
 * fails.
 */
int dest_close(struct dest *dest, bool good, bool keep, struct azblob_error *error);

/*
 * Makes the directories on the way to @path below its first @root characters; an exit code.  A link
 * in place of one is an error: it may lead anywhere.
 */
int cli_make_parents(const char *path, size_t root);

#endif /* AZBLOB_CLI_DEST_H */
