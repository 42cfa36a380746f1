// SPDX-License-Identifier: MIT
/*
 * Two steps.  A scanner looks at every byte once as it comes, finds the end of the head and
 * refuses whatever two parsers could read differently.  Then http-parser, which is lenient in
 * places where the scanner is not, takes the whole head apart in one go: the pieces point into
 * one buffer that does not move any more.
 */
#include "head.h"

#include <http_parser.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../base/plain.h"

#define FIRST_ROOM 2048u

struct head_parser {
	char *buffer;
	size_t length;
	size_t room;
	/* the scanner: bytes in this line so far, and the byte before */
	size_t line;
	char before;
	bool done;
	int status; /* not 0: refused */
	const char *reason;
	struct head head;
};

static enum head_state refuse(struct head_parser *p, int status, const char *reason)
{
	p->status = status;
	p->reason = reason;
	return HEAD_BAD;
}

struct head_parser *head_parser_new(void)
{
	struct head_parser *p = malloc(sizeof(*p));

	if (!p)
		return NULL;
	p->buffer = malloc(FIRST_ROOM);
	if (!p->buffer) {
		free(p);
		return NULL;
	}
	p->room = FIRST_ROOM;
	head_parser_reset(p);
	return p;
}

void head_parser_free(struct head_parser *p)
{
	if (!p)
		return;
	free(p->buffer);
	free(p);
}

void head_parser_reset(struct head_parser *p)
{
	/* one large head must not keep 64 KiB for the life of a connection */
	if (p->room > 4 * FIRST_ROOM) {
		char *smaller = realloc(p->buffer, FIRST_ROOM);

		if (smaller) {
			p->buffer = smaller;
			p->room = FIRST_ROOM;
		}
	}
	p->length = 0;
	p->line = 0;
	p->before = 0;
	p->done = false;
	p->status = 0;
	p->reason = NULL;
	p->head.field_count = 0;
}

/* tchar of RFC 9110: what a method or a header's name is made of */
static bool is_token(char c)
{
	if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'))
		return true;
	return c && strchr("!#$%&'*+-.^_`|~", c);
}

static int on_url(http_parser *hp, const char *at, size_t length)
{
	struct head_parser *p = hp->data;

	p->head.target = (struct head_str){ .at = at, .length = length };
	return 0;
}

static int on_field(http_parser *hp, const char *at, size_t length)
{
	struct head_parser *p = hp->data;

	if (p->head.field_count == HEAD_MAX_HEADERS) {
		p->status = 431;
		p->reason = "too many headers";
		return 1;
	}
	for (size_t i = 0; i < length; i++) {
		if (!is_token(at[i])) {
			p->status = 400;
			p->reason = "a header's name has a character that is not allowed";
			return 1;
		}
	}
	p->head.field[p->head.field_count++] = (struct head_field){
		.name = { .at = at, .length = length },
		.value = { .at = at + length, .length = 0 },
	};
	return 0;
}

static int on_value(http_parser *hp, const char *at, size_t length)
{
	struct head_parser *p = hp->data;

	while (length && (at[length - 1] == ' ' || at[length - 1] == '\t'))
		length--;
	while (length && (*at == ' ' || *at == '\t')) {
		at++;
		length--;
	}
	p->head.field[p->head.field_count - 1].value = (struct head_str){ at, length };
	return 0;
}

/* Headers that decide where a message ends, or who is meant: at most once. */
static enum head_state check_framing(struct head_parser *p)
{
	struct head *head = &p->head;
	const struct head_str *length = head_get(head, "Content-Length");
	const struct head_str *expect = head_get(head, "Expect");

	if (head_count(head, "Content-Length") > 1)
		return refuse(p, 400, "Content-Length is there more than once");
	if (head_count(head, "Host") > 1)
		return refuse(p, 400, "Host is there more than once");
	head->chunked = head_get(head, "Transfer-Encoding") != NULL;
	if (head->chunked && length)
		return refuse(p, 400, "both Content-Length and Transfer-Encoding");
	head->content_length = -1;
	if (length) {
		int64_t value = 0;

		if (!length->length || length->length > 18)
			return refuse(p, 400, "Content-Length is not a number");
		for (size_t i = 0; i < length->length; i++) {
			if (length->at[i] < '0' || length->at[i] > '9')
				return refuse(p, 400, "Content-Length is not a number");
			value = value * 10 + (length->at[i] - '0');
		}
		head->content_length = value;
	}
	head->expect_continue = false;
	if (expect) {
		if (!head_str_is_nocase(expect, "100-continue"))
			return refuse(p, 417, "Expect can only be 100-continue");
		head->expect_continue = true;
	}
	return HEAD_DONE;
}

static enum head_state take_apart(struct head_parser *p)
{
	static const http_parser_settings settings = {
		.on_url = on_url,
		.on_header_field = on_field,
		.on_header_value = on_value,
	};
	const char *end = memchr(p->buffer, ' ', p->length);
	http_parser hp;
	enum http_errno error;

	p->head.target.length = 0;
	p->head.field_count = 0;
	/* http-parser reads one letter too few of some unknown methods: look here first */
	for (const char *c = p->buffer; c != end; c++)
		if (!end || !is_token(*c))
			return refuse(p, 400, "this is not a request line");
	p->head.method = (struct head_str){ p->buffer, (size_t)(end - p->buffer) };

	http_parser_init(&hp, HTTP_REQUEST);
	hp.data = p;
	hp.lenient_http_headers = 0;
	http_parser_execute(&hp, &settings, p->buffer, p->length);
	error = HTTP_PARSER_ERRNO(&hp);
	if (p->status)
		return HEAD_BAD;
	if (error == HPE_INVALID_METHOD)
		return refuse(p, 405, "the method is not known here");
	if (error == HPE_INVALID_VERSION)
		return refuse(p, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
	/* the end of a head that asks for an upgrade or has a body is no error for us */
	if (error != HPE_OK)
		return refuse(p, 400, http_errno_description(error));
	if (hp.http_major != 1 || hp.http_minor > 1)
		return refuse(p, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
	if (!p->head.target.length)
		return refuse(p, 400, "the request line has no target");
	p->head.minor = hp.http_minor;
	p->head.keep_alive = hp.http_minor == 1 ? !(hp.flags & F_CONNECTION_CLOSE)
						: (hp.flags & F_CONNECTION_KEEP_ALIVE) != 0;
	return check_framing(p);
}

/* One byte.  HEAD_DONE: it was the last of the head. */
static enum head_state scan(struct head_parser *p, char c)
{
	char before = p->before;

	p->before = c;
	if (before == '\r' && c != '\n')
		return refuse(p, 400, "a carriage return without a line feed");
	if (c == '\n') {
		if (before != '\r')
			return refuse(p, 400, "a line feed without a carriage return");
		if (p->line == 0)
			return HEAD_DONE;
		p->line = 0;
		return HEAD_MORE;
	}
	if (c == '\r')
		return HEAD_MORE;
	if (p->line++ == 0 && (c == ' ' || c == '\t'))
		return refuse(p, 400, "a line starts with a blank (folded headers are refused)");
	if (((unsigned char)c < 0x20 && c != '\t') || c == 0x7f)
		return refuse(p, 400, "a control character in the head");
	return HEAD_MORE;
}

/* The bytes inside a line that scan() would only count: how many were taken. */
static size_t skip(struct head_parser *p, const char *from, size_t length)
{
	size_t n;

	if (!p->line || p->before == '\r')
		return 0;
	n = azb_plain_run(from, length);
	if (n) {
		p->line += n;
		p->before = from[n - 1];
	}
	return n;
}

static bool grow(struct head_parser *p, size_t more)
{
	size_t room = p->room;
	char *buffer;

	while (room < p->length + more)
		room *= 2;
	if (room == p->room)
		return true;
	buffer = realloc(p->buffer, room);
	if (!buffer)
		return false;
	p->buffer = buffer;
	p->room = room;
	return true;
}

enum head_state head_parser_feed(struct head_parser *p, const void *bytes, size_t length,
				 size_t *taken)
{
	const char *from = bytes;
	enum head_state state = HEAD_MORE;
	size_t n = 0;

	*taken = 0;
	if (p->status)
		return HEAD_BAD;
	if (p->done)
		return HEAD_DONE;
	/* RFC 9112, 2.2: an empty line before a request line is skipped */
	while (p->length == 0 && n < length && (from[n] == '\r' || from[n] == '\n'))
		n++;
	from += n;
	length -= n;
	*taken = n;
	for (n = 0; n < length && state == HEAD_MORE; n++) {
		size_t room = HEAD_MAX_BYTES - p->length;

		n += skip(p, from + n, (length < room ? length : room) - n);
		if (n == length)
			break;
		if (n == room)
			return refuse(p, 431, "the head is longer than 64 KiB");
		state = scan(p, from[n]);
	}
	if (state == HEAD_BAD)
		return state;
	if (!grow(p, n))
		return refuse(p, 503, "out of memory");
	memcpy(p->buffer + p->length, from, n);
	p->length += n;
	*taken += n;
	if (state != HEAD_DONE)
		return HEAD_MORE;
	p->done = true;
	return take_apart(p);
}

const struct head *head_parser_head(const struct head_parser *p)
{
	return &p->head;
}

int head_parser_error(const struct head_parser *p, const char **reason)
{
	if (reason)
		*reason = p->reason;
	return p->status;
}

size_t head_parser_taken(const struct head_parser *p)
{
	return p->length;
}

bool head_str_is(const struct head_str *str, const char *text)
{
	return str->length == strlen(text) && !memcmp(str->at, text, str->length);
}

bool head_str_is_nocase(const struct head_str *str, const char *text)
{
	return str->length == strlen(text) && !strncasecmp(str->at, text, str->length);
}

const struct head_str *head_get(const struct head *head, const char *name)
{
	for (size_t i = 0; i < head->field_count; i++)
		if (head_str_is_nocase(&head->field[i].name, name))
			return &head->field[i].value;
	return NULL;
}

size_t head_count(const struct head *head, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < head->field_count; i++)
		n += head_str_is_nocase(&head->field[i].name, name);
	return n;
}
