// SPDX-License-Identifier: MIT
#include "accounts.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../base/base64.h"
#include "target.h"

struct accounts {
	atomic_uint references;
	struct account *list;
	size_t count;
};

struct accounts *accounts_new(void)
{
	struct accounts *accounts = calloc(1, sizeof(*accounts));

	if (accounts)
		atomic_init(&accounts->references, 1);
	return accounts;
}

struct accounts *accounts_get(struct accounts *accounts)
{
	atomic_fetch_add_explicit(&accounts->references, 1, memory_order_relaxed);
	return accounts;
}

void accounts_put(struct accounts *accounts)
{
	if (!accounts ||
	    atomic_fetch_sub_explicit(&accounts->references, 1, memory_order_acq_rel) != 1)
		return;
	if (accounts->list)
		explicit_bzero(accounts->list, accounts->count * sizeof(*accounts->list));
	free(accounts->list);
	free(accounts);
}

bool accounts_keep_versions(struct accounts *accounts, const char *name)
{
	bool all = !strcmp(name, "*"), found = all;

	for (size_t i = 0; i < accounts->count; i++) {
		if (!all && strcmp(accounts->list[i].name, name) != 0)
			continue;
		accounts->list[i].versions = true;
		found = true;
	}
	return found;
}

size_t accounts_count(const struct accounts *accounts)
{
	return accounts->count;
}

const struct account *accounts_only(const struct accounts *accounts)
{
	return accounts->count == 1 ? accounts->list : NULL;
}

const struct account *accounts_find(const struct accounts *accounts, const char *name)
{
	for (size_t i = 0; i < accounts->count; i++)
		if (!strcmp(accounts->list[i].name, name))
			return &accounts->list[i];
	return NULL;
}

static bool add_key(struct account *account, const char *text, size_t length)
{
	ssize_t n;

	if (account->key_count == ACCOUNTS_MAX_KEYS)
		return false;
	n = azb_base64_decode(account->key[account->key_count], ACCOUNTS_MAX_KEY, text, length);
	if (n <= 0)
		return false;
	account->key_length[account->key_count++] = (size_t)n;
	return true;
}

bool accounts_add(struct accounts *accounts, const char *text, char *error, size_t error_size)
{
	const char *colon = strchr(text, ':');
	struct account account = { 0 };
	struct account *list;

	if (!colon || (size_t)(colon - text) >= sizeof(account.name)) {
		snprintf(error, error_size,
			 "an account is NAME:KEY, and NAME has 3 to 24 characters");
		return false;
	}
	memcpy(account.name, text, (size_t)(colon - text));
	if (!target_account_name_good(account.name)) {
		snprintf(error, error_size,
			 "account name: 3 to 24 lower-case letters and digits are accepted");
		return false;
	}
	if (accounts_find(accounts, account.name)) {
		snprintf(error, error_size, "account %s is there twice", account.name);
		return false;
	}
	while (colon) {
		const char *key = colon + 1;

		colon = strchr(key, ':');
		if (!add_key(&account, key, colon ? (size_t)(colon - key) : strlen(key))) {
			snprintf(error, error_size,
				 "account %s: a key is base64 of 1 to %u bytes, and there are at "
				 "most %u",
				 account.name, ACCOUNTS_MAX_KEY, ACCOUNTS_MAX_KEYS);
			explicit_bzero(&account, sizeof(account));
			return false;
		}
	}
	/* not realloc(): it would leave the keys behind in freed memory */
	list = calloc(accounts->count + 1, sizeof(*list));
	if (!list) {
		snprintf(error, error_size, "out of memory");
		return false;
	}
	if (accounts->count)
		memcpy(list, accounts->list, accounts->count * sizeof(*list));
	list[accounts->count] = account;
	explicit_bzero(&account, sizeof(account));
	if (accounts->list)
		explicit_bzero(accounts->list, accounts->count * sizeof(*list));
	free(accounts->list);
	accounts->list = list;
	accounts->count++;
	return true;
}

bool accounts_load(struct accounts *accounts, const char *path, char *error, size_t error_size)
{
	char why[160];
	char *line = NULL;
	size_t room = 0;
	unsigned int number = 0;
	bool good = true;
	FILE *file = fopen(path, "re");

	if (!file) {
		snprintf(error, error_size, "%s: %s", path, strerror(errno));
		return false;
	}
	while (good && getline(&line, &room, file) >= 0) {
		number++;
		line[strcspn(line, "\r\n")] = 0;
		if (!*line || *line == '#')
			continue;
		good = accounts_add(accounts, line, why, sizeof(why));
		if (!good)
			snprintf(error, error_size, "%s, line %u: %s", path, number, why);
	}
	if (good && ferror(file)) {
		snprintf(error, error_size, "%s: %s", path, strerror(errno));
		good = false;
	}
	if (line)
		explicit_bzero(line, room);
	free(line);
	fclose(file);
	return good;
}
