/* SPDX-License-Identifier: MIT */
/* What the relay proves its own name with, from a file that can be read again. */
#ifndef AZB_AZURE_SECRET_H
#define AZB_AZURE_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AZ_MAX_KEY 256u

/**
 * struct az_secret
 * @key, @key_length: the account's key; length 0 for none.
 * @sas: the query of a shared access signature, without "?"; NULL for none.
 */
struct az_secret {
	uint8_t key[AZ_MAX_KEY];
	size_t key_length;
	char *sas;
};

/*
 * Reads the one file of the two that is named.  False: @error has one line, without what is in
 * the file.  az_secret_free() in both cases.
 */
bool az_secret_read(struct az_secret *secret, const char *key_file, const char *sas_file,
		    char *error, size_t error_size);
void az_secret_free(struct az_secret *secret); /* wipes it */

#endif
