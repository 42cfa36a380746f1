// SPDX-License-Identifier: MIT
/* Requests and answers as data: building the one, taking the other apart. */
#include "transport.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/base64.h"
#include "base/plain.h"

void azc_request_init(struct azc_request *request, const char *method)
{
	memset(request, 0, sizeof(*request));
	request->method = method;
	request->sign = true;
}

static void free_fields(struct azc_fields *fields)
{
	for (size_t i = 0; i < fields->count && !fields->text; i++)
		free(fields->item[i].name);
	free(fields->text);
	free(fields->item);
	memset(fields, 0, sizeof(*fields));
}

void azc_request_free(struct azc_request *request)
{
	azb_buf_free(&request->path);
	azb_buf_free(&request->query);
	free_fields(&request->fields);
}

void azc_request_path(struct azc_request *request, const azblob_conn *conn, const char *container,
		      const char *blob)
{
	azb_buf_puts(&request->path, conn->endpoint.path);
	azb_buf_puts(&request->path, "/");
	if (container)
		azc_escape(&request->path, container, "$");
	if (blob) {
		azb_buf_puts(&request->path, "/");
		azc_escape(&request->path, blob, "/");
	}
	request->no_memory |= request->path.failed;
}

void azc_request_query(struct azc_request *request, const char *name, const char *value)
{
	if (!value)
		return;
	if (request->query.length)
		azb_buf_puts(&request->query, "&");
	azb_buf_puts(&request->query, name);
	azb_buf_puts(&request->query, "=");
	azc_escape(&request->query, value, "");
	request->no_memory |= request->query.failed;
}

static bool make_field(struct azc_field *field, const char *name, size_t name_length,
		       const char *value, size_t value_length)
{
	field->name = malloc(name_length + value_length + 2);
	if (!field->name)
		return false;
	memcpy(field->name, name, name_length);
	field->name[name_length] = 0;
	field->value = field->name + name_length + 1;
	memcpy(field->value, value, value_length);
	field->value[value_length] = 0;
	return true;
}

static bool make_room(struct azc_fields *fields)
{
	size_t room = fields->room ? 2 * fields->room : 32;
	struct azc_field *grown;

	if (fields->count < fields->room)
		return true;
	grown = reallocarray(fields->item, room, sizeof(*grown));
	if (!grown)
		return false;
	fields->item = grown;
	fields->room = room;
	return true;
}

static bool add_field(struct azc_fields *fields, const char *name, size_t name_length,
		      const char *value, size_t value_length)
{
	struct azc_field added;

	if (!make_room(fields))
		return false;
	if (!make_field(&added, name, name_length, value, value_length))
		return false;
	fields->item[fields->count++] = added;
	return true;
}

void azc_request_field(struct azc_request *request, const char *name, const char *value)
{
	struct azc_fields *fields = &request->fields;

	if (!value)
		return;
	for (size_t i = 0; i < fields->count; i++) {
		struct azc_field *field = &fields->item[i], made;

		if (strcasecmp(field->name, name))
			continue;
		if (!make_field(&made, name, strlen(name), value, strlen(value))) {
			request->no_memory = true;
			return;
		}
		free(field->name);
		*field = made;
		return;
	}
	if (!add_field(fields, name, strlen(name), value, strlen(value)))
		request->no_memory = true;
}

void azc_request_number(struct azc_request *request, const char *name, uint64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	azc_request_field(request, name, text);
}

void azc_request_range(struct azc_request *request, const char *name, uint64_t first,
		       uint64_t length)
{
	char text[64];

	if (length == AZBLOB_LENGTH_REST)
		snprintf(text, sizeof(text), "bytes=%llu-", (unsigned long long)first);
	else
		snprintf(text, sizeof(text), "bytes=%llu-%llu", (unsigned long long)first,
			 (unsigned long long)(first + length - 1));
	azc_request_field(request, name, text);
}

bool azc_request_drop_field(struct azc_request *request, const char *name)
{
	struct azc_fields *fields = &request->fields;

	for (size_t i = 0; i < fields->count; i++) {
		if (strcasecmp(fields->item[i].name, name))
			continue;
		free(fields->item[i].name);
		fields->item[i] = fields->item[--fields->count];
		return true;
	}
	return false;
}

void azc_request_field_crc(struct azc_request *request, const char *name, uint64_t crc)
{
	uint8_t bytes[8];
	char text[AZB_BASE64_LENGTH(sizeof(bytes)) + 1];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(crc >> (8 * i));
	azb_base64_encode(text, bytes, sizeof(bytes));
	azc_request_field(request, name, text);
}

void azc_answer_reset(struct azc_answer *answer)
{
	free_fields(&answer->fields);
	azb_buf_free(&answer->text);
	memset(answer, 0, sizeof(*answer));
}

const char *azc_answer_field(const struct azc_answer *answer, const char *name)
{
	for (size_t i = 0; i < answer->fields.count; i++) {
		const struct azc_field *field = &answer->fields.item[i];

		/* letters of both cases differ in this bit; most names differ in others */
		if (!((*field->name ^ *name) & ~0x20) && !strcasecmp(field->name, name))
			return field->value;
	}
	return NULL;
}

const char *azc_answer_text(const struct azc_answer *answer, const char *name)
{
	const char *value = azc_answer_field(answer, name);

	return value ? value : "";
}

bool azc_answer_number(const struct azc_answer *answer, const char *name, uint64_t *value)
{
	const char *text = azc_answer_field(answer, name);

	return text && azc_parse_number(text, strlen(text), value);
}

static bool status_line(struct azc_answer *answer, const char *line, size_t length)
{
	const char *space = memchr(line, ' ', length);
	uint64_t status;

	if (!space || (size_t)(line + length - space) < 4 ||
	    !azc_parse_number(space + 1, 3, &status) || status < 100 || status > 599)
		return false;
	if (line + length > space + 4 && space[4] != ' ')
		return false;
	free_fields(&answer->fields);
	answer->status = (int)status;
	return true;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* What whoever reads it next could take for the end of a line or of the text. */
static bool has_control(const char *line, size_t length)
{
	for (size_t i = azb_plain_run(line, length); i < length;
	     i += 1 + azb_plain_run(line + i + 1, length - i - 1))
		if ((unsigned char)line[i] < ' ' && line[i] != '\t')
			return true;
	return false;
}

/*
 * "Name: value": where the one ends and the other is; false when the line is something else.
 */
static bool split_field(const char *line, size_t length, size_t *name_length, size_t *value_at,
			size_t *value_length)
{
	const char *colon = memchr(line, ':', length);

	if (!colon || colon == line || is_blank(line[0]) || has_control(line, length))
		return false;
	*name_length = (size_t)(colon - line);
	*value_at = *name_length + 1;
	while (*value_at < length && is_blank(line[*value_at]))
		++*value_at;
	while (length > *value_at && is_blank(line[length - 1]))
		length--;
	*value_length = length - *value_at;
	return true;
}

static size_t without_end(const char *line, size_t length)
{
	while (length && (line[length - 1] == '\n' || line[length - 1] == '\r'))
		length--;
	return length;
}

static bool is_status(const char *line, size_t length)
{
	return length >= 5 && !memcmp(line, "HTTP/", 5);
}

bool azc_answer_line(struct azc_answer *answer, const char *line, size_t length)
{
	size_t name_length, value_at, value_length;

	length = without_end(line, length);
	if (is_status(line, length))
		return status_line(answer, line, length);
	return answer->status &&
	       split_field(line, length, &name_length, &value_at, &value_length) &&
	       add_field(&answer->fields, line, name_length, line + value_at, value_length);
}

/* A line of the fields' own text, which is cut up in place. */
static bool add_in_place(struct azc_fields *fields, char *line, size_t length)
{
	size_t name_length, value_at, value_length;

	if (!split_field(line, length, &name_length, &value_at, &value_length) ||
	    !make_room(fields))
		return false;
	line[name_length] = 0;
	line[value_at + value_length] = 0;
	fields->item[fields->count++] = (struct azc_field){ line, line + value_at };
	return true;
}

/* Lines of the text from its second on. */
static bool take_fields(struct azc_fields *fields, char *line, char *end)
{
	while (line < end) {
		char *newline = memchr(line, '\n', (size_t)(end - line));
		size_t length = without_end(line, (size_t)(newline + 1 - line));

		/* exactly one status line: another would start the head over */
		if (is_status(line, length) || !add_in_place(fields, line, length))
			return false;
		line = newline + 1;
	}
	return true;
}

bool azc_answer_head(struct azc_answer *answer, const char *bytes, size_t length, size_t *body_at)
{
	const char *first = memchr(bytes, '\n', length);
	const char *end;
	size_t head;

	if (!first || !is_status(bytes, (size_t)(first - bytes)) ||
	    !status_line(answer, bytes, without_end(bytes, (size_t)(first - bytes))) ||
	    answer->status < 200)
		return false;
	/* to the empty line */
	for (end = first; end; end = memchr(end + 1, '\n', length - (size_t)(end + 1 - bytes))) {
		size_t left = length - (size_t)(end + 1 - bytes);

		if (left && end[1] == '\n') {
			*body_at = (size_t)(end + 2 - bytes);
			break;
		}
		if (left > 1 && end[1] == '\r' && end[2] == '\n') {
			*body_at = (size_t)(end + 3 - bytes);
			break;
		}
	}
	if (!end)
		return false;
	head = (size_t)(end - first);
	answer->fields.text = malloc(head + 1);
	if (!answer->fields.text)
		return false;
	memcpy(answer->fields.text, first + 1, head);
	answer->fields.text[head] = 0;
	return take_fields(&answer->fields, answer->fields.text, answer->fields.text + head);
}
