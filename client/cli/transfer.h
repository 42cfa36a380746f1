/* SPDX-License-Identifier: MIT */
/* What put, get, cp and sync have in common: a list of files to move, and the account of it. */
#ifndef AZBLOB_CLI_TRANSFER_H
#define AZBLOB_CLI_TRANSFER_H

#include <time.h>

#include "cli.h"

/**
 * struct job - one file and one blob
 * @path: of the file; "-" is standard input or output.  Of a copy: what it is made of, as a
 *	name.
 * @source: of a copy: the address, else NULL; freed with the job.
 * @size: bytes, AZBLOB_SIZE_UNKNOWN when not known.
 * @root: characters of @path that were given to the command, where the rest follows from a name
 *	that was found there, or from the blob's; see tree.h.  0: all was given.
 * @mtime: with @has_mtime: goes with the blob as metadata, or to the file.
 * @md5: base64, goes with the blob; "": none.
 */
struct job {
	char *path;
	char *container;
	char *blob;
	char *source;
	uint64_t size;
	struct timespec mtime;
	bool has_mtime;
	size_t root;
	char md5[25];
};

/**
 * struct transfer - all of one command
 * @code, @files, @failed, @bytes, @requests, @retries, @unverified: the account, under the
 *	output lock.
 */
struct transfer {
	struct cli *cli;
	const char *op;
	struct job *job;
	size_t count;
	size_t room;
	int (*move)(struct transfer *transfer, const struct job *job);
	const char *command; /* what the summary says, or NULL: @op */
	/* Before the summary, or NULL; @owner is for it. */
	void (*finish)(struct transfer *transfer);
	void *owner;
	uint64_t deleted; /* for the summary of a @command */
	uint64_t unchanged;
	bool any_small; /* nothing goes through here: all side by side */
	int code;
	uint64_t files;
	uint64_t failed;
	uint64_t bytes;
	uint64_t requests;
	uint64_t retries;
	uint64_t unverified;
};

/* Copies the three strings.  The job is valid until the next one is added. */
struct job *transfer_add(struct transfer *transfer, const char *path, const char *container,
			 const char *blob, uint64_t size);
/* Moves everything, small files side by side, then the large ones; prints the summary. */
int transfer_run(struct transfer *transfer);
void transfer_free(struct transfer *transfer);

/**
 * struct outcome - of one job, for transfer_done()
 * @error: NULL: it went well.
 */
struct outcome {
	const struct azblob_error *error;
	const char *etag;
	uint64_t bytes;
	uint64_t resumed; /* of those, from an earlier try */
	uint64_t requests;
	uint64_t retries;
	bool verified;
	double seconds;
};

/* Counts, and prints the JSON line or the message; returns the exit code. */
int transfer_done(struct transfer *transfer, const struct job *job, const struct outcome *outcome);

/* Fills an error about a local file. */
void transfer_local_error(struct azblob_error *error, int sys_errno, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* For @move: one upload, one download. */
int transfer_put(struct transfer *transfer, const struct job *job);
int transfer_get(struct transfer *transfer, const struct job *job);

double transfer_now(void);

/*
 * The next bytes of a pipe or terminal, which may be a long time coming: a signal ends the wait,
 * with EINTR, and so what was read so far is not taken for all.  With @now: EAGAIN when there are
 * none yet.  As read(2) otherwise.
 */
int64_t transfer_read(int fd, void *buffer, size_t room, bool now);

#endif /* AZBLOB_CLI_TRANSFER_H */
