/* SPDX-License-Identifier: MIT */
#ifndef AZBLOB_CLI_BENCH_H
#define AZBLOB_CLI_BENCH_H

#include "cli.h"

/**
 * struct bench_load - what is run at once: one way, one operation, one round
 * @container: with a blob for each worker, bench_blob_name().
 * @requests: of each worker.
 */
struct bench_load {
	struct cli *cli;
	const char *container;
	enum azblob_transport way;
	bool writes;
	unsigned int processes;
	unsigned int threads; /* of each process */
	unsigned int requests;
	size_t size;
};

/**
 * struct bench_run - what came of it
 * @seconds: from the moment that all were ready until the last one had its last answer.
 * @latency: of each request, in seconds; the caller's to free.
 * @count: of them.
 */
struct bench_run {
	double seconds;
	double *latency;
	size_t count;
};

void bench_blob_name(unsigned int worker, char name[32]);
/* Content that no layer can guess or compress, the same for the same worker. */
void bench_fill(unsigned int worker, char *data, size_t size);
/* 0 or an exit code, after a message. */
int bench_run(const struct bench_load *load, struct bench_run *run);

#endif /* AZBLOB_CLI_BENCH_H */
