// SPDX-License-Identifier: MIT
#include "target.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A blob in no container lives here ("/name" in host style). */
static const char root_container[] = "$root";
static const char secondary_suffix[] = "-secondary";

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Appends the decoded text and a zero at *room.  NULL: malformed. */
static char *decode(const char *text, size_t length, char **room, size_t *decoded)
{
	char *start = *room, *out = start;

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
	*decoded = (size_t)(out - start);
	if (!target_is_utf8(start, *decoded))
		return NULL;
	*out++ = 0;
	*room = out;
	return start;
}

bool target_is_utf8(const char *text, size_t length)
{
	const unsigned char *s = (const unsigned char *)text;
	size_t i = 0;

	while (i < length) {
		unsigned char c = s[i];
		unsigned int more, code;

		if (!c)
			return false;
		if (c < 0x80) {
			i++;
			continue;
		}
		if (c >= 0xc2 && c <= 0xdf) {
			more = 1;
			code = c & 0x1fu;
		} else if ((c & 0xf0) == 0xe0) {
			more = 2;
			code = c & 0x0fu;
		} else if (c >= 0xf0 && c <= 0xf4) {
			more = 3;
			code = c & 0x07u;
		} else {
			return false;
		}
		if (length - i <= more)
			return false;
		for (unsigned int k = 1; k <= more; k++) {
			if ((s[i + k] & 0xc0) != 0x80)
				return false;
			code = code << 6 | (s[i + k] & 0x3fu);
		}
		if ((more == 2 && (code < 0x800 || (code >= 0xd800 && code <= 0xdfff))) ||
		    (more == 3 && (code < 0x10000 || code > 0x10ffff)))
			return false;
		i += more + 1;
	}
	return true;
}

static bool is_lower_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool target_account_name_good(const char *name)
{
	size_t n = strlen(name);

	if (n < 3 || n > TARGET_MAX_ACCOUNT)
		return false;
	for (size_t i = 0; i < n; i++)
		if (!is_lower_or_digit(name[i]))
			return false;
	return true;
}

bool target_container_name_good(const char *name)
{
	size_t n = strlen(name);

	if (!strcmp(name, root_container) || !strcmp(name, "$web") || !strcmp(name, "$logs"))
		return true;
	if (n < 3 || n > TARGET_MAX_CONTAINER)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (is_lower_or_digit(name[i]))
			continue;
		/* a hyphen stands between letters and digits */
		if (name[i] != '-' || i == 0 || i == n - 1 || name[i - 1] == '-')
			return false;
	}
	return true;
}

bool target_blob_name_good(const char *name, size_t length)
{
	size_t chars = 0;

	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)name[i];

		/* first bytes count, and those of four-byte characters twice */
		if ((c & 0xc0) != 0x80)
			chars += c >= 0xf0 ? 2 : 1;
	}
	return chars >= 1 && chars <= TARGET_MAX_BLOB_CHARS;
}

/*
 * Host style is ACCOUNT.blob.ANYTHING; every other host, addresses included, means that the
 * path starts with the account.
 */
static bool account_of_host(const struct head *head, const char **account, size_t *length)
{
	const struct head_str *host = head_get(head, "Host");
	const char *dot;

	if (!host)
		return false;
	dot = memchr(host->at, '.', host->length);
	if (!dot || dot == host->at)
		return false;
	if (host->length - (size_t)(dot - host->at) < 7 || strncasecmp(dot, ".blob.", 6) != 0)
		return false;
	*account = host->at;
	*length = (size_t)(dot - host->at);
	return true;
}

static void drop_secondary(struct target *t, char *account)
{
	size_t n = strlen(account), s = sizeof(secondary_suffix) - 1;

	if (n > s && !strcmp(account + n - s, secondary_suffix)) {
		account[n - s] = 0;
		t->secondary = true;
	}
}

static enum target_status parse_query(struct target *t, char **room)
{
	const char *at = t->query.at, *end = at + t->query.length;

	while (at && at < end) {
		const char *next = memchr(at, '&', (size_t)(end - at));
		const char *stop = next ? next : end;
		const char *equals = memchr(at, '=', (size_t)(stop - at));
		const char *name_end = equals ? equals : stop;
		struct target_param *p = &t->param[t->param_count];
		size_t length;
		char *name;

		if (stop == at) {
			at = stop + 1;
			continue;
		}
		if (t->param_count == TARGET_MAX_PARAMS)
			return TARGET_INVALID_URI;
		name = decode(at, (size_t)(name_end - at), room, &length);
		if (!name)
			return TARGET_INVALID_URI;
		for (char *c = name; *c; c++)
			if (*c >= 'A' && *c <= 'Z')
				*c = (char)(*c + ('a' - 'A'));
		/* the reference lets a list be given as one parameter for each word */
		if (target_param(t, name) && strcmp(name, "include") != 0)
			return TARGET_REPEATED_PARAM;
		p->name = name;
		p->value = equals ? decode(equals + 1, (size_t)(stop - equals - 1), room,
					   &p->value_length)
				  : decode("", 0, room, &p->value_length);
		if (!p->value)
			return TARGET_INVALID_URI;
		t->param_count++;
		at = stop + 1;
	}
	return TARGET_OK;
}

/* One segment up to a slash or the end; NULL when malformed; *at moves behind the slash. */
static char *segment(const char **at, const char *end, char **room, size_t *length)
{
	const char *slash = memchr(*at, '/', (size_t)(end - *at));
	const char *stop = slash ? slash : end;
	char *text = decode(*at, (size_t)(stop - *at), room, length);

	*at = slash ? slash + 1 : end;
	return text;
}

static enum target_status parse_path(struct target *t, const struct head *head, char **room)
{
	const char *at = t->path.at + 1, *end = t->path.at + t->path.length;
	const char *host_account;
	size_t length;
	char *account, *container;
	bool whole;

	if (account_of_host(head, &host_account, &length)) {
		account = decode(host_account, length, room, &length);
		for (char *c = account; c && *c; c++)
			if (*c >= 'A' && *c <= 'Z')
				*c = (char)(*c + ('a' - 'A'));
	} else {
		t->path_style = true;
		account = segment(&at, end, room, &length);
	}
	if (!account || !*account)
		return TARGET_INVALID_URI;
	drop_secondary(t, account);
	t->account = account;
	if (at == end)
		return TARGET_OK;

	whole = !memchr(at, '/', (size_t)(end - at));
	if (whole && !target_param(t, "restype")) {
		/* "/name" and nothing that says it is a container */
		t->container = root_container;
		t->blob = decode(at, (size_t)(end - at), room, &t->blob_length);
		return t->blob ? TARGET_OK : TARGET_INVALID_URI;
	}
	container = segment(&at, end, room, &length);
	if (!container)
		return TARGET_INVALID_URI;
	t->container = container;
	if (at == end)
		return TARGET_OK;
	t->blob = decode(at, (size_t)(end - at), room, &t->blob_length);
	return t->blob ? TARGET_OK : TARGET_INVALID_URI;
}

enum target_status target_parse(struct target *t, const struct head *head)
{
	const struct head_str *target = &head->target;
	const char *question = memchr(target->at, '?', target->length);
	enum target_status status;
	size_t host_length = 0;
	const char *host;
	char *room;

	memset(t, 0, sizeof(*t));
	if (target->at[0] != '/' || memchr(target->at, '#', target->length))
		return TARGET_INVALID_URI;
	t->path = *target;
	if (question) {
		t->path.length = (size_t)(question - target->at);
		t->query.at = question + 1;
		t->query.length = target->length - t->path.length - 1;
	}
	account_of_host(head, &host, &host_length);
	/* decoding never makes text longer; each string has a zero */
	t->room = malloc(target->length + host_length + 2 * TARGET_MAX_PARAMS + 8);
	if (!t->room)
		return TARGET_NO_MEMORY;
	room = t->room;
	status = parse_query(t, &room);
	if (status == TARGET_OK)
		status = parse_path(t, head, &room);
	if (status != TARGET_OK)
		target_free(t);
	return status;
}

/* "ACCOUNT.web." or "ACCOUNT.z1.web." at the start of the host.  0: it is another name. */
static size_t account_of_website(const struct head_str *host)
{
	const char *end, *dot, *zone;

	if (!host)
		return 0;
	end = host->at + host->length;
	dot = memchr(host->at, '.', host->length);
	if (!dot || dot == host->at)
		return 0;
	zone = memchr(dot + 1, '.', (size_t)(end - dot - 1));
	if (end - dot > 5 && !strncasecmp(dot, ".web.", 5))
		return (size_t)(dot - host->at);
	if (zone && end - zone > 5 && !strncasecmp(zone, ".web.", 5))
		return (size_t)(dot - host->at);
	return 0;
}

enum target_status target_parse_web(struct target *t, const struct head *head)
{
	const struct head_str *host = head_get(head, "Host");
	size_t account_length = account_of_website(host), length;
	const char *question = memchr(head->target.at, '?', head->target.length);
	char *room, *account;

	memset(t, 0, sizeof(*t));
	if (head->target.at[0] != '/')
		return TARGET_INVALID_URI;
	t->path = head->target;
	if (question)
		t->path.length = (size_t)(question - head->target.at);
	t->room = malloc(t->path.length + account_length + 2);
	if (!t->room)
		return TARGET_NO_MEMORY;
	room = t->room;
	t->blob = decode(t->path.at + 1, t->path.length - 1, &room, &t->blob_length);
	if (t->blob && account_length) {
		account = decode(host->at, account_length, &room, &length);
		for (char *c = account; c && *c; c++)
			if (*c >= 'A' && *c <= 'Z')
				*c = (char)(*c + ('a' - 'A'));
		if (account)
			drop_secondary(t, account);
		t->account = account;
	}
	if (t->blob && (!account_length || t->account))
		return TARGET_OK;
	target_free(t);
	return TARGET_INVALID_URI;
}

void target_free(struct target *t)
{
	free(t->room);
	t->room = NULL;
}

const char *target_param(const struct target *t, const char *name)
{
	for (size_t i = 0; i < t->param_count; i++)
		if (!strcmp(t->param[i].name, name))
			return t->param[i].value;
	return NULL;
}
