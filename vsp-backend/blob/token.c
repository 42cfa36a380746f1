// SPDX-License-Identifier: MIT
#include "token.h"

#include <jansson.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "token_key.h"

/* Clocks of issuers and ours may differ a little; Entra's own libraries allow this much. */
#define SKEW_S 300

struct tokens {
	atomic_uint references;
	struct token_key *key[TOKEN_MAX_KEYS];
	unsigned int key_count;
	bool has_keys;
	const char *issuer[TOKEN_MAX_NAMES];
	unsigned int issuer_count;
	const char *audience[TOKEN_MAX_NAMES];
	unsigned int audience_count;
};

struct tokens *tokens_new(void)
{
	struct tokens *t = calloc(1, sizeof(*t));

	if (t)
		atomic_init(&t->references, 1);
	return t;
}

struct tokens *tokens_get(struct tokens *t)
{
	atomic_fetch_add_explicit(&t->references, 1, memory_order_relaxed);
	return t;
}

void tokens_put(struct tokens *t)
{
	if (!t || atomic_fetch_sub_explicit(&t->references, 1, memory_order_acq_rel) != 1)
		return;
	for (unsigned int i = 0; i < t->key_count; i++)
		token_key_free(t->key[i]);
	free(t);
}

bool tokens_load(struct tokens *t, const char *path, char *error, size_t error_size)
{
	json_error_t wrong;
	json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &wrong), *keys, *one;
	size_t i;

	if (!root) {
		snprintf(error, error_size, "%s: %s", path, wrong.text);
		return false;
	}
	keys = json_object_get(root, "keys");
	json_array_foreach(keys, i, one)
	{
		struct token_key *key = token_key_read(one);

		/* kinds that are not known are other people's */
		if (!key)
			continue;
		if (t->key_count == TOKEN_MAX_KEYS) {
			token_key_free(key);
			break;
		}
		t->key[t->key_count++] = key;
	}
	json_decref(root);
	t->has_keys = true;
	if (t->key_count)
		return true;
	snprintf(error, error_size, "%s: no RSA or EC key for signatures in \"keys\"", path);
	return false;
}

bool tokens_add_issuer(struct tokens *t, const char *issuer)
{
	if (t->issuer_count == TOKEN_MAX_NAMES)
		return false;
	t->issuer[t->issuer_count++] = issuer;
	return true;
}

bool tokens_add_audience(struct tokens *t, const char *audience)
{
	if (t->audience_count == TOKEN_MAX_NAMES)
		return false;
	t->audience[t->audience_count++] = audience;
	return true;
}

bool tokens_are_signed(const struct tokens *t)
{
	return t->has_keys;
}

/* ------------------------------------------------------------------- claims */

static bool starts(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

static bool issuer_good(const struct tokens *t, const char *issuer)
{
	/* of Azure's clouds; what follows is the tenant */
	static const char *const azure[] = {
		"https://sts.windows.net/",          "https://login.microsoftonline.com/",
		"https://sts.microsoftonline.de/",   "https://sts.chinacloudapi.cn/",
		"https://login.microsoftonline.us/", "https://login.chinacloudapi.cn/",
		"https://sts.windows-ppe.net/",
	};

	if (!issuer)
		return false;
	for (unsigned int i = 0; i < t->issuer_count; i++)
		if (!strcmp(issuer, t->issuer[i]))
			return true;
	if (t->issuer_count)
		return false;
	for (size_t i = 0; i < sizeof(azure) / sizeof(*azure); i++)
		if (starts(issuer, azure[i]))
			return true;
	return false;
}

static bool audience_is(const struct tokens *t, const char *audience, const char *account)
{
	static const char *const azure[] = { "https://storage.azure.com",
					     "https://storage.azure.com/",
					     "e406a681-f3d4-42a8-90b6-c2b029497af1" };
	char host[128];
	size_t n;

	for (unsigned int i = 0; i < t->audience_count; i++)
		if (!strcmp(audience, t->audience[i]))
			return true;
	if (t->audience_count)
		return false;
	for (size_t i = 0; i < sizeof(azure) / sizeof(*azure); i++)
		if (!strcmp(audience, azure[i]))
			return true;
	n = (size_t)snprintf(host, sizeof(host), "https://%s.blob.core.", account);
	/* of any cloud: "windows.net", "usgovcloudapi.net" and so on */
	return n < sizeof(host) && starts(audience, host);
}

/* One text, or a list of them. */
static bool audience_good(const struct tokens *t, const json_t *audience, const char *account)
{
	const json_t *one;
	size_t i;

	if (json_is_string(audience))
		return audience_is(t, json_string_value(audience), account);
	json_array_foreach(audience, i,
			   one) if (json_is_string(one) &&
				    audience_is(t, json_string_value(one), account)) return true;
	return false;
}

static const char *text_of(const json_t *claims, const char *name)
{
	return json_string_value(json_object_get(claims, name));
}

static bool copy(char out[AUTH_MAX_ID + 1], const char *text)
{
	if (!text || strlen(text) > AUTH_MAX_ID)
		return false;
	/* they go into strings that are signed, line by line, and into XML */
	for (const char *c = text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			return false;
	memcpy(out, text, strlen(text) + 1);
	return true;
}

static const char *check_claims(const struct tokens *t, const json_t *claims, const char *account,
				struct auth *auth)
{
	const json_t *expiry = json_object_get(claims, "exp");
	const json_t *start = json_object_get(claims, "nbf");
	const char *oid = text_of(claims, "oid"), *tid = text_of(claims, "tid");
	double now = (double)time(NULL);

	if (!json_is_number(expiry))
		return "Lifetime validation failed. The token has no expiration.";
	if (json_number_value(expiry) <= now)
		return "Lifetime validation failed. The token is expired.";
	if (start && (!json_is_number(start) || json_number_value(start) > now + SKEW_S))
		return "Lifetime validation failed. The token is not yet valid.";
	if (!issuer_good(t, text_of(claims, "iss")))
		return "Issuer validation failed. Issuer did not match.";
	if (!audience_good(t, json_object_get(claims, "aud"), account))
		return "Audience validation failed. Audience did not match.";
	if (!copy(auth->oid, oid ? oid : text_of(claims, "sub")))
		return "The token names nobody: it has neither oid nor sub.";
	if (!copy(auth->tid, tid ? tid : ""))
		return "The token's tid is not a tenant's id.";
	return NULL;
}

/* ---------------------------------------------------------------- signature */

static const char *check_signature(const struct tokens *t, const json_t *header, const char *token,
				   size_t signed_length, const void *signature, size_t length)
{
	const char *algorithm = text_of(header, "alg"), *id = text_of(header, "kid");

	if (!t->has_keys)
		return NULL;
	if (!algorithm)
		return "The token does not say how it is signed.";
	for (unsigned int i = 0; i < t->key_count; i++)
		if (token_key_is(t->key[i], id, algorithm) &&
		    token_key_verify(t->key[i], algorithm, token, signed_length, signature, length))
			return NULL;
	return "Signature validation failed. No key of the key set fits.";
}

static json_t *decode(const char *text, size_t length)
{
	uint8_t *bytes = malloc(length + 1);
	json_t *value = NULL;
	ssize_t n;

	if (!bytes)
		return NULL;
	n = token_base64url(bytes, text, length);
	if (n > 0)
		value = json_loadb((const char *)bytes, (size_t)n, JSON_REJECT_DUPLICATES, NULL);
	free(bytes);
	return value;
}

const char *tokens_check(const struct tokens *t, const char *token, size_t length,
			 const char *account, struct auth *auth)
{
	static const char malformed[] = "The token is not well formed.";
	uint8_t signature[TOKEN_MAX_SIGNATURE];
	const char *first, *second, *wrong = malformed;
	json_t *header, *claims;
	size_t rest;
	ssize_t n = 0;

	if (length > TOKEN_MAX_BYTES)
		return "The token is too long.";
	first = memchr(token, '.', length);
	if (!first)
		return malformed;
	second = memchr(first + 1, '.', length - (size_t)(first + 1 - token));
	if (!second)
		return malformed;
	rest = length - (size_t)(second + 1 - token);
	if (memchr(second + 1, '.', rest) || rest > TOKEN_MAX_SIGNATURE / 3 * 4)
		return malformed;
	header = decode(token, (size_t)(first - token));
	claims = decode(first + 1, (size_t)(second - first - 1));
	if (rest)
		n = token_base64url(signature, second + 1, rest);
	if (json_is_object(header) && json_is_object(claims) && n >= 0)
		wrong = check_signature(t, header, token, (size_t)(second - token), signature,
					(size_t)n);
	if (!wrong)
		wrong = check_claims(t, claims, account, auth);
	json_decref(header);
	json_decref(claims);
	return wrong;
}
