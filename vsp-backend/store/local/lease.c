/* SPDX-License-Identifier: MIT */
/*
 * Leases: data that is being read is not collected, even if no blob has it any more.
 *
 * A reader looks a blob up and then takes a lease; in between, the blob may be
 * replaced and its data become garbage.  So the collector, after it has seen the
 * row in garbage, waits for all lookups that might have begun before that row was
 * committed.  Later lookups can't find the data.
 */
#include <stdlib.h>

#include "store/local/local.h"

enum store_error leases_init(struct local *local)
{
	struct leases *leases = &local->leases;

	leases->bucket_count = 1024;
	leases->buckets = calloc(leases->bucket_count, sizeof(struct lease *));
	if (!leases->buckets)
		return STORE_NO_MEMORY;
	pthread_mutex_init(&leases->lock, NULL);
	pthread_cond_init(&leases->quiet, NULL);
	return STORE_OK;
}

void leases_end(struct local *local)
{
	struct leases *leases = &local->leases;

	if (!leases->buckets)
		return;
	free(leases->buckets);
	pthread_cond_destroy(&leases->quiet);
	pthread_mutex_destroy(&leases->lock);
}

unsigned int lease_opening(struct local *local)
{
	struct leases *leases = &local->leases;
	unsigned int phase;

	pthread_mutex_lock(&leases->lock);
	phase = leases->phase;
	leases->openers[phase]++;
	pthread_mutex_unlock(&leases->lock);
	return phase;
}

void lease_opened(struct local *local, unsigned int phase)
{
	struct leases *leases = &local->leases;

	pthread_mutex_lock(&leases->lock);
	if (!--leases->openers[phase])
		pthread_cond_broadcast(&leases->quiet);
	pthread_mutex_unlock(&leases->lock);
}

void lease_wait_openers(struct local *local)
{
	struct leases *leases = &local->leases;
	unsigned int phase;

	pthread_mutex_lock(&leases->lock);
	phase = leases->phase;
	/* only the collector calls this, so the other phase is empty: see the end */
	leases->phase = !phase;
	while (leases->openers[phase])
		pthread_cond_wait(&leases->quiet, &leases->lock);
	pthread_mutex_unlock(&leases->lock);
}

static struct lease **bucket(struct leases *leases, enum garbage_kind kind, int64_t id)
{
	uint64_t hash =
		((uint64_t)id * 2 + (kind == GARBAGE_CONTENT)) * UINT64_C(0x9e3779b97f4a7c15);

	return &leases->buckets[(hash >> 32) % leases->bucket_count];
}

static struct lease *find(struct leases *leases, enum garbage_kind kind, int64_t id, int64_t at)
{
	struct lease *lease = *bucket(leases, kind, id);

	while (lease && (lease->kind != kind || lease->id != id || lease->at != at))
		lease = lease->next;
	return lease;
}

enum store_error lease_take(struct local *local, enum garbage_kind kind, int64_t id, int64_t at,
			    struct lease **out)
{
	struct leases *leases = &local->leases;
	struct lease *lease;

	pthread_mutex_lock(&leases->lock);
	lease = find(leases, kind, id, at);
	if (!lease) {
		lease = calloc(1, sizeof(*lease));
		if (lease) {
			struct lease **head = bucket(leases, kind, id);

			lease->kind = kind;
			lease->id = id;
			lease->at = at;
			lease->next = *head;
			*head = lease;
		}
	}
	if (lease)
		lease->count++;
	pthread_mutex_unlock(&leases->lock);
	*out = lease;
	return lease ? STORE_OK : STORE_NO_MEMORY;
}

void lease_drop(struct local *local, struct lease *lease)
{
	struct leases *leases = &local->leases;
	bool wake = false;

	pthread_mutex_lock(&leases->lock);
	if (!--lease->count) {
		struct lease **at = bucket(leases, lease->kind, lease->id);

		while (*at != lease)
			at = &(*at)->next;
		*at = lease->next;
		free(lease);
		wake = leases->skipped;
		leases->skipped = false;
	}
	pthread_mutex_unlock(&leases->lock);
	if (wake)
		collector_wake(local);
}

bool lease_held(struct local *local, enum garbage_kind kind, int64_t id, int64_t at)
{
	struct leases *leases = &local->leases;
	bool held;

	pthread_mutex_lock(&leases->lock);
	held = find(leases, kind, id, at);
	leases->skipped |= held;
	pthread_mutex_unlock(&leases->lock);
	return held;
}
