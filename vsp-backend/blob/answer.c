// SPDX-License-Identifier: MIT
#include "answer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/uio.h>
#include <time.h>

#include "../base/base64.h"
#include "../base/pread.h"
#include "blobid.h"
#include "xsm.h"
#include "httpdate.h"

/* Pieces that svc_answer_read() looks up at a time. */
#define READ_PIECES 16u
/* Pages that one preadv() fills. */
#define READ_IOVS 64

/* What goes out when there is no memory for an answer. */
static struct answer no_memory = {
	.pub = { .status = 503 },
	.references = 1,
};

static void make_id(char out[37])
{
	uint64_t r[2] = { 0, 0 };

	/* not a secret: a GUID for the logs, so a short read would do no harm */
	if (getrandom(r, sizeof(r), 0) != sizeof(r))
		r[0] = (uint64_t)time(NULL);
	snprintf(out, 37, "%08x-%04x-4%03x-%04x-%012" PRIx64, (unsigned int)(r[0] >> 32),
		 (unsigned int)(r[0] >> 16) & 0xffff, (unsigned int)r[0] & 0xfff,
		 ((unsigned int)(r[1] >> 48) & 0x3fff) | 0x8000, r[1] & 0xffffffffffffu);
}

static void copy(char *out, size_t room, const struct head_str *str)
{
	if (!str || str->length >= room)
		return;
	memcpy(out, str->at, str->length);
	out[str->length] = 0;
}

void answer_to_init(struct answer_to *to, const struct head *head)
{
	make_id(to->id);
	to->version[0] = 0;
	to->client_id[0] = 0;
	to->is_head = head && head_str_is(&head->method, "HEAD");
	if (!head)
		return;
	copy(to->version, sizeof(to->version), head_get(head, "x-ms-version"));
	copy(to->client_id, sizeof(to->client_id), head_get(head, "x-ms-client-request-id"));
}

struct answer *answer_new(const struct answer_to *to, unsigned int status)
{
	struct answer *a = calloc(1, sizeof(*a));
	char date[HTTPDATE_ROOM];

	if (!a)
		return NULL;
	atomic_init(&a->references, 1);
	a->pub.status = status;
	answer_add(a, "Server", "azblob-vspd/" AZBLOB_VERSION);
	answer_add(a, "x-ms-request-id", to->id);
	if (*to->version)
		answer_add(a, "x-ms-version", to->version);
	if (*to->client_id)
		answer_add(a, "x-ms-client-request-id", to->client_id);
	httpdate_format(date, time(NULL));
	answer_add(a, "Date", date);
	return a;
}

void answer_add(struct answer *a, const char *name, const char *value)
{
	if (!a)
		return;
	azb_buf_add(&a->headers, name, strlen(name) + 1);
	azb_buf_add(&a->headers, value, strlen(value) + 1);
}

void answer_add_u64(struct answer *a, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, value);
	answer_add(a, name, text);
}

void answer_add_etag(struct answer *a, uint64_t etag)
{
	char text[24];

	snprintf(text, sizeof(text), "\"0x%" PRIX64 "\"", etag);
	answer_add(a, "ETag", text);
}

void answer_add_time(struct answer *a, const char *name, int64_t ns)
{
	char text[HTTPDATE_ROOM];

	httpdate_format(text, httpdate_seconds(ns));
	answer_add(a, name, text);
}

void answer_add_id(struct answer *a, const char *name, int64_t at)
{
	char text[BLOBID_ROOM];

	if (!at)
		return;
	blobid_format(text, at);
	answer_add(a, name, text);
}

void answer_add_crc64(struct answer *a, const char *name, uint64_t crc64)
{
	char text[AZB_BASE64_LENGTH(8) + 1];
	uint8_t bytes[8];

	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(crc64 >> (8 * i));
	azb_base64_encode(text, bytes, sizeof(bytes));
	answer_add(a, name, text);
}

void answer_add_md5(struct answer *a, const char *name, const uint8_t md5[16])
{
	char text[AZB_BASE64_LENGTH(16) + 1];

	azb_base64_encode(text, md5, 16);
	answer_add(a, name, text);
}

void answer_add_meta(struct answer *a, const struct store_meta *meta)
{
	const char *name, *value;
	size_t at = 0;

	while (a && store_meta_next(meta, &at, &name, &value)) {
		azb_buf_puts(&a->headers, "x-ms-meta-");
		answer_add(a, name, value);
	}
}

void answer_set_body(struct answer *a, struct azb_buf *body, const char *type)
{
	if (!a) {
		azb_buf_free(body);
		return;
	}
	a->body = *body;
	memset(body, 0, sizeof(*body));
	a->pub.content_length = a->body.length;
	a->pub.body_length = a->body.length;
	answer_add_u64(a, "Content-Length", a->body.length);
	answer_add(a, "Content-Type", type);
}

void answer_set_read(struct answer *a, struct store_read *read, uint64_t offset, uint64_t length)
{
	if (!a) {
		store_read_close(read);
		return;
	}
	a->read = read;
	a->offset = offset;
	a->pub.content_length = length;
	a->pub.body_length = length;
	answer_add_u64(a, "Content-Length", length);
}

void answer_set_framed(struct answer *a, struct store_read *read, uint64_t offset, uint64_t length)
{
	if (!a) {
		store_read_close(read);
		return;
	}
	a->read = read;
	a->frame = frame_new(read, offset, length);
	if (!a->frame) {
		a->headers.failed = true;
		return;
	}
	a->pub.content_length = a->pub.body_length = frame_length(a->frame);
	answer_add_u64(a, "Content-Length", a->pub.content_length);
	answer_add_u64(a, "x-ms-structured-content-length", length);
	answer_add(a, "x-ms-structured-body", XSM_VALUE);
}

struct svc_answer *answer_done(struct answer *a, const struct answer_to *to)
{
	if (!a || a->headers.failed || a->body.failed) {
		svc_answer_put(a ? &a->pub : NULL);
		return &no_memory.pub;
	}
	/* 204 and 304 have no body and say nothing of its length */
	if (a->pub.status != 304 && a->pub.status != 204 &&
	    !svc_answer_header(&a->pub, "Content-Length"))
		answer_add(a, "Content-Length", "0");
	if (to->is_head)
		a->pub.body_length = 0;
	if (a->headers.failed) {
		svc_answer_put(&a->pub);
		return &no_memory.pub;
	}
	return &a->pub;
}

struct svc_answer *answer_of_rest(struct rest_answer *rest, const struct answer_to *to)
{
	struct answer *a = calloc(1, sizeof(*a));

	if (!a) {
		rest->close(rest);
		return &no_memory.pub;
	}
	atomic_init(&a->references, 1);
	a->pub.status = rest->status;
	a->pub.content_length = rest->content_length;
	a->pub.body_length = to->is_head ? 0 : rest->body_length;
	a->headers = rest->headers;
	memset(&rest->headers, 0, sizeof(rest->headers));
	if (rest->read) {
		a->rest = rest;
		return answer_done(a, to);
	}
	a->body = rest->body;
	memset(&rest->body, 0, sizeof(rest->body));
	rest->close(rest);
	return answer_done(a, to);
}

struct svc_answer *svc_answer_get(struct svc_answer *answer)
{
	struct answer *a = (struct answer *)answer;

	if (a != &no_memory)
		atomic_fetch_add_explicit(&a->references, 1, memory_order_relaxed);
	return answer;
}

void svc_answer_put(struct svc_answer *answer)
{
	struct answer *a = (struct answer *)answer;

	if (!a || a == &no_memory ||
	    atomic_fetch_sub_explicit(&a->references, 1, memory_order_acq_rel) != 1)
		return;
	if (a->rest)
		a->rest->close(a->rest);
	frame_free(a->frame);
	if (a->read)
		store_read_close(a->read);
	azb_buf_free(&a->headers);
	azb_buf_free(&a->body);
	free(a);
}

/* ---------------------------------------------------------------- rendering */

static const char *reason(unsigned int status)
{
	static const struct {
		unsigned int status;
		const char *text;
	} reasons[] = {
		{ 200, "OK" },
		{ 201, "Created" },
		{ 202, "Accepted" },
		{ 204, "No Content" },
		{ 206, "Partial Content" },
		{ 304, "Not Modified" },
		{ 400, "Bad Request" },
		{ 401, "Unauthorized" },
		{ 403, "Forbidden" },
		{ 404, "Not Found" },
		{ 405, "Method Not Allowed" },
		{ 408, "Request Timeout" },
		{ 409, "Conflict" },
		{ 411, "Length Required" },
		{ 412, "Precondition Failed" },
		{ 413, "Request Entity Too Large" },
		{ 414, "URI Too Long" },
		{ 416, "Requested Range Not Satisfiable" },
		{ 417, "Expectation Failed" },
		{ 431, "Request Header Fields Too Large" },
		{ 500, "Internal Server Error" },
		{ 501, "Not Implemented" },
		{ 503, "Service Unavailable" },
		{ 505, "HTTP Version Not Supported" },
		{ 507, "Insufficient Storage" },
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(*reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].text;
	return "Unknown";
}

/* Steps through the headers as store_meta_next() does through metadata. */
static bool next_header(const struct answer *a, size_t *at, const char **name, const char **value)
{
	if (*at >= a->headers.length)
		return false;
	*name = a->headers.data + *at;
	*value = *name + strlen(*name) + 1;
	*at += (size_t)(*value - *name) + strlen(*value) + 1;
	return true;
}

const char *svc_answer_header(const struct svc_answer *answer, const char *wanted)
{
	const struct answer *a = (const struct answer *)answer;
	const char *name, *value;
	size_t at = 0;

	while (next_header(a, &at, &name, &value))
		if (!strcasecmp(name, wanted))
			return value;
	return NULL;
}

struct svc_answer *answer_replace(struct svc_answer *answer, const char *name, const char *value)
{
	struct answer *a = (struct answer *)answer;
	struct azb_buf old;
	const char *n, *v;
	size_t at = 0;

	if (a == &no_memory)
		return answer;
	old = a->headers;
	a->headers = (struct azb_buf){ 0 };
	while (at < old.length) {
		n = old.data + at;
		v = n + strlen(n) + 1;
		at = (size_t)(v - old.data) + strlen(v) + 1;
		if (strcasecmp(n, name) != 0)
			answer_add(a, n, v);
	}
	answer_add(a, name, value);
	azb_buf_free(&old);
	if (!a->headers.failed)
		return answer;
	svc_answer_put(answer);
	return &no_memory.pub;
}

static char *put(char *at, const char *text)
{
	size_t n = strlen(text);

	memcpy(at, text, n);
	return at + n;
}

size_t svc_answer_head(const struct svc_answer *answer, const struct svc_extra *extra,
		       size_t extra_count, char *out, size_t room)
{
	static const char bare[] = "HTTP/1.1 503 Service Unavailable\r\n"
				   "x-ms-error-code: ServerBusy\r\nContent-Length: 0\r\n";
	const struct answer *a = (const struct answer *)answer;
	const char *name, *value;
	char first[80];
	size_t at = 0, length;
	char *end = out;

	if (a == &no_memory)
		length = sizeof(bare) - 1;
	else
		length = (size_t)snprintf(first, sizeof(first), "HTTP/1.1 %u %s\r\n",
					  answer->status, reason(answer->status));
	while (next_header(a, &at, &name, &value))
		length += strlen(name) + strlen(value) + 4;
	for (size_t i = 0; i < extra_count; i++)
		length += strlen(extra[i].name) + strlen(extra[i].value) + 4;
	length += 2;
	if (length > room)
		return length;

	end = put(end, a == &no_memory ? bare : first);
	at = 0;
	while (next_header(a, &at, &name, &value))
		end = put(put(put(put(end, name), ": "), value), "\r\n");
	for (size_t i = 0; i < extra_count; i++)
		end = put(put(put(put(end, extra[i].name), ": "), extra[i].value), "\r\n");
	end = put(end, "\r\n");
	return (size_t)(end - out);
}

/* --------------------------------------------------------------------- body */

static int to_errno(enum store_error error)
{
	return error == STORE_NO_MEMORY ? -ENOMEM : -EIO;
}

static ssize_t rest_piece(struct rest_answer *rest, uint64_t offset, struct svc_piece *piece)
{
	const void *bytes;
	ssize_t n;

	if (!rest->piece)
		return -EOPNOTSUPP;
	n = rest->piece(rest, offset, &bytes);
	if (n > 0) {
		*piece = (struct svc_piece){ .fd = -1, .bytes = bytes, .length = (uint64_t)n };
		n = 1;
	}
	return n;
}

ssize_t svc_answer_pieces(const struct svc_answer *answer, uint64_t offset,
			  struct svc_piece *pieces, size_t max)
{
	const struct answer *a = (const struct answer *)answer;
	struct store_piece found[READ_PIECES];
	uint64_t left;
	enum store_error error;
	size_t n = 0;

	if (offset >= answer->body_length || !max)
		return 0;
	left = answer->body_length - offset;
	if (a->rest)
		return rest_piece(a->rest, offset, pieces);
	if (!a->read) {
		pieces[0] = (struct svc_piece){ .fd = -1,
						.bytes = a->body.data + offset,
						.length = left };
		return 1;
	}
	if (a->frame)
		return frame_piece(a->frame, offset, pieces);
	if (max > READ_PIECES)
		max = READ_PIECES;
	error = store_read_map(a->read, a->offset + offset, left, found, max, &n);
	if (error != STORE_OK)
		return error == STORE_UNSUPPORTED ? -EOPNOTSUPP : to_errno(error);
	for (size_t i = 0; i < n; i++) {
		pieces[i] = (struct svc_piece){
			.fd = found[i].fd,
			.bytes = found[i].bytes,
			.offset = found[i].file_offset,
			.length = found[i].length < left ? found[i].length : left,
		};
		left -= pieces[i].length;
	}
	return n ? (ssize_t)n : -EIO;
}

/* Where we are in the caller's iov. */
struct cursor {
	const struct iovec *iov;
	int left;
	size_t done; /* bytes of iov[0] */
};

static int window(const struct cursor *c, struct iovec *out, uint64_t length)
{
	size_t skip = c->done;
	int n = 0;

	for (int i = 0; i < c->left && n < READ_IOVS && length; i++) {
		size_t here = c->iov[i].iov_len - skip;

		if (here > length)
			here = (size_t)length;
		if (here)
			out[n++] = (struct iovec){ (char *)c->iov[i].iov_base + skip, here };
		length -= here;
		skip = 0;
	}
	return n;
}

static void advance(struct cursor *c, size_t by)
{
	while (c->left && by >= c->iov->iov_len - c->done) {
		by -= c->iov->iov_len - c->done;
		c->done = 0;
		c->iov++;
		c->left--;
	}
	c->done += by;
}

/* One piece into the iov, as much of it as fits.  Bytes, or -errno. */
static ssize_t read_piece(const struct svc_piece *piece, struct cursor *to)
{
	uint64_t done = 0;

	while (done < piece->length) {
		struct iovec iov[READ_IOVS];
		int n = window(to, iov, piece->length - done);
		ssize_t got = 0;

		if (!n)
			break;
		if (piece->fd >= 0) {
			got = azb_preadv(piece->fd, iov, n, piece->offset + done);
			if (got < 0 && errno == EINTR)
				continue;
			if (got <= 0)
				return got < 0 ? -errno : -EIO;
		} else {
			for (int i = 0; i < n; i++) {
				memcpy(iov[i].iov_base,
				       (const char *)piece->bytes + done + (size_t)got,
				       iov[i].iov_len);
				got += (ssize_t)iov[i].iov_len;
			}
		}
		advance(to, (size_t)got);
		done += (uint64_t)got;
	}
	return (ssize_t)done;
}

/* For stores that can't tell where their bytes are. */
static ssize_t read_copied(const struct answer *a, uint64_t offset, struct cursor *to)
{
	uint64_t left = a->pub.body_length - offset;
	ssize_t total = 0;

	if (a->rest)
		return a->rest->read(a->rest, offset, to->iov, to->left);
	while (left) {
		struct iovec iov;
		enum store_error error;

		if (!window(to, &iov, left))
			break;
		if (a->frame) {
			ssize_t got = frame_read(a->frame, offset + (uint64_t)total, iov.iov_base,
						 iov.iov_len);

			if (got < 0)
				return got;
			advance(to, (size_t)got);
			total += got;
			left -= (uint64_t)got;
			continue;
		}
		error = store_read_at(a->read, a->offset + offset + (uint64_t)total, iov.iov_base,
				      iov.iov_len);
		if (error != STORE_OK)
			return to_errno(error);
		advance(to, iov.iov_len);
		total += (ssize_t)iov.iov_len;
		left -= iov.iov_len;
	}
	return total;
}

ssize_t svc_answer_read(const struct svc_answer *answer, uint64_t offset, const struct iovec *iov,
			int iov_count)
{
	struct cursor to = { .iov = iov, .left = iov_count };
	ssize_t total = 0;

	for (;;) {
		struct svc_piece pieces[READ_PIECES];
		ssize_t n, i;

		while (to.left && to.done == to.iov->iov_len)
			advance(&to, 0);
		if (!to.left)
			return total;
		n = svc_answer_pieces(answer, offset + (uint64_t)total, pieces, READ_PIECES);
		if (n == -EOPNOTSUPP && !total)
			return read_copied((const struct answer *)answer, offset, &to);
		if (n <= 0)
			return n < 0 ? n : total;
		for (i = 0; i < n; i++) {
			ssize_t got = read_piece(&pieces[i], &to);

			if (got < 0)
				return got;
			total += got;
			if ((uint64_t)got < pieces[i].length)
				return total;
		}
	}
}
