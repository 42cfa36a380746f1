// SPDX-License-Identifier: MIT
/*
 * Where a download goes.  A file appears under its name only when it is complete, verified and on
 * disk: until then it has a temporary name beside it.
 */
#include "dest.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tree.h"

/* ".azblob-" and six letters that nobody has yet */
#define TEMP_PREFIX ".azblob-"
#define TEMP_LETTERS 6u
#define TEMP_TRIES 100u

static void random_letters(char text[TEMP_LETTERS])
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	unsigned char bytes[TEMP_LETTERS];

	if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		abort();
	for (size_t i = 0; i < TEMP_LETTERS; i++)
		text[i] = letters[bytes[i] % (sizeof(letters) - 1)];
}

/* In dest->directory. */
static int open_temp(struct dest *dest, struct azblob_error *error)
{
	dest->temp = cli_text(TEMP_PREFIX "%*s", (int)TEMP_LETTERS, "");
	for (unsigned int tries = 0; tries < TEMP_TRIES; tries++) {
		random_letters(dest->temp + strlen(TEMP_PREFIX));
		dest->fd = openat(dest->directory, dest->temp,
				  O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (dest->fd >= 0 || errno != EEXIST)
			break;
	}
	if (dest->fd < 0) {
		transfer_local_error(error, errno, "no file can be made beside %s", dest->final);
		return -1;
	}
	dest->temp_slot = cli_temp_register(dest->directory, dest->temp);
	return 0;
}

/* @path: where it shall be in the end. */
static int open_file(struct dest *dest, const char *path, size_t root, struct azblob_error *error)
{
	const char *name;

	dest->final = cli_text("%s", path);
	dest->directory = tree_parent(dest->final, root, false, &name);
	dest->name = name;
	if (dest->directory < 0) {
		int failure = errno;

		transfer_local_error(error, 0, "the directory of %s: %s", path,
				     tree_error(failure));
		error->sys_errno = failure;
		return -1;
	}
	return open_temp(dest, error);
}

/* A file of a tree: nothing but a regular file is replaced, and nothing else is opened. */
static int open_in_tree(struct dest *dest, const char *path, size_t root,
			struct azblob_error *error)
{
	struct stat status;
	int failure = 0;

	if (open_file(dest, path, root, error))
		return -1;
	if (fstatat(dest->directory, dest->name, &status, AT_SYMLINK_NOFOLLOW))
		return 0;
	if (S_ISLNK(status.st_mode))
		failure = ELOOP;
	else if (S_ISDIR(status.st_mode))
		failure = EISDIR;
	else if (!S_ISREG(status.st_mode))
		failure = EINVAL;
	if (!failure)
		return 0;
	transfer_local_error(error, 0, "%s %s", path,
			     failure == EISDIR ? "is a directory" : tree_error(failure));
	error->sys_errno = failure;
	return -1;
}

int dest_open(struct dest *dest, const char *path, size_t root, struct azblob_error *error)
{
	struct stat status;
	char *real;
	int result;

	memset(dest, 0, sizeof(*dest));
	dest->fd = -1;
	dest->directory = -1;
	dest->temp_slot = -1;
	if (!strcmp(path, "-")) {
		dest->fd = STDOUT_FILENO;
		return 0;
	}
	if (root)
		return open_in_tree(dest, path, root, error);
	if (stat(path, &status))
		return open_file(dest, path, 0, error);
	if (S_ISREG(status.st_mode)) {
		/* The file behind a link is replaced, not the link. */
		real = realpath(path, NULL);
		if (!real) {
			transfer_local_error(error, errno, "%s", path);
			return -1;
		}
		result = open_file(dest, real, 0, error);
		free(real);
		return result;
	}
	if (S_ISDIR(status.st_mode)) {
		transfer_local_error(error, EISDIR, "%s", path);
		return -1;
	}
	/* A device or a pipe. */
	dest->fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
	if (dest->fd < 0) {
		transfer_local_error(error, errno, "%s can't be opened", path);
		return -1;
	}
	return 0;
}

int dest_advance(const struct dest *dest, uint64_t bytes, struct azblob_error *error)
{
	int flags = fcntl(dest->fd, F_GETFL);
	struct stat status;

	/* The library leaves the position of what it writes in parallel, and only of that. */
	if (dest->final || flags < 0 || flags & O_APPEND || fstat(dest->fd, &status) ||
	    !(S_ISREG(status.st_mode) || S_ISBLK(status.st_mode)))
		return 0;
	if (lseek(dest->fd, (off_t)bytes, SEEK_CUR) < 0) {
		transfer_local_error(error, errno, "the destination");
		return -1;
	}
	return 0;
}

static int sync_directory(int directory)
{
	int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result = fd < 0 ? -1 : fsync(fd);
	int failure = errno;

	if (fd >= 0)
		close(fd);
	errno = failure;
	/* Some file systems can't, and need not. */
	return result && failure != EINVAL && failure != EACCES ? -1 : 0;
}

/* Gives the finished file its name. */
static int publish(struct dest *dest, struct azblob_error *error)
{
	int fd = dest->fd;

	if (fsync(fd)) {
		transfer_local_error(error, errno, "%s can't be written", dest->final);
		return -1;
	}
	dest->fd = -1;
	if (close(fd)) {
		transfer_local_error(error, errno, "%s can't be written", dest->final);
		return -1;
	}
	if (renameat(dest->directory, dest->temp, dest->directory, dest->name)) {
		transfer_local_error(error, errno, "%s can't be replaced", dest->final);
		return -1;
	}
	cli_temp_forget(dest->temp_slot);
	dest->temp_slot = -1;
	free(dest->temp);
	dest->temp = NULL;
	if (sync_directory(dest->directory)) {
		transfer_local_error(error, errno, "the directory of %s can't be written",
				     dest->final);
		return -1;
	}
	return 0;
}

bool dest_keep_as(struct dest *dest, const char *temp)
{
	if (renameat(dest->directory, dest->temp, dest->directory, temp))
		return false;
	cli_temp_forget(dest->temp_slot);
	dest->temp_slot = -1;
	free(dest->temp);
	dest->temp = cli_text("%s", temp);
	return true;
}

void dest_take(struct dest *dest, int fd, const char *temp)
{
	unlinkat(dest->directory, dest->temp, 0);
	cli_temp_forget(dest->temp_slot);
	dest->temp_slot = -1;
	close(dest->fd);
	free(dest->temp);
	dest->temp = cli_text("%s", temp);
	dest->fd = fd;
}

int dest_close(struct dest *dest, bool good, bool keep, struct azblob_error *error)
{
	int result = 0;

	if (good && dest->final)
		result = publish(dest, error);
	if (dest->temp && (good || !keep))
		unlinkat(dest->directory, dest->temp, 0);
	cli_temp_forget(dest->temp_slot);
	if (dest->fd > STDERR_FILENO && close(dest->fd) && good && !result) {
		transfer_local_error(error, errno, "writing the destination failed");
		result = -1;
	}
	if (dest->directory >= 0)
		close(dest->directory);
	free(dest->final);
	free(dest->temp);
	return result;
}

int cli_make_parents(const char *path, size_t root)
{
	const char *name;
	int parent = tree_parent(path, root, true, &name);

	if (parent < 0) {
		cli_error("%s: on the way to it: %s", path, tree_error(errno));
		return EXIT_LOCAL;
	}
	close(parent);
	return EXIT_OK;
}
