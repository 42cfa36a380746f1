// SPDX-License-Identifier: MIT
/* libazblob and azblob: everything that takes text apart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "cli.h"
#include "transport.h"
#include "xml.h"

static void container_names_are_checked(void **state)
{
	static const char *const good[] = { "abc",  "a-b",   "123",     "$root",
					    "$web", "$logs", "a1-b2-c3" };
	static const char *const bad[] = { "",    "ab",  "Abc",    "-abc", "abc-",        "a--b",
					   "a_b", "a.b", "$other", "a/b",  "\xc3\xa9tude" };
	char name[65];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_int_equal(azc_check_container(good[i], NULL), 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(azc_check_container(bad[i], NULL), -1);
	assert_int_equal(azc_check_container(NULL, NULL), -1);
	memset(name, 'a', sizeof(name));
	name[63] = '\0';
	assert_int_equal(azc_check_container(name, NULL), 0);
	name[63] = 'a';
	name[64] = '\0';
	assert_int_equal(azc_check_container(name, NULL), -1);
}

static void blob_names_are_utf8_of_at_most_1024_units(void **state)
{
	struct azblob_error error;
	char *name = malloc(5000);

	(void)state;
	assert_int_equal(azc_check_blob("a/b c%\xc3\xa9", NULL), 0);
	assert_int_equal(azc_check_blob("", &error), -1);
	assert_int_equal(error.kind, AZBLOB_BAD_ARGUMENT);
	/* overlong, surrogate, cut off, stray, beyond U+10FFFF */
	assert_int_equal(azc_check_blob("\xc0\xaf", NULL), -1);
	assert_int_equal(azc_check_blob("\xed\xa0\x80", NULL), -1);
	assert_int_equal(azc_check_blob("a\xe2\x82", NULL), -1);
	assert_int_equal(azc_check_blob("\x80", NULL), -1);
	assert_int_equal(azc_check_blob("\xf4\x90\x80\x80", NULL), -1);
	for (int i = 0; i < 1024; i++)
		memcpy(name + 2 * i, "\xc3\xa9", 2);
	name[2048] = '\0';
	assert_int_equal(azc_check_blob(name, NULL), 0);
	strcpy(name + 2048, "x");
	assert_int_equal(azc_check_blob(name, NULL), -1);
	/* Those outside the basic plane count twice. */
	for (int i = 0; i < 513; i++)
		memcpy(name + 4 * i, "\xf0\x9f\x98\x80", 4);
	name[2048] = '\0';
	assert_int_equal(azc_check_blob(name, NULL), 0);
	name[2052] = '\0';
	memcpy(name + 2048, "\xf0\x9f\x98\x80", 4);
	assert_int_equal(azc_check_blob(name, NULL), -1);
	free(name);
}

static void endpoints_are_taken_apart(void **state)
{
	struct azc_endpoint e;

	(void)state;
	assert_int_equal(azc_endpoint_parse("http://127.0.0.1:10000/devstoreaccount1/", &e, NULL),
			 0);
	assert_false(e.https);
	assert_string_equal(e.host, "127.0.0.1:10000");
	assert_string_equal(e.path, "/devstoreaccount1");
	assert_string_equal(e.base, "http://127.0.0.1:10000/devstoreaccount1");
	azc_endpoint_free(&e);
	assert_int_equal(azc_endpoint_parse("HTTPS://x.blob.core.windows.net", &e, NULL), 0);
	assert_true(e.https);
	assert_string_equal(e.path, "");
	azc_endpoint_free(&e);
	assert_int_equal(azc_endpoint_parse("https://[::1]:443/a", &e, NULL), 0);
	assert_string_equal(e.host, "[::1]:443");
	azc_endpoint_free(&e);
}

static void bad_endpoints_are_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"x",
		"ftp://x",
		"http://",
		"http:///a",
		"http://h:",
		"http://h:0",
		"http://h:65536",
		"http://h:1x",
		"http://h/a?b",
		"http://h/a#b",
		"http://u@h",
		"http://h h",
		"http://[::1",
		"http://[]",
		"http://h/A%20b",
		"http://h\r\nX: y",
	};
	struct azblob_error error;
	struct azc_endpoint e;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(azc_endpoint_parse(bad[i], &e, &error), -1);
		assert_int_equal(error.kind, AZBLOB_BAD_ARGUMENT);
	}
}

static void names_in_urls_are_escaped(void **state)
{
	struct azb_buf buf = { 0 };

	(void)state;
	azc_escape(&buf, "a/b c%?#&+\xc3\xa9~.-_", "/");
	assert_string_equal(buf.data, "a/b%20c%25%3F%23%26%2B%C3%A9~.-_");
	azb_buf_free(&buf);
}

static int connection(const char *text, azblob_config **config, struct azblob_error *error)
{
	*config = azblob_config_new();
	assert_non_null(*config);
	return azblob_config_set_connection_string(*config, text, error);
}

static void connection_strings_are_understood(void **state)
{
	struct azblob_error error;
	azblob_config *c;

	(void)state;
	assert_int_equal(connection("UseDevelopmentStorage=true", &c, &error), 0);
	assert_string_equal(c->account, "devstoreaccount1");
	assert_int_equal(c->key_length, 64);
	assert_string_equal(c->endpoint, "http://127.0.0.1:10000/devstoreaccount1");
	azblob_config_free(c);
	assert_int_equal(connection("DefaultEndpointsProtocol=https;AccountName=acct1;"
				    "AccountKey=YWJj;EndpointSuffix=core.chinacloudapi.cn;",
				    &c, &error),
			 0);
	assert_string_equal(c->endpoint, "https://acct1.blob.core.chinacloudapi.cn");
	assert_int_equal(c->key_length, 3);
	assert_memory_equal(c->key, "abc", 3);
	azblob_config_free(c);
	assert_int_equal(connection(" accountname=acct1 ;AccountKey=YWI=", &c, &error), -1);
	azblob_config_free(c);
	assert_int_equal(connection("BlobEndpoint=https://acct1.blob.x;"
				    "SharedAccessSignature=?sv=1&sig=a%3D",
				    &c, &error),
			 0);
	assert_string_equal(c->sas, "sv=1&sig=a%3D");
	assert_null(c->account);
	azblob_config_free(c);
	assert_int_equal(connection("accountname=acct1;AccountKey=YWI=;\n"
				    "BlobEndpoint=http://h:1/acct1;QueueEndpoint=http://q/x",
				    &c, &error),
			 0);
	assert_int_equal(c->key_length, 2);
	assert_string_equal(c->endpoint, "http://h:1/acct1");
	azblob_config_free(c);
}

static void bad_connection_strings_say_what_is_wrong(void **state)
{
	static const struct {
		const char *text;
		const char *says;
	} bad[] = {
		{ "nonsense", "NAME=VALUE" },
		{ "=x", "NAME=VALUE" },
		{ "Nonsense=1", "unknown field \"Nonsense\"" },
		{ "AccountName=a1b;AccountName=a1b", "twice" },
		{ "AccountName=A", "account name" },
		{ "AccountKey=!!!", "base64" },
		{ "UseDevelopmentStorage=false", "must be true" },
		{ "SharedAccessSignature=sv=1&sag=2", "sig=" },
		{ "SharedAccessSignature=sv=1&sig=2 3", "percent-encoded" },
		{ "EndpointSuffix=x.y", "AccountName is missing" },
		{ "AccountName=acct1;DefaultEndpointsProtocol=ftp", "endpoint" },
	};
	struct azblob_error error;
	azblob_config *c;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(connection(bad[i].text, &c, &error), -1);
		assert_int_equal(error.kind, AZBLOB_BAD_ARGUMENT);
		assert_non_null(strstr(error.message, bad[i].says));
		azblob_config_free(c);
	}
}

static void a_bad_key_is_never_quoted(void **state)
{
	azblob_config *c = azblob_config_new();
	struct azblob_error error;

	(void)state;
	assert_int_equal(azblob_config_set_key(c, "secret+with a typo", &error), -1);
	assert_null(strstr(error.message, "secret"));
	azblob_config_free(c);
}

static void limits_of_the_configuration(void **state)
{
	azblob_config *c = azblob_config_new();

	(void)state;
	assert_int_equal(azblob_config_set_timeout(c, 0, NULL), -1);
	assert_int_equal(azblob_config_set_timeout(c, 3600001, NULL), -1);
	assert_int_equal(azblob_config_set_timeout(c, 1, NULL), 0);
	assert_int_equal(azblob_config_set_retries(c, 21, NULL), -1);
	assert_int_equal(azblob_config_set_parallel(c, 0, NULL), -1);
	assert_int_equal(azblob_config_set_parallel(c, 65, NULL), -1);
	assert_int_equal(azblob_config_set_block_size(c, 65535, NULL), -1);
	assert_int_equal(azblob_config_set_block_size(c, 65536, NULL), 0);
	assert_int_equal(azblob_config_set_block_size(c, (32u << 20) + 1, NULL), -1);
	assert_int_equal(azblob_config_set_device(c, "dev/azure_blob", NULL), -1);
	assert_int_equal(azblob_config_set_transport(c, (enum azblob_transport)9, NULL), -1);
	azblob_config_free(c);
}

static bool line(struct azc_answer *answer, const char *text)
{
	return azc_answer_line(answer, text, strlen(text));
}

static void answer_heads_are_read_line_by_line(void **state)
{
	struct azc_answer answer = { 0 };
	uint64_t number;

	(void)state;
	assert_false(line(&answer, "ETag: x\r\n"));
	assert_true(line(&answer, "HTTP/1.1 100 Continue\r\n"));
	assert_true(line(&answer, "HTTP/1.1 206 Partial Content\r\n"));
	assert_true(line(&answer, "Content-LENGTH:  42 \t\r\n"));
	assert_true(line(&answer, "x-empty:"));
	assert_false(line(&answer, "no colon"));
	assert_false(line(&answer, " folded: x"));
	assert_false(line(&answer, ": x"));
	assert_int_equal(answer.status, 206);
	assert_true(azc_answer_number(&answer, "content-length", &number));
	assert_int_equal(number, 42);
	assert_string_equal(azc_answer_text(&answer, "X-Empty"), "");
	assert_null(azc_answer_field(&answer, "missing"));
	for (int i = 0; i < 1000; i++)
		assert_true(line(&answer, "x-ms-meta-a: b"));
	azc_answer_reset(&answer);
	assert_false(line(&answer, "HTTP/1.1 20"));
	assert_false(line(&answer, "HTTP/1.1 2000 OK"));
	assert_false(line(&answer, "HTTP/1.1 999 OK"));
	assert_false(line(&answer, "HTTP/1.1"));
	azc_answer_reset(&answer);
}

static void numbers_do_not_wrap(void **state)
{
	uint64_t n;

	(void)state;
	assert_true(azc_parse_number("18446744073709551615", 20, &n));
	assert_true(n == UINT64_MAX);
	assert_false(azc_parse_number("18446744073709551616", 20, &n));
	assert_false(azc_parse_number("99999999999999999999", 20, &n));
	assert_false(azc_parse_number("", 0, &n));
	assert_false(azc_parse_number("-1", 2, &n));
	assert_false(azc_parse_number("1 ", 2, &n));
}

static void crc_headers_are_little_endian_base64(void **state)
{
	struct azc_request request;

	(void)state;
	azc_request_init(&request, "PUT");
	/* CRC-64/NVME of "123456789" */
	azc_request_field_crc(&request, "x-ms-content-crc64", UINT64_C(0xae8b14860a799888));
	assert_string_equal(request.fields.item[0].value, "iJh5CoYUi64=");
	azc_request_free(&request);
}

static const char blob_list[] =
	"\xef\xbb\xbf<?xml version=\"1.0\" encoding=\"utf-8\"?>"
	"<EnumerationResults ServiceEndpoint=\"http://h/\" ContainerName=\"c\"><Prefix>p</Prefix>"
	"<Blobs><Blob><Name>a&amp;b "
	"&lt;\xc3\xa9</Name><Properties><Last-Modified>Mon</Last-Modified>"
	"<Etag>0x1</Etag><Content-Length>18446744073709551615</Content-Length>"
	"<Content-Type>text/plain</Content-Type><BlobType>BlockBlob</BlobType><Other><Name>no</"
	"Name>"
	"</Other></Properties><Metadata><Name>not this</Name></Metadata></Blob>"
	"<BlobPrefix><Name>dir/</Name></BlobPrefix>"
	"<Blob><Name Encoded=\"true\">x%01y%2F%zz%</Name><Properties><Etag>\"0x2\"</Etag>"
	"<Content-Length>junk</Content-Length></Properties></Blob></Blobs>"
	"<NextMarker>m&#38;n</NextMarker></EnumerationResults>";

static void blob_lists_are_read(void **state)
{
	struct azblob_list *list;

	(void)state;
	assert_int_equal(azc_xml_list(blob_list, sizeof(blob_list) - 1, &list, NULL), 0);
	assert_int_equal(list->count, 3);
	assert_string_equal(list->next_marker, "m&n");
	assert_int_equal(list->entries[0]->kind, AZBLOB_ENTRY_BLOB);
	assert_string_equal(list->entries[0]->name, "a&b <\xc3\xa9");
	assert_true(list->entries[0]->size == UINT64_MAX);
	assert_string_equal(list->entries[0]->etag, "\"0x1\"");
	assert_string_equal(list->entries[0]->content_type, "text/plain");
	assert_int_equal(list->entries[1]->kind, AZBLOB_ENTRY_PREFIX);
	assert_string_equal(list->entries[1]->name, "dir/");
	assert_string_equal(list->entries[2]->name, "x\x01y/%zz%");
	assert_string_equal(list->entries[2]->etag, "\"0x2\"");
	assert_int_equal(list->entries[2]->size, 0);
	azblob_list_free(list);
}

static void container_lists_are_read(void **state)
{
	static const char text[] =
		"<EnumerationResults><Containers><Container><Name>one</Name>"
		"<Properties><Last-Modified>L</Last-Modified></Properties></Container>"
		"</Containers><NextMarker/></EnumerationResults>";
	struct azblob_list *list;

	(void)state;
	assert_int_equal(azc_xml_list(text, sizeof(text) - 1, &list, NULL), 0);
	assert_int_equal(list->count, 1);
	assert_int_equal(list->entries[0]->kind, AZBLOB_ENTRY_CONTAINER);
	assert_string_equal(list->entries[0]->name, "one");
	assert_string_equal(list->next_marker, "");
	azblob_list_free(list);
}

static void lists_cut_anywhere_are_errors(void **state)
{
	struct azblob_list *list;
	struct azblob_error error;

	(void)state;
	for (size_t length = 0; length < sizeof(blob_list) - 1; length++) {
		assert_int_equal(azc_xml_list(blob_list, length, &list, &error), -1);
		assert_int_equal(error.kind, AZBLOB_TRANSPORT);
	}
	assert_int_equal(azc_xml_list("<html></html>", 13, &list, &error), -1);
}

static void error_documents_are_read(void **state)
{
	static const char text[] = "<?xml version=\"1.0\"?><Error><Code>BlobNotFound</Code>"
				   "<Message>It is &lt;gone&gt;.\nRequestId:1\nTime:2</Message>"
				   "<Extra><Code>no</Code></Extra></Error>";
	char code[8] = "", message[64] = "";

	(void)state;
	azc_xml_error(text, sizeof(text) - 1, code, sizeof(code), message, sizeof(message));
	assert_string_equal(code, "BlobNot");
	assert_string_equal(message, "It is <gone>.");
	azc_xml_error("no xml", 6, code, sizeof(code), message, sizeof(message));
	assert_string_equal(message, "It is <gone>.");
}

static void command_line_names(void **state)
{
	struct cli_name name;

	(void)state;
	assert_int_equal(cli_name_parse("azblob://acct/box/a/b c", &name), 0);
	assert_string_equal(name.account, "acct");
	assert_string_equal(name.container, "box");
	assert_string_equal(name.blob, "a/b c");
	cli_name_free(&name);
	assert_int_equal(cli_name_parse("box", &name), 0);
	assert_null(name.account);
	assert_string_equal(name.blob, "");
	cli_name_free(&name);
	assert_int_equal(cli_name_parse("box/d/", &name), 0);
	assert_string_equal(name.blob, "d/");
	cli_name_free(&name);
	assert_int_equal(cli_name_parse("azblob://acct", &name), EXIT_USAGE);
	assert_int_equal(cli_name_parse("azblob://acct/", &name), EXIT_USAGE);
	assert_int_equal(cli_name_parse("azblob:///box/x", &name), EXIT_USAGE);
	assert_int_equal(cli_name_parse("https://acct/box/x", &name), EXIT_USAGE);
	assert_int_equal(cli_name_parse("/box", &name), EXIT_USAGE);
	assert_int_equal(cli_name_parse("", &name), EXIT_USAGE);
}

static void blob_names_never_leave_the_directory(void **state)
{
	char longest[300];

	(void)state;
	assert_true(cli_safe_path("a"));
	assert_true(cli_safe_path("a/..b/c..d/..."));
	assert_false(cli_safe_path(""));
	assert_false(cli_safe_path("/a"));
	assert_false(cli_safe_path("a/"));
	assert_false(cli_safe_path("a//b"));
	assert_false(cli_safe_path(".."));
	assert_false(cli_safe_path("a/../b"));
	assert_false(cli_safe_path("./a"));
	memset(longest, 'a', sizeof(longest));
	longest[255] = '\0';
	assert_true(cli_safe_path(longest));
	longest[255] = 'a';
	longest[256] = '\0';
	assert_false(cli_safe_path(longest));
}

static void sizes_on_the_command_line(void **state)
{
	uint64_t size;

	(void)state;
	assert_true(cli_parse_size("0", &size) && size == 0);
	assert_true(cli_parse_size("12", &size) && size == 12);
	assert_true(cli_parse_size("64K", &size) && size == 65536);
	assert_true(cli_parse_size("8m", &size) && size == 8u << 20);
	assert_true(cli_parse_size("2GiB", &size) && size == UINT64_C(2) << 30);
	assert_false(cli_parse_size("", &size));
	assert_false(cli_parse_size("-1", &size));
	assert_false(cli_parse_size(" 1", &size));
	assert_false(cli_parse_size("1X", &size));
	assert_false(cli_parse_size("1KK", &size));
	assert_false(cli_parse_size("99999999999999999999", &size));
	assert_false(cli_parse_size("9999999999G", &size));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(container_names_are_checked),
		cmocka_unit_test(blob_names_are_utf8_of_at_most_1024_units),
		cmocka_unit_test(endpoints_are_taken_apart),
		cmocka_unit_test(bad_endpoints_are_refused),
		cmocka_unit_test(names_in_urls_are_escaped),
		cmocka_unit_test(connection_strings_are_understood),
		cmocka_unit_test(bad_connection_strings_say_what_is_wrong),
		cmocka_unit_test(a_bad_key_is_never_quoted),
		cmocka_unit_test(limits_of_the_configuration),
		cmocka_unit_test(answer_heads_are_read_line_by_line),
		cmocka_unit_test(numbers_do_not_wrap),
		cmocka_unit_test(crc_headers_are_little_endian_base64),
		cmocka_unit_test(blob_lists_are_read),
		cmocka_unit_test(container_lists_are_read),
		cmocka_unit_test(lists_cut_anywhere_are_errors),
		cmocka_unit_test(error_documents_are_read),
		cmocka_unit_test(command_line_names),
		cmocka_unit_test(blob_names_never_leave_the_directory),
		cmocka_unit_test(sizes_on_the_command_line),
	};

	return cmocka_run_group_tests_name("client_text", tests, NULL, NULL);
}
