// SPDX-License-Identifier: MIT
#include "settings.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "../base/log.h"
#include "target.h"

#define DAY_NS (INT64_C(86400) * 1000000000)

struct entry {
	struct entry *next;
	char account[TARGET_MAX_ACCOUNT + 1];
	struct props *props;
};

/**
 * struct settings - one entry for each account that was asked for
 * @lock: protects @first and @changes.
 * @change: held by who changes some.
 * @changes: grows with each change, so that what was read before one is not kept after it.
 */
struct settings {
	struct store *store;
	pthread_mutex_t lock;
	struct entry *first;
	uint64_t changes;
	pthread_mutex_t change;
};

struct settings *settings_new(struct store *store)
{
	struct settings *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->store = store;
	pthread_mutex_init(&s->lock, NULL);
	pthread_mutex_init(&s->change, NULL);
	return s;
}

static void free_entry(struct entry *entry)
{
	props_put(entry->props);
	free(entry);
}

void settings_free(struct settings *s)
{
	if (!s)
		return;
	while (s->first) {
		struct entry *entry = s->first;

		s->first = entry->next;
		free_entry(entry);
	}
	pthread_mutex_destroy(&s->change);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static enum store_error load(struct settings *s, const char *account, struct props **props)
{
	enum store_error error;
	const char *wrong;
	size_t length;
	void *bytes;

	error = store_account_get(s->store, account, &bytes, &length);
	if (error != STORE_OK)
		return error;
	*props = props_new();
	if (!*props) {
		free(bytes);
		return STORE_NO_MEMORY;
	}
	if (bytes && props_read(*props, bytes, length, &wrong) != PROPS_OK) {
		azb_log(AZB_LOG_ERROR, "the properties of account %s can't be read: %s", account,
			wrong);
		error = STORE_CORRUPT;
		props_put(*props);
	}
	free(bytes);
	return error;
}

static struct props *find(struct settings *s, const char *account)
{
	for (struct entry *entry = s->first; entry; entry = entry->next)
		if (!strcmp(entry->account, account))
			return props_get(entry->props);
	return NULL;
}

/* Without memory it is simply read again next time. */
static void keep(struct settings *s, const char *account, struct props *props)
{
	struct entry *entry = calloc(1, sizeof(*entry));

	if (!entry)
		return;
	strncpy(entry->account, account, sizeof(entry->account) - 1);
	entry->props = props_get(props);
	entry->next = s->first;
	s->first = entry;
}

enum store_error settings_props(struct settings *s, const char *account, struct props **props)
{
	enum store_error error;
	uint64_t changes;

	pthread_mutex_lock(&s->lock);
	*props = find(s, account);
	changes = s->changes;
	pthread_mutex_unlock(&s->lock);
	if (*props)
		return STORE_OK;
	error = load(s, account, props);
	if (error != STORE_OK)
		return error;
	pthread_mutex_lock(&s->lock);
	if (changes == s->changes) {
		struct props *other = find(s, account);

		if (other)
			props_put(other);
		else
			keep(s, account, *props);
	}
	pthread_mutex_unlock(&s->lock);
	return STORE_OK;
}

void settings_begin(struct settings *s)
{
	pthread_mutex_lock(&s->change);
}

void settings_end(struct settings *s)
{
	pthread_mutex_unlock(&s->change);
}

void settings_forget(struct settings *s, const char *account)
{
	pthread_mutex_lock(&s->lock);
	s->changes++;
	for (struct entry **at = &s->first; *at; at = &(*at)->next) {
		struct entry *entry = *at;

		if (strcmp(entry->account, account) != 0)
			continue;
		*at = entry->next;
		free_entry(entry);
		break;
	}
	pthread_mutex_unlock(&s->lock);
}

enum store_error settings_keep(struct settings *s, const char *account, struct store_keep *k)
{
	struct props *props;
	enum store_error error = settings_props(s, account, &props);

	if (error != STORE_OK)
		return error;
	if (props->deleted.enabled)
		k->retain_ns = (int64_t)props->deleted.days * DAY_NS;
	props_put(props);
	return STORE_OK;
}
