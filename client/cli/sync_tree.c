// SPDX-License-Identifier: MIT
/* The two sides of a sync, and how they differ. */
#include "sync.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/base64.h"
#include "tree.h"

/* Names of our own that are not finished files. */
#define OWN_NAMES ".azblob-"
#define BUFFER ((size_t)1 << 20)

static struct sync_entry *add_entry(struct sync_tree *tree, const char *name)
{
	struct sync_entry *entry;

	if (tree->count == tree->room) {
		size_t room = tree->room ? 2 * tree->room : 256;
		struct sync_entry *grown = reallocarray(tree->entry, room, sizeof(*grown));

		if (!grown)
			abort();
		tree->entry = grown;
		tree->room = room;
	}
	entry = &tree->entry[tree->count++];
	memset(entry, 0, sizeof(*entry));
	entry->name = cli_text("%s", name);
	return entry;
}

void sync_tree_free(struct sync_tree *tree)
{
	for (size_t i = 0; i < tree->count; i++) {
		free(tree->entry[i].name);
		free(tree->entry[i].etag);
	}
	free(tree->entry);
	memset(tree, 0, sizeof(*tree));
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct sync_entry *)a)->name, ((const struct sync_entry *)b)->name);
}

static void sort(struct sync_tree *tree)
{
	if (tree->count)
		qsort(tree->entry, tree->count, sizeof(*tree->entry), by_name);
}

static const struct sync_entry *find(const struct sync_tree *tree, const char *name)
{
	const struct sync_entry key = { .name = (char *)name };

	return tree->count ? bsearch(&key, tree->entry, tree->count, sizeof(key), by_name) : NULL;
}

const struct sync_entry *sync_find(const struct sync_tree *tree, const char *name)
{
	const struct sync_entry *entry = find(tree, name);

	return entry && !entry->skipped ? entry : NULL;
}

bool sync_is_skipped(const struct sync_tree *tree, const char *name)
{
	char *part = cli_text("%s", name);
	bool skipped = false;

	/* "a/b/c", then "a/b", then "a" */
	for (char *end = part + strlen(part); end && !skipped; end = strrchr(part, '/')) {
		const struct sync_entry *entry;

		*end = '\0';
		entry = find(tree, part);
		skipped = entry && entry->skipped;
	}
	free(part);
	return skipped;
}

/* ---- times ---- */

void sync_format_time(const struct timespec *time, char text[SYNC_TIME_ROOM])
{
	struct tm tm;
	size_t used;

	gmtime_r(&time->tv_sec, &tm);
	used = strftime(text, SYNC_TIME_ROOM, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(text + used, SYNC_TIME_ROOM - used, ".%09ldZ", time->tv_nsec);
}

bool sync_parse_time(const char *text, struct timespec *time)
{
	struct tm tm = { 0 };
	const char *at = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	long digit = 100000000;

	if (!at)
		return false;
	time->tv_sec = timegm(&tm);
	time->tv_nsec = 0;
	if (*at == '.' && at[1] >= '0' && at[1] <= '9')
		for (at++; *at >= '0' && *at <= '9'; at++, digit /= 10)
			time->tv_nsec += digit * (*at - '0');
	return !strcmp(at, "Z");
}

static void http_time(const char *text, struct timespec *time)
{
	struct tm tm = { 0 };

	time->tv_nsec = 0;
	/* The program keeps the C locale, whose names these are. */
	time->tv_sec = strptime(text, "%a, %d %b %Y %H:%M:%S", &tm) ? timegm(&tm) : 0;
}

/* ---- files ---- */

struct scan {
	const struct cli *cli;
	struct sync_tree *tree;
};

static int scan_directory(const struct scan *scan, int fd, const char *path, const char *prefix);

/* What is called @below in the directory @at: @path, and @name in the tree. */
static int scan_name(const struct scan *scan, int at, const char *below, const char *path,
		     const char *name)
{
	struct sync_entry *entry;
	struct stat status;

	if (fstatat(at, below, &status, AT_SYMLINK_NOFOLLOW)) {
		cli_error("%s: %s", path, strerrordesc_np(errno));
		return EXIT_LOCAL;
	}
	if (S_ISDIR(status.st_mode)) {
		char *prefix = cli_text("%s/", name);
		int code = scan_directory(scan, tree_open_directory(at, below), path, prefix);

		free(prefix);
		return code;
	}
	if (!S_ISREG(status.st_mode)) {
		cli_note(scan->cli, "%s: not a regular file, skipped", path);
		add_entry(scan->tree, name)->skipped = true;
		return EXIT_OK;
	}
	entry = add_entry(scan->tree, name);
	entry->size = (uint64_t)status.st_size;
	entry->mtime = status.st_mtim;
	entry->exact = true;
	return EXIT_OK;
}

/* Closes @fd, which is -1 with errno where it could not be opened. */
static int scan_directory(const struct scan *scan, int fd, const char *path, const char *prefix)
{
	DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *found;
	int code = EXIT_OK;

	if (!directory) {
		cli_error("%s: %s", path, tree_error(errno));
		if (fd >= 0)
			close(fd);
		return EXIT_LOCAL;
	}
	while (errno = 0, (found = readdir(directory)) && !cli_interrupted()) {
		char *below;
		char *name;

		if (!strcmp(found->d_name, ".") || !strcmp(found->d_name, ".."))
			continue;
		below = cli_text("%s/%s", path, found->d_name);
		name = cli_text("%s%s", prefix, found->d_name);
		if (!strncmp(found->d_name, OWN_NAMES, strlen(OWN_NAMES)))
			add_entry(scan->tree, name)->skipped = true;
		else
			code = cli_worse(code, scan_name(scan, fd, found->d_name, below, name));
		free(below);
		free(name);
	}
	if (errno) {
		cli_error("%s: %s", path, strerrordesc_np(errno));
		code = cli_worse(code, EXIT_LOCAL);
	}
	closedir(directory);
	return code;
}

int sync_scan_files(const struct cli *cli, const char *directory, struct sync_tree *tree)
{
	struct scan scan = { .cli = cli, .tree = tree };
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int code = scan_directory(&scan, fd, directory, "");

	sort(tree);
	return code;
}

/* ---- blobs ---- */

struct walk {
	struct sync_tree *tree;
	size_t prefix_length;
};

static int walk_entry(void *context, const struct azblob_entry *blob)
{
	const struct walk *walk = context;
	struct sync_entry *entry;

	/* What some tools leave to stand for a directory is no file. */
	if (!blob->name[walk->prefix_length] || cli_is_directory_mark(blob))
		return EXIT_OK;
	entry = add_entry(walk->tree, blob->name + walk->prefix_length);
	entry->size = blob->size;
	entry->etag = cli_text("%s", blob->etag);
	if (strlen(blob->content_md5) < sizeof(entry->md5))
		strncpy(entry->md5, blob->content_md5, sizeof(entry->md5) - 1);
	for (size_t i = 0; i < blob->metadata_count && !entry->exact; i++)
		entry->exact = !strcasecmp(blob->metadata[i].name, SYNC_MTIME) &&
			       sync_parse_time(blob->metadata[i].value, &entry->mtime);
	if (!entry->exact)
		http_time(blob->last_modified, &entry->mtime);
	return EXIT_OK;
}

int sync_scan_blobs(struct cli *cli, const char *container, const char *prefix,
		    struct sync_tree *tree)
{
	struct walk walk = { .tree = tree, .prefix_length = strlen(prefix) };
	int code;

	cli->list_include = AZBLOB_INCLUDE_METADATA;
	code = cli_walk(cli, container, prefix, NULL, walk_entry, &walk);
	sort(tree);
	return code;
}

/* ---- differences ---- */

bool sync_md5(const char *path, size_t root, char text[SYNC_MD5_ROOM])
{
	int fd = tree_open(path, root);
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	unsigned char sum[EVP_MAX_MD_SIZE];
	char *buffer = malloc(BUFFER);
	unsigned int length = 0;
	ssize_t got = -1;
	bool good;

	if (!buffer || !digest)
		abort();
	good = fd >= 0 && EVP_DigestInit_ex(digest, EVP_md5(), NULL);
	while (good && (got = read(fd, buffer, BUFFER)) > 0)
		good = EVP_DigestUpdate(digest, buffer, (size_t)got);
	good = good && !got && EVP_DigestFinal_ex(digest, sum, &length) && length == 16;
	if (good)
		azb_base64_encode(text, sum, length);
	EVP_MD_CTX_free(digest);
	free(buffer);
	if (fd >= 0)
		close(fd);
	return good;
}

static bool later(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec != b->tv_sec ? a->tv_sec > b->tv_sec : a->tv_nsec > b->tv_nsec;
}

const char *sync_reason(const struct sync_entry *from, const struct sync_entry *to,
			enum cli_compare compare)
{
	if (!to)
		return "new";
	if (from->size != to->size)
		return "size";
	switch (compare) {
	case CLI_COMPARE_SIZE:
		return NULL;
	case CLI_COMPARE_HASH:
		return *from->md5 && !strcmp(from->md5, to->md5) ? NULL : "hash";
	case CLI_COMPARE_TIME:
		break;
	}
	/* A blob that does not say its file's time was changed after that, if it is that file. */
	if (from->exact && to->exact)
		return later(&from->mtime, &to->mtime) || later(&to->mtime, &from->mtime) ? "time"
											  : NULL;
	return later(&from->mtime, &to->mtime) ? "time" : NULL;
}
