/* SPDX-License-Identifier: MIT */
/*
 * Bearer tokens: JSON web tokens (RFC 7519) of Microsoft Entra ID or of whoever is configured.
 * Claims are always checked; the signature when there is a key set (RFC 7517).
 */
#ifndef AZBLOB_BLOB_TOKEN_H
#define AZBLOB_BLOB_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

#include "credentials.h"

/* Entra's have a few KiB. */
#define TOKEN_MAX_BYTES (16u * 1024u)
#define TOKEN_MAX_KEYS 64u
#define TOKEN_MAX_NAMES 16u

/* What tokens are accepted.  Filled by one thread, then only read; counted references. */
struct tokens;

struct tokens *tokens_new(void); /* NULL when memory is short */
struct tokens *tokens_get(struct tokens *tokens);
void tokens_put(struct tokens *tokens); /* NULL is allowed */

/* A key set in a JSON file.  False: @error has one line. */
bool tokens_load(struct tokens *tokens, const char *path, char *error, size_t error_size);
/*
 * An issuer or audience, borrowed.  With one of them, those of Azure are not accepted any more.
 * False: too many.
 */
bool tokens_add_issuer(struct tokens *tokens, const char *issuer);
bool tokens_add_audience(struct tokens *tokens, const char *audience);
bool tokens_are_signed(const struct tokens *tokens); /* there is a key set */

/*
 * Checks a token for @account; fills @auth's oid and tid.  NULL, or what is wrong with it, for a
 * person.
 */
const char *tokens_check(const struct tokens *tokens, const char *token, size_t length,
			 const char *account, struct auth *auth);

#endif /* AZBLOB_BLOB_TOKEN_H */
