// SPDX-License-Identifier: MIT
/*
 * nullhttp - an HTTP server that does nothing but send memory
 *
 * usage: nullhttp PORT
 *
 * Answers each GET with as many bytes as its "x-ms-range: bytes=A-B" asks for, or 4 KiB, from
 * memory, a thread for each connection on 127.0.0.1.  What a gateway is measured against: nothing
 * that goes over loopback can be faster.  Says "ready" when it listens; ends when it is killed.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define MOST (32u << 20)
#define HEAD 65536u

static const unsigned char *memory;

/* Bytes that the head asks for. */
static size_t wanted(const char *head)
{
	const char *range = strcasestr(head, "\r\nx-ms-range: bytes=");
	unsigned long long from, to;
	char *end;

	if (!range)
		return 4096;
	from = strtoull(range + 20, &end, 10);
	to = *end == '-' ? strtoull(end + 1, NULL, 10) : from;
	return to < from || to - from >= MOST ? MOST : (size_t)(to - from + 1);
}

static bool answer(int fd, size_t length)
{
	char head[160];
	struct iovec iov[2] = { { head, 0 }, { (void *)(uintptr_t)memory, length } };
	struct msghdr message = { .msg_iov = iov, .msg_iovlen = 2 };

	iov[0].iov_len = (size_t)snprintf(
		head, sizeof(head), "HTTP/1.1 206 Partial Content\r\nContent-Length: %zu\r\n\r\n",
		length);
	while (message.msg_iovlen) {
		ssize_t n = sendmsg(fd, &message, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		while (message.msg_iovlen && (size_t)n >= message.msg_iov->iov_len) {
			n -= (ssize_t)message.msg_iov->iov_len;
			message.msg_iov++;
			message.msg_iovlen--;
		}
		if (message.msg_iovlen) {
			message.msg_iov->iov_base = (char *)message.msg_iov->iov_base + n;
			message.msg_iov->iov_len -= (size_t)n;
		}
	}
	return true;
}

static void *serve(void *argument)
{
	int fd = (int)(intptr_t)argument;
	char *head = malloc(HEAD);
	size_t have = 0;
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	while (head && have < HEAD - 1) {
		ssize_t n = read(fd, head + have, HEAD - 1 - have);
		char *end;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		have += (size_t)n;
		head[have] = 0;
		end = strstr(head, "\r\n\r\n");
		if (!end)
			continue;
		if (!answer(fd, wanted(head)))
			break;
		end += 4;
		have -= (size_t)(end - head);
		memmove(head, end, have);
	}
	free(head);
	close(fd);
	return NULL;
}

int main(int argc, char **argv)
{
	struct sockaddr_in here = { .sin_family = AF_INET };
	int one = 1;
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (argc != 2) {
		fputs("usage: nullhttp PORT\n", stderr);
		return 2;
	}
	here.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
	here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	memory = mmap(NULL, MOST, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (memory == MAP_FAILED || fd < 0 || bind(fd, (struct sockaddr *)&here, sizeof(here)) ||
	    listen(fd, 1024)) {
		fprintf(stderr, "nullhttp: %s\n", strerror(errno));
		return 1;
	}
	puts("ready");
	fflush(stdout);
	for (;;) {
		pthread_t thread;
		int peer = accept(fd, NULL, NULL);

		if (peer < 0)
			continue;
		if (pthread_create(&thread, NULL, serve, (void *)(intptr_t)peer))
			close(peer);
		else
			pthread_detach(thread);
	}
}
