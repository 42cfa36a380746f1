// SPDX-License-Identifier: MIT
/* Checks of names, and endpoints taken apart. */
#include "internal.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

int azc_check_account(const char *account, struct azblob_error *error)
{
	size_t length = account ? strlen(account) : 0;

	if (length >= 3 && length <= 24) {
		size_t i = 0;

		while (i < length && is_name_char(account[i]))
			i++;
		if (i == length)
			return 0;
	}
	return azc_fail(error, AZBLOB_BAD_ARGUMENT,
			"account name \"%.64s\": must be 3 to 24 lower-case letters and digits",
			account ? account : "");
}

int azc_check_container(const char *container, struct azblob_error *error)
{
	size_t length = container ? strlen(container) : 0;
	size_t i;

	if (container && (!strcmp(container, "$root") || !strcmp(container, "$web") ||
			  !strcmp(container, "$logs")))
		return 0;
	if (length < 3 || length > 63)
		goto bad;
	for (i = 0; i < length; i++) {
		bool inner_dash =
			container[i] == '-' && i && i + 1 < length && container[i + 1] != '-';

		if (!is_name_char(container[i]) && !inner_dash)
			goto bad;
	}
	return 0;
bad:
	return azc_fail(error, AZBLOB_BAD_ARGUMENT,
			"container name \"%.64s\": must be 3 to 63 lower-case letters, digits and "
			"single '-' between them",
			container ? container : "");
}

/* Length of the UTF-8 sequence at @s, or 0: no overlong forms, surrogates, or above U+10FFFF. */
static size_t utf8_length(const unsigned char *s)
{
	size_t length;
	size_t i;

	if (s[0] < 0x80)
		return 1;
	if (s[0] >= 0xc2 && s[0] <= 0xdf)
		length = 2;
	else if ((s[0] & 0xf0) == 0xe0)
		length = 3;
	else if (s[0] >= 0xf0 && s[0] <= 0xf4)
		length = 4;
	else
		return 0;
	for (i = 1; i < length; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
	    (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return length;
}

int azc_check_utf8(const char *text, const char *what, struct azblob_error *error)
{
	const unsigned char *s = (const unsigned char *)text;

	while (*s) {
		size_t length = utf8_length(s);

		if (!length)
			return azc_fail(error, AZBLOB_BAD_ARGUMENT, "%s is not valid UTF-8", what);
		s += length;
	}
	return 0;
}

/* The limit counts UTF-16 units, as the service does. */
int azc_check_blob(const char *blob, struct azblob_error *error)
{
	const unsigned char *s = (const unsigned char *)blob;
	size_t units = 0;

	if (!blob || !*blob)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT, "the blob name is empty");
	if (azc_check_utf8(blob, "the blob name", error))
		return -1;
	for (; *s; s++)
		units += ((*s & 0xc0) != 0x80) + (*s >= 0xf0);
	if (units > 1024)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"the blob name has %zu characters; at most 1024 are allowed",
				units);
	return 0;
}

/* RFC 3986's unreserved characters. */
static bool is_unreserved(unsigned char c)
{
	return isalnum(c) || c == '-' || c == '.' || c == '_' || c == '~';
}

void azc_escape(struct azb_buf *buf, const char *string, const char *keep)
{
	static const char digits[] = "0123456789ABCDEF";

	for (; *string; string++) {
		unsigned char c = (unsigned char)*string;

		if ((c < 0x80 && is_unreserved(c)) || strchr(keep, c)) {
			azb_buf_add(buf, &c, 1);
		} else {
			char coded[3] = { '%', digits[c >> 4], digits[c & 15] };

			azb_buf_add(buf, coded, sizeof(coded));
		}
	}
}

int azc_check_header(const char *value, const char *what, struct azblob_error *error)
{
	for (; value && *value; value++)
		if ((unsigned char)*value < 0x20 || *value == 0x7f)
			return azc_fail(error, AZBLOB_BAD_ARGUMENT, "%s holds a control character",
					what);
	return 0;
}

int azc_check_condition(const char *value, const char *what, struct azblob_error *error)
{
	if (value && !*value)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT, "%s is empty", what);
	return azc_check_header(value, what, error);
}

bool azc_parse_number(const char *text, size_t length, uint64_t *value)
{
	uint64_t sum = 0;

	if (!length)
		return false;
	for (size_t i = 0; i < length; i++) {
		unsigned int digit = (unsigned int)(text[i] - '0');

		if (text[i] < '0' || text[i] > '9' || sum > (UINT64_MAX - digit) / 10)
			return false;
		sum = sum * 10 + digit;
	}
	*value = sum;
	return true;
}

void azc_endpoint_free(struct azc_endpoint *endpoint)
{
	free(endpoint->host);
	free(endpoint->path);
	free(endpoint->base);
	memset(endpoint, 0, sizeof(*endpoint));
}

/* NAME[:PORT] or [ADDRESS][:PORT] */
static bool host_ok(const char *host, size_t length)
{
	uint64_t port;
	size_t i = 0;

	if (length && host[0] == '[') {
		for (i = 1; i < length &&
			    (isxdigit((unsigned char)host[i]) || host[i] == ':' || host[i] == '.');
		     i++)
			;
		if (i == 1 || i >= length || host[i] != ']')
			return false;
		i++;
	} else {
		while (i < length && (isalnum((unsigned char)host[i]) || host[i] == '-' ||
				      host[i] == '.' || host[i] == '_'))
			i++;
		if (!i)
			return false;
	}
	if (i == length)
		return true;
	if (host[i++] != ':')
		return false;
	return azc_parse_number(host + i, length - i, &port) && port >= 1 && port <= 65535;
}

static bool path_ok(const char *path, size_t length)
{
	for (size_t i = 0; i < length; i++)
		if (!is_name_char(path[i]) && !strchr("/-_.", path[i]))
			return false;
	return true;
}

int azc_endpoint_parse(const char *url, struct azc_endpoint *endpoint, struct azblob_error *error)
{
	struct azc_endpoint parsed = { 0 };
	const char *host;
	const char *path;
	size_t path_length;

	if (!strncasecmp(url, "https://", 8)) {
		parsed.https = true;
		host = url + 8;
	} else if (!strncasecmp(url, "http://", 7)) {
		host = url + 7;
	} else {
		goto bad;
	}
	path = host + strcspn(host, "/?#");
	path_length = strlen(path);
	while (path_length && path[path_length - 1] == '/')
		path_length--;
	if (!host_ok(host, (size_t)(path - host)) || !path_ok(path, path_length))
		goto bad;
	parsed.host = strndup(host, (size_t)(path - host));
	parsed.path = strndup(path, path_length);
	if (parsed.host && parsed.path) {
		struct azb_buf base = { 0 };

		azb_buf_printf(&base, "%s://%s%s", parsed.https ? "https" : "http", parsed.host,
			       parsed.path);
		if (base.failed)
			azb_buf_free(&base);
		parsed.base = base.data;
	}
	if (!parsed.base) {
		azc_endpoint_free(&parsed);
		return azc_fail_memory(error);
	}
	*endpoint = parsed;
	return 0;
bad:
	return azc_fail(error, AZBLOB_BAD_ARGUMENT,
			"endpoint \"%.200s\": must be http[s]://HOST[:PORT][/ACCOUNT]", url);
}
