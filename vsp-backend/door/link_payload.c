// SPDX-License-Identifier: MIT
/* Targets and headers of docs/payload.md; see link_payload.h. */
#include "link_payload.h"

#include <string.h>
#include <strings.h>

#include "../base/base64.h"

#define OWN_PREFIX "azblob-"
#define OWN_TARGET "/.azblob"

static const struct payload_error fine;

static struct payload_error refusal(unsigned int status, const char *code, const char *message)
{
	return (struct payload_error){ status, code, message };
}

void payload_crc_text(uint64_t crc, char text[PAYLOAD_CRC_LENGTH + 1])
{
	uint8_t bytes[8];

	for (int i = 0; i < 8; i++)
		bytes[i] = (uint8_t)(crc >> (8 * i));
	azb_base64_encode(text, bytes, sizeof(bytes));
}

static bool parse_crc(const struct head_str *value, uint64_t *crc)
{
	uint8_t bytes[AZB_BASE64_ROOM(PAYLOAD_CRC_LENGTH)];

	if (value->length != PAYLOAD_CRC_LENGTH ||
	    azb_base64_decode(bytes, sizeof(bytes), value->at, value->length) != 8)
		return false;
	*crc = 0;
	for (int i = 0; i < 8; i++)
		*crc |= (uint64_t)bytes[i] << (8 * i);
	return true;
}

static struct payload_error parse_fields(const struct head *head, struct payload *payload)
{
	bool crc_seen = false;

	for (size_t i = 0; i < head->field_count; i++) {
		const struct head_str *name = &head->field[i].name;
		const struct head_str *value = &head->field[i].value;

		if (head_str_is_nocase(name, "Transfer-Encoding") ||
		    head_str_is_nocase(name, "Connection") || head_str_is_nocase(name, "Expect"))
			return refusal(
				400, "UnsupportedHeader",
				"Transfer-Encoding, Connection and Expect have no meaning on the "
				"link and are refused.");
		if (name->length < strlen(OWN_PREFIX) ||
		    strncasecmp(name->at, OWN_PREFIX, strlen(OWN_PREFIX)))
			continue;
		if (head_str_is_nocase(name, "Azblob-Body")) {
			if (payload->open || !head_str_is(value, "open"))
				return refusal(400, "InvalidHeaderValue",
					       "Azblob-Body may be there once, and only as: open.");
			payload->open = true;
		} else if (head_str_is_nocase(name, "Azblob-Crc64")) {
			if (crc_seen)
				return refusal(400, "InvalidHeaderValue",
					       "Azblob-Crc64 is repeated.");
			crc_seen = true;
			payload->crc_wanted = head_str_is(value, "true");
			payload->crc_given =
				!payload->crc_wanted && parse_crc(value, &payload->crc);
			if (!payload->crc_wanted && !payload->crc_given)
				return refusal(400, "InvalidHeaderValue",
					       "Azblob-Crc64 must be: true, or base64 of 8 bytes.");
		} else {
			return refusal(400, "UnsupportedHeader",
				       "A header that begins with Azblob- and is not known.");
		}
	}
	return fine;
}

/* Decimal digits only, below 2^63: an offset in a file. */
static bool parse_number(struct head_str text, uint64_t *number)
{
	if (text.length == 0 || text.length > 19)
		return false;
	*number = 0;
	for (size_t i = 0; i < text.length; i++) {
		if (text.at[i] < '0' || text.at[i] > '9')
			return false;
		*number = *number * 10 + (uint64_t)(text.at[i] - '0');
	}
	return *number <= INT64_MAX;
}

static bool starts(struct head_str text, const char *with)
{
	return text.length >= strlen(with) && !memcmp(text.at, with, strlen(with));
}

/* "offset=O" and, when asked for, "length=L", in any order, each once. */
static bool parse_query(struct head_str query, struct payload *payload, bool with_length)
{
	bool offset = false, length = false;

	while (query.length) {
		const char *amp = memchr(query.at, '&', query.length);
		struct head_str item = { query.at, amp ? (size_t)(amp - query.at) : query.length };
		struct head_str value;

		query.at += item.length;
		query.length -= item.length;
		if (amp) {
			query.at++;
			query.length--;
			if (!query.length)
				return false;
		}
		/* Both names are equally long. */
		if (item.length < strlen("offset="))
			return false;
		value.at = item.at + strlen("offset=");
		value.length = item.length - strlen("offset=");
		if (starts(item, "offset=") && !offset && parse_number(value, &payload->offset))
			offset = true;
		else if (starts(item, "length=") && with_length && !length &&
			 parse_number(value, &payload->length))
			length = true;
		else
			return false;
	}
	return offset && length == with_length;
}

static struct payload_error parse_target(const struct head *head, struct payload *payload)
{
	struct head_str rest = { head->target.at + strlen(OWN_TARGET),
				 head->target.length - strlen(OWN_TARGET) };
	struct head_str query = { NULL, 0 };
	const char *mark;

	if (!rest.length) {
		if (!head_str_is(&head->method, "GET"))
			return refusal(405, "UnsupportedHttpVerb", "/.azblob takes GET only.");
		payload->what = PAYLOAD_PROBE;
		return fine;
	}
	if (rest.at[0] != '/')
		return refusal(400, "InvalidUri",
			       "Targets of the link are /.azblob and /.azblob/H.");
	rest.at++;
	rest.length--;
	mark = memchr(rest.at, '?', rest.length);
	if (mark) {
		query.at = mark + 1;
		query.length = rest.length - (size_t)(mark + 1 - rest.at);
		rest.length = (size_t)(mark - rest.at);
	}
	payload->handle = rest;
	if (head_str_is(&head->method, "PUT")) {
		payload->what = PAYLOAD_PART;
		if (!mark || !parse_query(query, payload, false))
			return refusal(400, "InvalidQueryParameterValue",
				       "A part is PUT /.azblob/H?offset=O with O in decimal.");
	} else if (head_str_is(&head->method, "GET")) {
		payload->what = PAYLOAD_READ;
		if (!mark || !parse_query(query, payload, true))
			return refusal(
				400, "InvalidQueryParameterValue",
				"A read is GET /.azblob/H?offset=O&length=L, both in decimal.");
	} else if (head_str_is(&head->method, "POST")) {
		payload->what = PAYLOAD_COMMIT;
		if (!mark || !head_str_is(&query, "commit"))
			return refusal(400, "InvalidQueryParameterValue",
				       "A commit is POST /.azblob/H?commit.");
	} else if (head_str_is(&head->method, "DELETE")) {
		payload->what = PAYLOAD_FORGET;
		if (mark)
			return refusal(400, "InvalidQueryParameterValue",
				       "To forget a handle is DELETE /.azblob/H.");
	} else {
		return refusal(405, "UnsupportedHttpVerb",
			       "A handle takes PUT, POST, GET and DELETE.");
	}
	return fine;
}

static struct payload_error check_length(const struct head *head, uint32_t data_valid,
					 const struct payload *payload)
{
	bool whole = payload->what != PAYLOAD_BLOB || !payload->open;

	if (data_valid && head->content_length < 0)
		return refusal(411, "MissingContentLengthHeader",
			       "The data buffer has a body, so Content-Length is required.");
	if (whole && head->content_length > 0 && head->content_length != (int64_t)data_valid)
		return refusal(400, "IncompleteBody",
			       "Content-Length is not the number of bytes in the data buffer.");
	if (head->content_length >= 0 && head->content_length < (int64_t)data_valid)
		return refusal(400, "InvalidInput",
			       "The data buffer has more bytes than Content-Length says.");
	return fine;
}

struct payload_error payload_parse(const struct head *head, uint32_t data_valid,
				   struct payload *payload)
{
	struct payload_error error;

	memset(payload, 0, sizeof(*payload));
	error = parse_fields(head, payload);
	if (error.status)
		return error;
	/* A "?" right after it would be another name in path style too; it is ours as well. */
	if (starts(head->target, OWN_TARGET)) {
		error = parse_target(head, payload);
		if (error.status)
			return error;
		if (payload->open)
			return refusal(400, "UnsupportedHeader",
				       "A handle has no Azblob-Body of its own.");
		if (payload->what == PAYLOAD_PART && !data_valid)
			return refusal(400, "IncompleteBody",
				       "A part needs bytes in the data buffer.");
		if (payload->what != PAYLOAD_PART && data_valid)
			return refusal(400, "InvalidInput", "Only a part brings a body.");
	} else if (payload->open && !head_str_is(&head->method, "PUT") &&
		   !head_str_is(&head->method, "POST") && !head_str_is(&head->method, "GET") &&
		   !head_str_is(&head->method, "HEAD")) {
		return refusal(400, "UnsupportedHeader",
			       "Azblob-Body: open is for requests that carry a body or get one.");
	}
	/* Bytes are checked where they are stored; of no bytes the checksum is known: 0. */
	if (payload->crc_given && !data_valid && payload->crc)
		return refusal(400, "Crc64Mismatch",
			       "Azblob-Crc64 has a checksum and the data buffer has no bytes.");
	return check_length(head, data_valid, payload);
}
