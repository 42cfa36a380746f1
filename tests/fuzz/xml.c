// SPDX-License-Identifier: MIT
/* Bodies that are XML: block lists, access policies, tags, service properties. */
#include "fuzz.h"

#include "blob/answer.h"
#include "blob/blocklist.h"
#include "blob/op.h"
#include "blob/props.h"
#include "blob/tags.h"
#include "blob/xmltree.h"

static void tree(const char *text, size_t size)
{
	struct xml_node *root = NULL;

	if (xmltree_parse(text, size, &root) == XMLTREE_OK) {
		must(root && root->name && root->text);
		xmltree_child(root, "Enabled");
		xmltree_text(root, "Days");
	}
	xmltree_free(root);
}

static void block_list(const char *text, size_t size)
{
	struct store_block_ref *blocks = NULL;
	size_t count = 0;

	if (blocklist_parse(text, size, &blocks, &count) == BLOCKLIST_OK)
		must(!count == !blocks);
	free(blocks);
}

/* What was taken is written so that it is read as the same. */
static void properties(const char *text, size_t size)
{
	struct azb_buf once = { 0 }, twice = { 0 };
	struct props *props = props_new(), *copy;
	const char *wrong = NULL;

	must(props);
	if (props_read(props, text, size, &wrong) == PROPS_OK) {
		copy = props_copy(props);
		must(copy);
		props_write(props, &once);
		props_write(copy, &twice);
		must(!strcmp(once.data, twice.data));
		props_put(copy);
	}
	props_put(props);
	azb_buf_free(&once);
	azb_buf_free(&twice);
}

static void access_policies(const char *text, size_t size)
{
	struct azb_buf acl = { 0 };
	const char *wrong = NULL;

	acl_parse(text, size, &acl, &wrong);
	azb_buf_free(&acl);
}

static void tag_set(const char *text, size_t size)
{
	struct answer_to to = { .version = "2023-11-03" };
	struct azb_buf out = { 0 };
	struct svc_answer *answer = tags_of_xml(&to, text, size, &out);

	must(!answer || !out.length);
	svc_answer_put(answer);
	azb_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned int choice = fuzz_choice(&data, &size, 5);
	char *text = fuzz_string(data, size);

	switch (choice) {
	case 0:
		tree(text, size);
		break;
	case 1:
		block_list(text, size);
		break;
	case 2:
		properties(text, size);
		break;
	case 3:
		access_policies(text, size);
		break;
	default:
		tag_set(text, size);
		break;
	}
	free(text);
	return 0;
}
