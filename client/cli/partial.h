/* SPDX-License-Identifier: MIT */
/*
 * Downloads that go on where an earlier one stopped.  Beside the file that is to be made there are
 * then two: .azblob-HASH.part with what has arrived, each piece in its place, and
 * .azblob-HASH.state with a line for each piece: where it is, its length, its CRC-64; in its head
 * the blob's address, size and ETag.  HASH is of the names of file and blob.  A piece counts only
 * when its bytes still have that CRC-64, so neither a crash nor a write to the file by others can
 * spoil the result; and only for a blob that still has that ETag.
 */
#ifndef AZBLOB_CLI_PARTIAL_H
#define AZBLOB_CLI_PARTIAL_H

#include "cli.h"

/**
 * struct partial - one download
 * @directory: where they are, a descriptor of its own.
 * @part, @state: the names of the two in it.
 * @state_fd: -1 as long as there is no state file; locked by us otherwise.
 * @part_fd: what was found of an earlier download, or -1.
 * @etag, @size: of the blob that it was of.
 * @piece: what is there, @count of them, sorted and without overlaps.
 * @bytes: of those.
 */
struct partial {
	int directory;
	char *part;
	char *state;
	int state_fd;
	int part_fd;
	char etag[128];
	uint64_t size;
	struct piece {
		uint64_t offset;
		uint64_t length;
	} * piece;
	size_t count;
	uint64_t bytes;
};

/* Names for @path (of the file that is to be made in @directory) and the blob's address. */
void partial_init(struct partial *partial, int directory, const char *path, const char *url);
/*
 * Looks for what an earlier download left, and checks all of it.  True when there is something,
 * which then is locked and open.  False too when another process is at it: *busy.
 */
bool partial_find(struct partial *partial, const char *url, bool *busy);
/* Starts a state file for a download that is kept from now on; false when that can't be. */
bool partial_start(struct partial *partial, const char *url, const char *etag, uint64_t size);
/* A piece is in its place. */
void partial_note(struct partial *partial, uint64_t offset, uint64_t length, uint64_t crc);
/* The next range at or after *offset that is missing; false when there is none. */
bool partial_missing(const struct partial *partial, uint64_t *offset, uint64_t *length);
/* Removes both files, or those that are left: all is done, or nothing is worth keeping. */
void partial_remove(struct partial *partial);
void partial_free(struct partial *partial);

#endif /* AZBLOB_CLI_PARTIAL_H */
