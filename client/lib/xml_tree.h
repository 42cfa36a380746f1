/* SPDX-License-Identifier: MIT */
/* A small XML document of the service as a tree. */
#ifndef AZC_XML_TREE_H
#define AZC_XML_TREE_H

#include "internal.h"

/**
 * struct azc_node - an element
 * @text: its own text, "" when there is none; names that XML can't hold are decoded.
 * @first, @next: its children, and the element after it.
 */
struct azc_node {
	char *name;
	char *text;
	struct azc_node *first;
	struct azc_node *next;
};

/* The root must have the name @root.  After a success: azc_tree_free(*tree). */
int azc_tree_parse(const char *text, size_t length, const char *root, struct azc_node **tree,
		   struct azblob_error *error);
void azc_tree_free(struct azc_node *tree); /* NULL is allowed */
/* The first child of that name, or NULL; @node may be NULL. */
const struct azc_node *azc_tree_child(const struct azc_node *node, const char *name);
/* Its text, or "". */
const char *azc_tree_text(const struct azc_node *node, const char *name);
/* How many children of that name there are. */
size_t azc_tree_count(const struct azc_node *node, const char *name);

/* Adds text with what is special in XML escaped. */
void azc_xml_escape(struct azb_buf *buf, const char *text);

#endif /* AZC_XML_TREE_H */
