/* SPDX-License-Identifier: MIT */
/* What azblob sync compares: a directory and the blobs below a name. */
#ifndef AZBLOB_CLI_SYNC_H
#define AZBLOB_CLI_SYNC_H

#include <time.h>

#include "transfer.h"

/* The metadata that keeps a file's time with its blob, as other tools do, too. */
#define SYNC_MTIME "mtime"
/* Base64 of an MD5, with its zero. */
#define SYNC_MD5_ROOM 25
/* "2026-01-02T03:04:05.678901234Z" and its zero. */
#define SYNC_TIME_ROOM 40

/**
 * struct sync_entry - a file or a blob
 * @name: below the directory or the prefix.
 * @mtime: of the file, or what its blob keeps of it (@exact), else when the blob was changed.
 * @etag: of a blob, else "".
 * @md5: "" where it is not known.
 * @skipped: something is there that is not for sync (a link, no regular file, a name of our own),
 *	and so what is there, or below it, on the other side has no counterpart that is known.
 */
struct sync_entry {
	char *name;
	uint64_t size;
	struct timespec mtime;
	bool exact;
	char *etag;
	char md5[SYNC_MD5_ROOM];
	bool skipped;
};

/* Sorted by name. */
struct sync_tree {
	struct sync_entry *entry;
	size_t count;
	size_t room;
};

/* All files below a directory.  0 or an exit code, after messages. */
int sync_scan_files(const struct cli *cli, const char *directory, struct sync_tree *tree);
/* All blobs below a prefix ("" or with its slash). */
int sync_scan_blobs(struct cli *cli, const char *container, const char *prefix,
		    struct sync_tree *tree);
/* The file or blob of that name; NULL when there is none, or something that is skipped. */
const struct sync_entry *sync_find(const struct sync_tree *tree, const char *name);
/* Whether that name, or a directory on the way to it, is skipped. */
bool sync_is_skipped(const struct sync_tree *tree, const char *name);
void sync_tree_free(struct sync_tree *tree);

/* The MD5 of a file as base64; @root as tree.h has it; false with errno. */
bool sync_md5(const char *path, size_t root, char text[SYNC_MD5_ROOM]);
void sync_format_time(const struct timespec *time, char text[SYNC_TIME_ROOM]);
/* As sync_format_time() writes it, with fewer digits of a second or none; false when it is not so.
 */
bool sync_parse_time(const char *text, struct timespec *time);

/* Why one is moved, or NULL. */
const char *sync_reason(const struct sync_entry *from, const struct sync_entry *to,
			enum cli_compare compare);

#endif /* AZBLOB_CLI_SYNC_H */
