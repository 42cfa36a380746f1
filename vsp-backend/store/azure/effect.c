// SPDX-License-Identifier: MIT
/*
 * Answers that the link has not acknowledged.  In memory: when this process ends, what had an
 * effect upstream can't be told from what had none, and the table of operations decides.
 */
#include "azure.h"

#include <stdlib.h>
#include <string.h>

/* The link has at most 1,024 requests under way, each with an answer of a few hundred bytes. */
#define BUCKETS 256u

struct effect {
	struct effect *next;
	uint8_t session[16];
	uint64_t request;
	size_t length;
	char bytes[];
};

struct az_effects {
	pthread_mutex_t lock;
	struct effect *bucket[BUCKETS];
};

struct az_effects *az_effects_new(void)
{
	struct az_effects *effects = calloc(1, sizeof(*effects));

	if (effects)
		pthread_mutex_init(&effects->lock, NULL);
	return effects;
}

/* Where a request is, and all of its parts. */
static struct effect **bucket_of(struct az_effects *effects, uint64_t request)
{
	return &effects->bucket[store_effect_whole(request) % BUCKETS];
}

static bool fits(const struct effect *effect, const uint8_t session[16], uint64_t request)
{
	return effect->request == request && !memcmp(effect->session, session, 16);
}

/* Of a request itself, or a part of it; @request 0: of any. */
static bool belongs(const struct effect *effect, const uint8_t session[16], uint64_t request)
{
	return (!request || store_effect_whole(effect->request) == request) &&
	       !memcmp(effect->session, session, 16);
}

static void drop(struct effect **at, const uint8_t session[16], uint64_t request)
{
	while (*at) {
		struct effect *effect = *at;

		if (session && !belongs(effect, session, request)) {
			at = &effect->next;
			continue;
		}
		*at = effect->next;
		free(effect);
	}
}

void az_effects_free(struct az_effects *effects)
{
	if (!effects)
		return;
	for (unsigned int i = 0; i < BUCKETS; i++)
		drop(&effects->bucket[i], NULL, 0);
	pthread_mutex_destroy(&effects->lock);
	free(effects);
}

void az_effects_keep(struct az_effects *effects, const uint8_t session[16], uint64_t request,
		     const void *bytes, size_t length)
{
	struct effect *effect = malloc(sizeof(*effect) + length);
	struct effect **at = bucket_of(effects, request), **same;

	if (!effect)
		return;
	memcpy(effect->session, session, 16);
	effect->request = request;
	effect->length = length;
	memcpy(effect->bytes, bytes, length);
	pthread_mutex_lock(&effects->lock);
	for (same = at; *same && !fits(*same, session, request); same = &(*same)->next)
		;
	if (*same) {
		struct effect *old = *same;

		*same = old->next;
		free(old);
	}
	effect->next = *at;
	*at = effect;
	pthread_mutex_unlock(&effects->lock);
}

enum store_error az_effects_lookup(struct az_effects *effects, const uint8_t session[16],
				   uint64_t request, void **bytes, size_t *length)
{
	enum store_error error = STORE_OK;
	const struct effect *effect;

	*bytes = NULL;
	*length = 0;
	pthread_mutex_lock(&effects->lock);
	for (effect = *bucket_of(effects, request); effect; effect = effect->next) {
		if (!fits(effect, session, request))
			continue;
		*bytes = malloc(effect->length);
		if (!*bytes) {
			error = STORE_NO_MEMORY;
			break;
		}
		memcpy(*bytes, effect->bytes, effect->length);
		*length = effect->length;
		break;
	}
	pthread_mutex_unlock(&effects->lock);
	return error;
}

void az_effects_forget(struct az_effects *effects, const uint8_t session[16], uint64_t request)
{
	pthread_mutex_lock(&effects->lock);
	if (request)
		drop(bucket_of(effects, request), session, request);
	for (unsigned int i = 0; !request && i < BUCKETS; i++)
		drop(&effects->bucket[i], session, 0);
	pthread_mutex_unlock(&effects->lock);
}
