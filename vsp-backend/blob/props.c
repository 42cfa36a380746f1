// SPDX-License-Identifier: MIT
#include "props.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "request.h"
#include "xml.h"
#include "xmltree.h"

/* The reference: origins, headers and exposed headers of all rules together. */
#define MAX_CORS_BYTES 2048u
#define MAX_CORS_ITEM 256u
#define MAX_CORS_ITEMS 64u
#define MAX_DAYS 365u
#define MAX_PATH_BYTES 1024u

struct props *props_new(void)
{
	struct props *props = calloc(1, sizeof(*props));

	if (!props)
		return NULL;
	atomic_init(&props->references, 1);
	/* what a new account of Azure says */
	props->hours = (struct props_metrics){ .enabled = true,
					       .apis = true,
					       .retention = { .enabled = true, .days = 7 } };
	return props;
}

struct props *props_get(struct props *props)
{
	atomic_fetch_add_explicit(&props->references, 1, memory_order_relaxed);
	return props;
}

static void drop_cors(struct props *props)
{
	for (unsigned int i = 0; i < props->cors_count; i++) {
		free(props->cors[i].origins);
		free(props->cors[i].methods);
		free(props->cors[i].headers);
		free(props->cors[i].exposed);
	}
	memset(props->cors, 0, sizeof(props->cors));
	props->cors_count = 0;
}

static void drop_website(struct props *props)
{
	free(props->website.index);
	free(props->website.not_found);
	free(props->website.default_index);
	memset(&props->website, 0, sizeof(props->website));
}

void props_put(struct props *props)
{
	if (!props || atomic_fetch_sub_explicit(&props->references, 1, memory_order_acq_rel) != 1)
		return;
	drop_cors(props);
	drop_website(props);
	free(props);
}

/* ------------------------------------------------------------------ reading */

/* While one element is read; the first thing that is wrong stays. */
struct reading {
	enum props_status status;
	const char *wrong;
};

static void fail(struct reading *r, enum props_status status, const char *wrong)
{
	if (r->status != PROPS_OK)
		return;
	r->status = status;
	r->wrong = wrong;
}

static const char *need(struct reading *r, const struct xml_node *node, const char *name)
{
	if (!xmltree_child(node, name))
		fail(r, PROPS_MISSING, name);
	return xmltree_text(node, name);
}

static bool read_bool(struct reading *r, const struct xml_node *node, const char *name)
{
	const char *text = need(r, node, name);
	bool yes = !strcasecmp(text, "true");

	if (!yes && strcasecmp(text, "false") != 0)
		fail(r, PROPS_BAD_VALUE, name);
	return yes;
}

static bool read_bool_or_false(struct reading *r, const struct xml_node *node, const char *name)
{
	return xmltree_child(node, name) && read_bool(r, node, name);
}

static unsigned int read_number(struct reading *r, const struct xml_node *node, const char *name,
				unsigned int min, unsigned int max)
{
	const char *text = need(r, node, name);
	unsigned int value = 0;

	if (!*text || strlen(text) > 9 || strspn(text, "0123456789") != strlen(text))
		fail(r, PROPS_BAD_VALUE, name);
	else
		value = (unsigned int)strtoul(text, NULL, 10);
	if (value < min || value > max)
		fail(r, PROPS_BAD_VALUE, name);
	return value;
}

static void read_retention(struct reading *r, const struct xml_node *node,
			   struct props_retention *retention)
{
	retention->enabled = read_bool(r, node, "Enabled");
	retention->days = retention->enabled ? read_number(r, node, "Days", 1, MAX_DAYS) : 0;
}

static void read_inner_retention(struct reading *r, const struct xml_node *node,
				 struct props_retention *retention)
{
	const struct xml_node *child = xmltree_child(node, "RetentionPolicy");

	if (!child)
		fail(r, PROPS_MISSING, "RetentionPolicy");
	read_retention(r, child, retention);
}

static void read_analytics_version(struct reading *r, const struct xml_node *node)
{
	const char *text = need(r, node, "Version");

	if (strcmp(text, "1.0") != 0 && strcmp(text, "2.0") != 0)
		fail(r, PROPS_BAD_VALUE, "Version");
}

static void read_logging(struct reading *r, const struct xml_node *node, struct props *props)
{
	struct props_logging *logging = &props->logging;

	read_analytics_version(r, node);
	logging->delete = read_bool(r, node, "Delete");
	logging->read = read_bool(r, node, "Read");
	logging->write = read_bool(r, node, "Write");
	read_inner_retention(r, node, &logging->retention);
}

static void read_metrics(struct reading *r, const struct xml_node *node,
			 struct props_metrics *metrics)
{
	read_analytics_version(r, node);
	metrics->enabled = read_bool(r, node, "Enabled");
	metrics->apis = metrics->enabled && read_bool(r, node, "IncludeAPIs");
	read_inner_retention(r, node, &metrics->retention);
}

/* Items with commas between, none too long and not too many. */
static bool items_good(const char *text)
{
	unsigned int count = 0;

	while (*text) {
		size_t n = strcspn(text, ",");

		if (n > MAX_CORS_ITEM || ++count > MAX_CORS_ITEMS)
			return false;
		text += n + (text[n] == ',');
	}
	return true;
}

static bool methods_good(const char *text)
{
	static const char *const known[] = { "DELETE", "GET",     "HEAD",  "MERGE",
					     "POST",   "OPTIONS", "PATCH", "PUT" };

	if (!*text)
		return false;
	while (*text) {
		size_t n = strcspn(text, ",");
		bool found = false;

		for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
			found |= strlen(known[i]) == n && !memcmp(known[i], text, n);
		if (!found)
			return false;
		text += n + (text[n] == ',');
	}
	return true;
}

static bool plain(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return false;
	return true;
}

static char *read_items(struct reading *r, const struct xml_node *node, const char *name)
{
	const char *text = need(r, node, name);
	char *copy = strdup(text), *out = copy;

	if (!copy) {
		fail(r, PROPS_NO_MEMORY, name);
		return NULL;
	}
	/* they go into headers, and blanks around commas mean nothing */
	if (!items_good(text) || !plain(text))
		fail(r, PROPS_BAD_VALUE, name);
	for (; *text; text++)
		if (*text != ' ')
			*out++ = *text;
	*out = 0;
	return copy;
}

static void read_cors(struct reading *r, const struct xml_node *node, struct props *props)
{
	size_t total = 0;

	drop_cors(props);
	for (const struct xml_node *rule = node->first; rule; rule = rule->next) {
		struct props_cors *cors = &props->cors[props->cors_count];

		if (strcmp(rule->name, "CorsRule") != 0 || props->cors_count == PROPS_MAX_RULES) {
			fail(r, PROPS_BAD_VALUE, "Cors");
			return;
		}
		props->cors_count++;
		cors->origins = read_items(r, rule, "AllowedOrigins");
		cors->methods = read_items(r, rule, "AllowedMethods");
		cors->headers = read_items(r, rule, "AllowedHeaders");
		cors->exposed = read_items(r, rule, "ExposedHeaders");
		cors->max_age = read_number(r, rule, "MaxAgeInSeconds", 0, 999999999);
		if (r->status != PROPS_OK)
			return;
		if (!*cors->origins)
			fail(r, PROPS_BAD_VALUE, "AllowedOrigins");
		if (!methods_good(cors->methods))
			fail(r, PROPS_BAD_VALUE, "AllowedMethods");
		total += strlen(cors->origins) + strlen(cors->methods) + strlen(cors->headers) +
			 strlen(cors->exposed);
	}
	if (total > MAX_CORS_BYTES)
		fail(r, PROPS_BAD_VALUE, "Cors");
}

static char *read_path(struct reading *r, const struct xml_node *node, const char *name)
{
	const char *text = xmltree_text(node, name);
	char *copy;

	if (!*text)
		return NULL;
	if (strlen(text) > MAX_PATH_BYTES)
		fail(r, PROPS_BAD_VALUE, name);
	copy = strdup(text);
	if (!copy)
		fail(r, PROPS_NO_MEMORY, name);
	return copy;
}

static void read_website(struct reading *r, const struct xml_node *node, struct props *props)
{
	drop_website(props);
	props->website.enabled = read_bool(r, node, "Enabled");
	if (!props->website.enabled)
		return;
	props->website.index = read_path(r, node, "IndexDocument");
	props->website.not_found = read_path(r, node, "ErrorDocument404Path");
	props->website.default_index = read_path(r, node, "DefaultIndexDocumentPath");
	/* a name in every folder, or one path for all of them */
	if (props->website.index && strchr(props->website.index, '/'))
		fail(r, PROPS_BAD_VALUE, "IndexDocument");
	if (props->website.index && props->website.default_index)
		fail(r, PROPS_BAD_VALUE, "DefaultIndexDocumentPath");
}

static void read_version(struct reading *r, const char *text, struct props *props)
{
	if (!version_good(text) || text[10])
		fail(r, PROPS_BAD_VALUE, "DefaultServiceVersion");
	else
		memcpy(props->version, text, sizeof(props->version));
}

static void read_element(struct reading *r, const struct xml_node *node, struct props *props)
{
	if (!strcmp(node->name, "Logging")) {
		read_logging(r, node, props);
	} else if (!strcmp(node->name, "HourMetrics")) {
		read_metrics(r, node, &props->hours);
	} else if (!strcmp(node->name, "MinuteMetrics")) {
		read_metrics(r, node, &props->minutes);
	} else if (!strcmp(node->name, "Cors")) {
		read_cors(r, node, props);
	} else if (!strcmp(node->name, "DefaultServiceVersion")) {
		read_version(r, node->text, props);
	} else if (!strcmp(node->name, "DeleteRetentionPolicy")) {
		read_retention(r, node, &props->deleted);
		props->permanent = read_bool_or_false(r, node, "AllowPermanentDelete");
	} else if (!strcmp(node->name, "StaticWebsite")) {
		read_website(r, node, props);
	} else {
		fail(r, PROPS_BAD_XML, "StorageServiceProperties");
	}
}

enum props_status props_read(struct props *props, const void *xml, size_t length,
			     const char **wrong)
{
	struct reading r = { .status = PROPS_OK, .wrong = "StorageServiceProperties" };
	struct xml_node *root;

	*wrong = r.wrong;
	switch (xmltree_parse(xml, length, &root)) {
	case XMLTREE_OK:
		break;
	case XMLTREE_BAD:
		return PROPS_BAD_XML;
	case XMLTREE_NO_MEMORY:
		return PROPS_NO_MEMORY;
	}
	if (strcmp(root->name, "StorageServiceProperties") != 0)
		fail(&r, PROPS_BAD_XML, "StorageServiceProperties");
	for (const struct xml_node *node = root->first; node && r.status == PROPS_OK;
	     node = node->next)
		read_element(&r, node, props);
	xmltree_free(root);
	*wrong = r.wrong;
	return r.status;
}

/* ------------------------------------------------------------------ writing */

static void write_bool(struct azb_buf *xml, const char *name, bool value)
{
	xml_element_z(xml, name, value ? "true" : "false");
}

static void write_retention(struct azb_buf *xml, const struct props_retention *retention)
{
	write_bool(xml, "Enabled", retention->enabled);
	if (retention->enabled)
		xml_element_u64(xml, "Days", retention->days);
}

static void write_inner_retention(struct azb_buf *xml, const struct props_retention *retention)
{
	xml_open(xml, "RetentionPolicy");
	write_retention(xml, retention);
	xml_close(xml, "RetentionPolicy");
}

static void write_metrics(struct azb_buf *xml, const char *name,
			  const struct props_metrics *metrics)
{
	xml_open(xml, name);
	xml_element_z(xml, "Version", "1.0");
	write_bool(xml, "Enabled", metrics->enabled);
	if (metrics->enabled)
		write_bool(xml, "IncludeAPIs", metrics->apis);
	write_inner_retention(xml, &metrics->retention);
	xml_close(xml, name);
}

static void write_cors(struct azb_buf *xml, const struct props *props)
{
	if (!props->cors_count) {
		azb_buf_puts(xml, "<Cors />");
		return;
	}
	xml_open(xml, "Cors");
	for (unsigned int i = 0; i < props->cors_count; i++) {
		const struct props_cors *cors = &props->cors[i];

		xml_open(xml, "CorsRule");
		xml_element_z(xml, "AllowedMethods", cors->methods);
		xml_element_z(xml, "AllowedOrigins", cors->origins);
		xml_element_z(xml, "AllowedHeaders", cors->headers);
		xml_element_z(xml, "ExposedHeaders", cors->exposed);
		xml_element_u64(xml, "MaxAgeInSeconds", cors->max_age);
		xml_close(xml, "CorsRule");
	}
	xml_close(xml, "Cors");
}

static void write_path(struct azb_buf *xml, const char *name, const char *path)
{
	if (path)
		xml_element_z(xml, name, path);
}

void props_write(const struct props *props, struct azb_buf *xml)
{
	xml_start(xml);
	xml_open(xml, "StorageServiceProperties");
	xml_open(xml, "Logging");
	xml_element_z(xml, "Version", "1.0");
	write_bool(xml, "Read", props->logging.read);
	write_bool(xml, "Write", props->logging.write);
	write_bool(xml, "Delete", props->logging.delete);
	write_inner_retention(xml, &props->logging.retention);
	xml_close(xml, "Logging");
	write_metrics(xml, "HourMetrics", &props->hours);
	write_metrics(xml, "MinuteMetrics", &props->minutes);
	write_cors(xml, props);
	if (*props->version)
		xml_element_z(xml, "DefaultServiceVersion", props->version);
	xml_open(xml, "DeleteRetentionPolicy");
	write_retention(xml, &props->deleted);
	write_bool(xml, "AllowPermanentDelete", props->permanent);
	xml_close(xml, "DeleteRetentionPolicy");
	xml_open(xml, "StaticWebsite");
	write_bool(xml, "Enabled", props->website.enabled);
	write_path(xml, "IndexDocument", props->website.index);
	write_path(xml, "DefaultIndexDocumentPath", props->website.default_index);
	write_path(xml, "ErrorDocument404Path", props->website.not_found);
	xml_close(xml, "StaticWebsite");
	xml_close(xml, "StorageServiceProperties");
}

struct props *props_copy(const struct props *props)
{
	struct props *copy = props_new();
	struct azb_buf xml = { 0 };
	const char *wrong;

	props_write(props, &xml);
	if (copy && (xml.failed || props_read(copy, xml.data, xml.length, &wrong) != PROPS_OK)) {
		props_put(copy);
		copy = NULL;
	}
	azb_buf_free(&xml);
	return copy;
}
