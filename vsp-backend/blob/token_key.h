/* SPDX-License-Identifier: MIT */
/* Public keys of a JSON key set, and signatures by them (RFC 7518). */
#ifndef AZBLOB_BLOB_TOKEN_KEY_H
#define AZBLOB_BLOB_TOKEN_KEY_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* An RSA signature of 8,192 bits; a multiple of 3 for base64. */
#define TOKEN_MAX_SIGNATURE 1026u

struct token_key;

/* NULL for a key that is not for signatures, of another kind, or malformed. */
struct token_key *token_key_read(const json_t *json);
void token_key_free(struct token_key *key);

/* Can it have made a signature of @algorithm under this id?  @id may be NULL. */
bool token_key_is(const struct token_key *key, const char *id, const char *algorithm);
bool token_key_verify(const struct token_key *key, const char *algorithm, const void *data,
		      size_t length, const uint8_t *signature, size_t signature_length);

/* RFC 7515's base64url without padding into @bytes (3 for 4 characters); -1: malformed. */
ssize_t token_base64url(uint8_t *bytes, const char *text, size_t length);

#endif /* AZBLOB_BLOB_TOKEN_KEY_H */
