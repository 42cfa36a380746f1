/* SPDX-License-Identifier: MIT */
/* Which hosts and addresses copies may come from. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <string.h>

#include "blob/fetch.h"

static bool is_public(const char *text)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };

	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		return fetch_address_public((struct sockaddr *)&v4);
	assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
	return fetch_address_public((struct sockaddr *)&v6);
}

static void addresses_of_the_internet_are_public(void **state)
{
	static const char *const good[] = {
		"1.1.1.1",         "9.255.255.255",   "11.0.0.0",       "100.63.255.255",
		"100.128.0.0",     "126.255.255.255", "128.0.0.0",      "169.253.255.255",
		"169.255.0.0",     "172.15.255.255",  "172.32.0.0",     "192.0.1.0",
		"192.167.255.255", "192.169.0.0",     "198.17.255.255", "198.20.0.0",
		"223.255.255.255", "2600::1",         "2a00::1",        "2002:0101:0101::1",
		"::ffff:1.1.1.1",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		if (!is_public(good[i]))
			fail_msg("%s is public", good[i]);
	}
}

static void other_addresses_are_not(void **state)
{
	static const char *const bad[] = {
		"0.0.0.0",
		"0.255.255.255",
		"10.0.0.1",
		"10.255.255.255",
		"100.64.0.1",
		"100.127.255.255",
		"127.0.0.1",
		"127.255.255.255",
		"169.254.0.1",
		"169.254.169.254",
		"172.16.0.1",
		"172.31.255.255",
		"192.0.0.1",
		"192.0.2.1",
		"192.88.99.1",
		"192.168.0.1",
		"192.168.255.255",
		"198.18.0.1",
		"198.19.255.255",
		"198.51.100.1",
		"203.0.113.1",
		"224.0.0.1",
		"239.255.255.255",
		"240.0.0.1",
		"255.255.255.255",
		"::",
		"::1",
		"::ffff:127.0.0.1",
		"::ffff:10.0.0.1",
		"::127.0.0.1",
		"64:ff9b::7f00:1",
		"100::1",
		"fc00::1",
		"fd00::1",
		"fe80::1",
		"fec0::1",
		"ff02::1",
		"2001::1",
		"2001:db8::1",
		"2002:7f00:1::1",
		"2002:a00:1::1",
	};
	struct sockaddr local = { .sa_family = AF_UNIX };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (is_public(bad[i]))
			fail_msg("%s is not public", bad[i]);
	}
	assert_false(fetch_address_public(&local));
}

static void a_host_is_allowed_as_it_is_written(void **state)
{
	static const char *const hosts[] = { "a.example", "b.example:8080" };
	const struct fetch_rules rules = { hosts, 2, false };
	const struct fetch_rules none = { 0 };

	(void)state;
#define ALLOWED(text) fetch_host_allowed(&rules, text, strlen(text))
	assert_true(ALLOWED("a.example"));
	assert_true(ALLOWED("A.Example"));
	assert_true(ALLOWED("b.example:8080"));
	assert_false(ALLOWED("b.example"));
	assert_false(ALLOWED("a.example:80"));
	assert_false(ALLOWED("x.a.example"));
	assert_false(ALLOWED("a.example.x"));
	assert_false(ALLOWED("a.exampl"));
	assert_false(fetch_host_allowed(&none, "a.example", 9));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_of_the_internet_are_public),
		cmocka_unit_test(other_addresses_are_not),
		cmocka_unit_test(a_host_is_allowed_as_it_is_written),
	};

	return cmocka_run_group_tests_name("fetch", tests, NULL, NULL);
}
