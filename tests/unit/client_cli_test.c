// SPDX-License-Identifier: MIT
/* What the command and the library read that others have written: times, tags, lists of blocks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sync.h"
#include "xml.h"

static void times_come_back_as_they_were(void **state)
{
	struct timespec time = { 1700000000, 1 };
	struct timespec back;
	char text[SYNC_TIME_ROOM];

	(void)state;
	sync_format_time(&time, text);
	assert_string_equal(text, "2023-11-14T22:13:20.000000001Z");
	assert_true(sync_parse_time(text, &back));
	assert_int_equal(back.tv_sec, time.tv_sec);
	assert_int_equal(back.tv_nsec, time.tv_nsec);
	assert_true(sync_parse_time("2023-11-14T22:13:20.25Z", &back));
	assert_int_equal(back.tv_nsec, 250000000);
	assert_true(sync_parse_time("2023-11-14T22:13:20Z", &back));
	assert_int_equal(back.tv_nsec, 0);
	assert_false(sync_parse_time("2023-11-14T22:13:20", &back));
	assert_false(sync_parse_time("2023-11-14T22:13:20.Z", &back));
	assert_false(sync_parse_time("2023-11-14T22:13:20.1234567890123456789x", &back));
	assert_false(sync_parse_time("1700000000", &back));
	assert_false(sync_parse_time("", &back));
}

static void reasons_to_move(void **state)
{
	struct sync_entry from = { .size = 1, .mtime = { 100, 5 }, .exact = true, .md5 = "a" };
	struct sync_entry to = from;

	(void)state;
	assert_string_equal(sync_reason(&from, NULL, CLI_COMPARE_SIZE), "new");
	assert_null(sync_reason(&from, &to, CLI_COMPARE_TIME));
	to.mtime.tv_nsec = 6;
	assert_string_equal(sync_reason(&from, &to, CLI_COMPARE_TIME), "time");
	assert_null(sync_reason(&from, &to, CLI_COMPARE_SIZE));
	/* Put later than it was changed: the same, as far as that can be known. */
	to.exact = false;
	assert_null(sync_reason(&from, &to, CLI_COMPARE_TIME));
	to.mtime.tv_sec = 99;
	assert_string_equal(sync_reason(&from, &to, CLI_COMPARE_TIME), "time");
	assert_null(sync_reason(&from, &to, CLI_COMPARE_HASH));
	to.md5[0] = '\0';
	assert_string_equal(sync_reason(&from, &to, CLI_COMPARE_HASH), "hash");
	from.md5[0] = '\0';
	assert_string_equal(sync_reason(&from, &to, CLI_COMPARE_HASH), "hash");
	to.size = 2;
	assert_string_equal(sync_reason(&from, &to, CLI_COMPARE_SIZE), "size");
}

static void when_something_expires(void **state)
{
	char when[CLI_TIME_ROOM];
	time_t now = 1700000000;

	(void)state;
	assert_true(cli_parse_when("90s", now, when));
	assert_string_equal(when, "2023-11-14T22:14:50Z");
	assert_true(cli_parse_when("12h", now, when));
	assert_string_equal(when, "2023-11-15T10:13:20Z");
	assert_true(cli_parse_when("7d", now, when));
	assert_string_equal(when, "2023-11-21T22:13:20Z");
	assert_true(cli_parse_when("2026-01-02", now, when));
	assert_string_equal(when, "2026-01-02");
	assert_false(cli_parse_when("", now, when));
	assert_false(cli_parse_when("12", now, when));
	assert_false(cli_parse_when("0h", now, when));
	assert_false(cli_parse_when("h", now, when));
	assert_false(cli_parse_when("1hh", now, when));
	assert_false(cli_parse_when("99999999999999999999d", now, when));
	assert_false(cli_parse_when("36501d", now, when));
}

static const char tags_text[] =
	"<?xml version=\"1.0\"?><Tags><TagSet><Tag><Key>a</Key><Value>1 2</Value></Tag>"
	"<Tag><Value/><Key>b</Key></Tag></TagSet></Tags>";
static const char blocks_text[] =
	"<BlockList><CommittedBlocks><Block><Name>AAAA</Name><Size>7</Size></Block>"
	"</CommittedBlocks><UncommittedBlocks><Block><Name>AAAB</Name>"
	"<Size>18446744073709551615</Size></Block></UncommittedBlocks></BlockList>";

static void tags_and_blocks_are_read(void **state)
{
	struct azblob_block_list *blocks;
	struct azblob_tags *tags;

	(void)state;
	assert_int_equal(azc_xml_tags(tags_text, sizeof(tags_text) - 1, &tags, NULL), 0);
	assert_int_equal(tags->count, 2);
	assert_string_equal(tags->tags[0].value, "1 2");
	assert_string_equal(tags->tags[1].name, "b");
	assert_string_equal(tags->tags[1].value, "");
	azblob_tags_free(tags);
	assert_int_equal(azc_xml_block_list(blocks_text, sizeof(blocks_text) - 1, &blocks, NULL),
			 0);
	assert_int_equal(blocks->count, 2);
	assert_true(blocks->blocks[0]->committed);
	assert_int_equal(blocks->blocks[0]->size, 7);
	assert_false(blocks->blocks[1]->committed);
	assert_true(blocks->blocks[1]->size == UINT64_MAX);
	azblob_block_list_free(blocks);
}

static void what_is_cut_or_makes_no_sense_is_an_error(void **state)
{
	static const char *const bad[] = {
		"<Tags><TagSet><Tag><Key>a</Key></Tag></TagSet></Tags>",
		"<Tags><TagSet><Tag><Value>a</Value></Tag></TagSet></Tags>",
		"<BlockList><Block><Name>A</Name><Size>-1</Size></Block></BlockList>",
		"<BlockList><Block><Name>A</Name><Size>x</Size></Block></BlockList>",
		"<BlockList><Block><Size>1</Size></Block></BlockList>",
		"<html></html>",
		"",
	};
	struct azblob_block_list *blocks;
	struct azblob_tags *tags;
	struct azblob_error error;

	(void)state;
	for (size_t i = 0; i < sizeof(tags_text) - 1; i++)
		assert_int_equal(azc_xml_tags(tags_text, i, &tags, &error), -1);
	for (size_t i = 0; i < sizeof(blocks_text) - 1; i++)
		assert_int_equal(azc_xml_block_list(blocks_text, i, &blocks, &error), -1);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		size_t length = strlen(bad[i]);

		assert_int_equal(azc_xml_tags(bad[i], length, &tags, &error), -1);
		assert_int_equal(error.kind, AZBLOB_TRANSPORT);
		assert_int_equal(azc_xml_block_list(bad[i], length, &blocks, &error), -1);
		assert_int_equal(error.kind, AZBLOB_TRANSPORT);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_come_back_as_they_were),
		cmocka_unit_test(reasons_to_move),
		cmocka_unit_test(when_something_expires),
		cmocka_unit_test(tags_and_blocks_are_read),
		cmocka_unit_test(what_is_cut_or_makes_no_sense_is_an_error),
	};

	return cmocka_run_group_tests_name("client_cli", tests, NULL, NULL);
}
