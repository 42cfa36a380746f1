// SPDX-License-Identifier: MIT
/* Blob Batch: many deletions or changes of tier in one request, multipart/mixed both ways. */
#include "ops.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "put.h"

/* docs/payload.md: what the host wants in the response buffer for each, and for the head. */
#define ANSWER_EACH ((size_t)4096)
#define ANSWER_HEAD ((size_t)16 << 10)
/* RFC 2046 */
#define MAX_BOUNDARY 70u

static int begin_part(struct azc_request *part, const azblob_conn *conn,
		      const struct azblob_batch_request *one, struct azblob_error *error)
{
	static const char *const snapshots[] = { NULL, "include", "only" };
	struct azblob_access access;

	if (azc_check_call(one->container, one->blob, one->access,
			   AZC_ACCESS_STATE | AZC_ACCESS_LEASE, &access, error))
		return -1;
	if (one->kind == AZBLOB_BATCH_DELETE) {
		if ((unsigned int)one->what > AZBLOB_DELETE_SNAPSHOTS_ONLY ||
		    (one->what && (access.snapshot || access.version)))
			return azc_fail(error, AZBLOB_BAD_ARGUMENT,
					"a deletion is of a blob, with or without its snapshots, "
					"or of one snapshot or version");
		azc_begin_change(part, "DELETE", conn, one->container, one->blob, NULL, &access);
		azc_request_field(part, "x-ms-delete-snapshots", snapshots[one->what]);
	} else {
		if (azc_check_tier(one->tier, error))
			return -1;
		azc_begin_change(part, "PUT", conn, one->container, one->blob, "tier", &access);
		azc_request_field(part, "x-ms-access-tier", one->tier);
	}
	part->in_batch = true;
	return 0;
}

/* One request as a part of the body, signed. */
static int add_part(struct azb_buf *body, struct azc_op *op, const char *boundary, size_t number,
		    const struct azblob_batch_request *one, struct azblob_error *error)
{
	struct azc_request part;
	int status;

	if (begin_part(&part, op->conn, one, error))
		return -1;
	status = azc_prepare(op, &part, error);
	if (!status) {
		azb_buf_printf(body,
			       "--%s\r\nContent-Type: application/http\r\n"
			       "Content-Transfer-Encoding: binary\r\nContent-ID: %zu\r\n\r\n"
			       "%s %s%s%s HTTP/1.1\r\n",
			       boundary, number, part.method, part.path.data,
			       part.query.length ? "?" : "",
			       part.query.length ? part.query.data : "");
		for (size_t i = 0; i < part.fields.count; i++)
			azb_buf_printf(body, "%s: %s\r\n", part.fields.item[i].name,
				       part.fields.item[i].value);
		azb_buf_puts(body, "Content-Length: 0\r\n\r\n");
	}
	azc_request_free(&part);
	return status;
}

/* ---- the answer ---- */

static int bad_answer(struct azblob_error *error, const char *what)
{
	azc_fail(error, AZBLOB_TRANSPORT, "the answer makes no sense: %s", what);
	/* The batch was carried out; what became of each is what can't be read. */
	if (error)
		error->outcome_unknown = 1;
	return -1;
}

/* "multipart/mixed; boundary=X" with "--" before X. */
static bool read_boundary(const char *type, char boundary[MAX_BOUNDARY + 3])
{
	const char *at = strcasestr(type, "boundary=");
	size_t length;

	if (!at)
		return false;
	at += strlen("boundary=");
	at += *at == '"';
	length = strcspn(at, "\"; \t");
	if (!length || length > MAX_BOUNDARY)
		return false;
	memcpy(boundary, "--", 2);
	memcpy(boundary + 2, at, length);
	boundary[2 + length] = '\0';
	return true;
}

/* The next line without its end; false at the end of the text. */
static bool next_line(const char **at, const char *end, const char **line, size_t *length)
{
	const char *newline;

	if (*at >= end)
		return false;
	newline = memchr(*at, '\n', (size_t)(end - *at));
	*line = *at;
	*length = (size_t)((newline ? newline : end) - *at);
	*at = newline ? newline + 1 : end;
	if (*length && (*line)[*length - 1] == '\r')
		(*length)--;
	return true;
}

/* One part: its own headers, then an answer.  False when it is none. */
static bool take_part(const char *at, const char *end, struct azblob_batch_result *results,
		      size_t count)
{
	static const char id_name[] = "Content-ID:";
	struct azc_answer answer = { 0 };
	uint64_t number = UINT64_MAX;
	const char *line;
	size_t length;
	bool good = true;

	while (next_line(&at, end, &line, &length) && length) {
		const char *value = line + strlen(id_name);

		if (length <= strlen(id_name) || strncasecmp(line, id_name, strlen(id_name)) != 0)
			continue;
		while (value < line + length && *value == ' ')
			value++;
		if (!azc_parse_number(value, (size_t)(line + length - value), &number))
			return false;
	}
	while (good && next_line(&at, end, &line, &length) && length)
		good = azc_answer_line(&answer, line, length);
	good = good && answer.status && number < count;
	if (good) {
		results[number].http_status = answer.status;
		azc_take_text(results[number].code, sizeof(results[number].code), &answer,
			      "x-ms-error-code");
	}
	azc_answer_reset(&answer);
	return good;
}

static const char *find_line(const char *at, const char *end, const char *what)
{
	size_t length = strlen(what);

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));

		if ((size_t)(end - at) >= length && !memcmp(at, what, length))
			return at;
		if (!newline)
			break;
		at = newline + 1;
	}
	return NULL;
}

static int take_parts(const struct azc_answer *answer, struct azblob_batch_result *results,
		      size_t count, struct azblob_error *error)
{
	const char *end = answer->text.data + answer->text.length;
	char boundary[MAX_BOUNDARY + 3];
	const char *at;

	if (!read_boundary(azc_answer_text(answer, "Content-Type"), boundary))
		return bad_answer(error, "it is no multipart/mixed");
	at = answer->text.length ? find_line(answer->text.data, end, boundary) : NULL;
	while (at) {
		const char *start = memchr(at, '\n', (size_t)(end - at));
		const char *next;

		if (!start || !strncmp(at + strlen(boundary), "--", 2))
			break;
		next = find_line(start + 1, end, boundary);
		if (!take_part(start + 1, next ? next : end, results, count))
			return bad_answer(error, "a part of the batch");
		at = next;
	}
	return 0;
}

/* ---- the call ---- */

static int make_body(struct azb_buf *body, azblob_conn *conn, const char *boundary,
		     const struct azblob_batch_request *requests, size_t count,
		     struct azblob_error *error)
{
	struct azc_op op;
	int status = 0;

	azc_op_init(&op, conn, NULL, NULL, 0);
	for (size_t i = 0; i < count && !status; i++)
		status = add_part(body, &op, boundary, i, &requests[i], error);
	azc_op_end(&op);
	azb_buf_printf(body, "--%s--\r\n", boundary);
	return !status && body->failed ? azc_fail_memory(error) : status;
}

/* In one container only it is that container's, for which less permission is needed. */
static const char *common_container(const struct azblob_batch_request *requests, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if (strcmp(requests[i].container, requests[0].container) != 0)
			return NULL;
	return requests[0].container;
}

static int check(const struct azblob_batch_request *requests, size_t count,
		 struct azblob_error *error)
{
	if (!count || count > AZBLOB_BATCH_MAX || !requests)
		return azc_fail(error, AZBLOB_BAD_ARGUMENT,
				"a batch of %zu requests: must be 1 to %u", count,
				AZBLOB_BATCH_MAX);
	for (size_t i = 0; i < count; i++) {
		if ((unsigned int)requests[i].kind > AZBLOB_BATCH_SET_TIER ||
		    requests[i].kind != requests[0].kind)
			return azc_fail(error, AZBLOB_BAD_ARGUMENT,
					"all requests of a batch must be of the same kind");
		if (azc_check_container(requests[i].container, error))
			return -1;
	}
	return 0;
}

static int make_boundary(char boundary[48], struct azblob_error *error)
{
	unsigned char random[16];
	int at;

	if (getrandom(random, sizeof(random), 0) != sizeof(random))
		return azc_fail(error, AZBLOB_RESOURCES, "there is no randomness");
	at = snprintf(boundary, 48, "batch_");
	for (size_t i = 0; i < sizeof(random); i++)
		at += snprintf(boundary + at, 48 - (size_t)at, "%02x", random[i]);
	return 0;
}

int azblob_batch(azblob_conn *conn, const struct azblob_batch_request *requests, size_t count,
		 struct azblob_batch_result *results, struct azblob_error *error)
{
	struct azb_buf body = { 0 };
	struct azc_request request;
	struct azc_answer answer;
	const char *container;
	char type[96];
	char boundary[48];
	int status;

	if (check(requests, count, error) || make_boundary(boundary, error))
		return -1;
	if (make_body(&body, conn, boundary, requests, count, error)) {
		azb_buf_free(&body);
		return -1;
	}
	memset(results, 0, count * sizeof(*results));
	container = common_container(requests, count);
	azc_request_init(&request, "POST");
	azc_request_path(&request, conn, container, NULL);
	azc_request_query(&request, "restype", container ? "container" : NULL);
	azc_request_query(&request, "comp", "batch");
	snprintf(type, sizeof(type), "multipart/mixed; boundary=%s", boundary);
	azc_request_field(&request, "Content-Type", type);
	request.has_body = true;
	request.effect = true;
	request.response_room = ANSWER_HEAD + count * ANSWER_EACH;
	azc_put_document(&request, conn, body.data, body.length);
	status = azc_perform_alone(conn, &request, &answer, error);
	if (!status)
		status = take_parts(&answer, results, count, error);
	azc_answer_reset(&answer);
	azb_buf_free(&body);
	return status;
}
