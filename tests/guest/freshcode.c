// SPDX-License-Identifier: MIT
/*
 * freshcode RUNS <HEAD - runs machine code that the host has just written.
 *
 * The head on stdin reads a blob whose first bytes are "mov $0x5eed, %eax; ret".  Each
 * round puts other code into a page and runs it, so that an emulator has translated
 * it; then the driver reads the blob into the same page, and what runs there next has
 * to be what the host wrote.  Prints how many rounds were right.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vspraw.h"

#define PAGE 4096
#define RESPONSE 16384
#define FRESH 0x5eed

typedef int (*code)(void);

static unsigned char *pages(size_t length, int protection)
{
	void *p = mmap(NULL, length, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED) {
		perror("mmap");
		exit(2);
	}
	return p;
}

/* mov $value, %eax; ret */
static void write_code(unsigned char *page, int value)
{
	page[0] = 0xb8;
	memcpy(page + 1, &value, sizeof(value));
	page[5] = 0xc3;
}

/* A pointer to an object becomes one to a function; POSIX has that, C has not. */
static int run(unsigned char *page)
{
	code function;

	memcpy(&function, &page, sizeof(function));
	return function();
}

int main(int argc, char **argv)
{
	unsigned char *page = pages(PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
	unsigned char *head = pages(PAGE, PROT_READ | PROT_WRITE);
	unsigned char *response = pages(RESPONSE, PROT_READ | PROT_WRITE);
	long rounds = argc == 2 ? strtol(argv[1], NULL, 10) : 0;
	ssize_t length = read(STDIN_FILENO, head, PAGE);
	int fd = open("/dev/azure_blob", O_RDWR | O_CLOEXEC);
	long right = 0;

	if (rounds < 1 || length < 1 || fd < 0) {
		fprintf(stderr, "usage: freshcode RUNS <HEAD, with /dev/azure_blob\n");
		return 2;
	}
	for (long i = 0; i < rounds; i++) {
		unsigned char raw[RAW_LARGEST] = { 0 };

		write_code(page, (int)i);
		if (run(page) != (int)i)
			return 3;
		raw_set(raw, NR_F0, RAW_REQUEST_LEN, (uint64_t)length);
		raw_set(raw, NR_F0, RAW_RESPONSE_LEN, RESPONSE);
		raw_set(raw, NR_F0, RAW_DATA_LEN, PAGE);
		raw_set(raw, NR_F0, RAW_REQUEST_BUFFER, (uintptr_t)head);
		raw_set(raw, NR_F0, RAW_RESPONSE_BUFFER, (uintptr_t)response);
		raw_set(raw, NR_F0, RAW_DATA_BUFFER, (uintptr_t)page);
		if (ioctl(fd, NR_F0, raw) || raw_get(raw, NR_F0, RAW_STATUS) ||
		    memcmp(response, "HTTP/1.1 200", 12)) {
			fprintf(stderr, "round %ld: no answer of 200: %s\n", i, strerror(errno));
			return 4;
		}
		right += run(page) == FRESH;
	}
	printf("%ld\n", right);
	return right == rounds ? 0 : 1;
}
