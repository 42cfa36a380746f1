/* SPDX-License-Identifier: MIT */
/* What check and backup share: a store that is only looked at, and its data. */
#ifndef AZB_LOCAL_CHECK_DATA_H
#define AZB_LOCAL_CHECK_DATA_H

#include "store/local/check.h"
#include "store/local/db.h"

/* @dir: the store's directory. */
struct check {
	check_say *say;
	void *context;
	struct check_result *result;
	const char *path;
	int dir;
	struct db db;
};

/* Opens what is there without changing it; false: see @error.  check_close() in every case. */
bool check_open(struct check *c, const char *path, char *error, size_t error_size);
void check_close(struct check *c);
void check_problem(struct check *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
void check_note(struct check *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Containers, blobs and chunks of the result. */
void check_count(struct check *c);

/**
 * struct data_sink - where data goes that has been read
 * @take: some bytes of an extent file; false ends the walk.
 */
struct data_sink {
	bool (*take)(struct data_sink *sink, int64_t file, uint64_t offset, const void *bytes,
		     size_t length);
};

/*
 * Reads all chunks, those in files in the order of their places, compares them with their
 * checksums, and gives those in files to @sink, if not NULL.  False: @sink ended it.
 */
bool check_data(struct check *c, struct data_sink *sink);

#endif
