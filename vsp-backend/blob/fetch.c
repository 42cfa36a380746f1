// SPDX-License-Identifier: MIT
#include "fetch.h"

#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "../base/stop.h"
#include "../base/waiting.h"

#define CONNECT_MS 15000L
/* Nothing for so long, and it is over. */
#define STALL_S 60L
/* Of a head that is believed; more is not kept. */
#define MAX_HEADERS (64u * 1024u)

/* ------------------------------------------------------------------ allowed */

bool fetch_host_allowed(const struct fetch_rules *rules, const char *host, size_t length)
{
	for (size_t i = 0; i < rules->count; i++) {
		if (strlen(rules->host[i]) == length && !strncasecmp(rules->host[i], host, length))
			return true;
	}
	return false;
}

/*
 * IANA's registries of special-purpose addresses: what is not reachable from everywhere.  Bits of
 * a prefix, and the prefix.
 */
static bool is_public_v4(uint32_t address)
{
	static const struct {
		uint32_t prefix;
		unsigned int bits;
	} special[] = {
		{ 0x00000000, 8 },  { 0x0a000000, 8 },  { 0x64400000, 10 }, { 0x7f000000, 8 },
		{ 0xa9fe0000, 16 }, { 0xac100000, 12 }, { 0xc0000000, 24 }, { 0xc0000200, 24 },
		{ 0xc0586300, 24 }, { 0xc0a80000, 16 }, { 0xc6120000, 15 }, { 0xc6336400, 24 },
		{ 0xcb007100, 24 }, { 0xe0000000, 3 },
	};

	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
		if ((address ^ special[i].prefix) >> (32 - special[i].bits) == 0)
			return false;
	}
	return true;
}

static uint32_t big_endian(const uint8_t bytes[4])
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
	       bytes[3];
}

static bool is_public_v6(const uint8_t a[16])
{
	static const uint8_t mapped[12] = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff };

	if (!memcmp(a, mapped, sizeof(mapped)))
		return is_public_v4(big_endian(a + 12));
	/* global unicast is 2000::/3; in it 2002::/16 has an IPv4 address, and 2001::/23 and
	 * 2001:db8::/32 are special
	 */
	if (a[0] >> 5 != 1)
		return false;
	if (a[0] == 0x20 && a[1] == 0x02)
		return is_public_v4(big_endian(a + 2));
	if (a[0] == 0x20 && a[1] == 0x01)
		return a[2] >= 2 && !(a[2] == 0x0d && a[3] == 0xb8);
	return true;
}

bool fetch_address_public(const struct sockaddr *address)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (address->sa_family == AF_INET) {
		memcpy(&v4, address, sizeof(v4));
		return is_public_v4(ntohl(v4.sin_addr.s_addr));
	}
	if (address->sa_family == AF_INET6) {
		memcpy(&v6, address, sizeof(v6));
		return is_public_v6(v6.sin6_addr.s6_addr);
	}
	return false;
}

/* ------------------------------------------------------------------ one GET */

struct run {
	const struct fetch *fetch;
	CURL *curl;
	struct fetch_head head;
	bool told; /* the head was given */
	bool forbidden;
	int result;
};

const char *fetch_header(const struct fetch_head *head, const char *name)
{
	const char *at = head->headers.data, *end = at + head->headers.length;

	while (at && at < end) {
		const char *value = at + strlen(at) + 1;

		if (!strcasecmp(at, name))
			return value;
		at = value + strlen(value) + 1;
	}
	return NULL;
}

static curl_socket_t open_socket(void *context, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct run *run = context;

	if (purpose != CURLSOCKTYPE_IPCXN ||
	    (!run->fetch->rules->private_too && !fetch_address_public(&address->addr))) {
		run->forbidden = true;
		return CURL_SOCKET_BAD;
	}
	return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* No control characters, and in a name (@token) no more than names have. */
static bool is_plain(const char *at, const char *end, bool token)
{
	for (; at < end; at++) {
		unsigned char c = (unsigned char)*at;

		if (token ? !isalnum(c) && !strchr("-_.", c) : (c < ' ' && c != '\t') || c == 0x7f)
			return false;
	}
	return true;
}

static size_t take_header(char *line, size_t one, size_t length, void *context)
{
	struct run *run = context;
	const char *colon = memchr(line, ':', length), *value, *end = line + length;

	(void)one;
	/* another head: what came before it was of a 100 Continue */
	if (length >= 5 && !memcmp(line, "HTTP/", 5)) {
		azb_buf_reset(&run->head.headers);
		return length;
	}
	if (!colon || run->head.headers.length + length > MAX_HEADERS)
		return length;
	value = colon + 1;
	while (value < end && (*value == ' ' || *value == '\t'))
		value++;
	while (end > value && isspace((unsigned char)end[-1]))
		end--;
	if (!is_plain(line, colon, true) || !is_plain(value, end, false))
		return length; /* nothing to pass on */
	for (const char *at = line; at < colon; at++) {
		char c = (char)tolower((unsigned char)*at);

		azb_buf_add(&run->head.headers, &c, 1);
	}
	azb_buf_add(&run->head.headers, "", 1);
	azb_buf_add(&run->head.headers, value, (size_t)(end - value));
	azb_buf_add(&run->head.headers, "", 1);
	return length;
}

/* Once; also for an answer without a body. */
static int tell_head(struct run *run)
{
	curl_off_t length = -1;
	long status = 0;

	if (run->told)
		return run->result;
	run->told = true;
	curl_easy_getinfo(run->curl, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(run->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
	run->head.status = (unsigned int)status;
	run->head.length = length;
	run->result = run->head.headers.failed ? -ENOMEM
					       : run->fetch->head(run->fetch->context, &run->head);
	return run->result;
}

static size_t take_body(char *bytes, size_t one, size_t length, void *context)
{
	struct run *run = context;

	(void)one;
	if (tell_head(run))
		return length + 1; /* not length: it ends here */
	if (run->head.status >= 300)
		return length;
	run->result = run->fetch->body(run->fetch->context, bytes, length);
	return run->result ? length + 1 : length;
}

static int ask_stop(void *context, curl_off_t total, curl_off_t now, curl_off_t up_total,
		    curl_off_t up)
{
	(void)context;
	(void)total;
	(void)now;
	(void)up_total;
	(void)up;
	return azb_stop_asked();
}

static bool set_up(struct run *run, struct curl_slist *lines)
{
	CURL *c = run->curl;

	return !curl_easy_setopt(c, CURLOPT_URL, run->fetch->url) &&
	       !curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https") &&
	       !curl_easy_setopt(c, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1) &&
	       !curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L) &&
	       /* the address of a proxy would be the one that is looked at */
	       !curl_easy_setopt(c, CURLOPT_PROXY, "") &&
	       !curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L) &&
	       !curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS) &&
	       !curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L) &&
	       !curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, STALL_S) &&
	       !curl_easy_setopt(c, CURLOPT_HTTPHEADER, lines) &&
	       !curl_easy_setopt(c, CURLOPT_OPENSOCKETFUNCTION, open_socket) &&
	       !curl_easy_setopt(c, CURLOPT_OPENSOCKETDATA, run) &&
	       !curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_header) &&
	       !curl_easy_setopt(c, CURLOPT_HEADERDATA, run) &&
	       !curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body) &&
	       !curl_easy_setopt(c, CURLOPT_WRITEDATA, run) &&
	       !curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L) &&
	       !curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, ask_stop);
}

static int outcome(struct run *run, CURLcode code, char *error, size_t error_size)
{
	if (run->result)
		return run->result;
	if (code == CURLE_OK)
		return tell_head(run);
	if (run->forbidden) {
		snprintf(error, error_size,
			 "The copy source's host has an address that is not of the public "
			 "internet.");
		return -EACCES;
	}
	if (code == CURLE_ABORTED_BY_CALLBACK)
		return -ECANCELED;
	if (code == CURLE_OUT_OF_MEMORY)
		return -ENOMEM;
	snprintf(error, error_size, "The copy source can't be read: %s.", curl_easy_strerror(code));
	return -EIO;
}

int fetch_run(const struct fetch *fetch, char *error, size_t error_size)
{
	struct run run = { .fetch = fetch, .curl = curl_easy_init() };
	struct curl_slist *lines = NULL, *more;
	int result = run.curl ? 0 : -ENOMEM;

	*error = 0;
	for (unsigned int i = 0; !result && i < fetch->line_count; i++) {
		more = curl_slist_append(lines, fetch->line[i]);
		if (more)
			lines = more;
		else
			result = -ENOMEM;
	}
	if (!result && !set_up(&run, lines))
		result = -ENOMEM;
	if (!result) {
		CURLcode code;

		azb_waiting_begin();
		code = curl_easy_perform(run.curl);
		azb_waiting_end();
		result = outcome(&run, code, error, error_size);
	}
	curl_easy_cleanup(run.curl);
	curl_slist_free_all(lines);
	azb_buf_free(&run.head.headers);
	return result;
}
