// SPDX-License-Identifier: MIT
/*
 * Tokens of a managed identity, from the instance metadata service ("How to use managed
 * identities to acquire an access token" in Azure's documentation).  One caller fetches, the
 * others go on with the old token while it is good and wait otherwise.
 */
#include "azure.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../base/log.h"
#include "../../base/waiting.h"

/* Refreshed so long before its end; IMDS gives a new one only in the last half of its life. */
#define EARLY_S 300
/* After a failed refresh of a token that is still good. */
#define AGAIN_S 10
#define MAX_JSON 65536u
#define ATTEMPTS 4u
#define PAUSE_MS 500u
#define IMDS_TIMEOUT_MS 10000u

/**
 * struct az_token
 * @lock: protects all below.
 * @changed: a fetch has ended.
 * @value: NULL for none yet.
 * @ends, @refresh_at: of the monotonic clock, in seconds.
 * @failure: of the last fetch; "" after a good one.
 * @fetches: how often it was tried, so that waiters know theirs.
 */
struct az_token {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct up_pool *pool;
	char *base;
	char *target;
	char *value;
	int64_t ends, refresh_at;
	bool fetching;
	unsigned int fetches;
	char failure[200];
};

static int64_t now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

struct az_token *az_token_new(const struct az_config *config)
{
	/* on the machine itself: a proxy would be somebody else's machine */
	struct up_config up = { .lanes = 1,
				.proxy = "",
				.connect_ms = IMDS_TIMEOUT_MS,
				.idle_ms = IMDS_TIMEOUT_MS,
				.ca_file = config->up.ca_file,
				.plain = true };
	struct az_token *token = calloc(1, sizeof(*token));
	struct azb_buf target = { 0 };

	if (!token)
		return NULL;
	pthread_mutex_init(&token->lock, NULL);
	pthread_cond_init(&token->changed, NULL);
	azb_buf_puts(&target, "/metadata/identity/oauth2/token?api-version=2018-02-01&resource="
			      "https%3A%2F%2Fstorage.azure.com%2F");
	if (config->client_id)
		azb_buf_printf(&target, "&client_id=%s", config->client_id);
	token->pool = up_pool_new(&up);
	token->base = strdup(config->imds);
	token->target = target.failed ? NULL : target.data;
	if (!token->pool || !token->base || !token->target) {
		az_token_free(token);
		return NULL;
	}
	return token;
}

void az_token_free(struct az_token *token)
{
	if (!token)
		return;
	up_pool_free(token->pool);
	pthread_mutex_destroy(&token->lock);
	pthread_cond_destroy(&token->changed);
	free(token->base);
	free(token->target);
	free(token->value);
	free(token);
}

/* "expires_in" is a number or, from IMDS, a text of one. */
static int64_t seconds_of(const json_t *value)
{
	if (json_is_integer(value))
		return json_integer_value(value);
	return json_is_string(value) ? strtoll(json_string_value(value), NULL, 10) : 0;
}

static bool is_token(const char *text)
{
	if (!text || !*text)
		return false;
	for (; *text; text++)
		if (*text <= ' ' || *text == 0x7f)
			return false;
	return true;
}

/* What one exchange came to; *@again: it may be better in a moment. */
static char *ask(struct az_token *t, int64_t *lives, bool *again, char *why, size_t why_size)
{
	struct up_request request = { .method = "GET",
				      .url = t->base,
				      .target = t->target,
				      .headers = curl_slist_append(NULL, "Metadata: true"),
				      .body_length = -1,
				      .wait_ms = IMDS_TIMEOUT_MS };
	char *body = malloc(MAX_JSON), *value = NULL;
	struct iovec iov = { body, MAX_JSON };
	struct up_call *call;
	json_t *json = NULL;
	ssize_t length;
	int error = up_start(t->pool, &request, &call);

	*again = true;
	if (!body || error) {
		snprintf(why, why_size, "out of memory");
	} else if (up_wait_head(call)) {
		snprintf(why, why_size, "%s: %s", t->base, up_reason(call));
	} else if (up_status(call) != 200) {
		unsigned int status = up_status(call);

		snprintf(why, why_size, "%s answered %u", t->base, status);
		/* the documented ones that pass: not yet there, throttled, in trouble */
		*again = status == 404 || status == 410 || status == 429 || status >= 500;
	} else {
		length = up_receive(call, &iov, 1);
		if (length > 0)
			json = json_loadb(body, (size_t)length, JSON_REJECT_DUPLICATES, NULL);
		if (is_token(json_string_value(json_object_get(json, "access_token"))))
			value = strdup(json_string_value(json_object_get(json, "access_token")));
		*lives = seconds_of(json_object_get(json, "expires_in"));
		if (!value)
			snprintf(why, why_size, "%s: the answer holds no access_token", t->base);
		json_decref(json);
	}
	up_end(call);
	free(body);
	return value;
}

static void pause_ms(unsigned int ms)
{
	struct timespec left = { ms / 1000, (long)(ms % 1000) * 1000000 };

	while (nanosleep(&left, &left) && errno == EINTR)
		;
}

static char *fetch(struct az_token *t, int64_t *lives, char *why, size_t why_size)
{
	char *value = NULL;
	bool again = true;

	for (unsigned int i = 0; !value && again && i < ATTEMPTS; i++) {
		if (i)
			pause_ms(PAUSE_MS << (i - 1));
		value = ask(t, lives, &again, why, why_size);
	}
	return value;
}

/* The lock is held, and given up meanwhile. */
static void refresh(struct az_token *t)
{
	char why[sizeof(t->failure)] = "";
	int64_t lives = 0;
	char *value;

	t->fetching = true;
	pthread_mutex_unlock(&t->lock);
	value = fetch(t, &lives, why, sizeof(why));
	if (!value)
		azb_log(AZB_LOG_WARNING, "azure: no token for the managed identity: %s", why);
	pthread_mutex_lock(&t->lock);
	t->fetching = false;
	t->fetches++;
	snprintf(t->failure, sizeof(t->failure), "%s", why);
	if (value) {
		int64_t now = now_s();

		free(t->value);
		t->value = value;
		t->ends = now + (lives > 0 ? lives : 60);
		/* a short-lived one is used for half of its life */
		t->refresh_at = t->ends - (lives > 2 * EARLY_S ? EARLY_S : lives / 2);
	} else {
		t->refresh_at = now_s() + AGAIN_S;
	}
	pthread_cond_broadcast(&t->changed);
}

bool az_token_get(struct az_token *t, char **out, char *error, size_t error_size)
{
	unsigned int seen;
	bool fine;

	pthread_mutex_lock(&t->lock);
	seen = t->fetches;
	if (t->value && now_s() < t->ends) {
		if (now_s() >= t->refresh_at && !t->fetching)
			refresh(t);
	} else if (t->fetching) {
		azb_waiting_begin();
		while (t->fetches == seen)
			pthread_cond_wait(&t->changed, &t->lock);
		azb_waiting_end();
	} else {
		refresh(t);
	}
	fine = t->value && now_s() < t->ends;
	*out = fine ? strdup(t->value) : NULL;
	if (!fine)
		snprintf(error, error_size, "%s", *t->failure ? t->failure : "it has expired");
	pthread_mutex_unlock(&t->lock);
	return *out != NULL;
}

void az_token_refused(struct az_token *t, const char *bad)
{
	pthread_mutex_lock(&t->lock);
	/* somebody else may have got a new one already */
	if (t->value && !strcmp(t->value, bad)) {
		free(t->value);
		t->value = NULL;
	}
	pthread_mutex_unlock(&t->lock);
}
