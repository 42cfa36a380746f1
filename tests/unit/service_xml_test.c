/* SPDX-License-Identifier: MIT */
/* XML: what is written, and the one document that is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/buf.h"
#include "blob/blocklist.h"
#include "blob/xml.h"

static void writes(const char *text, const char *want)
{
	struct azb_buf out = { 0 };

	xml_element_z(&out, "E", text);
	assert_string_equal(out.data, want);
	azb_buf_free(&out);
}

static void text_is_escaped(void **state)
{
	(void)state;
	writes("plain", "<E>plain</E>");
	writes("", "<E />");
	writes("<a b=\"c\" d='e'>&", "<E>&lt;a b=&quot;c&quot; d=&apos;e&apos;&gt;&amp;</E>");
	writes("\t\n\r", "<E>\t\n&#xD;</E>");
	writes("\xc3\xa9", "<E>\xc3\xa9</E>");
	/* what XML 1.0 has no way to say */
	writes("a\x01z", "<E>a\xef\xbf\xbdz</E>");
	writes("a\xef\xbf\xbfz", "<E>a\xef\xbf\xbdz</E>");
	assert_true(xml_can_hold("a\tb", 3));
	assert_false(xml_can_hold("a\x1f", 2));
	assert_false(xml_can_hold("\xef\xbf\xbe", 3));
}

static enum blocklist_status parse(const char *xml, struct store_block_ref **blocks, size_t *count)
{
	return blocklist_parse(xml, strlen(xml), blocks, count);
}

static void refuses(const char *xml, enum blocklist_status want)
{
	struct store_block_ref *blocks;
	size_t count;

	assert_int_equal(parse(xml, &blocks, &count), want);
	assert_null(blocks);
}

static void a_block_list_is_read_in_order(void **state)
{
	struct store_block_ref *blocks;
	size_t count;

	(void)state;
	assert_int_equal(parse("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<BlockList>\n"
			       "  <Latest>QUFB</Latest>\n<Committed> QkI= </Committed>"
			       "<Uncommitted>Q0M=\n</Uncommitted></BlockList>\n",
			       &blocks, &count),
			 BLOCKLIST_OK);
	assert_int_equal(count, 3);
	assert_int_equal(blocks[0].from, STORE_BLOCK_LATEST);
	assert_int_equal(blocks[0].id.length, 3);
	assert_memory_equal(blocks[0].id.bytes, "AAA", 3);
	assert_int_equal(blocks[1].from, STORE_BLOCK_COMMITTED);
	assert_memory_equal(blocks[1].id.bytes, "BB", 2);
	assert_int_equal(blocks[2].from, STORE_BLOCK_UNCOMMITTED);
	assert_memory_equal(blocks[2].id.bytes, "CC", 2);
	free(blocks);
	assert_int_equal(parse("<BlockList/>", &blocks, &count), BLOCKLIST_OK);
	assert_int_equal(count, 0);
	free(blocks);
}

static void other_documents_are_refused(void **state)
{
	(void)state;
	refuses("", BLOCKLIST_BAD_XML);
	refuses("nothing", BLOCKLIST_BAD_XML);
	refuses("<BlockList>", BLOCKLIST_BAD_XML);
	refuses("<Other/>", BLOCKLIST_BAD_XML);
	refuses("<BlockList><Other>QQ==</Other></BlockList>", BLOCKLIST_BAD_XML);
	refuses("<BlockList><Latest><Latest>QQ==</Latest></Latest></BlockList>", BLOCKLIST_BAD_XML);
	refuses("<BlockList>text</BlockList>", BLOCKLIST_BAD_XML);
	refuses("<BlockList/><BlockList/>", BLOCKLIST_BAD_XML);
	refuses("<!DOCTYPE BlockList [<!ENTITY a \"QQ==\">]>"
		"<BlockList><Latest>&a;</Latest></BlockList>",
		BLOCKLIST_BAD_XML);
}

static void bad_ids_are_refused(void **state)
{
	char xml[300] = "<BlockList><Latest>", *at = xml + strlen(xml);

	(void)state;
	refuses("<BlockList><Latest></Latest></BlockList>", BLOCKLIST_BAD_ID);
	refuses("<BlockList><Latest>QQ</Latest></BlockList>", BLOCKLIST_BAD_ID);
	refuses("<BlockList><Latest>Q Q=</Latest></BlockList>", BLOCKLIST_BAD_ID);
	refuses("<BlockList><Latest>****</Latest></BlockList>", BLOCKLIST_BAD_ID);
	/* 66 bytes */
	memset(at, 'A', 88);
	strcpy(at + 88, "</Latest></BlockList>");
	refuses(xml, BLOCKLIST_BAD_ID);
}

static void the_longest_id_is_taken(void **state)
{
	struct store_block_ref *blocks;
	struct store_block_id id;
	size_t count;
	char xml[300] = "<BlockList><Latest>", *at = xml + strlen(xml);

	(void)state;
	memset(at, 'A', 86);
	assert_true(blocklist_id("AAAA", 4, &id));
	strcpy(at + 86, "==</Latest></BlockList>");
	assert_int_equal(parse(xml, &blocks, &count), BLOCKLIST_OK);
	assert_int_equal(blocks[0].id.length, 64);
	free(blocks);
}

static void as_many_blocks_as_azure_takes(void **state)
{
	static const char entry[] = "<Latest>QUFB</Latest>";
	struct store_block_ref *blocks;
	size_t count;
	struct azb_buf xml = { 0 };

	(void)state;
	azb_buf_puts(&xml, "<BlockList>");
	for (unsigned int i = 0; i < STORE_MAX_BLOCKS; i++)
		azb_buf_puts(&xml, entry);
	azb_buf_puts(&xml, "</BlockList>");
	assert_int_equal(blocklist_parse(xml.data, xml.length, &blocks, &count), BLOCKLIST_OK);
	assert_int_equal(count, STORE_MAX_BLOCKS);
	free(blocks);
	xml.length -= strlen("</BlockList>");
	azb_buf_puts(&xml, entry);
	azb_buf_puts(&xml, "</BlockList>");
	assert_int_equal(blocklist_parse(xml.data, xml.length, &blocks, &count),
			 BLOCKLIST_TOO_LONG);
	azb_buf_free(&xml);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_escaped),
		cmocka_unit_test(a_block_list_is_read_in_order),
		cmocka_unit_test(other_documents_are_refused),
		cmocka_unit_test(bad_ids_are_refused),
		cmocka_unit_test(the_longest_id_is_taken),
		cmocka_unit_test(as_many_blocks_as_azure_takes),
	};

	return cmocka_run_group_tests_name("xml", tests, NULL, NULL);
}
