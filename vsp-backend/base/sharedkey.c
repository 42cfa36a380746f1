// SPDX-License-Identifier: MIT
#include "sharedkey.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base64.h"

/* The headers of the string-to-sign, in its order. */
static const char *const full_fields[] = {
	"Content-Encoding",
	"Content-Language",
	"Content-Length",
	"Content-MD5",
	"Content-Type",
	"Date",
	"If-Modified-Since",
	"If-Match",
	"If-None-Match",
	"If-Unmodified-Since",
	"Range",
};
static const char *const lite_fields[] = { "Content-MD5", "Content-Type", "Date" };

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static const struct azb_sk_field *find(const struct azb_sk_request *rq, const char *name)
{
	for (size_t i = 0; i < rq->field_count; i++)
		if (rq->field[i].name_length == strlen(name) &&
		    !strncasecmp(rq->field[i].name, name, rq->field[i].name_length))
			return &rq->field[i];
	return NULL;
}

static void add_fields(const struct azb_sk_request *rq, const char *const *names, size_t count,
		       struct azb_buf *out)
{
	for (size_t i = 0; i < count; i++) {
		const struct azb_sk_field *f = find(rq, names[i]);
		bool skip = !f;

		/* x-ms-date is signed in its own place */
		if (!strcmp(names[i], "Date") && find(rq, "x-ms-date"))
			skip = true;
		if (!skip && !strcmp(names[i], "Content-Length") && f->value_length == 1 &&
		    *f->value == '0')
			skip = true;
		if (!skip)
			azb_buf_add(out, f->value, f->value_length);
		azb_buf_add(out, "\n", 1);
	}
}

/* ------------------------------------------------------- x-ms- headers */

static int by_bytes(const void *a, const void *b)
{
	const struct azb_sk_field *x = a, *y = b;
	size_t n = x->name_length < y->name_length ? x->name_length : y->name_length;

	for (size_t i = 0; i < n; i++) {
		int d = (unsigned char)lower(x->name[i]) - (unsigned char)lower(y->name[i]);

		if (d)
			return d;
	}
	return (x->name_length > y->name_length) - (x->name_length < y->name_length);
}

/* Where .NET puts a character: 0 for those that count last, signs, digits, letters. */
static int weight(char c)
{
	c = lower(c);
	if (c == '-' || c == '\'')
		return 0;
	if (c >= 'a' && c <= 'z')
		return 0x300 + c;
	if (c >= '0' && c <= '9')
		return 0x200 + c;
	return 0x100 + (unsigned char)c;
}

static int by_words(const void *a, const void *b)
{
	const struct azb_sk_field *x = a, *y = b;
	size_t i = 0, j = 0;

	for (;;) {
		int v = 0, w = 0;

		while (i < x->name_length && !(v = weight(x->name[i])))
			i++;
		while (j < y->name_length && !(w = weight(y->name[j])))
			j++;
		if (v != w)
			return v - w;
		if (!v)
			return by_bytes(a, b);
		i++;
		j++;
	}
}

static void add_ms_headers(const struct azb_sk_request *rq, struct azb_buf *out)
{
	struct azb_sk_field *sorted;
	size_t n = 0;

	sorted = calloc(rq->field_count + 1, sizeof(*sorted));
	if (!sorted) {
		out->failed = true;
		return;
	}
	for (size_t i = 0; i < rq->field_count; i++)
		if (rq->field[i].name_length > 5 && !strncasecmp(rq->field[i].name, "x-ms-", 5))
			sorted[n++] = rq->field[i];
	if (n)
		qsort(sorted, n, sizeof(*sorted),
		      rq->order == AZB_SK_ORDER_WORDS ? by_words : by_bytes);
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; k < sorted[i].name_length; k++) {
			char c = lower(sorted[i].name[k]);

			azb_buf_add(out, &c, 1);
		}
		azb_buf_add(out, ":", 1);
		azb_buf_add(out, sorted[i].value, sorted[i].value_length);
		azb_buf_add(out, "\n", 1);
	}
	free(sorted);
}

/* ---------------------------------------------------------- the resource */

struct param {
	char *name;  /* decoded, lower case */
	char *value; /* decoded */
};

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "+" stays what it is: Azure's clients write a blank as %20.  NULL: malformed. */
static char *decode(const char *text, size_t length, char *out)
{
	for (size_t i = 0; i < length; i++) {
		int h, l;

		if (text[i] != '%') {
			*out++ = text[i];
			continue;
		}
		if (length - i < 3 || (h = hex(text[i + 1])) < 0 || (l = hex(text[i + 2])) < 0)
			return NULL;
		*out++ = (char)(h * 16 + l);
		i += 2;
	}
	*out++ = 0;
	return out;
}

static int by_name_and_value(const void *a, const void *b)
{
	const struct param *x = a, *y = b;
	int d = strcmp(x->name, y->name);

	return d ? d : strcmp(x->value, y->value);
}

/* Splits the query; the strings live in @room (at least query_length + 2 for each of @count). */
static bool split(const struct azb_sk_request *rq, struct param *param, size_t *count, char *room)
{
	const char *at = rq->query, *end = rq->query + rq->query_length;
	size_t n = 0;

	while (at < end) {
		const char *next = memchr(at, '&', (size_t)(end - at));
		const char *stop = next ? next : end;
		const char *equals = memchr(at, '=', (size_t)(stop - at));
		const char *name_end = equals ? equals : stop;

		if (stop > at) {
			param[n].name = room;
			room = decode(at, (size_t)(name_end - at), room);
			if (!room)
				return false;
			for (char *c = param[n].name; *c; c++)
				*c = lower(*c);
			param[n].value = room;
			room = equals ? decode(equals + 1, (size_t)(stop - equals - 1), room)
				      : decode("", 0, room);
			if (!room)
				return false;
			n++;
		}
		at = stop + 1;
	}
	*count = n;
	return true;
}

static bool add_query(const struct azb_sk_request *rq, struct azb_buf *out)
{
	size_t count = 1;
	struct param *param;
	char *room;
	bool good;

	for (size_t i = 0; i < rq->query_length; i++)
		count += rq->query[i] == '&';
	param = calloc(count, sizeof(*param));
	room = malloc(rq->query_length + 2 * count);
	if (!param || !room) {
		out->failed = true;
		free(param);
		free(room);
		return true;
	}
	good = split(rq, param, &count, room);
	if (good && count)
		qsort(param, count, sizeof(*param), by_name_and_value);
	for (size_t i = 0; good && i < count; i++) {
		if (rq->lite) {
			if (!strcmp(param[i].name, "comp")) {
				azb_buf_puts(out, "?comp=");
				azb_buf_puts(out, param[i].value);
				break;
			}
			continue;
		}
		if (i && !strcmp(param[i].name, param[i - 1].name)) {
			azb_buf_add(out, ",", 1);
		} else {
			azb_buf_add(out, "\n", 1);
			azb_buf_puts(out, param[i].name);
			azb_buf_add(out, ":", 1);
		}
		azb_buf_puts(out, param[i].value);
	}
	free(param);
	free(room);
	return good;
}

bool azb_sharedkey_string(const struct azb_sk_request *rq, struct azb_buf *out)
{
	azb_buf_add(out, rq->method, rq->method_length);
	azb_buf_add(out, "\n", 1);
	if (rq->lite)
		add_fields(rq, lite_fields, sizeof(lite_fields) / sizeof(*lite_fields), out);
	else
		add_fields(rq, full_fields, sizeof(full_fields) / sizeof(*full_fields), out);
	add_ms_headers(rq, out);
	azb_buf_add(out, "/", 1);
	azb_buf_puts(out, rq->account);
	azb_buf_add(out, rq->path, rq->path_length);
	return add_query(rq, out);
}

bool azb_sharedkey_sign(const void *key, size_t key_length, const void *string, size_t length,
			char signature[AZB_SHAREDKEY_SIGNATURE + 1])
{
	unsigned char mac[EVP_MAX_MD_SIZE];
	unsigned int mac_length = 0;

	if (!HMAC(EVP_sha256(), key, (int)key_length, string, length, mac, &mac_length) ||
	    mac_length != 32)
		return false;
	azb_base64_encode(signature, mac, mac_length);
	return true;
}

bool azb_sharedkey_same(const char *signature, const char *text, size_t text_length)
{
	return text_length == AZB_SHAREDKEY_SIGNATURE &&
	       !CRYPTO_memcmp(signature, text, AZB_SHAREDKEY_SIGNATURE);
}
