// SPDX-License-Identifier: MIT
#include "token_key.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

/* Bytes of an RSA modulus of 8,192 bits, and below what a key must not be. */
#define MAX_MODULUS 1024
#define MIN_MODULUS 256

/**
 * struct token_key - one public key
 * @id: its "kid", or NULL.
 * @algorithm: its "alg", or NULL for any that fits the kind.
 * @coordinate: bytes of half a signature; 0 for RSA.
 */
struct token_key {
	char *id;
	char *algorithm;
	size_t coordinate;
	EVP_PKEY *key;
};

static int sextet(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '-')
		return 62;
	return c == '_' ? 63 : -1;
}

ssize_t token_base64url(uint8_t *bytes, const char *text, size_t length)
{
	uint32_t held = 0;
	unsigned int bits = 0;
	ssize_t n = 0;

	if (length % 4 == 1)
		return -1;
	for (size_t i = 0; i < length; i++) {
		int value = sextet(text[i]);

		if (value < 0)
			return -1;
		held = held << 6 | (uint32_t)value;
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			bytes[n++] = (uint8_t)(held >> bits);
			held &= (1u << bits) - 1;
		}
	}
	/* one value has one text */
	return held ? -1 : n;
}

/* A member in base64url, up to @max bytes.  0: absent or malformed. */
static size_t member(const json_t *json, const char *name, uint8_t *bytes, size_t max)
{
	const char *text = json_string_value(json_object_get(json, name));
	ssize_t n;

	if (!text || strlen(text) / 4 * 3 + 3 > max)
		return 0;
	n = token_base64url(bytes, text, strlen(text));
	return n > 0 ? (size_t)n : 0;
}

static EVP_PKEY *build(const char *type, OSSL_PARAM_BLD *builder)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(builder);
	EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *key = NULL;

	if (params && context && EVP_PKEY_fromdata_init(context) == 1 &&
	    EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, params) != 1)
		key = NULL;
	EVP_PKEY_CTX_free(context);
	OSSL_PARAM_free(params);
	return key;
}

static EVP_PKEY *read_rsa(const json_t *json)
{
	uint8_t modulus[MAX_MODULUS + 4], exponent[16];
	size_t n_length = member(json, "n", modulus, sizeof(modulus));
	size_t e_length = member(json, "e", exponent, sizeof(exponent));
	OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
	BIGNUM *n = BN_bin2bn(modulus, (int)n_length, NULL);
	BIGNUM *e = BN_bin2bn(exponent, (int)e_length, NULL);
	EVP_PKEY *key = NULL;

	if (n_length >= MIN_MODULUS && e_length && builder && n && e &&
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, n) == 1 &&
	    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, e) == 1)
		key = build("RSA", builder);
	BN_free(n);
	BN_free(e);
	OSSL_PARAM_BLD_free(builder);
	return key;
}

static EVP_PKEY *read_ec(const json_t *json, size_t *coordinate)
{
	const char *curve = json_string_value(json_object_get(json, "crv"));
	/* an uncompressed point: 4, x, y */
	uint8_t point[1 + 2 * 72] = { 4 }, half[72];
	OSSL_PARAM_BLD *builder;
	EVP_PKEY *key = NULL;

	if (!curve)
		return NULL;
	*coordinate = !strcmp(curve, "P-256") ? 32 : !strcmp(curve, "P-384") ? 48 : 0;
	if (!*coordinate || member(json, "x", half, sizeof(half)) != *coordinate)
		return NULL;
	memcpy(point + 1, half, *coordinate);
	if (member(json, "y", half, sizeof(half)) != *coordinate)
		return NULL;
	memcpy(point + 1 + *coordinate, half, *coordinate);
	builder = OSSL_PARAM_BLD_new();
	if (builder &&
	    OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, curve, 0) == 1 &&
	    OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point,
					     1 + 2 * *coordinate) == 1)
		key = build("EC", builder);
	OSSL_PARAM_BLD_free(builder);
	return key;
}

static char *copy(const json_t *json, const char *name)
{
	const char *text = json_string_value(json_object_get(json, name));

	return text ? strdup(text) : NULL;
}

struct token_key *token_key_read(const json_t *json)
{
	const char *type = json_string_value(json_object_get(json, "kty"));
	const char *use = json_string_value(json_object_get(json, "use"));
	struct token_key *key;

	if (!type || (use && strcmp(use, "sig") != 0))
		return NULL;
	key = calloc(1, sizeof(*key));
	if (!key)
		return NULL;
	if (!strcmp(type, "RSA"))
		key->key = read_rsa(json);
	else if (!strcmp(type, "EC"))
		key->key = read_ec(json, &key->coordinate);
	if (!key->key) {
		free(key);
		return NULL;
	}
	key->id = copy(json, "kid");
	key->algorithm = copy(json, "alg");
	return key;
}

void token_key_free(struct token_key *key)
{
	EVP_PKEY_free(key->key);
	free(key->id);
	free(key->algorithm);
	free(key);
}

/* The digest of an algorithm that this kind of key has; NULL for none. */
static const EVP_MD *digest_of(const struct token_key *key, const char *algorithm)
{
	if (key->coordinate)
		return !strcmp(algorithm, "ES256") && key->coordinate == 32   ? EVP_sha256()
		       : !strcmp(algorithm, "ES384") && key->coordinate == 48 ? EVP_sha384()
									      : NULL;
	if ((algorithm[0] != 'R' && algorithm[0] != 'P') || algorithm[1] != 'S')
		return NULL;
	return !strcmp(algorithm + 2, "256")   ? EVP_sha256()
	       : !strcmp(algorithm + 2, "384") ? EVP_sha384()
	       : !strcmp(algorithm + 2, "512") ? EVP_sha512()
					       : NULL;
}

bool token_key_is(const struct token_key *key, const char *id, const char *algorithm)
{
	if (id && key->id && strcmp(id, key->id) != 0)
		return false;
	if (key->algorithm && strcmp(algorithm, key->algorithm) != 0)
		return false;
	return digest_of(key, algorithm) != NULL;
}

/* r and s side by side become what OpenSSL reads.  Bytes of *@der, or 0. */
static int der_of(const struct token_key *key, const uint8_t *signature, size_t length,
		  unsigned char **der)
{
	ECDSA_SIG *both = NULL;
	BIGNUM *r, *s;
	int n = 0;

	if (length != 2 * key->coordinate)
		return 0;
	r = BN_bin2bn(signature, (int)key->coordinate, NULL);
	s = BN_bin2bn(signature + key->coordinate, (int)key->coordinate, NULL);
	both = ECDSA_SIG_new();
	if (r && s && both && ECDSA_SIG_set0(both, r, s) == 1) {
		r = s = NULL;
		n = i2d_ECDSA_SIG(both, der);
	}
	BN_free(r);
	BN_free(s);
	ECDSA_SIG_free(both);
	return n > 0 ? n : 0;
}

bool token_key_verify(const struct token_key *key, const char *algorithm, const void *data,
		      size_t length, const uint8_t *signature, size_t signature_length)
{
	EVP_MD_CTX *context = EVP_MD_CTX_new();
	EVP_PKEY_CTX *inner = NULL;
	unsigned char *der = NULL;
	bool good = context && EVP_DigestVerifyInit(context, &inner, digest_of(key, algorithm),
						    NULL, key->key) == 1;

	if (good && algorithm[0] == 'P')
		good = EVP_PKEY_CTX_set_rsa_padding(inner, RSA_PKCS1_PSS_PADDING) == 1 &&
		       EVP_PKEY_CTX_set_rsa_pss_saltlen(inner, RSA_PSS_SALTLEN_DIGEST) == 1;
	if (good && key->coordinate) {
		signature_length = (size_t)der_of(key, signature, signature_length, &der);
		signature = der;
		good = signature_length > 0;
	}
	good = good && EVP_DigestVerify(context, signature, signature_length, data, length) == 1;
	OPENSSL_free(der);
	EVP_MD_CTX_free(context);
	return good;
}
