/* SPDX-License-Identifier: MIT */
/* Credentials at the VSP link: it counts as https, and a SAS for an address needs to know it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/base64.h"
#include "base/sharedkey.h"
#include "service_help.h"

/* An account SAS with @spr and @sip, as the query of a list of containers. */
static void make_target(char *target, size_t room, const char *spr, const char *sip)
{
	char signature[AZB_SHAREDKEY_SIGNATURE + 1], text[400];
	uint8_t key[ACCOUNTS_MAX_KEY];
	ssize_t length;
	int n;

	n = snprintf(text, sizeof(text),
		     ACCOUNTS_DEV_NAME "\nl\nb\ns\n\n2999-01-01\n%s\n%s\n2020-02-10\n", sip, spr);
	length = azb_base64_decode(key, sizeof(key), ACCOUNTS_DEV_KEY, strlen(ACCOUNTS_DEV_KEY));
	assert_true(azb_sharedkey_sign(key, (size_t)length, text, (size_t)n, signature));
	n = snprintf(target, room,
		     "/?comp=list&sp=l&ss=b&srt=s&se=2999-01-01&sv=2020-02-10&spr=%s&sip=%s&sig=",
		     spr, sip);
	for (const char *c = signature; *c && (size_t)n + 4 < room; c++)
		n += snprintf(target + n, room - (size_t)n, *c == '+' ? "%%2B" : "%c", *c);
}

static unsigned int ask(struct service *s, const char *spr, const char *sip,
			const struct svc_caller *caller)
{
	struct svc_answer *answer;
	struct svc_upload *upload;
	char target[600], text[1024];
	unsigned int status;
	size_t taken;

	make_target(target, sizeof(target), spr, sip);
	snprintf(text, sizeof(text),
		 "GET " ACCOUNT_PATH "%s HTTP/1.1\r\nHost: h\r\nx-ms-version: 2023-11-03\r\n\r\n",
		 target);
	head_parser_reset(s->parser);
	assert_int_equal(head_parser_feed(s->parser, text, strlen(text), &taken), HEAD_DONE);
	assert_int_equal(svc_start(s->svc, head_parser_head(s->parser), caller, &answer, &upload),
			 SVC_ANSWER);
	status = answer->status;
	svc_answer_put(answer);
	return status;
}

static void the_link_counts_as_https(void **state)
{
	struct svc_caller link = service_caller(0), plain = { .peer = "test" };

	assert_int_equal(ask(*state, "https", "", &link), 200);
	assert_int_equal(ask(*state, "https,http", "", &plain), 200);
	assert_int_equal(ask(*state, "https", "", &plain), 403);
}

static void an_address_that_is_not_known_fits_nothing(void **state)
{
	struct svc_caller link = service_caller(0);

	assert_int_equal(ask(*state, "https", "10.0.0.1", &link), 403);
	link.address = "10.0.0.1";
	assert_int_equal(ask(*state, "https", "10.0.0.1", &link), 200);
	assert_int_equal(ask(*state, "https", "10.0.0.0-10.0.0.9", &link), 200);
	link.address = "10.0.0.10";
	assert_int_equal(ask(*state, "https", "10.0.0.0-10.0.0.9", &link), 403);
}

static void other_accounts_take_their_place(void **state)
{
	struct svc_caller link = service_caller(0);
	struct accounts *others = accounts_new();
	struct service *s = *state;
	char error[200];

	assert_non_null(others);
	assert_true(accounts_add(others, ACCOUNTS_DEV_NAME ":QUJDREVGR0hJSktMTU5PUA==", error,
				 sizeof(error)));
	assert_int_equal(ask(s, "https", "", &link), 200);
	svc_set_accounts(s->svc, others);
	accounts_put(others);
	assert_int_equal(ask(s, "https", "", &link), 403);
	svc_set_accounts(s->svc, s->accounts);
	assert_int_equal(ask(s, "https", "", &link), 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_link_counts_as_https, service_setup,
						service_teardown),
		cmocka_unit_test_setup_teardown(an_address_that_is_not_known_fits_nothing,
						service_setup, service_teardown),
		cmocka_unit_test_setup_teardown(other_accounts_take_their_place, service_setup,
						service_teardown),
	};

	return cmocka_run_group_tests_name("auth", tests, NULL, NULL);
}
