/* SPDX-License-Identifier: MIT */
/* Reads a small XML body into a tree.  Document types, and so entities, are refused. */
#ifndef AZBLOB_BLOB_XMLTREE_H
#define AZBLOB_BLOB_XMLTREE_H

#include <stddef.h>

#define XMLTREE_MAX_DEPTH 16u
#define XMLTREE_MAX_NODES 4096u

/**
 * struct xml_node - an element
 * @text: its own text without blanks around it; "" when there is none.
 * @first, @next: children, and the next element beside it.
 */
struct xml_node {
	char *name;
	char *text;
	struct xml_node *first;
	struct xml_node *next;
};

enum xmltree_status {
	XMLTREE_OK,
	XMLTREE_BAD, /* malformed, too deep, too many elements, a document type */
	XMLTREE_NO_MEMORY,
};

/* After XMLTREE_OK: xmltree_free(*root). */
enum xmltree_status xmltree_parse(const void *xml, size_t length, struct xml_node **root);
void xmltree_free(struct xml_node *root); /* NULL is allowed */

/* The first child of that name, or NULL; @node may be NULL. */
const struct xml_node *xmltree_child(const struct xml_node *node, const char *name);
/* Its text; "" when there is no such child. */
const char *xmltree_text(const struct xml_node *node, const char *name);

#endif /* AZBLOB_BLOB_XMLTREE_H */
