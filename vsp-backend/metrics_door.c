// SPDX-License-Identifier: MIT
#include "metrics_door.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/metrics.h"
#include "base/unixsock.h"

#define CLIENT_S 5

struct metrics_door {
	int listener, stop;
	pthread_t thread;
	char *path; /* of a Unix socket */
	struct metrics_source about;
};

static void show_about(struct metrics_source *source, struct azb_buf *out)
{
	(void)source;
	metrics_head(out, "azblob_build_info", "gauge", "the version of this program");
	azb_buf_printf(out, "azblob_build_info{version=\"" AZBLOB_VERSION "\"} 1\n");
}

static void send_all(int fd, const char *bytes, size_t length)
{
	while (length) {
		ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return;
		bytes += n;
		length -= (size_t)n;
	}
}

/* Reads a head to its end; false: none came. */
static bool read_head(int fd, char *text, size_t room)
{
	size_t have = 0;

	while (have + 1 < room) {
		ssize_t n = recv(fd, text + have, room - 1 - have, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		have += (size_t)n;
		text[have] = '\0';
		if (strstr(text, "\r\n\r\n") || strstr(text, "\n\n"))
			return true;
	}
	return false;
}

static void answer(int fd)
{
	static const char no[] = "HTTP/1.1 404 Not Found\r\nConnection: close\r\n"
				 "Content-Length: 0\r\n\r\n";
	const struct timeval limit = { .tv_sec = CLIENT_S };
	struct azb_buf body = { 0 };
	char text[4096];

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (!read_head(fd, text, sizeof(text)))
		return;
	if (strncmp(text, "GET /metrics ", 13) != 0 && strncmp(text, "GET / ", 6) != 0) {
		send_all(fd, no, sizeof(no) - 1);
		return;
	}
	metrics_show(&body);
	if (!body.failed) {
		snprintf(text, sizeof(text),
			 "HTTP/1.1 200 OK\r\nConnection: close\r\n"
			 "Content-Type: text/plain; version=0.0.4\r\nContent-Length: %zu\r\n\r\n",
			 body.length);
		send_all(fd, text, strlen(text));
		send_all(fd, body.data, body.length);
	}
	azb_buf_free(&body);
}

static void *serve(void *argument)
{
	struct metrics_door *door = argument;

	for (;;) {
		struct pollfd ready[2] = { { .fd = door->stop, .events = POLLIN },
					   { .fd = door->listener, .events = POLLIN } };
		int fd;

		if (poll(ready, 2, -1) < 0 && errno != EINTR)
			return NULL;
		if (ready[0].revents)
			return NULL;
		if (!(ready[1].revents & POLLIN))
			continue;
		fd = accept4(door->listener, NULL, NULL, SOCK_CLOEXEC);
		if (fd < 0) {
			/* without descriptors, say: not again and again at once */
			poll(ready, 1, 500);
			continue;
		}
		answer(fd);
		shutdown(fd, SHUT_WR);
		close(fd);
	}
}

static int listen_path(struct metrics_door *door, const char *path)
{
	int fd = azb_unix_listen(path, 0);

	if (fd < 0) {
		errno = -fd;
		return -1;
	}
	door->path = strdup(path);
	return fd;
}

/* "127.0.0.1:PORT" or "[::1]:PORT"; others would show the numbers to other machines. */
static bool loopback(const char *text, struct sockaddr_storage *out, socklen_t *length)
{
	struct sockaddr_in *four = (struct sockaddr_in *)(void *)out;
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)(void *)out;
	const char *colon = strrchr(text, ':');
	unsigned long port;
	char host[64], *end;

	if (!colon || colon[1] < '0' || colon[1] > '9' || (size_t)(colon - text) >= sizeof(host))
		return false;
	port = strtoul(colon + 1, &end, 10);
	if (*end || port > 65535)
		return false;
	memset(out, 0, sizeof(*out));
	snprintf(host, sizeof(host), "%.*s", (int)(colon - text), text);
	if (inet_pton(AF_INET, host, &four->sin_addr) == 1) {
		four->sin_family = AF_INET;
		four->sin_port = htons((uint16_t)port);
		*length = sizeof(*four);
		return ntohl(four->sin_addr.s_addr) >> 24 == 127;
	}
	if (strcmp(host, "[::1]") != 0)
		return false;
	six->sin6_family = AF_INET6;
	six->sin6_addr = in6addr_loopback;
	six->sin6_port = htons((uint16_t)port);
	*length = sizeof(*six);
	return true;
}

static int listen_port(const char *text, const char **wrong)
{
	struct sockaddr_storage address;
	socklen_t length;
	int fd, on = 1;

	if (!loopback(text, &address, &length)) {
		*wrong = "a path with a slash, 127.0.0.1:PORT or [::1]:PORT is accepted";
		return -1;
	}
	fd = socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&address, length) || listen(fd, 16)) {
		int failure = errno;

		close(fd);
		errno = failure;
		return -1;
	}
	if (!getsockname(fd, (struct sockaddr *)&address, &length)) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)&address;

		/* the port is at the same place in both families */
		azb_log(AZB_LOG_INFO, "metrics on port %u", ntohs(in->sin_port));
	}
	return fd;
}

static int start_thread(struct metrics_door *door)
{
	sigset_t all, old;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = pthread_create(&door->thread, NULL, serve, door);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return error;
}

struct metrics_door *metrics_door_open(const char *address, char *error, size_t error_size)
{
	struct metrics_door *door = calloc(1, sizeof(*door));
	const char *wrong = NULL;

	if (!door) {
		snprintf(error, error_size, "out of memory");
		return NULL;
	}
	door->stop = eventfd(0, EFD_CLOEXEC);
	door->listener =
		strchr(address, '/') ? listen_path(door, address) : listen_port(address, &wrong);
	if (door->listener >= 0 && door->stop >= 0)
		errno = start_thread(door);
	if (door->listener < 0 || door->stop < 0 || errno) {
		snprintf(error, error_size, "'%s': %s", address, wrong ? wrong : strerror(errno));
		if (door->listener >= 0)
			close(door->listener);
		if (door->stop >= 0)
			close(door->stop);
		free(door->path);
		free(door);
		return NULL;
	}
	door->about.show = show_about;
	metrics_add(&door->about);
	return door;
}

void metrics_door_close(struct metrics_door *door)
{
	const uint64_t one = 1;

	if (!door)
		return;
	while (write(door->stop, &one, sizeof(one)) < 0 && errno == EINTR)
		;
	pthread_join(door->thread, NULL);
	metrics_remove(&door->about);
	close(door->listener);
	close(door->stop);
	if (door->path)
		unlink(door->path);
	free(door->path);
	free(door);
}
