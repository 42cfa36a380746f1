// SPDX-License-Identifier: MIT
/* The connector library's envelope; see envelope.h. */
#include "envelope.h"

#include <endian.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../base/crc64.h"

#define MAGIC_LENGTH 8u
#define FORMAT_AT 8u
#define METHOD_AT 12u
#define CRC_AT 16u

static const char request_magic[] = "HsReq001";
static const char answer_magic[] = "HsRes001";

static uint32_t get_u32(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return le32toh(value);
}

static void put_u32(uint8_t *at, uint32_t value)
{
	value = htole32(value);
	memcpy(at, &value, sizeof(value));
}

/* Over all of it, as if the sum's own place held 0. */
static uint64_t sum(const uint8_t *bytes, size_t length)
{
	static const uint8_t zero[sizeof(uint64_t)];
	uint64_t crc = azb_crc64(0, bytes, CRC_AT);

	crc = azb_crc64(crc, zero, sizeof(zero));
	return azb_crc64(crc, bytes + CRC_AT + sizeof(zero), length - CRC_AT - sizeof(zero));
}

static const char *method_name(uint32_t method)
{
	switch (method) {
	case ENVELOPE_OPEN:
		return "open";
	case ENVELOPE_READ:
		return "read";
	case ENVELOPE_CLOSE:
		return "close";
	default:
		return "unknown";
	}
}

static int __attribute__((format(printf, 3, 4)))
wrong(char *error, size_t room, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(error, room, format, args);
	va_end(args);
	return -EBADMSG;
}

/* ------------------------------------------------------------------ requests */

bool envelope_is(const void *request, size_t length)
{
	return length >= MAGIC_LENGTH && !memcmp(request, request_magic, MAGIC_LENGTH);
}

/* Which fields a method has, and which of them it needs. */
#define ON_OPEN (1u << ENVELOPE_OPEN)
#define ON_READ (1u << ENVELOPE_READ)
#define ON_CLOSE (1u << ENVELOPE_CLOSE)
#define ON_ALL (ON_OPEN | ON_READ | ON_CLOSE)

enum field {
	SCHEMA,
	CLIENT_ID,
	VERSION,
	HOST,
	TARGET,
	HEADERS,
	HANDLE,
	OFFSET,
	LENGTH,
	CRC,
	FIELDS,
};

static const struct {
	const char *name;
	json_type type; /* JSON_TRUE: a boolean */
	unsigned int on, needed;
} fields[FIELDS] = {
	[SCHEMA] = { "schemaVersion", JSON_INTEGER, ON_ALL, 0 },
	[CLIENT_ID] = { "xMsClientRequestId", JSON_STRING, ON_ALL, 0 },
	[VERSION] = { "xMsVersion", JSON_STRING, ON_OPEN, 0 },
	[HOST] = { "host", JSON_STRING, ON_OPEN, ON_OPEN },
	[TARGET] = { "target", JSON_STRING, ON_OPEN, ON_OPEN },
	[HEADERS] = { "headers", JSON_OBJECT, ON_OPEN, 0 },
	[HANDLE] = { "handleKey", JSON_STRING, ON_READ | ON_CLOSE, ON_READ | ON_CLOSE },
	[OFFSET] = { "offset", JSON_INTEGER, ON_READ, ON_READ },
	[LENGTH] = { "length", JSON_INTEGER, ON_READ, ON_READ },
	[CRC] = { "contentCrc64", JSON_TRUE, ON_READ, 0 },
};

static bool is_type(const json_t *value, json_type type)
{
	return type == JSON_TRUE ? json_is_boolean(value) : json_typeof(value) == type;
}

/* Every member is one that the method has, of its type; all that are needed are there. */
static int find_fields(json_t *json, uint32_t method, json_t *found[FIELDS], char *error,
		       size_t room)
{
	const char *name;
	json_t *value;

	json_object_foreach(json, name, value)
	{
		int i = 0;

		while (i < FIELDS &&
		       (strcmp(name, fields[i].name) || !(fields[i].on >> method & 1)))
			i++;
		if (i == FIELDS)
			return wrong(error, room, "%s has no field \"%.64s\".", method_name(method),
				     name);
		if (!is_type(value, fields[i].type))
			return wrong(error, room, "\"%s\" is of another type.", name);
		found[i] = value;
	}
	for (int i = 0; i < FIELDS; i++) {
		if (!found[i] && fields[i].needed >> method & 1)
			return wrong(error, room, "%s needs the field \"%s\".", method_name(method),
				     fields[i].name);
	}
	return 0;
}

static int check_values(struct envelope *envelope, json_t *const found[FIELDS], char *error,
			size_t room)
{
	if (found[SCHEMA] && json_integer_value(found[SCHEMA]) != ENVELOPE_SCHEMA)
		return wrong(error, room, "\"schemaVersion\" is not 1.");
	if (found[OFFSET]) {
		if (json_integer_value(found[OFFSET]) < 0 || json_integer_value(found[LENGTH]) < 0)
			return wrong(error, room, "\"offset\" and \"length\" can't be negative.");
		envelope->offset = (uint64_t)json_integer_value(found[OFFSET]);
		envelope->length = (uint64_t)json_integer_value(found[LENGTH]);
	}
	envelope->version = json_string_value(found[VERSION]);
	envelope->host = json_string_value(found[HOST]);
	envelope->target = json_string_value(found[TARGET]);
	envelope->headers = found[HEADERS];
	envelope->handle = json_string_value(found[HANDLE]);
	envelope->crc = json_is_true(found[CRC]);
	return 0;
}

static int parse_json(struct envelope *envelope, const char *text, size_t length, char *error,
		      size_t room)
{
	json_t *found[FIELDS] = { NULL };
	json_error_t where;
	const char *id;
	int result;

	envelope->json = json_loadb(text, length, JSON_REJECT_DUPLICATES, &where);
	if (!envelope->json)
		return wrong(error, room, "The JSON is wrong at byte %d: %s.", where.position,
			     where.text);
	if (!json_is_object(envelope->json))
		return wrong(error, room, "The JSON is not an object.");
	/* Echoed also in the answer that says what is wrong, so that its sender finds it. */
	id = json_string_value(json_object_get(envelope->json, fields[CLIENT_ID].name));
	if (id && strlen(id) > ENVELOPE_MAX_ID)
		return wrong(error, room, "\"xMsClientRequestId\" is longer than %u bytes.",
			     ENVELOPE_MAX_ID);
	envelope->client_id = id;
	result = find_fields(envelope->json, envelope->method, found, error, room);
	return result ? result : check_values(envelope, found, error, room);
}

int envelope_parse(const void *request, size_t length, struct envelope *envelope, char *error,
		   size_t room)
{
	const uint8_t *bytes = request;
	uint64_t crc;

	memset(envelope, 0, sizeof(*envelope));
	if (length < ENVELOPE_HEADER)
		return wrong(error, room, "The header has %u bytes; there are %zu.",
			     ENVELOPE_HEADER, length);
	envelope->method = get_u32(bytes + METHOD_AT);
	memcpy(&crc, bytes + CRC_AT, sizeof(crc));
	if (le64toh(crc) != sum(bytes, length))
		return wrong(error, room, "The checksum in the header is not that of the request.");
	if (get_u32(bytes + FORMAT_AT) != ENVELOPE_FORMAT_JSON)
		return wrong(error, room, "Format %u is not known; 1 is JSON.",
			     get_u32(bytes + FORMAT_AT));
	if (envelope->method < ENVELOPE_OPEN || envelope->method > ENVELOPE_CLOSE)
		return wrong(error, room,
			     "Method %u is not known: 1 is open, 2 is read, 3 is close.",
			     envelope->method);
	return parse_json(envelope, (const char *)bytes + ENVELOPE_HEADER, length - ENVELOPE_HEADER,
			  error, room);
}

void envelope_free(struct envelope *envelope)
{
	json_decref(envelope->json);
	memset(envelope, 0, sizeof(*envelope));
}

/* ---------------------------------------------------------------------- head */

/* Bytes that may be between two blanks of a request line, and in a name. */
static bool is_word(const char *text)
{
	for (const char *at = text; *at; at++) {
		if ((unsigned char)*at <= ' ' || *at == 0x7f)
			return false;
	}
	return *text;
}

static bool is_value(const char *text)
{
	for (const char *at = text; *at; at++) {
		if (((unsigned char)*at < ' ' && *at != '\t') || *at == 0x7f)
			return false;
	}
	return true;
}

/* They have fields of their own, or mean a body, which an open has not. */
static bool is_taken(const char *name)
{
	static const char *const taken[] = { "Host", "x-ms-version", "x-ms-client-request-id",
					     "Content-Length" };

	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
		if (!strcasecmp(name, taken[i]))
			return true;
	}
	return false;
}

int envelope_head(const struct envelope *envelope, struct azb_buf *head, char *error, size_t room)
{
	const char *name;
	json_t *value;

	if (envelope->target[0] != '/' || !is_word(envelope->target))
		return wrong(error, room, "\"target\" is not a path with its query.");
	if (!is_word(envelope->host))
		return wrong(error, room, "\"host\" is not a name.");
	if ((envelope->version && !is_word(envelope->version)) ||
	    (envelope->client_id && !is_value(envelope->client_id)))
		return wrong(error, room,
			     "\"xMsVersion\" or \"xMsClientRequestId\" can't be in a header.");
	azb_buf_printf(head, "GET %s HTTP/1.1\r\nHost: %s\r\n", envelope->target, envelope->host);
	if (envelope->version)
		azb_buf_printf(head, "x-ms-version: %s\r\n", envelope->version);
	if (envelope->client_id)
		azb_buf_printf(head, "x-ms-client-request-id: %s\r\n", envelope->client_id);
	json_object_foreach(envelope->headers, name, value)
	{
		if (is_taken(name))
			return wrong(error, room, "The header %s can't be among \"headers\".",
				     name);
		if (!is_word(name) || strchr(name, ':') || !json_is_string(value) ||
		    !is_value(json_string_value(value)))
			return wrong(error, room, "\"headers\" has a line that is no header.");
		azb_buf_printf(head, "%s: %s\r\n", name, json_string_value(value));
	}
	azb_buf_puts(head, "\r\n");
	return head->failed ? -ENOMEM : 0;
}

/* -------------------------------------------------------------------- answers */

/* What came from elsewhere may be no UTF-8, which JSON can't hold: then it is left out. */
static void add_string(json_t *json, const char *name, const char *text)
{
	json_t *value = json_string(text ? text : "");

	json_object_set_new(json, name, value ? value : json_string(""));
}

static char *render_json(const struct envelope_answer *answer, const char *crc)
{
	json_t *json = json_object();
	char *text;

	add_string(json, "responseType", method_name(answer->method));
	json_object_set_new(json, "schemaVersion", json_integer(ENVELOPE_SCHEMA));
	json_object_set_new(json, "status", json_integer(answer->status));
	json_object_set_new(json, "httpStatus", json_integer(answer->http));
	add_string(json, "errorDescription", answer->error);
	json_object_set_new(json, "elapsedTimeMs", json_integer((json_int_t)answer->elapsed_ms));
	add_string(json, "xMsRequestId", answer->request_id);
	add_string(json, "xMsClientRequestId", answer->client_id);
	add_string(json, "xMsVersion", answer->version);
	add_string(json, "crc64", crc);
	if (answer->handle) {
		add_string(json, "handleKey", answer->handle);
		json_object_set_new(json, "contentLength",
				    json_integer((json_int_t)answer->content_length));
		add_string(json, "eTag", answer->etag);
	}
	if (answer->read) {
		json_object_set_new(json, "bytesRead",
				    json_integer((json_int_t)answer->bytes_read));
		add_string(json, "xMsContentCrc64", crc);
	}
	text = json_dumps(json, JSON_COMPACT);
	json_decref(json);
	return text;
}

size_t envelope_render(const struct envelope_answer *answer, const char *crc, void *out,
		       size_t room)
{
	char *text = render_json(answer, crc);
	uint8_t *bytes = out;
	size_t length;
	uint64_t value;

	if (!text)
		return SIZE_MAX;
	length = ENVELOPE_HEADER + strlen(text);
	if (out && length <= room) {
		memset(bytes, 0, ENVELOPE_HEADER);
		memcpy(bytes, answer_magic, MAGIC_LENGTH);
		put_u32(bytes + FORMAT_AT, ENVELOPE_FORMAT_JSON);
		memcpy(bytes + ENVELOPE_HEADER, text, length - ENVELOPE_HEADER);
		value = htole64(sum(bytes, length));
		memcpy(bytes + CRC_AT, &value, sizeof(value));
	}
	free(text);
	return length;
}
