/* SPDX-License-Identifier: MIT */
/*
 * When a managed identity's token is fetched.  The clock stands still unless a test moves it, and
 * the metadata service is a few functions here: both come by the linker's --wrap (meson.build).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "store/azure/azure.h"

#define WRAP(type, name, ...)            \
	type __wrap_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)

/* Seconds; no test needs less. */
static int64_t clock_s;
static unsigned int asked, status, lives;
static bool hold;
static sem_t arrived, release;
static char exchange;

WRAP(int, clock_gettime, clockid_t id, struct timespec *now)
{
	(void)id;
	*now = (struct timespec){ .tv_sec = clock_s };
	return 0;
}

/* Pauses between attempts are not what is tested. */
WRAP(int, nanosleep, const struct timespec *wanted, struct timespec *left)
{
	(void)wanted;
	(void)left;
	return 0;
}

WRAP(int, up_start, struct up_pool *pool, const struct up_request *request, struct up_call **call)
{
	(void)pool;
	curl_slist_free_all(request->headers);
	asked++;
	*call = (struct up_call *)&exchange;
	return 0;
}

WRAP(int, up_wait_head, struct up_call *call)
{
	(void)call;
	if (hold) {
		sem_post(&arrived);
		sem_wait(&release);
	}
	return 0;
}

WRAP(unsigned int, up_status, const struct up_call *call)
{
	(void)call;
	return status;
}

WRAP(ssize_t, up_receive, struct up_call *call, const struct iovec *iov, int count)
{
	(void)call;
	(void)count;
	return snprintf(iov->iov_base, iov->iov_len,
			"{\"access_token\":\"token%u\",\"expires_in\":\"%u\"}", asked, lives);
}

WRAP(void, up_end, struct up_call *call)
{
	(void)call;
}

static int begin(void **state)
{
	struct az_config config = { .imds = "http://127.0.0.1:1" };

	clock_s = 1000000;
	asked = 0;
	status = 200;
	lives = 86400;
	hold = false;
	sem_init(&arrived, 0, 0);
	sem_init(&release, 0, 0);
	*state = az_token_new(&config);
	return *state ? 0 : -1;
}

static int end(void **state)
{
	az_token_free(*state);
	return 0;
}

static void expect(struct az_token *token, const char *value)
{
	char why[200] = "";
	char *got;

	if (!az_token_get(token, &got, why, sizeof(why)))
		fail_msg("there is no token: %s", why);
	assert_string_equal(got, value);
	free(got);
}

static void it_is_fetched_again_five_minutes_before_it_ends(void **state)
{
	expect(*state, "token1");
	clock_s += 86400 - 301;
	expect(*state, "token1");
	assert_int_equal(asked, 1);
	clock_s++;
	expect(*state, "token2");
	expect(*state, "token2");
	assert_int_equal(asked, 2);
}

static void a_short_lived_one_is_used_for_half_of_its_life(void **state)
{
	lives = 20;
	expect(*state, "token1");
	clock_s += 9;
	expect(*state, "token1");
	clock_s++;
	expect(*state, "token2");
	/* ten minutes are short too, a second more is not */
	lives = 600;
	clock_s += 10;
	expect(*state, "token3");
	clock_s += 299;
	expect(*state, "token3");
	lives = 601;
	clock_s++;
	expect(*state, "token4");
	clock_s += 300;
	expect(*state, "token4");
	clock_s++;
	expect(*state, "token5");
}

static void *fetch_it(void *token)
{
	expect(token, "token2");
	return NULL;
}

static void others_go_on_with_the_old_one_while_it_is_fetched(void **state)
{
	pthread_t thread;

	expect(*state, "token1");
	clock_s += 86400 - 1;
	hold = true;
	assert_int_equal(pthread_create(&thread, NULL, fetch_it, *state), 0);
	sem_wait(&arrived);
	/* the fetch can't end before the release, so whoever waited for it would never come back */
	expect(*state, "token1");
	expect(*state, "token1");
	assert_int_equal(asked, 2);
	hold = false;
	sem_post(&release);
	pthread_join(thread, NULL);
	expect(*state, "token2");
}

static void a_good_one_outlives_a_service_in_trouble(void **state)
{
	char why[200] = "";
	char *got;

	expect(*state, "token1");
	status = 500;
	clock_s += 86400 - 300;
	expect(*state, "token1");
	assert_int_equal(asked, 1 + 4);
	/* not with every request */
	clock_s += 9;
	expect(*state, "token1");
	assert_int_equal(asked, 1 + 4);
	clock_s++;
	expect(*state, "token1");
	assert_int_equal(asked, 1 + 8);
	clock_s += 290;
	assert_false(az_token_get(*state, &got, why, sizeof(why)));
	assert_null(got);
	assert_non_null(strstr(why, "answered 500"));
	status = 200;
	expect(*state, "token14");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_is_fetched_again_five_minutes_before_it_ends,
						begin, end),
		cmocka_unit_test_setup_teardown(a_short_lived_one_is_used_for_half_of_its_life,
						begin, end),
		cmocka_unit_test_setup_teardown(others_go_on_with_the_old_one_while_it_is_fetched,
						begin, end),
		cmocka_unit_test_setup_teardown(a_good_one_outlives_a_service_in_trouble, begin,
						end),
	};

	return cmocka_run_group_tests_name("azure_token", tests, NULL, NULL);
}
