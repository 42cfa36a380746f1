/* SPDX-License-Identifier: MIT */
/*
 * Power cuts in memory.  While it records, every write of the store, its own (the linker's
 * --wrap) and SQLite's (a VFS in front of the real one), goes into a log together with the
 * syncs.  Afterwards a directory can be made for any moment of that log as a disk may hold it
 * after a power cut then: what was synced is there; of what was not, any part is.
 *
 * What a disk may do with unsynced writes, by file:
 *   - each page, or each sector of it, holds what some of the writes to it made, the
 *     latest ones missing; or single writes are missing and later ones are there;
 *   - the size is any that the file had since the last sync.
 * Names appear and go in the order in which that happened, and are sure after a sync of
 * their directory.
 */
#ifndef POWERCUT_H
#define POWERCUT_H

#include <stddef.h>
#include <stdint.h>

/* Everything below @root, which need not exist yet, is recorded from now on. */
void cut_record(const char *root);
void cut_record_end(void);
/*
 * From now on the disk takes so many bytes more of the store and of SQLite, then it is full; less
 * than 0: it never is.  Works while it records.
 */
void cut_disk_room(long bytes);
/* How many entries the log has: the moment now.  Any thread. */
size_t cut_now(void);
/* What entry @at was, for messages. */
const char *cut_describe(size_t at, char *text, size_t room);

enum cut_mode {
	CUT_NOTHING, /* of what was not synced */
	CUT_ALL,     /* of it */
	CUT_PAGES,   /* each page as it was at some time since */
	CUT_SECTORS, /* each sector of 512 bytes */
	CUT_WRITES,  /* any of the writes, in any order */
	CUT_MODES
};

/* Goes on to the moment @at of the log; never backwards.  Starts at 0. */
void cut_goto(size_t at);
/* The directory @root, which must not exist, after a power cut at that moment. */
void cut_make(const char *root, enum cut_mode mode, uint64_t seed);
void cut_free(void);

#endif
