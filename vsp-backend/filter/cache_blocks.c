// SPDX-License-Identifier: MIT
/* Blocks on local disk; see cache_blocks.h. */
#include "filter/cache_blocks.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/crc64.h"
#include "base/log.h"
#include "base/pread.h"

/* Counters of blocks_may_have(); several blobs may share one, which only costs a wrong "perhaps".
 */
#define OF_COUNTERS 65536u

/**
 * struct slot - a place in the file
 * @next: in the chain of its bucket: number + 1, 0 ends it.
 * @users: somebody reads or writes the file there: it stays what it is.
 * @used: since the hand came by.
 */
struct slot {
	uint8_t id[BLOCKS_ID];
	uint64_t crc;
	uint32_t length;
	uint32_t next;
	uint32_t of;
	uint16_t users;
	bool full, used;
};

/* All but @file and the sizes is protected by @lock. */
struct blocks {
	int file;
	uint32_t block;
	uint32_t count;
	uint32_t buckets; /* a power of two */
	pthread_mutex_t lock;
	struct slot *slot;
	uint32_t *bucket; /* number + 1 of the first, 0: none */
	uint32_t *of;
	uint32_t hand;
	struct blocks_counts counts;
};

static uint32_t low32(const uint8_t *bytes)
{
	uint32_t value;

	memcpy(&value, bytes, sizeof(value));
	return value;
}

/* ----------------------------------------------------------------- opening */

/* A file that goes with its descriptor. */
static int nameless_file(const char *directory)
{
	char path[4096];
	int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);

	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR))
		return fd;
	if (snprintf(path, sizeof(path), "%s/.azblob-cache-XXXXXX", directory) >=
	    (int)sizeof(path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

struct blocks *blocks_open(const char *directory, uint64_t bytes, uint32_t block, char *error,
			   size_t error_size)
{
	struct blocks *b = calloc(1, sizeof(*b));

	if (!b) {
		snprintf(error, error_size, "out of memory");
		return NULL;
	}
	b->block = block;
	b->count = (uint32_t)(bytes / block > UINT32_MAX - 1 ? UINT32_MAX - 1 : bytes / block);
	for (b->buckets = 1024; b->buckets < b->count && b->buckets < 1u << 30; b->buckets *= 2)
		;
	b->counts.slots = b->count;
	pthread_mutex_init(&b->lock, NULL);
	b->slot = calloc(b->count, sizeof(*b->slot));
	b->bucket = calloc(b->buckets, sizeof(*b->bucket));
	b->of = calloc(OF_COUNTERS, sizeof(*b->of));
	b->file = nameless_file(directory);
	if (b->file < 0)
		snprintf(error, error_size, "path=%s: no file can be made there: %s", directory,
			 strerror(errno));
	else if (!b->slot || !b->bucket || !b->of)
		snprintf(error, error_size, "out of memory for the index of %u blocks", b->count);
	else
		return b;
	blocks_free(b);
	return NULL;
}

void blocks_free(struct blocks *b)
{
	if (!b)
		return;
	if (b->file >= 0)
		close(b->file);
	pthread_mutex_destroy(&b->lock);
	free(b->slot);
	free(b->bucket);
	free(b->of);
	free(b);
}

/* ------------------------------------------------------- index; lock is held */

static uint32_t *bucket_of(struct blocks *b, const uint8_t id[BLOCKS_ID])
{
	return &b->bucket[low32(id) & (b->buckets - 1)];
}

static uint32_t *counter_of(struct blocks *b, const uint8_t of[BLOCKS_ID])
{
	return &b->of[low32(of) % OF_COUNTERS];
}

static struct slot *find(struct blocks *b, const uint8_t id[BLOCKS_ID])
{
	for (uint32_t n = *bucket_of(b, id); n; n = b->slot[n - 1].next) {
		if (!memcmp(b->slot[n - 1].id, id, BLOCKS_ID))
			return &b->slot[n - 1];
	}
	return NULL;
}

static void take_out(struct blocks *b, struct slot *slot)
{
	uint32_t number = (uint32_t)(slot - b->slot) + 1;
	uint32_t *at = bucket_of(b, slot->id);

	while (*at != number)
		at = &b->slot[*at - 1].next;
	*at = slot->next;
	b->of[slot->of]--;
	b->counts.used--;
	slot->full = false;
}

/* An empty slot, or one that was not used since the hand came by last.  NULL: all are busy. */
static struct slot *choose(struct blocks *b)
{
	for (uint64_t i = 0; i < 2 * (uint64_t)b->count; i++) {
		struct slot *slot = &b->slot[b->hand];

		b->hand = b->hand + 1 == b->count ? 0 : b->hand + 1;
		if (slot->users)
			continue;
		if (!slot->full)
			return slot;
		if (!slot->used) {
			take_out(b, slot);
			b->counts.evicted++;
			return slot;
		}
		slot->used = false;
	}
	return NULL;
}

/* -------------------------------------------------------------------- verbs */

static off_t offset_of(const struct blocks *b, const struct slot *slot)
{
	return (off_t)((uint64_t)(slot - b->slot) * b->block);
}

static bool read_all(int fd, void *buffer, size_t length, off_t offset)
{
	uint8_t *at = buffer;

	while (length) {
		struct iovec iov = { at, length };
		ssize_t got = azb_preadv(fd, &iov, 1, (uint64_t)offset);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		at += got;
		offset += got;
		length -= (size_t)got;
	}
	return true;
}

static bool write_all(int fd, const void *buffer, size_t length, off_t offset)
{
	const uint8_t *at = buffer;

	while (length) {
		ssize_t put = pwrite(fd, at, length, offset);

		if (put < 0 && errno == EINTR)
			continue;
		if (put <= 0)
			return false;
		at += put;
		offset += put;
		length -= (size_t)put;
	}
	return true;
}

uint32_t blocks_get(struct blocks *b, const uint8_t id[BLOCKS_ID], void *buffer)
{
	struct slot *slot;
	uint32_t length;
	bool good;

	pthread_mutex_lock(&b->lock);
	slot = find(b, id);
	if (slot && slot->users < UINT16_MAX) {
		slot->users++;
		slot->used = true;
	} else {
		slot = NULL;
	}
	pthread_mutex_unlock(&b->lock);
	if (!slot)
		return 0;
	length = slot->length;
	good = read_all(b->file, buffer, length, offset_of(b, slot)) &&
	       azb_crc64(0, buffer, length) == slot->crc;
	pthread_mutex_lock(&b->lock);
	slot->users--;
	/* whoever else reads it now finds the same; it is taken out once */
	if (!good && slot->full) {
		take_out(b, slot);
		b->counts.damaged++;
	}
	pthread_mutex_unlock(&b->lock);
	return good ? length : 0;
}

bool blocks_has(struct blocks *b, const uint8_t id[BLOCKS_ID])
{
	bool has;

	pthread_mutex_lock(&b->lock);
	has = find(b, id) != NULL;
	pthread_mutex_unlock(&b->lock);
	return has;
}

void blocks_put(struct blocks *b, const uint8_t id[BLOCKS_ID], const uint8_t of[BLOCKS_ID],
		const void *bytes, uint32_t length)
{
	struct slot *slot;
	bool good;

	if (!length || length > b->block)
		return;
	pthread_mutex_lock(&b->lock);
	slot = find(b, id) ? NULL : choose(b);
	if (slot)
		slot->users++;
	pthread_mutex_unlock(&b->lock);
	if (!slot)
		return;
	good = write_all(b->file, bytes, length, offset_of(b, slot));
	pthread_mutex_lock(&b->lock);
	slot->users--;
	if (!good) {
		/* once is enough for a log */
		if (!b->counts.failed++)
			azb_log(AZB_LOG_WARNING, "cache: a block can't be written: %s",
				strerror(errno));
	} else if (!find(b, id)) {
		memcpy(slot->id, id, BLOCKS_ID);
		slot->crc = azb_crc64(0, bytes, length);
		slot->length = length;
		slot->of = low32(of) % OF_COUNTERS;
		slot->next = *bucket_of(b, id);
		slot->full = true;
		slot->used = true;
		*bucket_of(b, id) = (uint32_t)(slot - b->slot) + 1;
		++*counter_of(b, of);
		b->counts.used++;
	}
	pthread_mutex_unlock(&b->lock);
}

bool blocks_may_have(struct blocks *b, const uint8_t of[BLOCKS_ID])
{
	bool may;

	pthread_mutex_lock(&b->lock);
	may = *counter_of(b, of) > 0;
	pthread_mutex_unlock(&b->lock);
	return may;
}

struct blocks_counts blocks_counts(struct blocks *b)
{
	struct blocks_counts counts;

	pthread_mutex_lock(&b->lock);
	counts = b->counts;
	pthread_mutex_unlock(&b->lock);
	return counts;
}
