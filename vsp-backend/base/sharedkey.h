/* SPDX-License-Identifier: MIT */
/*
 * SharedKey and SharedKeyLite for the Blob service ("Authorize with Shared Key" in Azure's
 * reference), for whoever signs and whoever checks.  Rules of version 2015-02-21 and later
 * (an empty Content-Length for 0) and of 2016-05-31 and later (empty x-ms- headers count).
 * No state, any thread.
 */
#ifndef AZB_SHAREDKEY_H
#define AZB_SHAREDKEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"

/* Bytes of a signature as base64 text, the final zero not counted. */
#define AZB_SHAREDKEY_SIGNATURE 44u

struct azb_sk_field {
	const char *name;
	size_t name_length;
	const char *value;
	size_t value_length;
};

/*
 * How x-ms- headers are sorted.  The reference says lexicographically; the real service and
 * the newer SDKs sort as .NET does: hyphens count last, other signs come before digits and
 * those before letters.  The two differ only for unusual names; a checker accepts both.
 */
enum azb_sk_order {
	AZB_SK_ORDER_BYTES,
	AZB_SK_ORDER_WORDS,
};

/**
 * struct azb_sk_request - what is signed
 * @method: upper case.
 * @account: whose resource it is; without "-secondary".
 * @path: the target's path as sent, still percent-encoded, from its first slash to before
 *	"?".  In path style it starts with the account's name, which then is there twice.
 * @query: what follows "?", as sent; may be NULL when query_length is 0.
 * @field, @field_count: all headers.  Content-Length is taken from here.
 * @lite: SharedKeyLite.
 */
struct azb_sk_request {
	const char *method;
	size_t method_length;
	const char *account;
	const char *path;
	size_t path_length;
	const char *query;
	size_t query_length;
	const struct azb_sk_field *field;
	size_t field_count;
	bool lite;
	enum azb_sk_order order;
};

/*
 * Adds the string-to-sign to @out; out->failed says that memory was short.  Returns false when
 * the query has a percent sign without two hexadecimal digits.
 */
bool azb_sharedkey_string(const struct azb_sk_request *request, struct azb_buf *out);

/*
 * HMAC-SHA256 of the string, as base64 and a zero.  @key: the account's key, decoded.
 * Returns false when the crypto library fails.
 */
bool azb_sharedkey_sign(const void *key, size_t key_length, const void *string, size_t length,
			char signature[AZB_SHAREDKEY_SIGNATURE + 1]);

/* Both are signatures; takes the same time wherever they differ. */
bool azb_sharedkey_same(const char *signature, const char *text, size_t text_length);

#endif
