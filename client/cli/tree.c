// SPDX-License-Identifier: MIT
#include "tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

static int open_below(int at, const char *part, int mode)
{
	int below = openat(at, part, mode | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int failure = errno;
	struct stat status;

	/* Which it says of a link, too. */
	if (below < 0 && failure == ENOTDIR && !fstatat(at, part, &status, AT_SYMLINK_NOFOLLOW) &&
	    S_ISLNK(status.st_mode))
		failure = ELOOP;
	errno = failure;
	return below;
}

int tree_open_directory(int at, const char *name)
{
	return open_below(at, name, O_RDONLY);
}

/* The directory @part in @at, which is closed. */
static int descend(int at, const char *part, bool make)
{
	int below = -1;
	int failure;

	if (!make || !mkdirat(at, part, 0777) || errno == EEXIST)
		below = open_below(at, part, O_PATH);
	failure = errno;
	close(at);
	errno = failure;
	return below;
}

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

int tree_parent(const char *path, size_t root, bool make, const char **name)
{
	const char *slash = strrchr(path, '/');
	char *given = root ? cli_text("%.*s", (int)root, path) : directory_of(path);
	int at = open(given, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *part = path + root;

	free(given);
	*name = slash ? slash + 1 : path;
	while (root && at >= 0) {
		size_t length;
		char *copy;

		part += strspn(part, "/");
		if (part >= *name)
			break;
		length = strcspn(part, "/");
		copy = cli_text("%.*s", (int)length, part);
		at = descend(at, copy, make);
		free(copy);
		part += length;
	}
	return at;
}

int tree_open(const char *path, size_t root)
{
	struct stat status;
	const char *name;
	int failure = 0;
	int parent;
	int fd;

	if (!root)
		return open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	parent = tree_parent(path, root, false, &name);
	if (parent < 0)
		return -1;
	/* Where a pipe has taken the file's place nobody may ever open its other end. */
	fd = openat(parent, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd < 0 || fstat(fd, &status))
		failure = errno;
	else if (!S_ISREG(status.st_mode))
		failure = EINVAL;
	close(parent);
	if (fd >= 0 && failure)
		close(fd);
	errno = failure;
	return failure ? -1 : fd;
}

const char *tree_error(int sys_errno)
{
	switch (sys_errno) {
	case ELOOP:
		return "is a link, which is not followed";
	case EINVAL:
		return "is no regular file";
	}
	return strerrordesc_np(sys_errno);
}
