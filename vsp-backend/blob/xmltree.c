// SPDX-License-Identifier: MIT
#include "xmltree.h"

#include <expat.h>
#include <stdlib.h>
#include <string.h>

#include "../base/buf.h"

/**
 * struct parse - while expat calls back
 * @stack, @text: the open elements and their text so far.
 * @last: the last child of each, for the next one to be appended.
 */
struct parse {
	XML_Parser xml;
	enum xmltree_status status;
	unsigned int depth;
	unsigned int nodes;
	struct xml_node *root;
	struct xml_node *stack[XMLTREE_MAX_DEPTH];
	struct xml_node *last[XMLTREE_MAX_DEPTH];
	struct azb_buf text[XMLTREE_MAX_DEPTH];
};

static void stop(struct parse *p, enum xmltree_status status)
{
	if (p->status == XMLTREE_OK)
		p->status = status;
	XML_StopParser(p->xml, XML_FALSE);
}

static void on_start(void *context, const XML_Char *name, const XML_Char **attributes)
{
	struct parse *p = context;
	struct xml_node *node;

	(void)attributes;
	if (p->status != XMLTREE_OK)
		return;
	if (p->depth == XMLTREE_MAX_DEPTH || p->nodes++ == XMLTREE_MAX_NODES) {
		stop(p, XMLTREE_BAD);
		return;
	}
	node = calloc(1, sizeof(*node));
	if (!node || !(node->name = strdup(name))) {
		free(node);
		stop(p, XMLTREE_NO_MEMORY);
		return;
	}
	if (!p->depth)
		p->root = node;
	else if (p->last[p->depth - 1])
		p->last[p->depth - 1]->next = node;
	else
		p->stack[p->depth - 1]->first = node;
	if (p->depth)
		p->last[p->depth - 1] = node;
	p->stack[p->depth] = node;
	p->last[p->depth] = NULL;
	azb_buf_reset(&p->text[p->depth]);
	p->depth++;
}

static void on_text(void *context, const XML_Char *text, int length)
{
	struct parse *p = context;

	if (p->depth)
		azb_buf_add(&p->text[p->depth - 1], text, (size_t)length);
}

static void on_end(void *context, const XML_Char *name)
{
	static const char blanks[] = " \t\r\n";
	struct parse *p = context;
	const struct azb_buf *buf;
	const char *from;
	size_t length;

	(void)name;
	if (p->status != XMLTREE_OK)
		return;
	buf = &p->text[--p->depth];
	from = buf->length ? buf->data : "";
	length = buf->length;
	while (length && strchr(blanks, *from)) {
		from++;
		length--;
	}
	while (length && strchr(blanks, from[length - 1]))
		length--;
	p->stack[p->depth]->text = buf->failed ? NULL : strndup(from, length);
	if (!p->stack[p->depth]->text)
		stop(p, XMLTREE_NO_MEMORY);
}

static void on_doctype(void *context, const XML_Char *name, const XML_Char *sysid,
		       const XML_Char *pubid, int internal)
{
	(void)name;
	(void)sysid;
	(void)pubid;
	(void)internal;
	stop(context, XMLTREE_BAD);
}

enum xmltree_status xmltree_parse(const void *xml, size_t length, struct xml_node **root)
{
	struct parse p = { .status = XMLTREE_OK };

	*root = NULL;
	p.xml = XML_ParserCreate(NULL);
	if (!p.xml)
		return XMLTREE_NO_MEMORY;
	XML_SetUserData(p.xml, &p);
	XML_SetElementHandler(p.xml, on_start, on_end);
	XML_SetCharacterDataHandler(p.xml, on_text);
	XML_SetStartDoctypeDeclHandler(p.xml, on_doctype);
	if (XML_Parse(p.xml, xml, (int)length, XML_TRUE) != XML_STATUS_OK && p.status == XMLTREE_OK)
		p.status = XML_GetErrorCode(p.xml) == XML_ERROR_NO_MEMORY ? XMLTREE_NO_MEMORY
									  : XMLTREE_BAD;
	XML_ParserFree(p.xml);
	for (size_t i = 0; i < XMLTREE_MAX_DEPTH; i++)
		azb_buf_free(&p.text[i]);
	if (p.status != XMLTREE_OK) {
		xmltree_free(p.root);
		return p.status;
	}
	*root = p.root;
	return XMLTREE_OK;
}

void xmltree_free(struct xml_node *node)
{
	/* no deeper than XMLTREE_MAX_DEPTH */
	while (node) {
		struct xml_node *next = node->next;

		xmltree_free(node->first);
		free(node->name);
		free(node->text);
		free(node);
		node = next;
	}
}

const struct xml_node *xmltree_child(const struct xml_node *node, const char *name)
{
	const struct xml_node *child = node ? node->first : NULL;

	while (child && strcmp(child->name, name) != 0)
		child = child->next;
	return child;
}

const char *xmltree_text(const struct xml_node *node, const char *name)
{
	const struct xml_node *child = xmltree_child(node, name);

	return child ? child->text : "";
}
