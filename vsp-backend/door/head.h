/* SPDX-License-Identifier: MIT */
/*
 * One parser for HTTP/1.1 request heads, used by both doors so that they agree on
 * what a request is: the HTTP door feeds it what a socket gives, the link door a
 * copy of the request buffer.  It is stricter than most: what two parsers could
 * read in two ways (bare CR or LF, NUL, folded lines, a repeated Content-Length,
 * Content-Length beside Transfer-Encoding, blanks before a colon) is refused.
 *
 * No locking: a parser and a head belong to one thread at a time.
 */
#ifndef AZBLOB_DOOR_HEAD_H
#define AZBLOB_DOOR_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Bytes of a whole head; the same as AZL_MAX_REQUEST_HEAD. */
#define HEAD_MAX_BYTES (64u * 1024u)
/* Azure's metadata limit is 8 KiB in all; 200 lines leave room for any real client. */
#define HEAD_MAX_HEADERS 200u

/* A piece of the head, not terminated; points into the parser's buffer. */
struct head_str {
	const char *at;
	size_t length;
};

struct head_field {
	struct head_str name;
	struct head_str value; /* without blanks around it */
};

/**
 * struct head - a parsed request head
 * @method: as sent, for example "GET".
 * @target: the request target, byte for byte as sent; never empty.
 * @minor: the y of HTTP/1.y; 0 or 1.
 * @field, @field_count: all headers in the order sent.
 * @content_length: -1 when absent.
 * @chunked: there is a Transfer-Encoding (of any kind).
 * @expect_continue: "Expect: 100-continue" is there.
 * @keep_alive: by version and Connection header.
 */
struct head {
	struct head_str method;
	struct head_str target;
	unsigned int minor;
	struct head_field field[HEAD_MAX_HEADERS];
	size_t field_count;
	int64_t content_length;
	bool chunked;
	bool expect_continue;
	bool keep_alive;
};

enum head_state {
	HEAD_MORE, /* everything was taken, the head is not complete */
	HEAD_DONE, /* complete; bytes after it were not taken */
	HEAD_BAD,  /* see head_parser_error() */
};

struct head_parser;

/* NULL when memory is short.  About 9 KiB, and a buffer that grows with the head. */
struct head_parser *head_parser_new(void);
void head_parser_free(struct head_parser *parser);
/* Ready for the next head; what head_parser_head() gave is gone. */
void head_parser_reset(struct head_parser *parser);

/* Takes up to @length bytes; *@taken says how many.  After DONE or BAD: reset first. */
enum head_state head_parser_feed(struct head_parser *parser, const void *bytes, size_t length,
				 size_t *taken);

/* After HEAD_DONE; valid until reset or free. */
const struct head *head_parser_head(const struct head_parser *parser);
/* After HEAD_BAD: the HTTP status that fits (400, 405, 414, 431, 505), and one line for a person.
 */
int head_parser_error(const struct head_parser *parser, const char **reason);
/* Bytes taken for the current head: 0 means that nothing of a request has been seen. */
size_t head_parser_taken(const struct head_parser *parser);

/* The one header of that name, any case; NULL when it is absent.  The first when repeated. */
const struct head_str *head_get(const struct head *head, const char *name);
/* How often a header of that name is there. */
size_t head_count(const struct head *head, const char *name);
/* Equal to a C string; the second ignores ASCII case. */
bool head_str_is(const struct head_str *str, const char *text);
bool head_str_is_nocase(const struct head_str *str, const char *text);

#endif /* AZBLOB_DOOR_HEAD_H */
