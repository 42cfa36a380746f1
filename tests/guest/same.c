// SPDX-License-Identifier: MIT
/*
 * same - compares two files or two trees byte by byte
 *
 * usage: same FIRST SECOND
 *
 * In a tree every regular file of FIRST has to be in SECOND with the same bytes, and
 * SECOND may hold no other.  Prints "same: N files, B bytes, crc64 X" and ends with
 * status 0, or says what differs.  The checksum (CRC-64/NVME) is over all bytes in
 * the order of the names; busybox's own tools read byte by byte, which an emulated
 * CPU takes too long for.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK (1u << 20)
/* CRC-64/NVME's polynomial, reflected. */
#define POLYNOMIAL 0x9a6c9329ac4bc9b5u

static uint64_t table[8][256], crc = ~0ull, files, bytes;

static void make_table(void)
{
	for (int i = 0; i < 256; i++) {
		uint64_t value = (uint64_t)i;

		for (int bit = 0; bit < 8; bit++)
			value = value & 1 ? value >> 1 ^ POLYNOMIAL : value >> 1;
		table[0][i] = value;
	}
	for (int k = 1; k < 8; k++) {
		for (int i = 0; i < 256; i++)
			table[k][i] = table[k - 1][i] >> 8 ^ table[0][table[k - 1][i] & 0xff];
	}
}

static void add_to_crc(const unsigned char *p, size_t length)
{
	for (; length >= 8; p += 8, length -= 8) {
		uint64_t word;

		memcpy(&word, p, 8);
		word ^= crc;
		crc = table[7][word & 0xff] ^ table[6][word >> 8 & 0xff] ^
		      table[5][word >> 16 & 0xff] ^ table[4][word >> 24 & 0xff] ^
		      table[3][word >> 32 & 0xff] ^ table[2][word >> 40 & 0xff] ^
		      table[1][word >> 48 & 0xff] ^ table[0][word >> 56];
	}
	for (; length; p++, length--)
		crc = crc >> 8 ^ table[0][(crc ^ *p) & 0xff];
}

static int fail(const char *what)
{
	fprintf(stderr, "same: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void differ(const char *what, const char *how)
{
	printf("different: %s: %s\n", what, how);
	exit(1);
}

static size_t read_full(int fd, unsigned char *buffer, const char *name)
{
	size_t have = 0;

	while (have < CHUNK) {
		ssize_t n = read(fd, buffer + have, CHUNK - have);

		if (n < 0)
			fail(name);
		if (n == 0)
			break;
		have += (size_t)n;
	}
	return have;
}

static void compare_files(const char *first, const char *second)
{
	static unsigned char a[CHUNK], b[CHUNK];
	int fd_a = open(first, O_RDONLY), fd_b = open(second, O_RDONLY);
	size_t got_a, got_b;

	if (fd_a < 0)
		fail(first);
	if (fd_b < 0)
		differ(second, strerror(errno));
	do {
		got_a = read_full(fd_a, a, first);
		got_b = read_full(fd_b, b, second);
		if (got_a != got_b)
			differ(second, "another size");
		if (memcmp(a, b, got_a) != 0)
			differ(second, "other bytes");
		add_to_crc(a, got_a);
		bytes += got_a;
	} while (got_a == CHUNK);
	files++;
	close(fd_a);
	close(fd_b);
}

static uint64_t count_files(const char *path)
{
	struct dirent **entries;
	uint64_t count = 0;
	int n = scandir(path, &entries, NULL, alphasort);

	if (n < 0)
		fail(path);
	for (int i = 0; i < n; i++) {
		char name[4096];
		struct stat st;

		snprintf(name, sizeof(name), "%s/%s", path, entries[i]->d_name);
		if (entries[i]->d_name[0] == '.' &&
		    (!entries[i]->d_name[1] || !strcmp(entries[i]->d_name, "..")))
			continue;
		if (lstat(name, &st))
			fail(name);
		count += S_ISDIR(st.st_mode) ? count_files(name) : S_ISREG(st.st_mode);
		free(entries[i]);
	}
	free(entries);
	return count;
}

static void compare_trees(const char *first, const char *second)
{
	struct dirent **entries;
	int n = scandir(first, &entries, NULL, alphasort);

	if (n < 0)
		fail(first);
	for (int i = 0; i < n; i++) {
		char a[4096], b[4096];
		struct stat st;

		if (!strcmp(entries[i]->d_name, ".") || !strcmp(entries[i]->d_name, ".."))
			continue;
		snprintf(a, sizeof(a), "%s/%s", first, entries[i]->d_name);
		snprintf(b, sizeof(b), "%s/%s", second, entries[i]->d_name);
		if (lstat(a, &st))
			fail(a);
		if (S_ISDIR(st.st_mode))
			compare_trees(a, b);
		else if (S_ISREG(st.st_mode))
			compare_files(a, b);
		free(entries[i]);
	}
	free(entries);
}

int main(int argc, char **argv)
{
	struct stat st;

	if (argc != 3) {
		fprintf(stderr, "usage: same FIRST SECOND\n");
		return 2;
	}
	make_table();
	if (stat(argv[1], &st))
		fail(argv[1]);
	if (S_ISDIR(st.st_mode)) {
		compare_trees(argv[1], argv[2]);
		if (count_files(argv[2]) != files)
			differ(argv[2], "it holds other files besides");
	} else {
		compare_files(argv[1], argv[2]);
	}
	printf("same: %llu files, %llu bytes, crc64 %016llx\n", (unsigned long long)files,
	       (unsigned long long)bytes, (unsigned long long)~crc);
	return 0;
}
