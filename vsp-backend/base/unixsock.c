/* SPDX-License-Identifier: MIT */
#include "base/unixsock.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Nobody listens on a socket that refuses.  One whose line is full does not, and is not waited for.
 */
static bool is_stale(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct stat st;
	bool stale;

	if (fd < 0)
		return false;
	stale = !stat(address->sun_path, &st) && S_ISSOCK(st.st_mode) &&
		connect(fd, (const struct sockaddr *)address, sizeof(*address)) < 0 &&
		errno == ECONNREFUSED;
	close(fd);
	return stale;
}

const char *azb_unix_why(int error)
{
	_Static_assert(sizeof(((struct sockaddr_un *)0)->sun_path) == 108, "as it says below");
	switch (-error) {
	case EADDRINUSE:
		return "in use by another program, or not a socket";
	case EINVAL:
	case ENAMETOOLONG:
		return "a socket's path has 1 to 107 bytes";
	default:
		return strerror(-error);
	}
}

int azb_unix_listen(const char *path, mode_t mode)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, error = 0;

	if (!*path)
		return -EINVAL;
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (bind(fd, (struct sockaddr *)&address, sizeof(address))) {
		error = errno;
		if (error == EADDRINUSE && is_stale(&address) && !unlink(path))
			error = bind(fd, (struct sockaddr *)&address, sizeof(address)) ? errno : 0;
	}
	if (!error && ((mode && chmod(path, mode)) || listen(fd, SOMAXCONN))) {
		error = errno;
		unlink(path);
	}
	if (!error)
		return fd;
	close(fd);
	return -error;
}
