// SPDX-License-Identifier: MIT
/* Lists of containers and blobs. */
#include "xml.h"

#include <expat.h>
#include <stdlib.h>
#include <string.h>

/* The elements that become text of an entry. */
static const struct element {
	const char *name;
	int depth; /* 4: of the entry itself; 5: of its Properties */
	size_t field;
} elements[] = {
	{ "Name", 4, offsetof(struct azblob_entry, name) },
	{ "Snapshot", 4, offsetof(struct azblob_entry, snapshot) },
	{ "VersionId", 4, offsetof(struct azblob_entry, version) },
	{ "Version", 4, offsetof(struct azblob_entry, version) }, /* of a deleted container */
	{ "Etag", 5, offsetof(struct azblob_entry, etag) },
	{ "Last-Modified", 5, offsetof(struct azblob_entry, last_modified) },
	{ "Content-Type", 5, offsetof(struct azblob_entry, content_type) },
	{ "Content-MD5", 5, offsetof(struct azblob_entry, content_md5) },
	{ "BlobType", 5, offsetof(struct azblob_entry, blob_type) },
	{ "Creation-Time", 5, offsetof(struct azblob_entry, creation_time) },
	{ "AccessTier", 5, offsetof(struct azblob_entry, access_tier) },
	{ "LeaseState", 5, offsetof(struct azblob_entry, lease_state) },
	{ "CopyStatus", 5, offsetof(struct azblob_entry, copy_status) },
};
#define ELEMENTS (sizeof(elements) / sizeof(elements[0]))

/* @text: of each element, or NULL. */
struct entry {
	struct azblob_entry entry;
	char *text[ELEMENTS];
	struct azblob_pair *pair;
	struct azblob_pair *tag;
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

static void free_pairs(struct azblob_pair *pair, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free((char *)pair[i].name);
		free((char *)pair[i].value);
	}
	free(pair);
}

static void free_entry(struct entry *entry)
{
	for (size_t i = 0; i < ELEMENTS; i++)
		free(entry->text[i]);
	free_pairs(entry->pair, entry->entry.metadata_count);
	free_pairs(entry->tag, entry->entry.tag_count);
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
		if (parse->current)
			parse->collect_depth = 4;
		break;
	case 5:
		if (parse->current &&
		    (!strcmp(parse->group, "Properties") || !strcmp(parse->group, "Metadata")))
			parse->collect_depth = 5;
		break;
	case 7:
		/* Tags/TagSet/Tag/Key and Value. */
		if (parse->current && !strcmp(parse->group, "Tags"))
			parse->collect_depth = 7;
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
void azc_xml_decode(char *text)
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

static char *collected(struct list_parse *parse)
{
	char *copy = strdup(parse->text.data ? parse->text.data : "");

	if (!copy)
		parse->failed = true;
	else if (parse->encoded)
		azc_xml_decode(copy);
	return copy;
}

static void keep(struct list_parse *parse, char **field)
{
	char *copy = collected(parse);

	if (!copy)
		return;
	free(*field);
	*field = copy;
}

/* Lists bring the ETag without the quotes that headers have. */
static void keep_etag(struct list_parse *parse, char **field)
{
	struct azb_buf quoted = { 0 };

	if (parse->text.length && parse->text.data[0] != '"' &&
	    strncmp(parse->text.data, "W/", 2)) {
		azb_buf_printf(&quoted, "\"%s\"", parse->text.data);
		free(*field);
		*field = quoted.data;
		parse->failed |= quoted.failed;
	} else {
		keep(parse, field);
	}
}

/* Both strings are the list's from now on. */
static void add_pair(struct list_parse *parse, struct azblob_pair **pair, size_t *count, char *name,
		     char *value)
{
	struct azblob_pair *grown = reallocarray(*pair, *count + 1, sizeof(*grown));

	if (grown)
		*pair = grown;
	if (!grown || !name || !value) {
		free(name);
		free(value);
		parse->failed = true;
		return;
	}
	grown[*count].name = name;
	grown[(*count)++].value = value;
}

static void keep_metadata(struct list_parse *parse, const char *name)
{
	struct entry *entry = parse->current;

	add_pair(parse, &entry->pair, &entry->entry.metadata_count, strdup(name), collected(parse));
}

/* The key begins a tag, the value belongs to the newest. */
static void keep_tag(struct list_parse *parse, const char *name)
{
	struct entry *entry = parse->current;
	char *text = collected(parse);

	if (!strcmp(name, "Key")) {
		add_pair(parse, &entry->tag, &entry->entry.tag_count, text, strdup(""));
	} else if (text && !strcmp(name, "Value") && entry->entry.tag_count) {
		struct azblob_pair *tag = &entry->tag[entry->entry.tag_count - 1];

		free((char *)tag->value);
		tag->value = text;
	} else {
		free(text);
	}
}

static bool is_true(const struct list_parse *parse)
{
	return parse->text.data && !strcmp(parse->text.data, "true");
}

static void entry_element(struct list_parse *parse, const char *name)
{
	struct entry *entry = parse->current;

	if (parse->depth == 7) {
		keep_tag(parse, name);
		return;
	}
	if (parse->depth == 5 && !strcmp(parse->group, "Metadata")) {
		keep_metadata(parse, name);
		return;
	}
	for (size_t i = 0; i < ELEMENTS; i++) {
		if (elements[i].depth != parse->depth || strcasecmp(name, elements[i].name))
			continue;
		if (elements[i].field == offsetof(struct azblob_entry, etag))
			keep_etag(parse, &entry->text[i]);
		else
			keep(parse, &entry->text[i]);
		return;
	}
	if (parse->depth == 4) {
		if (!strcmp(name, "IsCurrentVersion"))
			entry->entry.is_current_version = is_true(parse);
		else if (!strcmp(name, "Deleted"))
			entry->entry.is_deleted = is_true(parse);
	} else if (!strcmp(name, "Content-Length") &&
		   (!parse->text.data ||
		    !azc_parse_number(parse->text.data, parse->text.length, &entry->entry.size))) {
		entry->entry.size = 0;
	}
}

static void XMLCALL list_end(void *data, const XML_Char *name)
{
	struct list_parse *parse = data;

	if (parse->collect_depth == parse->depth) {
		parse->failed |= parse->text.failed;
		if (parse->depth == 2)
			keep(parse, &parse->list->next_marker);
		else
			entry_element(parse, name);
		parse->collect_depth = 0;
	}
	parse->depth--;
}

static void publish(struct list *list)
{
	for (size_t i = 0; i < list->list.count; i++) {
		struct entry *entry = list->entry[i];

		for (size_t k = 0; k < ELEMENTS; k++) {
			const char *text = entry->text[k] ? entry->text[k] : "";

			/* Of two names for one thing only one is there. */
			if (!entry->text[k] && k && elements[k - 1].field == elements[k].field)
				continue;
			memcpy((char *)&entry->entry + elements[k].field, &text, sizeof(text));
		}
		entry->entry.metadata = entry->pair;
		entry->entry.tags = entry->tag;
	}
	/* The public struct is the first member of ours, so the pointers serve as they are. */
	list->list.entries = (const struct azblob_entry *const *)list->entry;
	list->list.next_marker = list->next_marker ? list->next_marker : "";
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
