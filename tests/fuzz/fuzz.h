/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets share.  A target is one file with LLVMFuzzerTestOneInput(): bytes of a
 * stranger, given to something that parses.  The sanitizers say when it touches what it must not;
 * what must hold besides is checked with must().
 */
#ifndef AZBLOB_TESTS_FUZZ_H
#define AZBLOB_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(condition)                                                                 \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			abort();                                                        \
		}                                                                       \
	} while (0)

/* As a C string, in memory of exactly its length, so that a read beyond it is seen. */
static inline char *fuzz_string(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);

	must(text);
	if (size)
		memcpy(text, data, size);
	text[size] = 0;
	return text;
}

/* Splits off the first byte: what a target is to do with the rest. */
static inline unsigned int fuzz_choice(const uint8_t **data, size_t *size, unsigned int choices)
{
	unsigned int choice;

	if (!*size)
		return 0;
	choice = **data % choices;
	++*data;
	--*size;
	return choice;
}

#endif
