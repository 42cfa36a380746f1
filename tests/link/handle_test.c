// SPDX-License-Identifier: MIT
/* Handles: whose they are, when they expire, and that a commit happens once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "../../vsp-backend/blob/handle.h"
#include "../../vsp-backend/door/head.h"
#include "fake_svc.h"

static const uint8_t mine[16] = "a session, mine";
static const uint8_t other[16] = "another session";

struct bench {
	struct svc *svc;
	struct handles *handles;
	uint64_t now_ms;
};

static uint64_t clock_ms(void *context)
{
	return ((struct bench *)context)->now_ms;
}

static int set_up(void **state)
{
	static struct bench bench;
	struct handles_config config = {
		.idle_ms = 1000, .per_session = 3, .now_ms = clock_ms, .context = &bench
	};

	bench.now_ms = 5000;
	bench.svc = fake_svc_new();
	bench.handles = handles_new(&config);
	*state = &bench;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *bench = *state;

	handles_free(bench->handles);
	assert_int_equal(fake_uploads(bench->svc), 0);
	assert_int_equal(fake_answers(bench->svc), 0);
	fake_svc_free(bench->svc);
	return 0;
}

/* An upload of two bytes. */
static struct svc_upload *new_upload(struct bench *bench)
{
	static const struct head head = { .method = { "PUT", 3 },
					  .target = { "/b/name", 7 },
					  .content_length = 2 };
	struct svc_caller caller = { .link = true, .peer = "test" };
	struct svc_answer *answer = NULL;
	struct svc_upload *upload = NULL;

	assert_int_equal(svc_start(bench->svc, &head, &caller, &answer, &upload), SVC_BODY);
	return upload;
}

static void open_upload(struct bench *bench, const uint8_t session[16], char id[33])
{
	assert_int_equal(handle_add_upload(bench->handles, session, new_upload(bench), id), 0);
}

static void write_byte(struct svc_upload *upload, uint64_t offset, char byte)
{
	struct iovec iov = { &byte, 1 };

	assert_int_equal(svc_write(upload, offset, &iov, 1, 0, NULL, NULL), 0);
}

static void a_handle_belongs_to_its_session_and_kind(void **state)
{
	struct bench *bench = *state;
	struct handle *handle;
	char id[33];

	open_upload(bench, mine, id);
	assert_int_equal(strlen(id), 32);
	assert_null(handle_get(bench->handles, other, HANDLE_UPLOAD, id, 32));
	assert_null(handle_get(bench->handles, mine, HANDLE_DOWNLOAD, id, 32));
	assert_null(handle_get(bench->handles, mine, HANDLE_UPLOAD, id, 31));
	assert_false(handle_forget(bench->handles, other, id, 32));
	handle = handle_get(bench->handles, mine, HANDLE_UPLOAD, id, 32);
	assert_non_null(handle);
	handle_put(handle);
	id[5] = 'g';
	assert_null(handle_get(bench->handles, mine, HANDLE_UPLOAD, id, 32));
}

static void two_handles_never_have_the_same_name(void **state)
{
	struct bench *bench = *state;
	char one[33], two[33];

	open_upload(bench, mine, one);
	open_upload(bench, mine, two);
	assert_string_not_equal(one, two);
}

static void an_idle_handle_expires(void **state)
{
	struct bench *bench = *state;
	char id[33];

	assert_true(handles_expire(bench->handles) == UINT64_MAX);
	open_upload(bench, mine, id);
	bench->now_ms += 400;
	assert_int_equal(handles_expire(bench->handles), 600);
	handle_put(handle_get(bench->handles, mine, HANDLE_UPLOAD, id, 32));
	bench->now_ms += 999;
	assert_int_equal(handles_expire(bench->handles), 1);
	bench->now_ms += 1;
	/* Its time is over, even before anybody has come to collect it. */
	assert_null(handle_get(bench->handles, mine, HANDLE_UPLOAD, id, 32));
	handles_expire(bench->handles);
	assert_int_equal(handles_count(bench->handles), 0);
	assert_int_equal(fake_uploads(bench->svc), 0);
}

static void a_handle_in_use_does_not_expire(void **state)
{
	struct bench *bench = *state;
	struct handle *handle;
	char id[33];

	open_upload(bench, mine, id);
	handle = handle_get(bench->handles, mine, HANDLE_UPLOAD, id, 32);
	bench->now_ms += 5000;
	handles_expire(bench->handles);
	assert_int_equal(handles_count(bench->handles), 1);
	handle_put(handle);
	bench->now_ms += 999;
	handles_expire(bench->handles);
	assert_int_equal(handles_count(bench->handles), 1);
}

static void a_session_has_a_limit_and_others_have_their_own(void **state)
{
	struct bench *bench = *state;
	struct svc_upload *upload;
	char id[33];

	for (int i = 0; i < 3; i++)
		open_upload(bench, mine, id);
	upload = new_upload(bench);
	assert_int_equal(handle_add_upload(bench->handles, mine, upload, id), -EMFILE);
	svc_abort(upload);
	open_upload(bench, other, id);
}

static void a_session_that_ends_takes_its_handles_along(void **state)
{
	struct bench *bench = *state;
	char id[33], kept[33];

	open_upload(bench, mine, id);
	open_upload(bench, mine, id);
	open_upload(bench, other, kept);
	handles_end_session(bench->handles, mine);
	assert_int_equal(handles_count(bench->handles), 1);
	assert_int_equal(fake_uploads(bench->svc), 1);
	handle_put(handle_get(bench->handles, other, HANDLE_UPLOAD, kept, 32));
}

static void a_forgotten_handle_lives_as_long_as_its_user(void **state)
{
	struct bench *bench = *state;
	struct handle *handle;
	char id[33];

	open_upload(bench, mine, id);
	handle = handle_get(bench->handles, mine, HANDLE_UPLOAD, id, 32);
	assert_true(handle_forget(bench->handles, mine, id, 32));
	assert_int_equal(fake_uploads(bench->svc), 1);
	assert_null(handle_get(bench->handles, mine, HANDLE_UPLOAD, id, 32));
	handle_put(handle);
	assert_int_equal(fake_uploads(bench->svc), 0);
}

static void a_commit_with_bytes_missing_leaves_the_handle(void **state)
{
	struct bench *bench = *state;
	struct svc_caller caller = { .link = true, .peer = "test" };
	struct svc_answer *answer;
	struct handle *handle;
	char id[33];

	open_upload(bench, mine, id);
	handle = handle_get(bench->handles, mine, HANDLE_UPLOAD, id, 32);
	write_byte(handle_part_enter(handle), 0, 'a');
	handle_part_leave(handle);
	assert_int_equal(handle_commit(handle, &caller, NULL, NULL, &answer), -ENODATA);
	write_byte(handle_part_enter(handle), 1, 'b');
	/* The part is under way until it is left. */
	assert_int_equal(handle_commit(handle, &caller, NULL, NULL, &answer), -ENODATA);
	handle_part_leave(handle);
	assert_int_equal(handle_commit(handle, &caller, NULL, NULL, &answer), 0);
	assert_int_equal(answer->status, 201);
	svc_answer_put(answer);
	handle_put(handle);
}

static void a_commit_happens_once_and_is_answered_again(void **state)
{
	struct bench *bench = *state;
	struct svc_caller caller = { .link = true, .peer = "test" };
	struct svc_answer *first, *second;
	struct handle *handle;
	char id[33];

	open_upload(bench, mine, id);
	handle = handle_get(bench->handles, mine, HANDLE_UPLOAD, id, 32);
	write_byte(handle_part_enter(handle), 0, 'a');
	handle_part_leave(handle);
	write_byte(handle_part_enter(handle), 1, 'b');
	handle_part_leave(handle);
	assert_int_equal(handle_commit(handle, &caller, NULL, NULL, &first), 0);
	assert_int_equal(handle_commit(handle, &caller, NULL, NULL, &second), 0);
	assert_ptr_equal(first, second);
	assert_int_equal(fake_effects(bench->svc), 1);
	assert_null(handle_part_enter(handle));
	svc_answer_put(first);
	svc_answer_put(second);
	handle_put(handle);
}

struct committer {
	struct handle *handle;
	struct svc_answer *answer;
	int result;
};

static void *commit(void *argument)
{
	struct committer *committer = argument;
	struct svc_caller caller = { .link = true, .peer = "test" };

	committer->result =
		handle_commit(committer->handle, &caller, NULL, NULL, &committer->answer);
	return NULL;
}

static bool always(void *context)
{
	(void)context;
	return true;
}

static void a_second_commit_waits_for_the_first_and_may_give_up(void **state)
{
	struct bench *bench = *state;
	struct svc_caller caller = { .link = true, .peer = "test" };
	struct committer first = { 0 };
	struct svc_answer *answer;
	pthread_t thread;
	char id[33];

	open_upload(bench, mine, id);
	first.handle = handle_get(bench->handles, mine, HANDLE_UPLOAD, id, 32);
	write_byte(handle_part_enter(first.handle), 0, 'a');
	write_byte(handle_part_enter(first.handle), 1, 'b');
	handle_part_leave(first.handle);
	handle_part_leave(first.handle);
	fake_shut(bench->svc, FAKE_FINISH);
	pthread_create(&thread, NULL, commit, &first);
	fake_await(bench->svc, FAKE_FINISH, 1);
	assert_int_equal(handle_commit(first.handle, &caller, always, NULL, &answer), -ECANCELED);
	fake_open(bench->svc, FAKE_FINISH);
	assert_int_equal(handle_commit(first.handle, &caller, NULL, NULL, &answer), 0);
	pthread_join(thread, NULL);
	assert_int_equal(first.result, 0);
	assert_int_equal(fake_effects(bench->svc), 1);
	svc_answer_put(answer);
	svc_answer_put(first.answer);
	handle_put(first.handle);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_handle_belongs_to_its_session_and_kind),
		TEST(two_handles_never_have_the_same_name),
		TEST(an_idle_handle_expires),
		TEST(a_handle_in_use_does_not_expire),
		TEST(a_session_has_a_limit_and_others_have_their_own),
		TEST(a_session_that_ends_takes_its_handles_along),
		TEST(a_forgotten_handle_lives_as_long_as_its_user),
		TEST(a_commit_with_bytes_missing_leaves_the_handle),
		TEST(a_commit_happens_once_and_is_answered_again),
		TEST(a_second_commit_waits_for_the_first_and_may_give_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
