// SPDX-License-Identifier: MIT
/*
 * pattern - makes, holds and checks recognisable bytes (pattern.h)
 *
 * usage: pattern write SIZE SEED        to standard output
 *        pattern check FILE SEED        "ok", or where the first wrong byte is
 *        pattern hold MIB SEED          fill memory, print "holding", wait
 *                                       for SIGUSR1 or SIGTERM, check the
 *                                       memory, print "wrong pages: N"
 *
 * It also runs on the host.  hold locks its memory as far as it gets, and ends with
 * status 1 when a page is wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pattern.h"

#define CHUNK (1u << 20)

static int fail(const char *what)
{
	fprintf(stderr, "pattern: %s: %s\n", what, strerror(errno));
	return 2;
}

static int write_pattern(uint64_t size, uint64_t seed)
{
	static unsigned char chunk[CHUNK];

	for (uint64_t at = 0; at < size; at += CHUNK) {
		size_t part = size - at < CHUNK ? (size_t)(size - at) : CHUNK;

		pattern_fill(chunk, part, seed, at);
		if (fwrite(chunk, 1, part, stdout) != part)
			return fail("write");
	}
	return fflush(stdout) ? fail("write") : 0;
}

static int check_file(const char *path, uint64_t seed)
{
	static unsigned char chunk[CHUNK];
	FILE *file = fopen(path, "r");
	uint64_t at = 0;
	size_t part;

	if (!file)
		return fail(path);
	while ((part = fread(chunk, 1, CHUNK, file)) > 0) {
		ssize_t wrong = pattern_check(chunk, part, seed, at);

		if (wrong >= 0) {
			printf("wrong at %llu\n", (unsigned long long)at + (uint64_t)wrong);
			return 1;
		}
		at += part;
	}
	if (ferror(file))
		return fail(path);
	printf("ok %llu\n", (unsigned long long)at);
	return 0;
}

static int hold(uint64_t mib, uint64_t seed)
{
	size_t size = mib << 20;
	unsigned char *p;
	sigset_t set;
	int number;
	long wrong = 0;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return fail("mmap");
	(void)!mlock(p, size);
	pattern_fill(p, size, seed, 0);
	printf("holding\n");
	fflush(stdout);
	sigwait(&set, &number);
	for (size_t at = 0; at < size; at += 4096)
		wrong += pattern_check(p + at, 4096, seed, at) >= 0;
	printf("wrong pages: %ld\n", wrong);
	return wrong != 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "write"))
		return write_pattern(strtoull(argv[2], NULL, 0), strtoull(argv[3], NULL, 0));
	if (argc == 4 && !strcmp(argv[1], "check"))
		return check_file(argv[2], strtoull(argv[3], NULL, 0));
	if (argc == 4 && !strcmp(argv[1], "hold"))
		return hold(strtoull(argv[2], NULL, 0), strtoull(argv[3], NULL, 0));
	fprintf(stderr, "usage: pattern write SIZE SEED | check FILE SEED | hold MIB SEED\n");
	return 2;
}
