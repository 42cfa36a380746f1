/* SPDX-License-Identifier: MIT */
/*
 * Answers for which there is no memory: what the caller is told must be true.  The exchange and the
 * shortage come by the linker's --wrap (meson.build).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "store/azure/azure.h"

#define WRAP(type, name, ...)            \
	type __wrap_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)

static bool no_calloc, no_realloc;
static int64_t said;
static unsigned int ended;
static struct azb_buf headers;
static char exchange;

void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);

WRAP(void *, calloc, size_t count, size_t size)
{
	return no_calloc ? NULL : __real_calloc(count, size);
}

WRAP(void *, realloc, void *old, size_t size)
{
	return no_realloc ? NULL : __real_realloc(old, size);
}

WRAP(unsigned int, up_status, const struct up_call *call)
{
	(void)call;
	return 201;
}

WRAP(int64_t, up_content_length, const struct up_call *call)
{
	(void)call;
	return said;
}

WRAP(struct azb_buf *, up_headers, struct up_call *call)
{
	(void)call;
	return &headers;
}

WRAP(const char *, up_header, const struct up_call *call, const char *name)
{
	(void)call;
	(void)name;
	return NULL;
}

/* As many as were said, at once. */
WRAP(ssize_t, up_receive, struct up_call *call, const struct iovec *iov, int count)
{
	(void)call;
	(void)count;
	if (said <= 0 || iov->iov_len < (size_t)said)
		return 0;
	memset(iov->iov_base, 'x', (size_t)said);
	return (ssize_t)said;
}

WRAP(void, up_end, struct up_call *call)
{
	ended += call != NULL;
}

static struct rest_answer *make(const char *operation, int64_t length, struct rest_error *error)
{
	static struct az az;
	static struct az_plan plan;

	plan = (struct az_plan){ .az = &az, .operation = az_operation_named(operation) };
	*error = (struct rest_error){ .status = 0 };
	said = length;
	ended = 0;
	azb_buf_add(&headers, "A\0b", 4);
	return az_answer_make(&plan, (struct up_call *)&exchange, error);
}

static void expect(const char *operation, int64_t length, unsigned int status, const char *code)
{
	struct rest_error error;
	bool calloc_fails = no_calloc, realloc_fails = no_realloc;
	struct rest_answer *answer;

	/* the headers came before there was no memory */
	no_calloc = no_realloc = false;
	azb_buf_free(&headers);
	azb_buf_add(&headers, "", 0);
	no_calloc = calloc_fails;
	no_realloc = realloc_fails;
	answer = make(operation, length, &error);
	no_calloc = no_realloc = false;
	assert_null(answer);
	assert_int_equal(error.status, status);
	assert_string_equal(error.code, code);
	assert_int_equal(ended, 1);
	azb_buf_free(&headers);
}

static void with_memory_there_is_an_answer(void **state)
{
	struct rest_error error;
	struct rest_answer *answer = make("Append Block", 100, &error);

	(void)state;
	assert_non_null(answer);
	assert_int_equal(answer->body_length, 100);
	answer->close(answer);
}

/* A 503 would be repeated by every client library, and the deed is done. */
static void a_change_without_memory_for_its_answer_is_unknown(void **state)
{
	(void)state;
	no_calloc = true;
	expect("Append Block", 100, 424, "OutcomeUnknown");
	no_realloc = true;
	expect("Append Block", 100, 424, "OutcomeUnknown");
	/* a body in chunks: its length is put among the headers */
	no_realloc = true;
	expect("Append Block", -1, 424, "OutcomeUnknown");
}

static void what_is_safe_may_be_asked_again(void **state)
{
	(void)state;
	no_calloc = true;
	expect("Get Blob", 100, 503, "ServerBusy");
	no_realloc = true;
	expect("Get Blob", 100, 503, "ServerBusy");
}

static bool is_kept(struct az_effects *effects, const uint8_t session[16], uint64_t request)
{
	void *bytes;
	size_t length;

	assert_int_equal(az_effects_lookup(effects, session, request, &bytes, &length), STORE_OK);
	free(bytes);
	return bytes != NULL;
}

static void parts_are_forgotten_with_their_request(void **state)
{
	static const uint8_t session[16] = "a session", other[16] = "another";
	struct az_effects *effects = az_effects_new();

	(void)state;
	assert_non_null(effects);
	az_effects_keep(effects, session, 5, "whole", 5);
	for (unsigned int i = 0; i < 3; i++)
		az_effects_keep(effects, session, store_effect_part(5, i), "part", 4);
	/* a neighbour in number, one in the same place, and another session's */
	az_effects_keep(effects, session, store_effect_part(6, 0), "part", 4);
	az_effects_keep(effects, session, store_effect_part(5 + 256, 0), "part", 4);
	az_effects_keep(effects, other, store_effect_part(5, 0), "part", 4);
	assert_false(is_kept(effects, session, store_effect_part(5, 3)));
	assert_true(is_kept(effects, session, store_effect_part(5, 2)));
	az_effects_forget(effects, session, 5);
	assert_false(is_kept(effects, session, 5));
	for (unsigned int i = 0; i < 3; i++)
		assert_false(is_kept(effects, session, store_effect_part(5, i)));
	assert_true(is_kept(effects, session, store_effect_part(6, 0)));
	assert_true(is_kept(effects, session, store_effect_part(5 + 256, 0)));
	assert_true(is_kept(effects, other, store_effect_part(5, 0)));
	az_effects_free(effects);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(with_memory_there_is_an_answer),
		cmocka_unit_test(a_change_without_memory_for_its_answer_is_unknown),
		cmocka_unit_test(what_is_safe_may_be_asked_again),
		cmocka_unit_test(parts_are_forgotten_with_their_request),
	};

	return cmocka_run_group_tests_name("azure_answer", tests, NULL, NULL);
}
