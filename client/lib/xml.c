// SPDX-License-Identifier: MIT
/* Error documents. */
#include "xml.h"

#include <expat.h>
#include <string.h>

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
