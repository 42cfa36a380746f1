/* SPDX-License-Identifier: MIT */
#include "base/daemon.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"

void azb_daemon_notify(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = path ? strlen(path) : 0;
	int fd;

	if (!length || length >= sizeof(address.sun_path))
		return;
	memcpy(address.sun_path, path, length);
	/* "@" stands for the zero of an abstract name */
	if (address.sun_path[0] == '@')
		address.sun_path[0] = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (struct sockaddr *)&address,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0)
		azb_log(AZB_LOG_WARNING, "NOTIFY_SOCKET %s: %m", path);
	close(fd);
}

void azb_daemon_ready(int *fd, struct azb_buf *line)
{
	azb_daemon_notify("READY=1");
	if (*fd < 0)
		return;
	azb_buf_puts(line, "\n");
	if (line->failed || write(*fd, line->data, line->length) < 0)
		azb_log(AZB_LOG_WARNING, "--ready-fd: %m");
	close(*fd);
	*fd = -1;
}

void azb_daemon_raise_limits(void)
{
	struct rlimit limit;

	if (!getrlimit(RLIMIT_NOFILE, &limit) && limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &limit))
			azb_log(AZB_LOG_WARNING, "can't raise the number of open files: %m");
	}
}
