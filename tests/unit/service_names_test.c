/* SPDX-License-Identifier: MIT */
/* What a target names, which names are good, and the markers that carry names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "blob/marker.h"
#include "blob/target.h"

static struct head head;
static struct target target;

static enum target_status parse(const char *host, const char *text)
{
	memset(&head, 0, sizeof(head));
	head.target = (struct head_str){ text, strlen(text) };
	if (host) {
		head.field[0] = (struct head_field){ { "Host", 4 }, { host, strlen(host) } };
		head.field_count = 1;
	}
	return target_parse(&target, &head);
}

static void same(const char *got, const char *want)
{
	if (want)
		assert_string_equal(got, want);
	else
		assert_null(got);
}

static void names(const char *host, const char *text, const char *account, const char *container,
		  const char *blob)
{
	assert_int_equal(parse(host, text), TARGET_OK);
	same(target.account, account);
	same(target.container, container);
	same(target.blob, blob);
	target_free(&target);
}

static void both_forms_of_url(void **state)
{
	(void)state;
	names("127.0.0.1:10000", "/acct/cont/a/b", "acct", "cont", "a/b");
	names("localhost", "/acct?comp=list", "acct", NULL, NULL);
	names("localhost", "/acct/?comp=list", "acct", NULL, NULL);
	names("localhost", "/acct/cont?restype=container", "acct", "cont", NULL);
	names("localhost", "/acct/cont/?restype=container", "acct", "cont", NULL);
	names(NULL, "/acct/cont/b", "acct", "cont", "b");
	names("acct.blob.core.windows.net", "/cont/b", "acct", "cont", "b");
	names("ACCT.BLOB.localhost:1", "/cont/b", "acct", "cont", "b");
	names("acct.blob.localhost", "/?comp=list", "acct", NULL, NULL);
	/* a blob of the root container */
	names("acct.blob.localhost", "/x.txt", "acct", "$root", "x.txt");
	names("localhost", "/acct/x.txt", "acct", "$root", "x.txt");
	/* not a Blob endpoint's host */
	names("acct.queue.localhost", "/a/cont/b", "a", "cont", "b");
}

static void the_secondary_host_is_the_same_account(void **state)
{
	(void)state;
	names("acct-secondary.blob.localhost", "/cont/b", "acct", "cont", "b");
	names("localhost", "/acct-secondary/cont/b", "acct", "cont", "b");
	assert_int_equal(parse("localhost", "/acct-secondary/cont/b"), TARGET_OK);
	assert_true(target.secondary);
	target_free(&target);
}

static void a_blob_name_is_data(void **state)
{
	(void)state;
	names("localhost", "/a/c/../x", "a", "c", "../x");
	names("localhost", "/a/c/.//./%2e%2E/", "a", "c", ".//./../");
	names("localhost", "/a/c//b", "a", "c", "/b");
	names("localhost", "/a/c/a%2Fb%3Fc%23d+e%25", "a", "c", "a/b?c#d+e%");
	names("localhost", "/a/c/%C3%A9\xc3\xa9", "a", "c", "\xc3\xa9\xc3\xa9");
}

static void malformed_targets_are_refused(void **state)
{
	static const char *const texts[] = {
		"*",        "http://h/a/c/b", "/a/c/b#f",    "/a/c/%",
		"/a/c/%4",  "/a/c/%zz",       "/a/c/x%00y",  "/a/c/%ff",
		"/a/c/%C3", "/a/c/%ED%A0%80", "/a/c/%C0%80", "/a/c/%F5%80%80%80",
		"/",        "/?comp=list",    "/a?x=%",      "/a?%00=1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++)
		assert_int_equal(parse("localhost", texts[i]), TARGET_INVALID_URI);
	assert_int_equal(parse("localhost", "/a/c?comp=list&Comp=acl"), TARGET_REPEATED_PARAM);
}

static void parameters(void **state)
{
	(void)state;
	assert_int_equal(parse("h", "/a?Comp=list&prefix=a%26b+c&empty=&bare&&include=x&include=y"),
			 TARGET_OK);
	same(target_param(&target, "comp"), "list");
	same(target_param(&target, "prefix"), "a&b+c");
	same(target_param(&target, "empty"), "");
	same(target_param(&target, "bare"), "");
	same(target_param(&target, "include"), "x");
	same(target_param(&target, "absent"), NULL);
	assert_int_equal(target.param_count, 6);
	assert_true(head_str_is(&target.path, "/a"));
	target_free(&target);
}

static void container_names(void **state)
{
	static const char *const good[] = { "abc", "a-b", "0-9", "$root", "$web", "$logs" };
	static const char *const bad[] = { "",
					   "ab",
					   "-ab",
					   "ab-",
					   "a--b",
					   "Abc",
					   "a_b",
					   "a.b",
					   "$abc",
					   "a b",
					   "\xc3\xa9\xc3\xa9" };
	char name[65];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		assert_true(target_container_name_good(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(target_container_name_good(bad[i]));
	memset(name, 'a', sizeof(name));
	name[63] = 0;
	assert_true(target_container_name_good(name));
	name[63] = 'a';
	name[64] = 0;
	assert_false(target_container_name_good(name));
}

static void blob_names_are_counted_in_utf16(void **state)
{
	char name[4200];

	(void)state;
	assert_false(target_blob_name_good("", 0));
	memset(name, 'a', sizeof(name));
	assert_true(target_blob_name_good(name, 1024));
	assert_false(target_blob_name_good(name, 1025));
	for (int i = 0; i < 513; i++)
		memcpy(name + 4 * i, "\xf0\x9f\x98\x80", 4);
	assert_true(target_blob_name_good(name, 4 * 512));
	assert_false(target_blob_name_good(name, 4 * 513));
}

static void account_names(void **state)
{
	(void)state;
	assert_true(target_account_name_good("abc"));
	assert_true(target_account_name_good("devstoreaccount1"));
	assert_false(target_account_name_good("ab"));
	assert_false(target_account_name_good(".azblob"));
	assert_false(target_account_name_good("a-b-c"));
	assert_false(target_account_name_good("aaaaaaaaaaaaaaaaaaaaaaaaa"));
}

static void markers_carry_any_name(void **state)
{
	static const char *const all[] = { "a",        "ab",       "abc",       "a/b c",
					   "\x01\x02", "\xc3\xa9", "\?\?>>>~~~" };
	static const char *const bad[] = { "", "1", "2YQ", "1!", "1Y", "plain name", "1_w" };

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		char *marker = marker_encode(all[i]), *name;

		assert_non_null(marker);
		assert_null(strpbrk(marker, "+/=&"));
		name = marker_decode(marker);
		assert_non_null(name);
		assert_string_equal(name, all[i]);
		free(marker);
		free(name);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_null(marker_decode(bad[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_forms_of_url),
		cmocka_unit_test(the_secondary_host_is_the_same_account),
		cmocka_unit_test(a_blob_name_is_data),
		cmocka_unit_test(malformed_targets_are_refused),
		cmocka_unit_test(parameters),
		cmocka_unit_test(container_names),
		cmocka_unit_test(blob_names_are_counted_in_utf16),
		cmocka_unit_test(account_names),
		cmocka_unit_test(markers_carry_any_name),
	};

	return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
