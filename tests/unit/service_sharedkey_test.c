/* SPDX-License-Identifier: MIT */
/* SharedKey strings, against the examples of Azure's reference; HMAC against RFC 4231. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/sharedkey.h"

#define FIELD(n, v)                                \
	{                                          \
		n, sizeof(n) - 1, v, sizeof(v) - 1 \
	}
#define COUNT(a) (sizeof(a) / sizeof(*(a)))

static void check(struct azb_sk_request *rq, const char *method, const char *path,
		  const char *query, const char *want)
{
	struct azb_buf out = { 0 };

	rq->method = method;
	rq->method_length = strlen(method);
	rq->path = path;
	rq->path_length = strlen(path);
	rq->query = query;
	rq->query_length = strlen(query);
	assert_true(azb_sharedkey_string(rq, &out));
	assert_false(out.failed);
	assert_string_equal(out.data, want);
	azb_buf_free(&out);
}

static void string_of_get_container_metadata(void **state)
{
	const struct azb_sk_field fields[] = {
		FIELD("x-ms-version", "2015-02-21"),
		FIELD("x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT"),
	};
	struct azb_sk_request rq = { .account = "myaccount",
				     .field = fields,
				     .field_count = COUNT(fields) };

	(void)state;
	check(&rq, "GET", "/mycontainer", "restype=container&comp=metadata&timeout=20",
	      "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\n"
	      "x-ms-version:2015-02-21\n/myaccount/mycontainer\ncomp:metadata\n"
	      "restype:container\ntimeout:20");
}

static void string_of_list_blobs_with_repeated_include(void **state)
{
	struct azb_sk_request rq = { .account = "myaccount" };

	(void)state;
	check(&rq, "GET", "/mycontainer",
	      "restype=container&comp=list&include=snapshots&include=metadata"
	      "&include=uncommittedblobs",
	      "GET\n\n\n\n\n\n\n\n\n\n\n\n/myaccount/mycontainer\ncomp:list\n"
	      "include:metadata,snapshots,uncommittedblobs\nrestype:container");
}

static void all_standard_headers_have_their_line(void **state)
{
	const struct azb_sk_field fields[] = {
		FIELD("range", "r"),
		FIELD("If-Unmodified-Since", "ius"),
		FIELD("if-none-match", "inm"),
		FIELD("If-Match", "im"),
		FIELD("If-Modified-Since", "ims"),
		FIELD("Date", "d"),
		FIELD("CONTENT-TYPE", "ct"),
		FIELD("Content-MD5", "md5"),
		FIELD("Content-Length", "7"),
		FIELD("Content-Language", "cl"),
		FIELD("Content-Encoding", "ce"),
		FIELD("User-Agent", "not signed"),
	};
	struct azb_sk_request rq = { .account = "a",
				     .field = fields,
				     .field_count = COUNT(fields) };

	(void)state;
	check(&rq, "PUT", "/c/b", "", "PUT\nce\ncl\n7\nmd5\nct\nd\nims\nim\ninm\nius\nr\n/a/c/b");
}

static void a_length_of_zero_is_an_empty_line(void **state)
{
	const struct azb_sk_field fields[] = { FIELD("Content-Length", "0") };
	struct azb_sk_request rq = { .account = "a", .field = fields, .field_count = 1 };

	(void)state;
	check(&rq, "PUT", "/c", "restype=container",
	      "PUT\n\n\n\n\n\n\n\n\n\n\n\n/a/c\nrestype:container");
}

static void x_ms_date_leaves_the_date_line_empty(void **state)
{
	const struct azb_sk_field fields[] = { FIELD("Date", "d"), FIELD("x-ms-date", "m") };
	struct azb_sk_request rq = { .account = "a",
				     .field = fields,
				     .field_count = COUNT(fields) };

	(void)state;
	check(&rq, "GET", "/c/b", "", "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:m\n/a/c/b");
}

static void path_style_has_the_account_twice(void **state)
{
	struct azb_sk_request rq = { .account = "devstoreaccount1" };

	(void)state;
	check(&rq, "GET", "/devstoreaccount1/c/a%20b", "",
	      "GET\n\n\n\n\n\n\n\n\n\n\n\n/devstoreaccount1/devstoreaccount1/c/a%20b");
}

static void query_is_decoded_sorted_and_lower_case(void **state)
{
	struct azb_sk_request rq = { .account = "a" };

	(void)state;
	check(&rq, "GET", "/c", "Prefix=a%2Fb+c%20d&&COMP=list&empty=&bare",
	      "GET\n\n\n\n\n\n\n\n\n\n\n\n/a/c\nbare:\ncomp:list\nempty:\nprefix:a/b+c d");
}

static void a_bad_escape_is_refused(void **state)
{
	struct azb_sk_request rq = { .account = "a",
				     .method = "GET",
				     .method_length = 3,
				     .path = "/",
				     .path_length = 1,
				     .query = "a=%2",
				     .query_length = 4 };
	struct azb_buf out = { 0 };

	(void)state;
	assert_false(azb_sharedkey_string(&rq, &out));
	azb_buf_free(&out);
}

static void lite_has_fewer_lines_and_only_comp(void **state)
{
	const struct azb_sk_field fields[] = {
		FIELD("Content-Type", "text/plain; charset=UTF-8"),
		FIELD("x-ms-date", "Sun, 20 Sep 2009 20:36:40 GMT"),
		FIELD("x-ms-meta-m1", "v1"),
		FIELD("x-ms-meta-m2", "v2"),
	};
	struct azb_sk_request rq = { .account = "testaccount1",
				     .field = fields,
				     .field_count = COUNT(fields),
				     .lite = true };

	(void)state;
	check(&rq, "PUT", "/mycontainer/hello.txt", "",
	      "PUT\n\ntext/plain; charset=UTF-8\n\nx-ms-date:Sun, 20 Sep 2009 20:36:40 GMT\n"
	      "x-ms-meta-m1:v1\nx-ms-meta-m2:v2\n/testaccount1/mycontainer/hello.txt");
	rq.field_count = 0;
	check(&rq, "GET", "/c", "restype=container&comp=list&prefix=x",
	      "GET\n\n\n\n/testaccount1/c?comp=list");
}

static void the_two_orders_of_headers(void **state)
{
	const struct azb_sk_field fields[] = {
		FIELD("x-ms-meta-ab", "1"),
		FIELD("x-ms-meta-a-c", "2"),
		FIELD("X-MS-META-A_B", "3"),
		FIELD("x-ms-meta-a1", ""),
	};
	struct azb_sk_request rq = {
		.account = "a", .field = fields, .field_count = COUNT(fields), .lite = true
	};

	(void)state;
	check(&rq, "GET", "/", "",
	      "GET\n\n\n\nx-ms-meta-a-c:2\nx-ms-meta-a1:\nx-ms-meta-a_b:3\nx-ms-meta-ab:1\n/a/");
	rq.order = AZB_SK_ORDER_WORDS;
	check(&rq, "GET", "/", "",
	      "GET\n\n\n\nx-ms-meta-a_b:3\nx-ms-meta-a1:\nx-ms-meta-ab:1\nx-ms-meta-a-c:2\n/a/");
}

static void signature_is_hmac_sha256(void **state)
{
	/* RFC 4231, test case 1: b0344c61 d8db3853 5ca8afce af0bf12b 881dc200 c9833da7 26e9376c
	 * 2e32cff7, in base64
	 */
	static const char want[] = "sDRMYdjbOFNcqK/OrwvxK4gdwgDJgz2nJuk3bC4yz/c=";
	char got[AZB_SHAREDKEY_SIGNATURE + 1];
	uint8_t key[20];

	(void)state;
	memset(key, 0x0b, sizeof(key));
	assert_true(azb_sharedkey_sign(key, sizeof(key), "Hi There", 8, got));
	assert_string_equal(got, want);
	assert_true(azb_sharedkey_same(got, want, strlen(want)));
	assert_false(azb_sharedkey_same(got, want, strlen(want) - 1));
	got[43] = 'x';
	assert_false(azb_sharedkey_same(got, want, strlen(want)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(string_of_get_container_metadata),
		cmocka_unit_test(string_of_list_blobs_with_repeated_include),
		cmocka_unit_test(all_standard_headers_have_their_line),
		cmocka_unit_test(a_length_of_zero_is_an_empty_line),
		cmocka_unit_test(x_ms_date_leaves_the_date_line_empty),
		cmocka_unit_test(path_style_has_the_account_twice),
		cmocka_unit_test(query_is_decoded_sorted_and_lower_case),
		cmocka_unit_test(a_bad_escape_is_refused),
		cmocka_unit_test(lite_has_fewer_lines_and_only_comp),
		cmocka_unit_test(the_two_orders_of_headers),
		cmocka_unit_test(signature_is_hmac_sha256),
	};

	return cmocka_run_group_tests_name("sharedkey", tests, NULL, NULL);
}
