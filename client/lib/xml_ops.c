// SPDX-License-Identifier: MIT
/* Tags and lists of blocks: documents of records with leaves. */
#include "xml.h"

#include <expat.h>
#include <stdlib.h>
#include <string.h>

/**
 * struct records - what both documents come down to
 * @record: the element of a record; its first leaf's text and its second's.
 * @leaf: names of the leaves.
 * @mark: an element around records that marks them, or NULL.
 */
struct records {
	const char *root;
	const char *record;
	const char *leaf[2];
	const char *mark;
	struct record {
		char *text[2];
		bool marked;
	} * item;
	size_t count;
	size_t room;
	int depth;
	bool root_seen;
	bool in_record;
	bool in_mark;
	int collecting; /* the leaf, or -1 */
	bool failed;
	struct azb_buf text;
};

static void free_records(struct records *records)
{
	for (size_t i = 0; i < records->count; i++) {
		free(records->item[i].text[0]);
		free(records->item[i].text[1]);
	}
	free(records->item);
	azb_buf_free(&records->text);
}

static void add_record(struct records *records)
{
	if (records->count == records->room) {
		size_t room = records->room ? 2 * records->room : 16;
		struct record *grown = reallocarray(records->item, room, sizeof(*grown));

		if (!grown) {
			records->failed = true;
			return;
		}
		records->item = grown;
		records->room = room;
	}
	memset(&records->item[records->count], 0, sizeof(records->item[0]));
	records->item[records->count++].marked = records->in_mark;
	records->in_record = true;
}

static void XMLCALL on_start(void *data, const XML_Char *name, const XML_Char **attributes)
{
	struct records *records = data;

	(void)attributes;
	if (++records->depth == 1)
		records->root_seen = !strcmp(name, records->root);
	else if (records->mark && !strcmp(name, records->mark))
		records->in_mark = true;
	else if (!strcmp(name, records->record))
		add_record(records);
	records->collecting = -1;
	for (int i = 0; records->in_record && i < 2; i++)
		if (!strcmp(name, records->leaf[i]))
			records->collecting = i;
	azb_buf_reset(&records->text);
}

static void XMLCALL on_text(void *data, const XML_Char *text, int length)
{
	struct records *records = data;

	if (records->collecting >= 0)
		azb_buf_add(&records->text, text, (size_t)length);
}

static void XMLCALL on_end(void *data, const XML_Char *name)
{
	struct records *records = data;

	if (records->in_record && records->collecting >= 0) {
		char **field = &records->item[records->count - 1].text[records->collecting];

		free(*field);
		*field = strdup(records->text.data ? records->text.data : "");
		records->failed |= !*field || records->text.failed;
	}
	records->collecting = -1;
	if (!strcmp(name, records->record))
		records->in_record = false;
	if (records->mark && !strcmp(name, records->mark))
		records->in_mark = false;
	records->depth--;
}

/* Every record then has both leaves. */
static int read_records(struct records *records, const char *text, size_t length,
			struct azblob_error *error)
{
	XML_Parser parser = XML_ParserCreate(NULL);
	int status = 0;

	if (!parser)
		return azc_fail_memory(error);
	XML_SetUserData(parser, records);
	XML_SetElementHandler(parser, on_start, on_end);
	XML_SetCharacterDataHandler(parser, on_text);
	if (XML_Parse(parser, text, (int)length, 1) != XML_STATUS_OK)
		status = azc_fail(error, AZBLOB_TRANSPORT, "the answer is no XML: %s",
				  XML_ErrorString(XML_GetErrorCode(parser)));
	else if (records->failed)
		status = azc_fail_memory(error);
	else if (!records->root_seen)
		status = azc_fail(error, AZBLOB_TRANSPORT, "the answer has no %s", records->root);
	for (size_t i = 0; !status && i < records->count; i++)
		if (!records->item[i].text[0] || !records->item[i].text[1])
			status = azc_fail(error, AZBLOB_TRANSPORT,
					  "the answer makes no sense: a %s without its %s",
					  records->record,
					  records->leaf[records->item[i].text[0] ? 1 : 0]);
	XML_ParserFree(parser);
	return status;
}

/* ---- tags ---- */

/* The public struct first. */
struct tags {
	struct azblob_tags tags;
	struct records records;
	struct azblob_pair *pair;
};

void azblob_tags_free(struct azblob_tags *tags)
{
	struct tags *all = (struct tags *)tags;

	if (!all)
		return;
	free_records(&all->records);
	free(all->pair);
	free(all);
}

static int fill_tags(struct tags *all, struct azblob_error *error)
{
	all->pair = calloc(all->records.count + 1, sizeof(*all->pair));
	if (!all->pair)
		return azc_fail_memory(error);
	for (size_t i = 0; i < all->records.count; i++) {
		all->pair[i].name = all->records.item[i].text[0];
		all->pair[i].value = all->records.item[i].text[1];
	}
	all->tags.count = all->records.count;
	all->tags.tags = all->pair;
	return 0;
}

int azc_xml_tags(const char *text, size_t length, struct azblob_tags **result,
		 struct azblob_error *error)
{
	struct tags *all = calloc(1, sizeof(*all));
	int status;

	if (!all)
		return azc_fail_memory(error);
	all->records.root = "Tags";
	all->records.record = "Tag";
	all->records.leaf[0] = "Key";
	all->records.leaf[1] = "Value";
	status = read_records(&all->records, text, length, error);
	if (!status)
		status = fill_tags(all, error);
	if (status) {
		azblob_tags_free(&all->tags);
		return status;
	}
	*result = &all->tags;
	return 0;
}

/* ---- blocks ---- */

struct block_list {
	struct azblob_block_list list;
	struct records records;
	struct azblob_block *block;
	const struct azblob_block **pointer;
};

void azblob_block_list_free(struct azblob_block_list *list)
{
	struct block_list *all = (struct block_list *)list;

	if (!all)
		return;
	free_records(&all->records);
	free(all->block);
	free(all->pointer);
	free(all);
}

static int fill_blocks(struct block_list *all, struct azblob_error *error)
{
	size_t count = all->records.count;

	all->block = calloc(count + 1, sizeof(*all->block));
	all->pointer = calloc(count + 1, sizeof(struct azblob_block *));
	if (!all->block || !all->pointer)
		return azc_fail_memory(error);
	for (size_t i = 0; i < count; i++) {
		const struct record *record = &all->records.item[i];
		struct azblob_block *block = &all->block[i];

		block->id = record->text[0];
		block->committed = record->marked;
		if (!azc_parse_number(record->text[1], strlen(record->text[1]), &block->size))
			return azc_fail(error, AZBLOB_TRANSPORT,
					"the answer makes no sense: the size of a block");
		all->pointer[i] = block;
	}
	all->list.count = count;
	all->list.blocks = all->pointer;
	return 0;
}

int azc_xml_block_list(const char *text, size_t length, struct azblob_block_list **result,
		       struct azblob_error *error)
{
	struct block_list *all = calloc(1, sizeof(*all));
	int status;

	if (!all)
		return azc_fail_memory(error);
	all->records.root = "BlockList";
	all->records.record = "Block";
	all->records.leaf[0] = "Name";
	all->records.leaf[1] = "Size";
	all->records.mark = "CommittedBlocks";
	status = read_records(&all->records, text, length, error);
	if (!status)
		status = fill_blocks(all, error);
	if (status) {
		azblob_block_list_free(&all->list);
		return status;
	}
	*result = &all->list;
	return 0;
}
