/* SPDX-License-Identifier: MIT */
/*
 * What the programs that measure have in common: an end with a message, the clock, memory that
 * is there, and the request heads that the host has signed.
 */
#ifndef TESTS_GUEST_VSPMEASURE_H
#define TESTS_GUEST_VSPMEASURE_H

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Room for the head of an answer: the least that a host takes. */
#define RESPONSE 16384u
#define MOST_HEADS 4096u

static const char *head[MOST_HEADS];
static size_t head_length[MOST_HEADS];
static unsigned int head_count;

/* Called by fail() before the end, so that other processes learn of it; NULL: nobody has to. */
static void (*before_failing)(void);

static inline void __attribute__((format(printf, 1, 2), noreturn)) fail(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	fprintf(stderr, "%s: ", program_invocation_short_name);
	vfprintf(stderr, format, ap);
	fputc('\n', stderr);
	va_end(ap);
	if (before_failing)
		before_failing();
	_exit(1);
}

/* Nanoseconds of a clock that only goes forward. */
static inline uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Fills head, head_length and head_count; the text stays until the program ends. */
static inline void read_heads(const char *file)
{
	struct stat st;
	char *text, *end;
	int fd = open(file, O_RDONLY);

	if (fd < 0 || fstat(fd, &st))
		fail("%s: %s", file, strerror(errno));
	text = calloc(1, (size_t)st.st_size + 1);
	if (!text || read(fd, text, (size_t)st.st_size) != st.st_size)
		fail("%s: cannot be read", file);
	close(fd);
	while ((end = strstr(text, "\r\n\r\n")) && head_count < MOST_HEADS) {
		head[head_count] = text;
		head_length[head_count++] = (size_t)(end + 4 - text);
		text = end + 4;
	}
	if (!head_count)
		fail("%s: no request head in it", file);
}

/* Which pages memory() takes: as the system does by itself, or for sure the one kind. */
enum pages {
	PAGES_ANY,
	PAGES_SMALL,
	PAGES_HUGE
};

#define HUGE_PAGE (2u << 20)

/* Memory as a program's own that was used before: no page faults in what is measured. */
static inline unsigned char *memory_of(size_t bytes, enum pages pages)
{
	size_t more = pages == PAGES_HUGE ? HUGE_PAGE : 0;
	unsigned char *p;

	bytes = (bytes + more) / (more ? more : 1) * (more ? more : 1);
	p = mmap(NULL, bytes + more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		fail("no memory");
	if (more)
		p += (more - (uintptr_t)p % more) % more;
	if (pages != PAGES_ANY &&
	    madvise(p, bytes, pages == PAGES_HUGE ? MADV_HUGEPAGE : MADV_NOHUGEPAGE))
		fail("madvise: %s", strerror(errno));
	memset(p, 1, bytes);
	return p;
}

static inline unsigned char *memory(size_t bytes)
{
	return memory_of(bytes, PAGES_ANY);
}

#endif
