// SPDX-License-Identifier: MIT
#include "xml.h"

#include <expat.h>
#include <stdlib.h>
#include <string.h>

#include "transport.h"

/* ---- errors ---- */

struct error_parse {
	int depth;
	char *into; /* the field that the current element fills, or NULL */
	size_t room;
	char *code;
	size_t code_room;
	char *message;
	size_t message_room;
};

static void XMLCALL error_start(void *data, const XML_Char *name, const XML_Char **attributes)
{
	struct error_parse *parse = data;

	(void)attributes;
	parse->into = NULL;
	if (++parse->depth != 2)
		return;
	if (!strcmp(name, "Code")) {
		parse->into = parse->code;
		parse->room = parse->code_room;
	} else if (!strcmp(name, "Message")) {
		parse->into = parse->message;
		parse->room = parse->message_room;
	}
	if (parse->into)
		parse->into[0] = '\0';
}

static void XMLCALL error_end(void *data, const XML_Char *name)
{
	struct error_parse *parse = data;

	(void)name;
	parse->depth--;
	parse->into = NULL;
}

static void XMLCALL error_text(void *data, const XML_Char *text, int length)
{
	struct error_parse *parse = data;
	size_t used;

	if (!parse->into)
		return;
	used = strlen(parse->into);
	for (int i = 0; i < length && used + 1 < parse->room; i++) {
		/* The lines after the first repeat the request id and the time. */
		if (text[i] == '\n') {
			parse->into = NULL;
			return;
		}
		parse->into[used++] = (unsigned char)text[i] < 0x20 ? ' ' : text[i];
		parse->into[used] = '\0';
	}
}

void azc_xml_error(const char *text, size_t length, char *code, size_t code_room, char *message,
		   size_t message_room)
{
	struct error_parse parse = {
		.code = code,
		.code_room = code_room,
		.message = message,
		.message_room = message_room,
	};
	XML_Parser parser = XML_ParserCreate(NULL);

	if (!parser)
		return;
	XML_SetUserData(parser, &parse);
	XML_SetElementHandler(parser, error_start, error_end);
	XML_SetCharacterDataHandler(parser, error_text);
	XML_Parse(parser, text, (int)length, 1);
	XML_ParserFree(parser);
}

/* ---- lists ---- */

struct entry {
	struct azblob_entry entry;
	char *name;
	char *etag;
	char *last_modified;
	char *content_type;
	char *blob_type;
};

struct list {
	struct azblob_list list;
	struct entry **entry;
	size_t room;
	char *next_marker;
};

struct list_parse {
	struct list *list;
	struct entry *current;
	int depth;
	int collect_depth; /* depth of the leaf whose text is collected, or 0 */
	bool encoded;
	bool root_seen;
	bool failed;
	struct azb_buf text;
	char section[16]; /* the element at depth 2 */
	char group[16];   /* the element at depth 4 */
};

static void free_entry(struct entry *entry)
{
	free(entry->name);
	free(entry->etag);
	free(entry->last_modified);
	free(entry->content_type);
	free(entry->blob_type);
	free(entry);
}

void azblob_list_free(struct azblob_list *page)
{
	struct list *list = (struct list *)page;

	if (!list)
		return;
	for (size_t i = 0; i < list->list.count; i++)
		free_entry(list->entry[i]);
	free(list->entry);
	free(list->next_marker);
	free(list);
}

static void add_entry(struct list_parse *parse, enum azblob_entry_kind kind)
{
	struct list *list = parse->list;
	struct entry *entry;

	if (list->list.count == list->room) {
		size_t room = list->room ? 2 * list->room : 64;
		struct entry **grown = reallocarray(list->entry, room, sizeof(struct entry *));

		if (!grown) {
			parse->failed = true;
			return;
		}
		list->entry = grown;
		list->room = room;
	}
	entry = calloc(1, sizeof(*entry));
	if (!entry) {
		parse->failed = true;
		return;
	}
	entry->entry.kind = kind;
	list->entry[list->list.count++] = entry;
	parse->current = entry;
}

static void copy_element(char *to, size_t room, const char *name)
{
	size_t length = strlen(name);

	/* Names that don't fit are none that we look for. */
	if (length >= room)
		length = 0;
	memcpy(to, name, length);
	to[length] = '\0';
}

static bool is_encoded(const XML_Char **attributes)
{
	for (; *attributes; attributes += 2)
		if (!strcmp(attributes[0], "Encoded"))
			return !strcmp(attributes[1], "true");
	return false;
}

static void XMLCALL list_start(void *data, const XML_Char *name, const XML_Char **attributes)
{
	struct list_parse *parse = data;

	switch (++parse->depth) {
	case 1:
		parse->root_seen = !strcmp(name, "EnumerationResults");
		return;
	case 2:
		copy_element(parse->section, sizeof(parse->section), name);
		if (!strcmp(name, "NextMarker"))
			parse->collect_depth = 2;
		break;
	case 3:
		parse->current = NULL;
		if (!strcmp(parse->section, "Blobs") && !strcmp(name, "Blob"))
			add_entry(parse, AZBLOB_ENTRY_BLOB);
		else if (!strcmp(parse->section, "Blobs") && !strcmp(name, "BlobPrefix"))
			add_entry(parse, AZBLOB_ENTRY_PREFIX);
		else if (!strcmp(parse->section, "Containers") && !strcmp(name, "Container"))
			add_entry(parse, AZBLOB_ENTRY_CONTAINER);
		return;
	case 4:
		copy_element(parse->group, sizeof(parse->group), name);
		if (parse->current && !strcmp(name, "Name"))
			parse->collect_depth = 4;
		break;
	case 5:
		if (parse->current && !strcmp(parse->group, "Properties"))
			parse->collect_depth = 5;
		break;
	default:
		return;
	}
	if (parse->collect_depth == parse->depth) {
		parse->encoded = is_encoded(attributes);
		azb_buf_reset(&parse->text);
	}
}

static void XMLCALL list_text(void *data, const XML_Char *text, int length)
{
	struct list_parse *parse = data;

	if (parse->collect_depth && parse->collect_depth == parse->depth)
		azb_buf_add(&parse->text, text, (size_t)length);
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* Names with characters that XML can't hold come percent-encoded, marked as such. */
static void decode(char *text)
{
	char *to = text;

	while (*text) {
		int high = *text == '%' ? hex_digit(text[1]) : -1;
		int low = high >= 0 ? hex_digit(text[2]) : -1;

		if (low >= 0 && high + low > 0) {
			*to++ = (char)(high * 16 + low);
			text += 3;
		} else {
			*to++ = *text++;
		}
	}
	*to = '\0';
}

static void keep(struct list_parse *parse, char **field)
{
	const char *text = parse->text.data ? parse->text.data : "";
	char *copy = strdup(text);

	if (!copy) {
		parse->failed = true;
		return;
	}
	if (parse->encoded)
		decode(copy);
	free(*field);
	*field = copy;
}

/* Lists bring the ETag without the quotes that headers have. */
static void keep_etag(struct list_parse *parse)
{
	struct azb_buf quoted = { 0 };

	if (parse->text.length && parse->text.data[0] != '"' &&
	    strncmp(parse->text.data, "W/", 2)) {
		azb_buf_printf(&quoted, "\"%s\"", parse->text.data);
		free(parse->current->etag);
		parse->current->etag = quoted.data;
		parse->failed |= quoted.failed;
	} else {
		keep(parse, &parse->current->etag);
	}
}

static void property(struct list_parse *parse, const char *name)
{
	struct entry *entry = parse->current;

	if (!strcmp(name, "Last-Modified"))
		keep(parse, &entry->last_modified);
	else if (!strcasecmp(name, "Etag"))
		keep_etag(parse);
	else if (!strcmp(name, "Content-Type"))
		keep(parse, &entry->content_type);
	else if (!strcmp(name, "BlobType"))
		keep(parse, &entry->blob_type);
	else if (!strcmp(name, "Content-Length") &&
		 (!parse->text.data ||
		  !azc_parse_number(parse->text.data, parse->text.length, &entry->entry.size)))
		entry->entry.size = 0;
}

static void XMLCALL list_end(void *data, const XML_Char *name)
{
	struct list_parse *parse = data;

	if (parse->collect_depth == parse->depth) {
		parse->failed |= parse->text.failed;
		if (parse->depth == 2)
			keep(parse, &parse->list->next_marker);
		else if (parse->depth == 4)
			keep(parse, &parse->current->name);
		else
			property(parse, name);
		parse->collect_depth = 0;
	}
	parse->depth--;
}

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

static void publish(struct list *list)
{
	for (size_t i = 0; i < list->list.count; i++) {
		struct entry *entry = list->entry[i];

		entry->entry.name = or_empty(entry->name);
		entry->entry.etag = or_empty(entry->etag);
		entry->entry.last_modified = or_empty(entry->last_modified);
		entry->entry.content_type = or_empty(entry->content_type);
		entry->entry.blob_type = or_empty(entry->blob_type);
	}
	/* The public struct is the first member of ours, so the pointers serve as they are. */
	list->list.entries = (const struct azblob_entry *const *)list->entry;
	list->list.next_marker = or_empty(list->next_marker);
}

int azc_xml_list(const char *text, size_t length, struct azblob_list **result,
		 struct azblob_error *error)
{
	struct list_parse parse = { 0 };
	XML_Parser parser = XML_ParserCreate(NULL);
	int status = 0;

	parse.list = calloc(1, sizeof(*parse.list));
	if (!parser || !parse.list) {
		status = azc_fail_memory(error);
		goto out;
	}
	XML_SetUserData(parser, &parse);
	XML_SetElementHandler(parser, list_start, list_end);
	XML_SetCharacterDataHandler(parser, list_text);
	if (XML_Parse(parser, text, (int)length, 1) != XML_STATUS_OK)
		status = azc_fail(error, AZBLOB_TRANSPORT, "the list that arrived is no XML: %s",
				  XML_ErrorString(XML_GetErrorCode(parser)));
	else if (parse.failed)
		status = azc_fail_memory(error);
	else if (!parse.root_seen)
		status = azc_fail(error, AZBLOB_TRANSPORT,
				  "the list that arrived has no EnumerationResults");
out:
	if (parser)
		XML_ParserFree(parser);
	azb_buf_free(&parse.text);
	if (status) {
		azblob_list_free(parse.list ? &parse.list->list : NULL);
		return status;
	}
	publish(parse.list);
	*result = &parse.list->list;
	return 0;
}
