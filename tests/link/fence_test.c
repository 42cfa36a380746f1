// SPDX-License-Identifier: MIT
/*
 * Time-outs, cancels, lost links, goodbyes: nobody is told that a request has ended
 * while it could still touch memory, and nothing happens twice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define BODY (1u << 20)

/* GET with a checksum, so that it goes step by step through FAKE_READ. */
static struct emu_request slow_get(void)
{
	return bench_request("GET /b/x HTTP/1.1\r\nAzblob-Crc64: true\r\n\r\n", BODY, 0);
}

static struct emu_request new_put(void)
{
	return bench_request(
		"PUT /b/new HTTP/1.1\r\nContent-Length: 10\r\nIf-None-Match: *\r\n\r\n", 10, 10);
}

static void store_body(struct bench *bench)
{
	uint8_t *bytes = malloc(BODY);

	bench_pattern(bytes, BODY, 0, 1);
	fake_put(bench->svc, "x", bytes, BODY);
	free(bytes);
}

/* The guest uses its pages for something else; nobody may write there any more. */
static void assert_memory_is_left_alone(struct bench *bench)
{
	uint8_t *canary = malloc(MEMORY_SIZE);

	bench_pattern(canary, MEMORY_SIZE, 0, 77);
	memcpy(bench->memory.base, canary, MEMORY_SIZE);
	for (int gate = 0; gate < FAKE_GATES; gate++)
		fake_open(bench->svc, gate);
	for (int i = 0; i < 20; i++)
		bench_lives(bench);
	assert_memory_equal(bench->memory.base, canary, MEMORY_SIZE);
	free(canary);
}

/* Until @condition: there is no event for it. */
#define AWAIT(condition)                                           \
	do {                                                       \
		for (int i_ = 0; i_ < 60000 && !(condition); i_++) \
			usleep(1000);                              \
		assert_true(condition);                            \
	} while (0)

/* ----------------------------------------------------------------- cancel */

static void a_cancel_ends_a_request_between_two_steps(void **state)
{
	struct bench *bench = *state;
	struct emu_request request = slow_get();
	struct emu_message *message;
	uint64_t id;

	store_body(bench);
	for (int i = 0; i < 2; i++) {
		fake_shut(bench->svc, FAKE_READ);
		id = emu_submit(&bench->emu, &request);
		fake_await(bench->svc, FAKE_READ, 1);
		emu_cancel(&bench->emu, id, i ? AZL_CANCEL_TIMEOUT : 0);
		emu_await_read(&bench->emu);
		bench_lives(bench);
		/* It still may write, so it is not complete. */
		assert_null(emu_receive_type(&bench->emu, AZL_COMPLETE, id, 0));
		fake_open(bench->svc, FAKE_READ);
		message = emu_complete(&bench->emu, id);
		assert_non_null(message);
		assert_int_equal(message->complete.status,
				 i ? VSP_WIRE_STATUS_TIMEOUT : VSP_WIRE_STATUS_CANCELLED);
		assert_int_equal(message->complete.data_length, 0);
		free(message);
		assert_memory_is_left_alone(bench);
	}
}

static void a_cancel_that_comes_after_the_effect_gets_the_real_answer(void **state)
{
	struct bench *bench = *state;
	struct emu_request request = new_put();
	uint64_t id;

	fake_shut(bench->svc, FAKE_FINISH);
	id = emu_submit(&bench->emu, &request);
	fake_await(bench->svc, FAKE_FINISH, 1);
	emu_cancel(&bench->emu, id, AZL_CANCEL_TIMEOUT);
	emu_await_read(&bench->emu);
	bench_lives(bench);
	fake_open(bench->svc, FAKE_FINISH);
	assert_int_equal(bench_answer(bench, id).http, 201);
	assert_int_equal(fake_effects(bench->svc), 1);
	assert_memory_is_left_alone(bench);
}

static void a_cancel_before_the_effect_prevents_it(void **state)
{
	struct bench *bench = *state;
	struct emu_request request = new_put();
	uint64_t id;

	fake_shut(bench->svc, FAKE_WRITE);
	id = emu_submit(&bench->emu, &request);
	fake_await(bench->svc, FAKE_WRITE, 1);
	emu_cancel(&bench->emu, id, 0);
	emu_await_read(&bench->emu);
	bench_lives(bench);
	fake_open(bench->svc, FAKE_WRITE);
	assert_int_equal(bench_answer(bench, id).status, VSP_WIRE_STATUS_CANCELLED);
	assert_int_equal(fake_effects(bench->svc), 0);
}

static void a_request_that_waits_for_a_thread_is_cancelled_at_once(void **state)
{
	struct bench *bench = *state;
	struct emu_request request = new_put();
	uint64_t first, second;

	bench->config.threads = 1;
	bench_restart(bench);
	fake_shut(bench->svc, FAKE_START);
	first = emu_submit(&bench->emu, &request);
	fake_await(bench->svc, FAKE_START, 1);
	second = emu_submit(&bench->emu, &request);
	emu_cancel(&bench->emu, second, AZL_CANCEL_TIMEOUT);
	/* While the first one still holds the only thread. */
	assert_int_equal(bench_answer(bench, second).status, VSP_WIRE_STATUS_TIMEOUT);
	fake_open(bench->svc, FAKE_START);
	assert_int_equal(bench_answer(bench, first).http, 201);
}

static void a_request_that_waits_for_a_thread_times_out_by_itself(void **state)
{
	struct bench *bench = *state;
	struct emu_request request = new_put();
	uint64_t first, second;

	bench->config.threads = 1;
	bench_restart(bench);
	fake_shut(bench->svc, FAKE_START);
	first = emu_submit(&bench->emu, &request);
	fake_await(bench->svc, FAKE_START, 1);
	request.timeout_ms = 1;
	second = emu_submit(&bench->emu, &request);
	assert_int_equal(bench_answer(bench, second).status, VSP_WIRE_STATUS_TIMEOUT);
	fake_open(bench->svc, FAKE_START);
	assert_int_equal(bench_answer(bench, first).http, 201);
}

static void the_backend_keeps_the_time_itself(void **state)
{
	struct bench *bench = *state;
	struct emu_request request = slow_get();
	struct timespec start, now;
	uint64_t id;

	store_body(bench);
	/* However late it gets there: nothing but the end of its time lets it go on. */
	fake_shut_until_stopped(bench->svc, FAKE_READ);
	request.timeout_ms = 300;
	clock_gettime(CLOCK_MONOTONIC, &start);
	id = emu_submit(&bench->emu, &request);
	assert_int_equal(bench_answer(bench, id).status, VSP_WIRE_STATUS_TIMEOUT);
	clock_gettime(CLOCK_MONOTONIC, &now);
	assert_true((now.tv_sec - start.tv_sec) * 1000000000 + now.tv_nsec - start.tv_nsec >=
		    300 * 1000000);
	assert_memory_is_left_alone(bench);
}

/* ----------------------------------------------------------------- regions */

static void a_region_in_use_goes_when_its_request_has_ended(void **state)
{
	struct bench *bench = *state;
	struct azl_header del = { sizeof(del), AZL_REGION_DEL, 0, 1 };
	struct emu_memory more = emu_memory_new(2 * BODY, F_SEAL_SHRINK);
	struct emu_request request = slow_get();
	struct emu_message *gone;
	uint64_t id;

	store_body(bench);
	assert_int_equal(emu_region(&bench->emu, 1, &more, 0, 2 * BODY, 0), 0);
	request.data.region = 1;
	request.data.offset = 100;
	fake_shut(bench->svc, FAKE_READ);
	id = emu_submit(&bench->emu, &request);
	fake_await(bench->svc, FAKE_READ, 1);
	emu_send(&bench->emu, &del, sizeof(del), NULL, 0);
	emu_await_read(&bench->emu);
	bench_lives(bench);
	assert_null(emu_receive_type(&bench->emu, AZL_REGION_GONE, 1, 0));
	fake_open(bench->svc, FAKE_READ);
	assert_int_equal(bench_answer(bench, id).http, 200);
	gone = emu_receive_type(&bench->emu, AZL_REGION_GONE, 1, EMU_DEADLINE_MS);
	assert_non_null(gone);
	free(gone);
	emu_memory_free(&more);
}

/* -------------------------------------------------------------- coming back */

static void start_hello(struct bench *bench)
{
	struct azl_hello hello = { .header = { .length = sizeof(hello), .type = AZL_HELLO },
				   .magic = AZL_MAGIC,
				   .version_min = 1,
				   .version_max = 1,
				   .features = BOTH };

	memcpy(hello.session, bench->emu.session, sizeof(hello.session));
	assert_int_equal(emu_open(&bench->emu, bench->path), 0);
	emu_send(&bench->emu, &hello, sizeof(hello), NULL, 0);
}

static void finish_hello(struct bench *bench)
{
	struct emu_message *message = emu_receive(&bench->emu, EMU_DEADLINE_MS);

	assert_non_null(message);
	assert_int_equal(message->header.type, AZL_WELCOME);
	bench->emu.pidfd = message->fd;
	free(message);
	assert_int_equal(emu_region(&bench->emu, 0, &bench->memory, 0, MEMORY_SIZE, 0), 0);
}

static void an_effect_that_was_not_answered_is_answered_from_the_record(void **state)
{
	struct bench *bench = *state;
	struct emu_request request = new_put();
	struct bench_answer answer;

	request.id = 500;
	fake_shut(bench->svc, FAKE_FINISH);
	emu_submit(&bench->emu, &request);
	fake_await(bench->svc, FAKE_FINISH, 1);
	emu_drop(&bench->emu);
	/* The same device comes back, but is not welcome before the old link has ended. */
	start_hello(bench);
	emu_await_read(&bench->emu);
	bench_lives(bench);
	assert_null(emu_receive(&bench->emu, 0));
	fake_open(bench->svc, FAKE_FINISH);
	finish_hello(bench);
	request.flags = AZL_REQUEST_RESENT;
	answer = bench_do(bench, &request);
	assert_int_equal(answer.http, 201); /* and not 409 */
	assert_true(answer.ack);
	assert_int_equal(fake_effects(bench->svc), 1);
	AWAIT(fake_kept(bench->svc) == 0);
}

static void a_request_without_effect_is_done_again(void **state)
{
	struct bench *bench = *state;
	struct emu_request request = slow_get();
	struct bench_answer answer;

	store_body(bench);
	request.id = 500;
	fake_shut(bench->svc, FAKE_READ);
	emu_submit(&bench->emu, &request);
	fake_await(bench->svc, FAKE_READ, 1);
	emu_drop(&bench->emu);
	start_hello(bench);
	fake_open(bench->svc, FAKE_READ);
	finish_hello(bench);
	request.flags = AZL_REQUEST_RESENT;
	answer = bench_do(bench, &request);
	assert_int_equal(answer.http, 200);
	assert_int_equal(answer.data_length, BODY);
}

static void an_answer_is_kept_until_its_ack(void **state)
{
	struct bench *bench = *state;
	struct emu_request request = new_put();
	struct bench_answer answer;

	bench->emu.no_ack = true;
	answer = bench_do(bench, &request);
	assert_int_equal(answer.http, 201);
	assert_int_equal(fake_kept(bench->svc), 1);
	emu_drop(&bench->emu);
	start_hello(bench);
	finish_hello(bench);
	bench->emu.no_ack = false;
	request.id = 1;
	request.flags = AZL_REQUEST_RESENT;
	answer = bench_do(bench, &request);
	assert_int_equal(answer.http, 201);
	AWAIT(fake_kept(bench->svc) == 0);
	/* Without the record it is a request like any other. */
	answer = bench_do(bench, &request);
	assert_int_equal(answer.http, 409);
}

static void handles_outlive_a_lost_link_but_not_a_goodbye(void **state)
{
	struct bench *bench = *state;
	struct emu_request request = bench_request(
		"PUT /b/x HTTP/1.1\r\nContent-Length: 20\r\nAzblob-Body: open\r\n\r\n", 10, 10);
	char id[33], head[256];
	struct bench_answer answer = bench_do(bench, &request);

	assert_int_equal(answer.http, 202);
	bench_handle(&answer, id);
	emu_drop(&bench->emu);
	start_hello(bench);
	finish_hello(bench);
	snprintf(head, sizeof(head),
		 "PUT /.azblob/%s?offset=10 HTTP/1.1\r\nContent-Length: 10\r\n\r\n", id);
	request = bench_request(head, 10, 10);
	assert_int_equal(bench_do(bench, &request).http, 202);
	assert_int_equal(fake_uploads(bench->svc), 1);
	bench->emu.no_ack = true;
	request = new_put();
	assert_int_equal(bench_do(bench, &request).http, 201);
	assert_int_equal(fake_kept(bench->svc), 1);

	assert_true(emu_goodbye(&bench->emu));
	assert_int_equal(fake_uploads(bench->svc), 0);
	assert_int_equal(fake_kept(bench->svc), 0);
}

static void sent_again_to_forget_a_handle_succeeds(void **state)
{
	struct bench *bench = *state;
	struct emu_request request = bench_request(
		"DELETE /.azblob/00112233445566778899aabbccddeeff HTTP/1.1\r\n\r\n", 0, 0);

	assert_int_equal(bench_do(bench, &request).http, 404);
	request.flags = AZL_REQUEST_RESENT;
	assert_int_equal(bench_do(bench, &request).http, 202);
}

static _Atomic uint64_t fake_now;

static uint64_t fake_clock(void *context)
{
	(void)context;
	return fake_now;
}

static void an_idle_handle_expires_through_the_door(void **state)
{
	struct bench *bench = *state;
	struct emu_request request = bench_request(
		"PUT /b/x HTTP/1.1\r\nContent-Length: 20\r\nAzblob-Body: open\r\n\r\n", 10, 10);
	struct bench_answer answer;

	bench->config.handles.idle_ms = 20;
	bench->config.handles.now_ms = fake_clock;
	bench_restart(bench);
	answer = bench_do(bench, &request);
	assert_int_equal(answer.http, 202);
	assert_string_equal(bench_header(&answer, "Azblob-Expires"), "1");
	assert_int_equal(fake_uploads(bench->svc), 1);
	fake_now += 20;
	AWAIT(fake_uploads(bench->svc) == 0);
}

/* ------------------------------------------------------------------ the end */

static void goodbye_is_answered_after_the_last_request(void **state)
{
	struct bench *bench = *state;
	struct azl_header goodbye = { sizeof(goodbye), AZL_GOODBYE_EMULATOR, 0, 0 };
	struct emu_request request = slow_get();
	struct emu_message *message;

	store_body(bench);
	fake_shut(bench->svc, FAKE_READ);
	emu_submit(&bench->emu, &request);
	fake_await(bench->svc, FAKE_READ, 1);
	emu_send(&bench->emu, &goodbye, sizeof(goodbye), NULL, 0);
	emu_await_read(&bench->emu);
	bench_lives(bench);
	message = emu_receive(&bench->emu, 0);
	assert_null(message);
	assert_false(bench->emu.closed);
	fake_open(bench->svc, FAKE_READ);
	assert_true(emu_wait_closed(&bench->emu));
	assert_true(bench->emu.goodbye);
	assert_memory_is_left_alone(bench);
}

struct closer {
	struct link_door *door;
	unsigned int grace_ms;
};

static void *close_door(void *argument)
{
	struct closer *closer = argument;

	link_door_close(closer->door, closer->grace_ms);
	return NULL;
}

/* Ends the door with requests in flight, and starts a new one at the same path. */
static void drain(struct bench *bench, unsigned int grace_ms, enum fake_gate gate)
{
	struct closer closer = { bench->door, grace_ms };
	pthread_t thread;

	pthread_create(&thread, NULL, close_door, &closer);
	AWAIT(access(bench->path, F_OK) != 0);
	if (!grace_ms) {
		/* Past its grace: whatever it does, it waits for what is in flight. */
		assert_int_equal(pthread_tryjoin_np(thread, NULL), EBUSY);
	}
	fake_open(bench->svc, gate);
	assert_true(emu_wait_closed(&bench->emu));
	assert_true(bench->emu.goodbye);
	pthread_join(thread, NULL);
	bench_start(bench);
}

static void a_drain_lets_requests_come_to_their_end(void **state)
{
	struct bench *bench = *state;
	struct emu_request request = new_put();
	uint64_t id;

	fake_shut(bench->svc, FAKE_FINISH);
	id = emu_submit(&bench->emu, &request);
	fake_await(bench->svc, FAKE_FINISH, 1);
	drain(bench, 60000, FAKE_FINISH);
	assert_int_equal(bench_answer(bench, id).http, 201);
}

static void a_drain_past_its_grace_leaves_requests_to_the_next_backend(void **state)
{
	struct bench *bench = *state;
	struct emu_request request = slow_get();

	store_body(bench);
	request.id = 300;
	fake_shut(bench->svc, FAKE_READ);
	emu_submit(&bench->emu, &request);
	fake_await(bench->svc, FAKE_READ, 1);
	drain(bench, 0, FAKE_READ);
	/* No COMPLETE, but the GOODBYE that says the memory is free: to be sent again. */
	assert_null(emu_receive_type(&bench->emu, AZL_COMPLETE, 0, 0));
	emu_drop(&bench->emu);
	bench_connect(bench);
	request.flags = AZL_REQUEST_RESENT;
	assert_int_equal(bench_do(bench, &request).http, 200);
}

static void an_emulator_that_does_not_read_is_not_read_from(void **state)
{
	struct bench *bench = *state;
	struct emu_request request = bench_request("GET /b/x HTTP/1.1\r\n\r\n", BODY, 0);
	struct emu_message *message;
	uint64_t first;

	bench->config.budget = 4 * BODY;
	bench_restart(bench);
	store_body(bench);
	request.flags = AZL_REQUEST_INLINE;
	first = bench->emu.next_id;
	fake_shut(bench->svc, FAKE_START);
	for (int i = 0; i < 60; i++)
		emu_submit(&bench->emu, &request);
	fake_await(bench->svc, FAKE_START, 4);
	bench_lives(bench);
	/* There are threads for 32, but no memory for the answers of more than 4. */
	assert_int_equal(fake_held(bench->svc, FAKE_START), 4);
	fake_open(bench->svc, FAKE_START);
	bench_lives(bench);
	for (int i = 0; i < 60; i++) {
		message = emu_complete(&bench->emu, first + i);
		assert_non_null(message);
		assert_int_equal(message->complete.data_length, BODY);
		free(message);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_set_up, bench_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_cancel_ends_a_request_between_two_steps),
		TEST(a_cancel_that_comes_after_the_effect_gets_the_real_answer),
		TEST(a_cancel_before_the_effect_prevents_it),
		TEST(a_request_that_waits_for_a_thread_is_cancelled_at_once),
		TEST(a_request_that_waits_for_a_thread_times_out_by_itself),
		TEST(the_backend_keeps_the_time_itself),
		TEST(a_region_in_use_goes_when_its_request_has_ended),
		TEST(an_effect_that_was_not_answered_is_answered_from_the_record),
		TEST(a_request_without_effect_is_done_again),
		TEST(an_answer_is_kept_until_its_ack),
		TEST(handles_outlive_a_lost_link_but_not_a_goodbye),
		TEST(sent_again_to_forget_a_handle_succeeds),
		TEST(an_idle_handle_expires_through_the_door),
		TEST(goodbye_is_answered_after_the_last_request),
		TEST(a_drain_lets_requests_come_to_their_end),
		TEST(a_drain_past_its_grace_leaves_requests_to_the_next_backend),
		TEST(an_emulator_that_does_not_read_is_not_read_from),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
