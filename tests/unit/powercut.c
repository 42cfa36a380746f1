/* SPDX-License-Identifier: MIT */
/* Replay: what a disk holds after a power cut.  powercut_record.c makes the log. */
#include "powercut.h"

#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "powercut_log.h"

#define PAGE 4096u
#define SECTOR 512u

struct page {
	unsigned char *base; /* what is sure; NULL: zeros */
	uint32_t *pending;   /* entries of the log that touch it */
	size_t count, room;
};

struct file {
	struct page **pages;
	size_t page_count;
	uint32_t *dirty; /* pages with something pending */
	size_t dirty_count, dirty_room;
	uint64_t size;   /* that is sure */
	uint64_t newest; /* as the program sees it */
	struct {
		uint32_t entry;
		uint64_t size;
	} * sizes;
	size_t size_count, size_room;
};

static struct file *files;
static size_t file_count;
/* Names that were made or went and are not sure yet, in order. */
static uint32_t *names;
static size_t name_count, name_room;
static bool *sure; /* by file: its name is on the disk */
static size_t now;

#define PUSH(array, count, room, value)                                        \
	do {                                                                   \
		if ((count) == (room)) {                                       \
			(room) = (room) ? (room)*2 : 8;                        \
			(array) = realloc((array), (room) * sizeof(*(array))); \
		}                                                              \
		(array)[(count)++] = (value);                                  \
	} while (0)

static struct page *page_of(struct file *f, uint64_t number)
{
	if (number >= f->page_count) {
		size_t count = number + number / 2 + 64;

		f->pages = realloc(f->pages, count * sizeof(struct page *));
		memset(f->pages + f->page_count, 0,
		       (count - f->page_count) * sizeof(struct page *));
		f->page_count = count;
	}
	if (!f->pages[number])
		f->pages[number] = calloc(1, sizeof(struct page));
	return f->pages[number];
}

static void touch(struct file *f, uint32_t entry, uint64_t offset, uint64_t length)
{
	uint64_t end = length ? (offset + length - 1) / PAGE + 1 : 0;
	bool zero = cut_log[entry].kind == LOG_ZERO;

	if (zero && end > f->page_count)
		end = f->page_count;
	for (uint64_t n = offset / PAGE; n < end; n++) {
		struct page *p;

		/* zeros over nothing */
		if (zero && !f->pages[n])
			continue;
		p = page_of(f, n);
		if (!p->count)
			PUSH(f->dirty, f->dirty_count, f->dirty_room, (uint32_t)n);
		PUSH(p->pending, p->count, p->room, entry);
	}
}

static void resize(struct file *f, uint32_t entry, uint64_t size)
{
	f->newest = size;
	if (f->size_count == f->size_room) {
		f->size_room = f->size_room ? f->size_room * 2 : 8;
		f->sizes = realloc(f->sizes, f->size_room * sizeof(*f->sizes));
	}
	f->sizes[f->size_count].entry = entry;
	f->sizes[f->size_count++].size = size;
}

/* What entry @e leaves in bytes @from to @to of page @number. */
static void apply(const struct log_entry *e, uint64_t number, unsigned char *page, size_t from,
		  size_t to)
{
	uint64_t start = number * PAGE + from, stop = number * PAGE + to;
	uint64_t end = e->offset + e->length;

	if (start < e->offset)
		start = e->offset;
	if (stop > end)
		stop = end;
	if (start >= stop)
		return;
	if (e->kind == LOG_WRITE)
		memcpy(page + (start - number * PAGE), e->data + (start - e->offset), stop - start);
	else
		memset(page + (start - number * PAGE), 0, stop - start);
}

/* Everything up to entry @covers is on the disk. */
static void make_sure(struct file *f, size_t covers)
{
	size_t kept = 0, i;

	for (size_t d = 0; d < f->dirty_count; d++) {
		struct page *p = f->pages[f->dirty[d]];

		if (!p->base)
			p->base = calloc(1, PAGE);
		for (i = 0; i < p->count && p->pending[i] < covers; i++)
			apply(&cut_log[p->pending[i]], f->dirty[d], p->base, 0, PAGE);
		memmove(p->pending, p->pending + i, (p->count - i) * sizeof(*p->pending));
		p->count -= i;
		if (p->count)
			f->dirty[kept++] = f->dirty[d];
	}
	f->dirty_count = kept;
	for (i = 0; i < f->size_count && f->sizes[i].entry < covers; i++)
		f->size = f->sizes[i].size;
	memmove(f->sizes, f->sizes + i, (f->size_count - i) * sizeof(*f->sizes));
	f->size_count -= i;
}

static void make_names_sure(int dir, size_t covers)
{
	size_t kept = 0;

	for (size_t i = 0; i < name_count; i++) {
		const struct log_entry *e = &cut_log[names[i]];

		if (cut_files[e->file].dir == dir && names[i] < covers)
			sure[e->file] = e->kind == LOG_CREATE;
		else
			names[kept++] = names[i];
	}
	name_count = kept;
}

static void replay(uint32_t i)
{
	const struct log_entry *e = &cut_log[i];
	struct file *f = e->file >= 0 ? &files[e->file] : NULL;

	switch (e->kind) {
	case LOG_WRITE:
		touch(f, i, e->offset, e->length);
		if (e->offset + e->length > f->newest)
			resize(f, i, e->offset + e->length);
		break;
	case LOG_ZERO:
		touch(f, i, e->offset, e->length);
		break;
	case LOG_SIZE:
		resize(f, i, e->offset);
		break;
	case LOG_SYNC:
		make_sure(f, e->covers);
		break;
	case LOG_CREATE:
	case LOG_UNLINK:
		PUSH(names, name_count, name_room, i);
		break;
	case LOG_SYNC_NAMES:
		make_names_sure((int)e->offset, e->covers);
		break;
	case LOG_MARK:
		break;
	}
}

void cut_goto(size_t at)
{
	if (!files) {
		file_count = cut_file_count;
		files = calloc(file_count + 1, sizeof(*files));
		sure = calloc(file_count + 1, sizeof(*sure));
	}
	for (; now < at; now++)
		replay((uint32_t)now);
}

static uint64_t state;

static uint64_t any(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state * UINT64_C(0x2545f4914f6cdd1d) >> 16;
}

/* Whether a single write made it to the disk: the same answer for all of its pages. */
static bool survived(uint32_t entry, uint64_t seed)
{
	uint64_t x = (entry + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ seed;

	x ^= x >> 31;
	x *= UINT64_C(0xbf58476d1ce4e5b9);
	return x >> 63;
}

static void page_after(const struct page *p, uint64_t number, enum cut_mode mode, uint64_t seed,
		       unsigned char *out)
{
	size_t step = mode == CUT_SECTORS ? SECTOR : PAGE;

	if (p->base)
		memcpy(out, p->base, PAGE);
	else
		memset(out, 0, PAGE);
	for (size_t from = 0; from < PAGE && p->count; from += step) {
		size_t keep = mode == CUT_NOTHING ? 0
			      : mode == CUT_ALL || mode == CUT_WRITES
				      ? p->count
				      : (size_t)(any() % (p->count + 1));

		for (size_t i = 0; i < keep; i++)
			if (mode != CUT_WRITES || survived(p->pending[i], seed))
				apply(&cut_log[p->pending[i]], number, out, from, from + step);
	}
}

static void write_file(int fd, const struct file *f, enum cut_mode mode, uint64_t seed)
{
	unsigned char bytes[PAGE];
	uint64_t size = f->size;

	if (f->size_count && mode == CUT_ALL)
		size = f->sizes[f->size_count - 1].size;
	else if (f->size_count && mode != CUT_NOTHING) {
		size_t pick = (size_t)(any() % (f->size_count + 1));

		size = pick ? f->sizes[pick - 1].size : f->size;
	}
	for (uint64_t n = 0; n < f->page_count && n * PAGE < size; n++) {
		size_t length = size - n * PAGE < PAGE ? (size_t)(size - n * PAGE) : PAGE;

		if (!f->pages[n])
			continue;
		page_after(f->pages[n], n, mode, seed, bytes);
		if (pwrite(fd, bytes, length, (off_t)(n * PAGE)) != (ssize_t)length)
			abort();
	}
	if (ftruncate(fd, (off_t)size))
		abort();
}

void cut_make(const char *root, enum cut_mode mode, uint64_t seed)
{
	bool *there = malloc(file_count + 1);
	size_t keep = mode == CUT_NOTHING ? 0 : name_count;

	state = seed | 1;
	if (mode != CUT_NOTHING && mode != CUT_ALL)
		keep = (size_t)(any() % (name_count + 1));
	memcpy(there, sure, file_count);
	for (size_t i = 0; i < keep; i++)
		there[cut_log[names[i]].file] = cut_log[names[i]].kind == LOG_CREATE;
	for (size_t i = 0; i < file_count; i++) {
		const struct cut_file *name = &cut_files[i];
		char path[512];
		int fd;

		/* a directory's entries are there only if it is; files come after theirs */
		if (!there[i] || (name->dir >= 0 && !there[name->dir]))
			continue;
		snprintf(path, sizeof(path), "%s%s", root, name->path);
		if (name->is_dir) {
			if (mkdir(path, 0700))
				abort();
			continue;
		}
		fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
		if (fd < 0)
			abort();
		write_file(fd, &files[i], mode, seed);
		close(fd);
	}
	free(there);
}

void cut_free(void)
{
	for (size_t i = 0; i < file_count; i++) {
		for (size_t n = 0; n < files[i].page_count; n++) {
			if (!files[i].pages[n])
				continue;
			free(files[i].pages[n]->base);
			free(files[i].pages[n]->pending);
			free(files[i].pages[n]);
		}
		free(files[i].pages);
		free(files[i].dirty);
		free(files[i].sizes);
	}
	free(files);
	free(names);
	free(sure);
	files = NULL;
	names = NULL;
	sure = NULL;
	file_count = name_count = name_room = now = 0;
	cut_log_free();
}
