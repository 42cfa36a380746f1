/* SPDX-License-Identifier: MIT */
/*
 * Strings-to-sign of shared access signatures, against tokens that azure-storage-blob 12.31.1
 * made; times and addresses that restrict them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/base64.h"
#include "base/sharedkey.h"
#include "blob/accounts.h"
#include "blob/isotime.h"
#include "blob/sas.h"

static struct head head;
static struct target target;

static void sas_of(const char *text, struct sas *sas)
{
	head.target = (struct head_str){ text, strlen(text) };
	assert_int_equal(target_parse(&target, &head), TARGET_OK);
	assert_null(sas_read(sas, &target));
}

/* The signature that the token brings is the one of our string. */
static void signed_by_the_sdk(const char *text, enum sas_kind kind)
{
	char signature[AZB_SHAREDKEY_SIGNATURE + 1];
	struct azb_buf string = { 0 };
	uint8_t key[ACCOUNTS_MAX_KEY];
	struct sas sas;
	ssize_t length;

	sas_of(text, &sas);
	assert_int_equal(sas.kind, kind);
	assert_true(sas_string(&sas, &target, &head, &string));
	length = azb_base64_decode(key, sizeof(key), ACCOUNTS_DEV_KEY, strlen(ACCOUNTS_DEV_KEY));
	assert_true(azb_sharedkey_sign(key, (size_t)length, string.data, string.length, signature));
	if (!azb_sharedkey_same(signature, sas.sig, strlen(sas.sig)))
		fail_msg("another string was signed than\n%s", string.data);
	azb_buf_free(&string);
	target_free(&target);
}

#define ROOT "/" ACCOUNTS_DEV_NAME
#define TIMES "st=2020-01-01T00%3A00%3A00Z&se=2030-01-01T00%3A00%3A00Z"

static void account_sas(void **state)
{
	(void)state;
	signed_by_the_sdk(ROOT "/?comp=list&" TIMES
			       "&sp=rl&sip=10.0.0.1-10.0.0.9&spr=https&sv=2026-10-06&ss=b&srt=so&"
			       "ses=es&sig=HRAJ5iK2ZKaPclLuA5bV6lezMS6IDCQw0/uaFSluuYA%3D",
			  SAS_ACCOUNT);
}

static void blob_sas(void **state)
{
	(void)state;
	signed_by_the_sdk(ROOT "/cont/a%20b/c+d?" TIMES
			       "&sp=r&sip=10.0.0.1&spr=https%2Chttp&sv=2026-10-06&sr=b&rscc=cc&"
			       "rscd=cd&rsce=ce&rscl=cl&rsct=ct&ses=es&"
			       "sig=wxgYMdhQZnQmmyuA4WdSEWcpefx7jJgJXL9GUbPc050%3D",
			  SAS_SERVICE);
}

static void snapshot_sas_with_stored_policy(void **state)
{
	(void)state;
	signed_by_the_sdk(ROOT "/cont/b?snapshot=2026-01-01T00%3A00%3A00.0000000Z&sv=2026-10-06&"
			       "si=pol&sr=bs&sig=yiXqVFEmxj5VbpMWNm84mvl1qBqNsCcIOiRM80/Xjo4%3D",
			  SAS_SERVICE);
}

static void user_delegation_sas_with_everything(void **state)
{
	(void)state;
	head.field[0] = (struct head_field){ { "X-Ms-Meta-A", 11 }, { "1", 1 } };
	head.field[1] = (struct head_field){ { "content-type", 12 }, { "t", 1 } };
	head.field_count = 2;
	signed_by_the_sdk(ROOT
			  "/cont?restype=container&comp=list&prefix=p%20q&"
			  "se=2030-01-01T00%3A00%3A00Z&sp=rl&sv=2026-10-06&sduoid=duo&sr=c&rsct=ct&"
			  "saoid=sao&scid=cid&skoid=oid&sktid=tid&skt=2020-01-01T00%3A00%3A00Z&"
			  "ske=2030-01-01T00%3A00%3A00Z&sks=b&skv=2026-10-06&skdutid=dtid&"
			  "srh=x-ms-meta-a,Content-Type&srq=prefix&"
			  "sig=7NhaUKWoQF6Ayxm6DjfgUE5kooxjP5XJIr1qBGb07ls%3D",
			  SAS_USER);
	head.field_count = 0;
}

static void a_signed_header_must_be_there(void **state)
{
	struct azb_buf string = { 0 };
	struct sas sas;

	(void)state;
	sas_of(ROOT "/cont/b?sv=2026-04-06&sr=b&sp=r&se=2030-01-01&skoid=o&sktid=t&"
		    "skt=2020-01-01&ske=2030-01-01&sks=b&skv=2026-04-06&srh=x-ms-meta-a&sig=x",
	       &sas);
	assert_false(sas_string(&sas, &target, &head, &string));
	azb_buf_free(&string);
	target_free(&target);
}

static void times(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds;
	} good[] = {
		{ "1970-01-01", 0 },
		{ "1970-01-02T00:00Z", 86400 },
		{ "1970-01-01T00:01:01Z", 61 },
		{ "1970-01-01T01:00:00+01:00", 0 },
		{ "1969-12-31T23:59:59Z", -1 },
		{ "2024-02-29T00:00:00Z", 1709164800 },
		{ "2026-11-23T00:00:00", 1795392000 },
	};
	static const char *const bad[] = { "",
					   "1970",
					   "1970-01-01T",
					   "1970-01-01 00:00Z",
					   "2023-02-29",
					   "1970-13-01",
					   "1970-00-01",
					   "1970-01-00",
					   "1970-01-01T24:00Z",
					   "1970-01-01T00:60Z",
					   "1970-01-01T00:00:60Z",
					   "1970-01-01T00:00:00.Z",
					   "1970-01-01T00:00:00.12345678Z",
					   "1970-01-01T00:00:00Zx",
					   "1970-01-01T00:00:00+1:00" };
	char text[ISOTIME_ROOM];
	int64_t ns;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		assert_true(isotime_parse(good[i].text, &ns));
		assert_int_equal(ns, good[i].seconds * 1000000000);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_false(isotime_parse(bad[i], &ns));
	assert_true(isotime_parse("1970-01-01T00:00:00.0000001Z", &ns));
	assert_int_equal(ns, 100);
	assert_true(isotime_parse("9999-12-31T00:00:00Z", &ns));
	assert_int_equal(ns, INT64_MAX);
	assert_true(isotime_parse("0001-01-01T00:00:00Z", &ns));
	assert_int_equal(ns, INT64_MIN);
	isotime_format(text, 1795392001 * INT64_C(1000000000) + 5);
	assert_string_equal(text, "2026-11-23T00:00:01Z");
}

static void addresses(void **state)
{
	(void)state;
	assert_true(sas_address_fits("10.0.0.1", "10.0.0.1"));
	assert_true(sas_address_fits("10.0.0.1-10.0.1.0", "10.0.0.255"));
	assert_true(sas_address_fits("10.0.0.1", "::ffff:10.0.0.1"));
	assert_true(sas_address_fits("fe80::1-fe80::ff", "fe80::10"));
	assert_false(sas_address_fits("10.0.0.1-10.0.0.9", "10.0.0.10"));
	assert_false(sas_address_fits("10.0.0.2-10.0.0.9", "10.0.0.1"));
	assert_false(sas_address_fits("10.0.0.9-10.0.0.1", "10.0.0.5"));
	assert_false(sas_address_fits("10.0.0.1-fe80::1", "10.0.0.1"));
	assert_false(sas_address_fits("::-ffff::", "10.0.0.1"));
	assert_false(sas_address_fits("", "10.0.0.1"));
	assert_false(sas_address_fits("10.0.0.1", ""));
	assert_false(sas_address_fits("10.0.0.1-10.0.0.2-10.0.0.3", "10.0.0.1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(account_sas),
		cmocka_unit_test(blob_sas),
		cmocka_unit_test(snapshot_sas_with_stored_policy),
		cmocka_unit_test(user_delegation_sas_with_everything),
		cmocka_unit_test(a_signed_header_must_be_there),
		cmocka_unit_test(times),
		cmocka_unit_test(addresses),
	};

	return cmocka_run_group_tests_name("sas", tests, NULL, NULL);
}
