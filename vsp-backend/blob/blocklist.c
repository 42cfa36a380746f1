// SPDX-License-Identifier: MIT
#include "blocklist.h"

#include <expat.h>
#include <stdlib.h>
#include <string.h>

#include "../base/base64.h"

#define MAX_ID_TEXT AZB_BASE64_LENGTH(STORE_MAX_BLOCK_ID)

/**
 * struct parse - while expat calls back
 * @depth: 0 outside, 1 in BlockList, 2 in an entry.
 * @text: of the entry so far; blanks around an id are dropped.
 */
struct parse {
	XML_Parser xml;
	enum blocklist_status status;
	unsigned int depth;
	enum store_block_from from;
	char text[MAX_ID_TEXT + 1];
	size_t text_length;
	struct store_block_ref *blocks;
	size_t count;
	size_t room;
};

bool blocklist_id(const char *text, size_t length, struct store_block_id *id)
{
	/* decoding checks its room for whole groups of four characters */
	uint8_t bytes[AZB_BASE64_ROOM(MAX_ID_TEXT)];
	ssize_t n;

	if (length > MAX_ID_TEXT)
		return false;
	n = azb_base64_decode(bytes, sizeof(bytes), text, length);
	if (n < 1 || n > (ssize_t)STORE_MAX_BLOCK_ID)
		return false;
	memset(id, 0, sizeof(*id));
	id->length = (uint8_t)n;
	memcpy(id->bytes, bytes, (size_t)n);
	return true;
}

static void stop(struct parse *p, enum blocklist_status status)
{
	if (p->status == BLOCKLIST_OK)
		p->status = status;
	XML_StopParser(p->xml, XML_FALSE);
}

static void on_start(void *context, const XML_Char *name, const XML_Char **attributes)
{
	struct parse *p = context;

	(void)attributes;
	if (p->depth == 0 && !strcmp(name, "BlockList")) {
		p->depth = 1;
		return;
	}
	if (p->depth != 1) {
		stop(p, BLOCKLIST_BAD_XML);
		return;
	}
	if (!strcmp(name, "Latest"))
		p->from = STORE_BLOCK_LATEST;
	else if (!strcmp(name, "Committed"))
		p->from = STORE_BLOCK_COMMITTED;
	else if (!strcmp(name, "Uncommitted"))
		p->from = STORE_BLOCK_UNCOMMITTED;
	else
		stop(p, BLOCKLIST_BAD_XML);
	p->depth = 2;
	p->text_length = 0;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void on_text(void *context, const XML_Char *text, int length)
{
	struct parse *p = context;

	for (int i = 0; i < length; i++) {
		if (p->depth != 2) {
			if (!blank(text[i]))
				stop(p, BLOCKLIST_BAD_XML);
			continue;
		}
		if (!p->text_length && blank(text[i]))
			continue;
		if (p->text_length == MAX_ID_TEXT) {
			if (!blank(text[i]))
				stop(p, BLOCKLIST_BAD_ID);
			continue;
		}
		p->text[p->text_length++] = text[i];
	}
}

static void on_end(void *context, const XML_Char *name)
{
	struct parse *p = context;
	struct store_block_ref *ref;

	(void)name;
	if (p->status != BLOCKLIST_OK || p->depth-- != 2)
		return;
	if (p->count == STORE_MAX_BLOCKS) {
		stop(p, BLOCKLIST_TOO_LONG);
		return;
	}
	if (p->count == p->room) {
		size_t room = p->room ? 2 * p->room : 64;
		struct store_block_ref *more = realloc(p->blocks, room * sizeof(*more));

		if (!more) {
			stop(p, BLOCKLIST_NO_MEMORY);
			return;
		}
		p->blocks = more;
		p->room = room;
	}
	while (p->text_length && blank(p->text[p->text_length - 1]))
		p->text_length--;
	ref = &p->blocks[p->count];
	if (!blocklist_id(p->text, p->text_length, &ref->id)) {
		stop(p, BLOCKLIST_BAD_ID);
		return;
	}
	ref->from = p->from;
	p->count++;
}

/* A document type brings entities, and those grow without limit; none is ever needed here. */
static void on_doctype(void *context, const XML_Char *name, const XML_Char *sysid,
		       const XML_Char *pubid, int internal)
{
	(void)name;
	(void)sysid;
	(void)pubid;
	(void)internal;
	stop(context, BLOCKLIST_BAD_XML);
}

enum blocklist_status blocklist_parse(const void *xml, size_t length,
				      struct store_block_ref **blocks, size_t *count)
{
	struct parse p = { .status = BLOCKLIST_OK };
	enum XML_Status status;

	*blocks = NULL;
	*count = 0;
	if (length > BLOCKLIST_MAX_BYTES)
		return BLOCKLIST_TOO_LONG;
	p.xml = XML_ParserCreate(NULL);
	if (!p.xml)
		return BLOCKLIST_NO_MEMORY;
	XML_SetUserData(p.xml, &p);
	XML_SetElementHandler(p.xml, on_start, on_end);
	XML_SetCharacterDataHandler(p.xml, on_text);
	XML_SetStartDoctypeDeclHandler(p.xml, on_doctype);
	status = XML_Parse(p.xml, xml, (int)length, XML_TRUE);
	if (status != XML_STATUS_OK && p.status == BLOCKLIST_OK)
		p.status = XML_GetErrorCode(p.xml) == XML_ERROR_NO_MEMORY ? BLOCKLIST_NO_MEMORY
									  : BLOCKLIST_BAD_XML;
	XML_ParserFree(p.xml);
	if (p.status != BLOCKLIST_OK) {
		free(p.blocks);
		return p.status;
	}
	*blocks = p.blocks;
	*count = p.count;
	return BLOCKLIST_OK;
}
