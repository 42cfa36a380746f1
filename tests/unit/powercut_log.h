/* SPDX-License-Identifier: MIT */
/* Between powercut_record.c, which writes the log, and powercut.c, which replays it. */
#ifndef POWERCUT_LOG_H
#define POWERCUT_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_kind {
	LOG_WRITE,
	LOG_ZERO,   /* a hole, or what a truncation cut off */
	LOG_SIZE,   /* offset: the new size */
	LOG_SYNC,   /* of a file */
	LOG_CREATE, /* a name, of a file or directory */
	LOG_UNLINK,
	LOG_SYNC_NAMES, /* offset: of which directory */
	LOG_MARK,       /* nothing: only a moment */
};

/* @covers, of syncs: entries before this one were written when it began. */
struct log_entry {
	enum log_kind kind;
	int file;
	uint64_t offset, length;
	unsigned char *data;
	size_t covers;
};

/* One for each time that a name was made.  @path: from the root on, "" for the root itself. */
struct cut_file {
	char path[96];
	int dir; /* -1: outside */
	bool is_dir, gone;
};

extern struct log_entry *cut_log;
extern size_t cut_log_count;
extern struct cut_file *cut_files;
extern size_t cut_file_count;

void cut_log_free(void);

#endif
