// SPDX-License-Identifier: MIT
#include "xml_tree.h"

#include <expat.h>
#include <stdlib.h>
#include <string.h>

#include "xml.h"

/* No document that is read so is deeper than 6. */
#define MAX_DEPTH 16u

/**
 * struct tree_parse - a tree while it grows
 * @path: the elements that are open; @last: the newest child of each.
 */
struct tree_parse {
	XML_Parser parser;
	struct azc_node *root;
	struct azc_node *path[MAX_DEPTH];
	struct azc_node *last[MAX_DEPTH];
	struct azb_buf text[MAX_DEPTH];
	bool encoded[MAX_DEPTH];
	unsigned int depth;
	bool failed;
	bool too_deep;
};

void azc_tree_free(struct azc_node *tree)
{
	while (tree) {
		struct azc_node *next = tree->next;

		azc_tree_free(tree->first);
		free(tree->name);
		free(tree->text);
		free(tree);
		tree = next;
	}
}

static void stop(struct tree_parse *parse, bool *why)
{
	*why = true;
	XML_StopParser(parse->parser, XML_FALSE);
}

static bool is_encoded(const XML_Char **attributes)
{
	for (; *attributes; attributes += 2)
		if (!strcmp(attributes[0], "Encoded"))
			return !strcmp(attributes[1], "true");
	return false;
}

static void XMLCALL on_start(void *data, const XML_Char *name, const XML_Char **attributes)
{
	struct tree_parse *parse = data;
	unsigned int depth = parse->depth;
	struct azc_node *node;

	if (depth == MAX_DEPTH) {
		stop(parse, &parse->too_deep);
		return;
	}
	node = calloc(1, sizeof(*node));
	if (node)
		node->name = strdup(name);
	if (!node || !node->name) {
		free(node);
		stop(parse, &parse->failed);
		return;
	}
	if (!depth)
		parse->root = node;
	else if (parse->last[depth - 1])
		parse->last[depth - 1]->next = node;
	else
		parse->path[depth - 1]->first = node;
	if (depth)
		parse->last[depth - 1] = node;
	parse->path[depth] = node;
	parse->last[depth] = NULL;
	parse->encoded[depth] = is_encoded(attributes);
	azb_buf_reset(&parse->text[depth]);
	parse->depth++;
}

static void XMLCALL on_text(void *data, const XML_Char *text, int length)
{
	struct tree_parse *parse = data;

	if (parse->depth)
		azb_buf_add(&parse->text[parse->depth - 1], text, (size_t)length);
}

static void XMLCALL on_end(void *data, const XML_Char *name)
{
	struct tree_parse *parse = data;
	struct azc_node *node;
	struct azb_buf *text;
	unsigned int depth;

	(void)name;
	/* A parser that was stopped still ends an empty element. */
	if (parse->failed || parse->too_deep)
		return;
	depth = --parse->depth;
	text = &parse->text[depth];
	node = parse->path[depth];
	node->text = strdup(text->length ? text->data : "");
	if (!node->text || text->failed)
		stop(parse, &parse->failed);
	else if (parse->encoded[depth])
		azc_xml_decode(node->text);
}

int azc_tree_parse(const char *text, size_t length, const char *root, struct azc_node **tree,
		   struct azblob_error *error)
{
	struct tree_parse parse = { .parser = XML_ParserCreate(NULL) };
	int status = 0;

	if (!parse.parser)
		return azc_fail_memory(error);
	XML_SetUserData(parse.parser, &parse);
	XML_SetElementHandler(parse.parser, on_start, on_end);
	XML_SetCharacterDataHandler(parse.parser, on_text);
	if (XML_Parse(parse.parser, length ? text : "", (int)length, 1) != XML_STATUS_OK) {
		if (parse.failed)
			status = azc_fail_memory(error);
		else
			status = azc_fail(
				error, AZBLOB_TRANSPORT, "the answer is no %s: %s", root,
				parse.too_deep ? "it is too deep"
					       : XML_ErrorString(XML_GetErrorCode(parse.parser)));
	} else if (strcmp(parse.root->name, root) != 0) {
		status = azc_fail(error, AZBLOB_TRANSPORT, "the answer is no %s but %.60s", root,
				  parse.root->name);
	}
	XML_ParserFree(parse.parser);
	for (unsigned int i = 0; i < MAX_DEPTH; i++)
		azb_buf_free(&parse.text[i]);
	if (status) {
		azc_tree_free(parse.root);
		return status;
	}
	*tree = parse.root;
	return 0;
}

const struct azc_node *azc_tree_child(const struct azc_node *node, const char *name)
{
	const struct azc_node *at = node ? node->first : NULL;

	while (at && strcmp(at->name, name) != 0)
		at = at->next;
	return at;
}

const char *azc_tree_text(const struct azc_node *node, const char *name)
{
	const struct azc_node *child = azc_tree_child(node, name);

	return child ? child->text : "";
}

size_t azc_tree_count(const struct azc_node *node, const char *name)
{
	size_t count = 0;

	for (const struct azc_node *at = node ? node->first : NULL; at; at = at->next)
		count += !strcmp(at->name, name);
	return count;
}

void azc_xml_escape(struct azb_buf *buf, const char *text)
{
	for (; *text; text++) {
		switch (*text) {
		case '<':
			azb_buf_puts(buf, "&lt;");
			break;
		case '>':
			azb_buf_puts(buf, "&gt;");
			break;
		case '&':
			azb_buf_puts(buf, "&amp;");
			break;
		default:
			azb_buf_add(buf, text, 1);
			break;
		}
	}
}
