// SPDX-License-Identifier: MIT
/*
 * vsphold - keeps the device open until it is told to use it
 *
 * usage: vsphold [dev=PATH] < HEAD
 *
 * Prints "open", waits for SIGUSR1, makes one request, prints "errno N" (0: answered).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vspraw.h"

int main(int argc, char **argv)
{
	static char head[65536], response[16384];
	const char *dev =
		argc > 1 && !strncmp(argv[1], "dev=", 4) ? argv[1] + 4 : "/dev/azure_blob";
	size_t length = fread(head, 1, sizeof(head), stdin);
	unsigned char raw[RAW_SIZE] = { 0 };
	int fd = open(dev, O_RDWR), number;
	sigset_t set;

	if (fd < 0) {
		perror(dev);
		return 2;
	}
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	printf("open\n");
	fflush(stdout);
	sigwait(&set, &number);
	raw_set(raw, NR_F0, RAW_TIMEOUT, 60000);
	raw_set(raw, NR_F0, RAW_REQUEST_LEN, length);
	raw_set(raw, NR_F0, RAW_RESPONSE_LEN, sizeof(response));
	raw_set(raw, NR_F0, RAW_REQUEST_BUFFER, (uintptr_t)head);
	raw_set(raw, NR_F0, RAW_RESPONSE_BUFFER, (uintptr_t)response);
	printf("errno %d\n", ioctl(fd, NR_F0, raw) < 0 ? errno : 0);
	return 0;
}
