// SPDX-License-Identifier: MIT
#include "tags.h"

#include <stdlib.h>
#include <string.h>

#include "../store/tagexpr.h"
#include "xml.h"
#include "xmltree.h"

/**
 * struct tag_list - tags while they are read
 * @pair: key and value, to be freed.
 */
struct tag_list {
	char *pair[TAGS_MAX][2];
	size_t count;
};

static void list_free(struct tag_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->pair[i][0]);
		free(list->pair[i][1]);
	}
}

/* Takes both over, whatever it says. */
static enum err list_add(struct tag_list *list, char *key, char *value)
{
	size_t at = list->count;
	enum err err = ERR_NONE;

	if (!key || !value)
		err = ERR_SERVER_BUSY;
	else if (!*key)
		err = ERR_EMPTY_TAG_NAME;
	else if (list->count == TAGS_MAX || strlen(key) > TAGS_MAX_KEY ||
		 strlen(value) > TAGS_MAX_VALUE)
		err = ERR_TAGS_TOO_LARGE;
	else if (!tagexpr_text_good(key, strlen(key)) || !tagexpr_text_good(value, strlen(value)))
		err = ERR_INVALID_TAG;
	for (size_t i = 0; i < list->count && !err; i++)
		if (!strcmp(list->pair[i][0], key))
			err = ERR_DUPLICATE_TAG_NAMES;
	if (err) {
		free(key);
		free(value);
		return err;
	}
	for (; at && strcmp(list->pair[at - 1][0], key) > 0; at--) {
		list->pair[at][0] = list->pair[at - 1][0];
		list->pair[at][1] = list->pair[at - 1][1];
	}
	list->pair[at][0] = key;
	list->pair[at][1] = value;
	list->count++;
	return ERR_NONE;
}

static struct svc_answer *finish(const struct answer_to *to, struct tag_list *list, enum err err,
				 struct azb_buf *out)
{
	for (size_t i = 0; i < list->count && !err; i++)
		for (size_t k = 0; k < 2; k++)
			azb_buf_add(out, list->pair[i][k], strlen(list->pair[i][k]) + 1);
	list_free(list);
	if (!err && out->failed)
		err = ERR_SERVER_BUSY;
	if (!err)
		return NULL;
	azb_buf_free(out);
	return err_answer(to, err, NULL);
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "%41" and "+" undone; a bad escape stays, and is refused as a character. */
static char *decode(const char *text, size_t length)
{
	char *out = malloc(length + 1), *to = out;

	for (size_t i = 0; out && i < length; i++) {
		if (text[i] == '%' && i + 2 < length && digit(text[i + 1]) >= 0 &&
		    digit(text[i + 2]) >= 0) {
			char c = (char)(digit(text[i + 1]) << 4 | digit(text[i + 2]));

			/* a zero would hide what follows it */
			*to++ = c ? c : '%';
			i += 2;
		} else {
			*to++ = text[i] == '+' ? ' ' : text[i];
		}
	}
	if (out)
		*to = 0;
	return out;
}

struct svc_answer *tags_of_header(const struct rq *rq, struct azb_buf *out)
{
	const struct head_str *value = head_get(rq->head, "x-ms-tags");
	struct tag_list list = { .count = 0 };
	enum err err = ERR_NONE;
	const char *at, *end;

	if (!value)
		return NULL;
	at = value->at;
	end = at + value->length;
	while (at < end && !err) {
		const char *stop = memchr(at, '&', (size_t)(end - at));
		const char *middle;

		if (!stop)
			stop = end;
		middle = memchr(at, '=', (size_t)(stop - at));
		if (!middle)
			err = ERR_INVALID_TAG;
		else
			err = list_add(&list, decode(at, (size_t)(middle - at)),
				       decode(middle + 1, (size_t)(stop - middle - 1)));
		at = stop + 1;
	}
	return finish(&rq->to, &list, err, out);
}

static enum err read_tag(struct tag_list *list, const struct xml_node *tag)
{
	const struct xml_node *key = xmltree_child(tag, "Key");
	const struct xml_node *value = xmltree_child(tag, "Value");

	if (strcmp(tag->name, "Tag") != 0 || !key || !value)
		return ERR_INVALID_XML_DOCUMENT;
	return list_add(list, strdup(key->text), strdup(value->text));
}

struct svc_answer *tags_of_xml(const struct answer_to *to, const void *xml, size_t length,
			       struct azb_buf *out)
{
	struct tag_list list = { .count = 0 };
	const struct xml_node *set;
	enum err err = ERR_NONE;
	struct xml_node *root;

	switch (xmltree_parse(xml, length, &root)) {
	case XMLTREE_NO_MEMORY:
		return err_answer(to, ERR_SERVER_BUSY, NULL);
	case XMLTREE_BAD:
		return err_answer(to, ERR_INVALID_XML_DOCUMENT, NULL);
	case XMLTREE_OK:
		break;
	}
	set = strcmp(root->name, "Tags") != 0 ? NULL : xmltree_child(root, "TagSet");
	if (!set)
		err = ERR_INVALID_XML_DOCUMENT;
	for (const struct xml_node *tag = set ? set->first : NULL; tag && !err; tag = tag->next)
		err = read_tag(&list, tag);
	xmltree_free(root);
	return finish(to, &list, err, out);
}

size_t tags_count(const struct store_meta *tags)
{
	const char *key, *value;
	size_t at = 0, n = 0;

	while (store_meta_next(tags, &at, &key, &value))
		n++;
	return n;
}

void tags_add_xml(struct azb_buf *xml, const struct store_meta *tags)
{
	const char *key, *value;
	size_t at = 0;

	azb_buf_puts(xml, "<Tags><TagSet>");
	while (store_meta_next(tags, &at, &key, &value)) {
		azb_buf_puts(xml, "<Tag>");
		xml_element_z(xml, "Key", key);
		xml_element_z(xml, "Value", value);
		azb_buf_puts(xml, "</Tag>");
	}
	azb_buf_puts(xml, "</TagSet></Tags>");
}
