// SPDX-License-Identifier: MIT
/*
 * Blob Batch: many deletions or changes of tier in one request, multipart/mixed both ways.
 *
 * Each part is an HTTP request with credentials of its own.  Its path is either whole as the
 * batch's is ("/account/container/blob" where accounts are in paths), or without the account.
 */
#include "op.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "lease.h"
#include "upload.h"

/* The reference: of one batch. */
#define BATCH_MAX_REQUESTS 256u
#define BATCH_MAX_BYTES (4u * 1024u * 1024u)
/* RFC 2046: a boundary has at most 70 characters. */
#define BATCH_MAX_BOUNDARY 70u
/* More than any answer of a part has: its head, and the XML of an error. */
#define BATCH_ANSWER_ROOM 4096u
#define BATCH_MAX_HOST 300u

/* What must be kept of the head until the body is there. */
struct batch {
	char boundary[BATCH_MAX_BOUNDARY + 3]; /* with "--" before it */
	char host[BATCH_MAX_HOST];
	bool path_style;
	size_t body_room;
};

/* One part of the body. */
struct part {
	const char *at;
	size_t length;
	char id[64]; /* Content-ID, "" for none */
};

/* ------------------------------------------------------------------- parts */

static const char *find(const char *at, const char *end, const char *what)
{
	return memmem(at, (size_t)(end - at), what, strlen(what));
}

/* The next delimiter at the start of a line, or NULL. */
static const char *delimiter(const char *at, const char *start, const char *end,
			     const char *boundary)
{
	for (at = find(at, end, boundary); at; at = find(at + 1, end, boundary))
		if (at == start || at[-1] == '\n')
			return at;
	return NULL;
}

/* Behind the line end, or NULL when there is none. */
static const char *next_line(const char *at, const char *end)
{
	const char *feed = memchr(at, '\n', (size_t)(end - at));

	return feed ? feed + 1 : NULL;
}

static bool line_is(const char *at, const char *name, size_t length)
{
	size_t n = strlen(name);

	return length > n && !strncasecmp(at, name, n) && at[n] == ':';
}

/* The headers of a part, up to the request in it.  False: malformed. */
static bool read_part(const char *at, const char *end, struct part *part)
{
	bool http = false;

	part->id[0] = 0;
	for (;;) {
		const char *next = next_line(at, end);
		size_t length;

		if (!next)
			return false;
		length = (size_t)(next - at) - 1;
		if (length && at[length - 1] == '\r')
			length--;
		if (!length) {
			part->at = next;
			part->length = (size_t)(end - next);
			return http;
		}
		if (line_is(at, "Content-Type", length))
			http = find(at, at + length, "application/http");
		if (line_is(at, "Content-ID", length)) {
			const char *value = at + strlen("Content-ID:");

			while (*value == ' ')
				value++;
			if ((size_t)(at + length - value) >= sizeof(part->id))
				return false;
			memcpy(part->id, value, (size_t)(at + length - value));
			part->id[at + length - value] = 0;
		}
		at = next;
	}
}

/* NULL, and the parts; or the answer that refuses the body. */
static struct svc_answer *split(const struct svc_upload *u, const struct batch *batch,
				struct part *parts, size_t *count)
{
	const char *start = (const char *)u->memory, *end = start + u->length;
	const char *at = start ? delimiter(start, start, end, batch->boundary) : NULL;
	size_t n = strlen(batch->boundary);

	*count = 0;
	while (at) {
		const char *next, *line;

		if (end - at >= (ssize_t)n + 2 && !memcmp(at + n, "--", 2))
			return *count ? NULL : err_answer(&u->to, ERR_INVALID_INPUT, NULL);
		line = next_line(at, end);
		next = line ? delimiter(line, start, end, batch->boundary) : NULL;
		if (!next)
			break;
		if (*count == BATCH_MAX_REQUESTS)
			return err_answer(&u->to, ERR_TOO_MANY_SUBREQUESTS, NULL);
		if (!read_part(line, next, &parts[(*count)++]))
			break;
		at = next;
	}
	return err_answer_text(&u->to, 400, "InvalidInput",
			       "The body is not the multipart/mixed message that its Content-Type "
			       "announces.",
			       NULL);
}

/* ---------------------------------------------------------------- requests */

/* "/account/container/blob..." with the account of the batch. */
static bool has_account(const char *path, size_t length, const char *account)
{
	size_t n = strlen(account);
	const char *rest;

	if (length < n + 2 || path[0] != '/' || memcmp(path + 1, account, n) != 0 ||
	    path[n + 1] != '/')
		return false;
	/* a container may have the account's name: then a blob follows at once */
	rest = path + n + 2;
	return memchr(rest, '/', length - n - 2);
}

/* The request of a part with a Host that makes its path mean what it says. */
static bool feed(struct head_parser *parser, const struct svc_upload *u, const struct batch *batch,
		 const struct part *part)
{
	const char *end = part->at + part->length, *line = next_line(part->at, end);
	const char *path = memchr(part->at, ' ', part->length);
	struct azb_buf text = { 0 };
	enum head_state state = HEAD_BAD;
	size_t taken, n;

	head_parser_reset(parser);
	if (!line || !path || path > line)
		return false;
	path++;
	for (n = 0; path + n < line && !strchr(" ?\r\n", path[n]); n++)
		;
	azb_buf_add(&text, part->at, (size_t)(line - part->at));
	if (batch->path_style && !has_account(path, n, u->account))
		azb_buf_printf(&text, "Host: %s.blob.batch\r\n", u->account);
	else
		azb_buf_printf(&text, "Host: %s\r\n", batch->host);
	azb_buf_add(&text, line, (size_t)(end - line));
	/* the blank line may have been taken for the delimiter's */
	azb_buf_puts(&text, "\r\n\r\n");
	if (!text.failed)
		state = head_parser_feed(parser, text.data, text.length, &taken);
	azb_buf_free(&text);
	return state == HEAD_DONE;
}

/*
 * Who asks for a part: its answer is kept as that of a part, so that a batch that is sent again
 * does none of them twice, also when it came to an end in the middle.
 */
static struct svc_caller caller_of(const struct svc_caller *caller, unsigned int number)
{
	struct svc_caller own = *caller;

	_Static_assert(BATCH_MAX_REQUESTS <= STORE_EFFECT_PARTS, "each part has an id");
	if (own.session && own.request < STORE_EFFECT_PARTED)
		own.request = store_effect_part(own.request, number);
	else
		own.session = NULL;
	return own;
}

static struct svc_answer *run_part(struct svc_upload *u, const struct svc_caller *caller,
				   const struct batch *batch, struct head_parser *parser,
				   const struct part *part)
{
	struct sub sub = { .version = u->to.version,
			   .account = u->account,
			   .container = u->container };

	if (!feed(parser, u, batch, part) || head_count(head_parser_head(parser), "Host") > 1)
		return err_answer(&u->to, ERR_INVALID_INPUT, NULL);
	return service_sub(u->svc, head_parser_head(parser), caller, &sub);
}

static void begin_part(struct azb_buf *out, const char *boundary, const struct part *part)
{
	azb_buf_printf(out, "--%s\r\nContent-Type: application/http\r\n", boundary);
	if (*part->id)
		azb_buf_printf(out, "Content-ID: %s\r\n", part->id);
	azb_buf_puts(out, "\r\n");
}

static void add_answer(struct azb_buf *out, const struct svc_answer *answer)
{
	char bytes[BATCH_ANSWER_ROOM];
	struct iovec iov = { bytes, sizeof(bytes) };
	size_t n = svc_answer_head(answer, NULL, 0, bytes, sizeof(bytes));
	ssize_t body;

	if (n <= sizeof(bytes))
		azb_buf_add(out, bytes, n);
	else
		out->failed = true;
	for (uint64_t at = 0; at < answer->body_length; at += (uint64_t)body) {
		body = svc_answer_read(answer, at, &iov, 1);
		if (body <= 0) {
			out->failed = true;
			break;
		}
		azb_buf_add(out, bytes, (size_t)body);
	}
	/*
	 * An answer without a body ends with its head, as Azure's: the SDK for Java takes
	 * anything behind the empty line for the text of an error.
	 */
	if (answer->body_length)
		azb_buf_puts(out, "\r\n");
}

/* What a part answered when it was done before.  1: that, 0: it was not, or -errno. */
static int add_kept(struct azb_buf *out, struct svc *svc, const struct svc_caller *own)
{
	size_t head, length;
	char *bytes;
	int found = 0;

	if (own->session && own->resent)
		found = svc_replay(svc, own->session, own->request, &bytes, &head, &length);
	if (found <= 0)
		return found;
	azb_buf_add(out, bytes, length);
	if (length > head)
		azb_buf_puts(out, "\r\n");
	free(bytes);
	return 1;
}

/* -------------------------------------------------------------------- batch */

static struct svc_answer *run_parts(struct svc_upload *u, const struct svc_caller *caller,
				    const struct part *parts, size_t count)
{
	struct head_parser *parser = head_parser_new();
	char boundary[20 + LEASE_ID_ROOM] = "batchresponse_", type[96];
	struct azb_buf out = { 0 };
	struct svc_answer *answer;
	bool replayable = false;
	struct answer *a;
	uint8_t id[16];

	if (!parser || getrandom(id, sizeof(id), 0) != sizeof(id)) {
		head_parser_free(parser);
		return err_answer(&u->to, ERR_SERVER_BUSY, NULL);
	}
	lease_id_format(id, boundary + strlen(boundary));
	for (size_t i = 0; i < count; i++) {
		struct svc_caller own = caller_of(caller, (unsigned int)i);
		int kept;

		begin_part(&out, boundary, &parts[i]);
		kept = add_kept(&out, u->svc, &own);
		/* what can't be looked up must not be done again */
		answer = kept < 0 ? err_answer(&u->to, ERR_SERVER_BUSY, NULL)
			 : kept   ? NULL
				  : run_part(u, &own, u->state, parser, &parts[i]);
		if (answer) {
			add_answer(&out, answer);
			replayable |= answer->replayable;
			svc_answer_put(answer);
		}
		replayable |= kept > 0;
	}
	head_parser_free(parser);
	azb_buf_printf(&out, "--%s--\r\n", boundary);
	snprintf(type, sizeof(type), "multipart/mixed; boundary=%s", boundary);
	a = answer_new(&u->to, 202);
	if (a && out.failed)
		a->failed = true;
	answer_set_body(a, &out, type);
	answer = answer_done(a, &u->to);
	if (answer->status == 202)
		answer->replayable = replayable;
	return answer;
}

static struct svc_answer *end_batch(struct svc_upload *u, const struct svc_caller *caller)
{
	const struct batch *batch = u->state;
	struct part *parts = calloc(BATCH_MAX_REQUESTS, sizeof(*parts));
	struct svc_answer *answer;
	size_t count;

	if (!parts)
		return err_answer(&u->to, ERR_SERVER_BUSY, NULL);
	answer = split(u, batch, parts, &count);
	/* nothing may happen whose answer has no room */
	if (!answer && batch->body_room && count * BATCH_ANSWER_ROOM > batch->body_room)
		answer = err_answer_text(&u->to, 400, "InvalidInput",
					 "The response buffer needs 4 KiB for each request of a "
					 "batch.",
					 NULL);
	if (!answer)
		answer = run_parts(u, caller, parts, count);
	free(parts);
	return answer;
}

/* "multipart/mixed; boundary=X", X in quotes or bare. */
static bool read_boundary(const struct head_str *type, char *out)
{
	static const char kind[] = "multipart/mixed";
	const char *at, *end;
	size_t n;

	if (!type || type->length < strlen(kind) || strncasecmp(type->at, kind, strlen(kind)) != 0)
		return false;
	end = type->at + type->length;
	for (at = type->at; at + 9 < end && strncasecmp(at, "boundary=", 9) != 0; at++)
		;
	if (at + 9 >= end)
		return false;
	at += 9;
	if (*at == '"') {
		const char *quote = memchr(at + 1, '"', (size_t)(end - at - 1));

		if (!quote)
			return false;
		at++;
		end = quote;
	} else {
		const char *semicolon = memchr(at, ';', (size_t)(end - at));

		end = semicolon ? semicolon : end;
	}
	n = (size_t)(end - at);
	if (!n || n > BATCH_MAX_BOUNDARY)
		return false;
	memcpy(out, "--", 2);
	memcpy(out + 2, at, n);
	out[n + 2] = 0;
	return true;
}

struct svc_answer *op_batch(struct rq *rq, struct svc_upload **upload)
{
	struct batch *batch = calloc(1, sizeof(*batch));
	struct svc_answer *answer;

	if (!batch)
		return rq_fail(rq, ERR_SERVER_BUSY);
	if (!read_boundary(head_get(rq->head, "Content-Type"), batch->boundary))
		answer = rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "Content-Type");
	else if (!rq_header(rq, "Host", batch->host, sizeof(batch->host)))
		answer = rq_fail_header(rq, ERR_INVALID_HEADER_VALUE, "Host");
	else
		*upload = upload_memory(rq, BATCH_MAX_BYTES, end_batch, &answer);
	if (!*upload) {
		free(batch);
		return answer;
	}
	batch->path_style = rq->target.path_style;
	batch->body_room = rq->caller->body_room;
	(*upload)->state = batch;
	return NULL;
}
