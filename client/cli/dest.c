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
#include <sys/stat.h>
#include <unistd.h>

#define TEMP_NAME ".azblob-XXXXXX"

/* "a" for "a/b", "/" for "/b", "." for "b" */
static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return cli_text(".");
	if (slash == path)
		return cli_text("/");
	return cli_text("%.*s", (int)(slash - path), path);
}

/* What open() would have given; umask() can only be asked by setting it. */
static mode_t file_mode(void)
{
	static mode_t mask;
	static bool known;

	cli_output_lock();
	if (!known) {
		mask = umask(0);
		umask(mask);
		known = true;
	}
	cli_output_unlock();
	return 0666 & ~mask;
}

static int open_temp(struct dest *dest, const char *path, struct azblob_error *error)
{
	char *directory = directory_of(path);

	dest->final = cli_text("%s", path);
	dest->temp = cli_text("%s/" TEMP_NAME, directory);
	free(directory);
	dest->fd = mkostemp(dest->temp, O_CLOEXEC);
	if (dest->fd < 0) {
		transfer_local_error(error, errno, "%s can't be made", dest->temp);
		return -1;
	}
	dest->temp_slot = cli_temp_register(dest->temp);
	fchmod(dest->fd, file_mode());
	return 0;
}

int dest_open(struct dest *dest, const char *path, bool in_tree, struct azblob_error *error)
{
	struct stat status;
	char *real;
	int result;

	memset(dest, 0, sizeof(*dest));
	dest->fd = -1;
	dest->temp_slot = -1;
	if (!strcmp(path, "-")) {
		dest->fd = STDOUT_FILENO;
		return 0;
	}
	if (in_tree && !lstat(path, &status) && S_ISLNK(status.st_mode)) {
		transfer_local_error(error, ELOOP, "%s is a link, which is not followed", path);
		return -1;
	}
	if (stat(path, &status))
		return open_temp(dest, path, error);
	if (S_ISREG(status.st_mode)) {
		/* The file behind a link is replaced, not the link. */
		real = realpath(path, NULL);
		if (!real) {
			transfer_local_error(error, errno, "%s", path);
			return -1;
		}
		result = open_temp(dest, real, error);
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

static int sync_directory(const char *path)
{
	char *directory = directory_of(path);
	int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int result = fd < 0 ? -1 : fsync(fd);

	if (fd >= 0)
		close(fd);
	free(directory);
	/* Some file systems can't, and need not. */
	return result && errno != EINVAL && errno != EACCES ? -1 : 0;
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
	if (rename(dest->temp, dest->final)) {
		transfer_local_error(error, errno, "%s can't be replaced", dest->final);
		return -1;
	}
	cli_temp_forget(dest->temp_slot);
	dest->temp_slot = -1;
	free(dest->temp);
	dest->temp = NULL;
	if (sync_directory(dest->final)) {
		transfer_local_error(error, errno, "the directory of %s can't be written",
				     dest->final);
		return -1;
	}
	return 0;
}

bool dest_keep_as(struct dest *dest, const char *temp)
{
	if (rename(dest->temp, temp))
		return false;
	cli_temp_forget(dest->temp_slot);
	dest->temp_slot = -1;
	free(dest->temp);
	dest->temp = cli_text("%s", temp);
	return true;
}

void dest_take(struct dest *dest, int fd, const char *temp)
{
	unlink(dest->temp);
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
		unlink(dest->temp);
	cli_temp_forget(dest->temp_slot);
	if (dest->fd > STDERR_FILENO && close(dest->fd) && good && !result) {
		transfer_local_error(error, errno, "writing the destination failed");
		result = -1;
	}
	free(dest->final);
	free(dest->temp);
	return result;
}

/* EEXIST is said of a link, too. */
static bool make_directory(const char *path)
{
	struct stat status;

	if (!mkdir(path, 0777))
		return true;
	if (errno != EEXIST || lstat(path, &status)) {
		cli_error("%s: %s", path, strerrordesc_np(errno));
		return false;
	}
	if (S_ISLNK(status.st_mode))
		cli_error("%s: is a link, which is not followed", path);
	else if (!S_ISDIR(status.st_mode))
		cli_error("%s: %s", path, strerrordesc_np(ENOTDIR));
	return S_ISDIR(status.st_mode);
}

int cli_make_parents(char *path, size_t from)
{
	for (char *slash = strchr(path + from, '/'); slash; slash = strchr(slash + 1, '/')) {
		bool made;

		*slash = '\0';
		made = make_directory(path);
		*slash = '/';
		if (!made)
			return EXIT_LOCAL;
	}
	return EXIT_OK;
}
