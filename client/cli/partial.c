// SPDX-License-Identifier: MIT
#include "partial.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/crc64.h"

#define HEAD "azblob-partial 1"
#define BUFFER ((size_t)1 << 20)

void partial_init(struct partial *partial, int directory, const char *path, const char *url)
{
	/* With its zero between the two. */
	uint64_t hash = azb_crc64(0, path, strlen(path) + 1);

	hash = azb_crc64(hash, url, strlen(url));
	memset(partial, 0, sizeof(*partial));
	partial->directory = fcntl(directory, F_DUPFD_CLOEXEC, 0);
	partial->part = cli_text(".azblob-%016" PRIx64 ".part", hash);
	partial->state = cli_text(".azblob-%016" PRIx64 ".state", hash);
	partial->state_fd = -1;
	partial->part_fd = -1;
}

void partial_free(struct partial *partial)
{
	if (partial->state_fd >= 0)
		close(partial->state_fd);
	if (partial->part_fd >= 0)
		close(partial->part_fd);
	/* One that was never begun is all zeros. */
	if (partial->part && partial->directory >= 0)
		close(partial->directory);
	free(partial->part);
	free(partial->state);
	free(partial->piece);
	memset(partial, 0, sizeof(*partial));
	partial->directory = -1;
	partial->state_fd = -1;
	partial->part_fd = -1;
}

void partial_remove(struct partial *partial)
{
	if (partial->state_fd < 0)
		return;
	/* The part first: a state without one is nothing, a part without one is litter. */
	unlinkat(partial->directory, partial->part, 0);
	unlinkat(partial->directory, partial->state, 0);
	close(partial->state_fd);
	partial->state_fd = -1;
}

/* ---- reading ---- */

static bool intact(int fd, char *buffer, uint64_t offset, uint64_t length, uint64_t crc)
{
	uint64_t sum = 0;

	while (length) {
		ssize_t got =
			pread(fd, buffer, length < BUFFER ? (size_t)length : BUFFER, (off_t)offset);

		if (got <= 0)
			return false;
		sum = azb_crc64(sum, buffer, (size_t)got);
		offset += (uint64_t)got;
		length -= (uint64_t)got;
	}
	return sum == crc;
}

static void add_piece(struct partial *partial, uint64_t offset, uint64_t length)
{
	struct piece *grown =
		reallocarray(partial->piece, partial->count + 1, sizeof(*partial->piece));

	if (!grown)
		abort();
	partial->piece = grown;
	grown[partial->count++] = (struct piece){ offset, length };
}

static int by_offset(const void *a, const void *b)
{
	const struct piece *x = a;
	const struct piece *y = b;

	return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Sorts, and joins what touches. */
static void tidy(struct partial *partial)
{
	size_t kept = 0;

	qsort(partial->piece, partial->count, sizeof(*partial->piece), by_offset);
	for (size_t i = 0; i < partial->count; i++) {
		struct piece *last = kept ? &partial->piece[kept - 1] : NULL;
		uint64_t end = partial->piece[i].offset + partial->piece[i].length;

		if (last && partial->piece[i].offset <= last->offset + last->length) {
			if (end > last->offset + last->length)
				last->length = end - last->offset;
		} else {
			partial->piece[kept++] = partial->piece[i];
		}
	}
	partial->count = kept;
	partial->bytes = 0;
	for (size_t i = 0; i < kept; i++)
		partial->bytes += partial->piece[i].length;
}

/* A line of a text, without its end; NULL when it has none: a crash has cut it off. */
static char *next_line(char **text)
{
	char *line = *text;
	char *end = strchr(line, '\n');

	if (!end)
		return NULL;
	*end = '\0';
	*text = end + 1;
	return line;
}

static bool read_head(struct partial *partial, char **text, const char *url)
{
	const char *head = next_line(text);
	const char *address = head ? next_line(text) : NULL;
	const char *etag = address ? next_line(text) : NULL;
	const char *size = etag ? next_line(text) : NULL;
	char *end;

	if (!size || strcmp(head, HEAD) || strcmp(address, url) ||
	    strlen(etag) >= sizeof(partial->etag))
		return false;
	snprintf(partial->etag, sizeof(partial->etag), "%s", etag);
	partial->size = strtoull(size, &end, 10);
	return end != size && !*end;
}

/* A number and the sign behind it; *text is behind that then. */
static bool number(const char **text, int base, char sign, uint64_t *value)
{
	char *end;

	*value = strtoull(*text, &end, base);
	if (end == *text || *end != sign)
		return false;
	*text = end + 1;
	return true;
}

static void read_pieces(struct partial *partial, char *text)
{
	char *buffer = malloc(BUFFER);
	char *line;

	if (!buffer)
		abort();
	while ((line = next_line(&text)) && !cli_interrupted()) {
		const char *at = line;
		uint64_t offset;
		uint64_t length;
		uint64_t crc;

		if (!number(&at, 10, ' ', &offset) || !number(&at, 10, ' ', &length) ||
		    !number(&at, 16, '\0', &crc) || !length || offset > partial->size ||
		    length > partial->size - offset)
			continue;
		if (intact(partial->part_fd, buffer, offset, length, crc))
			add_piece(partial, offset, length);
	}
	free(buffer);
	tidy(partial);
}

static char *read_all(int fd)
{
	struct stat status;
	char *text;
	ssize_t got;

	/* A line is some 50 bytes, and a blob has at most 190 TiB. */
	if (fstat(fd, &status) || !S_ISREG(status.st_mode) || status.st_size > INT32_MAX)
		return NULL;
	text = malloc((size_t)status.st_size + 1);
	if (!text)
		abort();
	got = pread(fd, text, (size_t)status.st_size, 0);
	text[got > 0 ? got : 0] = '\0';
	return text;
}

bool partial_find(struct partial *partial, const char *url, bool *busy)
{
	char *text;
	char *at;

	*busy = false;
	partial->state_fd = openat(partial->directory, partial->state,
				   O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW);
	if (partial->state_fd < 0)
		return false;
	if (flock(partial->state_fd, LOCK_EX | LOCK_NB)) {
		*busy = errno == EWOULDBLOCK;
		close(partial->state_fd);
		partial->state_fd = -1;
		return false;
	}
	partial->part_fd =
		openat(partial->directory, partial->part, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	text = partial->part_fd >= 0 ? read_all(partial->state_fd) : NULL;
	at = text;
	if (text && read_head(partial, &at, url)) {
		read_pieces(partial, at);
		free(text);
		return true;
	}
	free(text);
	partial_remove(partial);
	return false;
}

/* ---- writing ---- */

bool partial_start(struct partial *partial, const char *url, const char *etag, uint64_t size)
{
	int fd = openat(partial->directory, partial->state,
			O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);

	if (fd < 0)
		return false;
	if (flock(fd, LOCK_EX | LOCK_NB) ||
	    dprintf(fd, HEAD "\n%s\n%s\n%" PRIu64 "\n", url, etag, size) < 0) {
		unlinkat(partial->directory, partial->state, 0);
		close(fd);
		return false;
	}
	partial->state_fd = fd;
	snprintf(partial->etag, sizeof(partial->etag), "%s", etag);
	partial->size = size;
	return true;
}

void partial_note(struct partial *partial, uint64_t offset, uint64_t length, uint64_t crc)
{
	/* One write; a line that does not get there is a piece that is fetched again. */
	if (dprintf(partial->state_fd, "%" PRIu64 " %" PRIu64 " %" PRIx64 "\n", offset, length,
		    crc) > 0)
		partial->bytes += length;
}

bool partial_missing(const struct partial *partial, uint64_t *offset, uint64_t *length)
{
	uint64_t end = partial->size;

	for (size_t i = 0; i < partial->count; i++) {
		const struct piece *piece = &partial->piece[i];

		if (piece->offset + piece->length <= *offset)
			continue;
		if (piece->offset > *offset) {
			end = piece->offset;
			break;
		}
		*offset = piece->offset + piece->length;
	}
	*length = end > *offset ? end - *offset : 0;
	return *length;
}
