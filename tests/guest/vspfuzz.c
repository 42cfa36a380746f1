// SPDX-License-Identifier: MIT
/*
 * vspfuzz - ioctls with random structures
 *
 * usage: vspfuzz seed=N rounds=N [dev=PATH]
 *
 * Lengths and addresses are drawn from values near limits and from real memory, so
 * that many rounds get past the first check.  Memory that no request was given is
 * filled with a pattern and checked at the end.  Status 0 when it is intact
 * and every errno was one that the interface documents.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pattern.h"
#include "vspraw.h"

#define ARENA (64u << 20)
#define BYSTANDER (8u << 20)

static uint64_t state;

/* xorshift64*, from Vigna's paper. */
static uint64_t draw(void)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return state * 0x2545f4914f6cdd1du;
}

static uint64_t draw_length(void)
{
	static const uint64_t special[] = { 0,          1,          4095,       4096,
					    4097,       16384,      65536,      33546240,
					    33550336,   33554431,   33554432,   33554433,
					    0x7fffffff, 0x80000000, 0xfffff000, 0xffffffff };

	switch (draw() % 4) {
	case 0:
		return special[draw() % (sizeof(special) / sizeof(special[0]))];
	case 1:
		return draw() % 70000;
	case 2:
		return draw() % (1 << 20);
	default:
		return (uint32_t)draw();
	}
}

static uint64_t draw_address(unsigned char *arena)
{
	switch (draw() % 8) {
	case 0:
		return draw();
	case 1:
		return 0xffff800000000000u | draw();
	case 2:
		return draw() % 8192;
	case 3: /* runs off the arena's end */
		return (uintptr_t)arena + ARENA - draw() % 65536;
	default:
		return (uintptr_t)arena + draw() % ARENA;
	}
}

static int is_documented(int error)
{
	switch (error) {
	case 0:
	case EINVAL:
	case EMSGSIZE:
	case EFAULT:
	case ENOMEM:
	case ENOTTY:
		return 1;
	}
	return 0;
}

int main(int argc, char **argv)
{
	static const char probe[] = "GET /.azblob HTTP/1.1\r\nHost: localhost\r\n\r\n";
	static const uint32_t numbers[] = { NR_F0, NR_LEGACY, NR_V1 };
	const char *dev = "/dev/azure_blob";
	unsigned char *arena, *bystander;
	uint64_t rounds = 1000, counts[2] = { 0, 0 };
	int fd;

	for (int i = 1; i < argc; i++) {
		if (!strncmp(argv[i], "seed=", 5))
			state = strtoull(argv[i] + 5, NULL, 0) * 2 + 1;
		else if (!strncmp(argv[i], "rounds=", 7))
			rounds = strtoull(argv[i] + 7, NULL, 0);
		else if (!strncmp(argv[i], "dev=", 4))
			dev = argv[i] + 4;
		else
			return 2;
	}
	fd = open(dev, O_RDWR);
	arena = mmap(NULL, ARENA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bystander =
		mmap(NULL, BYSTANDER, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (fd < 0 || arena == MAP_FAILED || bystander == MAP_FAILED) {
		perror("vspfuzz");
		return 2;
	}
	pattern_fill(bystander, BYSTANDER, 99, 0);
	for (uint64_t i = 0; i < rounds; i++) {
		uint32_t nr = numbers[draw() % 3];
		unsigned char raw[RAW_SIZE];
		long result;
		int error;

		for (int k = 0; k < RAW_SIZE; k += 4) {
			uint32_t word = (uint32_t)draw();

			memcpy(raw + k, &word, 4);
		}
		/* A time-out, so that no round can wait for ever. */
		raw_set(raw, nr, RAW_TIMEOUT, 1 + draw() % 60000);
		raw_set(raw, nr, RAW_REQUEST_LEN, draw_length());
		raw_set(raw, nr, RAW_RESPONSE_LEN, draw_length());
		raw_set(raw, nr, RAW_DATA_LEN, draw() % 2 ? draw_length() : 0);
		raw_set(raw, nr, RAW_DATA_VALID, draw() % 2 ? draw_length() : 0);
		if (draw() % 8)
			raw_set(raw, nr, RAW_RESERVED, 0);
		raw_set(raw, nr, RAW_REQUEST_BUFFER, draw_address(arena));
		raw_set(raw, nr, RAW_RESPONSE_BUFFER, draw_address(arena));
		raw_set(raw, nr, RAW_DATA_BUFFER, draw_address(arena));
		if (draw() % 2) {
			memcpy(arena, probe, sizeof(probe));
			raw_set(raw, nr, RAW_REQUEST_LEN, sizeof(probe) - 1);
			raw_set(raw, nr, RAW_REQUEST_BUFFER, (uintptr_t)arena);
		}
		result = ioctl(fd, nr, raw);
		error = result < 0 ? errno : 0;
		counts[result == 0]++;
		if (!is_documented(error)) {
			printf("round %llu: errno %d\n", (unsigned long long)i, error);
			return 1;
		}
	}
	printf("refused %llu, answered %llu\n", (unsigned long long)counts[0],
	       (unsigned long long)counts[1]);
	if (pattern_check(bystander, BYSTANDER, 99, 0) >= 0) {
		printf("memory of nobody's request was written\n");
		return 1;
	}
	return 0;
}
