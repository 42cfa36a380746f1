/* SPDX-License-Identifier: MIT */
/*
 * The accounts that are served and their keys.  Filled by one thread, then only read; when keys
 * change, another set takes its place, and this one goes with its last reference.
 */
#ifndef AZBLOB_BLOB_ACCOUNTS_H
#define AZBLOB_BLOB_ACCOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Azurite's development account: public, and what every SDK's development settings use. */
#define ACCOUNTS_DEV_NAME "devstoreaccount1"
#define ACCOUNTS_DEV_KEY \
	"Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="

/* Azure's keys have 64 bytes; others are allowed up to this. */
#define ACCOUNTS_MAX_KEY 256u
#define ACCOUNTS_MAX_KEYS 2u

/* @versions: what is replaced or deleted becomes a version. */
struct account {
	char name[25];
	bool versions;
	unsigned int key_count;
	size_t key_length[ACCOUNTS_MAX_KEYS];
	uint8_t key[ACCOUNTS_MAX_KEYS][ACCOUNTS_MAX_KEY];
};

struct accounts;

struct accounts *accounts_new(void); /* one reference; NULL when memory is short */
struct accounts *accounts_get(struct accounts *accounts);
void accounts_put(struct accounts *accounts); /* the last one wipes the keys; NULL is allowed */

/*
 * "NAME:KEY" or "NAME:KEY1:KEY2", keys in base64.  False: @error has one line that says what is
 * wrong, without the key.
 */
bool accounts_add(struct accounts *accounts, const char *text, char *error, size_t error_size);
/* A file of such lines; empty ones and those that start with "#" are skipped. */
bool accounts_load(struct accounts *accounts, const char *path, char *error, size_t error_size);

/* "NAME", or "*" for all that are there: they have versions.  False: there is no such account. */
bool accounts_keep_versions(struct accounts *accounts, const char *name);

size_t accounts_count(const struct accounts *accounts);
/* The one account that there is; NULL when there are others. */
const struct account *accounts_only(const struct accounts *accounts);
const struct account *accounts_find(const struct accounts *accounts, const char *name);

#endif /* AZBLOB_BLOB_ACCOUNTS_H */
