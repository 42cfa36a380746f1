// SPDX-License-Identifier: MIT
/*
 * Cancellation of what the driver and the host have, with a driver that keeps requests until a test
 * lets them go.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "azblob/vsp_wire.h"
#include "client_host.h"
#include "transport.h"
#include "uapi/misc/hv_azure_blob.h"

#define PART ((size_t)64 << 10)
#define BLOCK "YmxvY2s="

enum held {
	HELD_FREE,
	HELD_WAITING,
	HELD_UNSENT, /* cancelled in the driver's line */
	HELD_TOLD,   /* cancelled at the host */
	HELD_RELEASED,
};

/* Where a held request is when it is cancelled, and what the driver says. */
enum place {
	IN_LINE,
	AT_HOST,
	AT_HOST_OF_PROTOCOL_1,
};

enum {
	HELD_MAX = 64
};

/**
 * front - a device that keeps requests whose head begins with @match
 * @absent: so many times a cancellation finds nothing, as when a thread has not got there yet.
 * @cancels: calls of that kind.
 */
static struct {
	struct azc_device device;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	const char *match;
	enum place place;
	unsigned int absent;
	unsigned int cancels;
	unsigned int waiting;
	enum held held[HELD_MAX];
	uint8_t guid[HELD_MAX][16];
} front;

/* The lock is held. */
static enum held keep(const uint8_t guid[16])
{
	unsigned int at = 0;
	enum held how;

	while (front.held[at] != HELD_FREE)
		assert_true(++at < HELD_MAX);
	memcpy(front.guid[at], guid, 16);
	front.held[at] = HELD_WAITING;
	front.waiting++;
	pthread_cond_broadcast(&front.changed);
	while (front.held[at] == HELD_WAITING)
		pthread_cond_wait(&front.changed, &front.lock);
	how = front.held[at];
	front.held[at] = HELD_FREE;
	front.waiting--;
	pthread_cond_broadcast(&front.changed);
	return how;
}

static int front_submit(struct azc_device *device, struct az_blob_request_sync *request)
{
	const char *head = (const char *)(uintptr_t)request->request_buffer;
	enum held how = HELD_RELEASED;

	(void)device;
	pthread_mutex_lock(&front.lock);
	if (front.match && request->request_len >= strlen(front.match) &&
	    !memcmp(head, front.match, strlen(front.match)))
		how = keep(request->guid);
	pthread_mutex_unlock(&front.lock);
	if (how == HELD_UNSENT)
		return -ECANCELED;
	if (how == HELD_RELEASED)
		return host_device.submit(&host_device, request);
	request->response.status = VSP_WIRE_STATUS_CANCELLED;
	request->response.response_len = 0;
	return 0;
}

static int front_cancel(struct azc_device *device, const uint8_t guid[16], bool *unsent)
{
	int result = -ENOENT;

	(void)device;
	pthread_mutex_lock(&front.lock);
	front.cancels++;
	for (unsigned int i = 0; i < HELD_MAX && result; i++) {
		if (front.held[i] != HELD_WAITING || memcmp(front.guid[i], guid, 16) != 0)
			continue;
		if (front.absent && front.absent--)
			break;
		if (front.place == AT_HOST_OF_PROTOCOL_1) {
			result = -EOPNOTSUPP;
			break;
		}
		*unsent = front.place == IN_LINE;
		front.held[i] = *unsent ? HELD_UNSENT : HELD_TOLD;
		result = 0;
	}
	pthread_cond_broadcast(&front.changed);
	pthread_mutex_unlock(&front.lock);
	return result;
}

static void wait_kept(unsigned int count)
{
	pthread_mutex_lock(&front.lock);
	while (front.waiting != count)
		pthread_cond_wait(&front.changed, &front.lock);
	pthread_mutex_unlock(&front.lock);
}

static void release_all(void)
{
	pthread_mutex_lock(&front.lock);
	front.match = NULL;
	for (unsigned int i = 0; i < HELD_MAX; i++)
		if (front.held[i] == HELD_WAITING)
			front.held[i] = HELD_RELEASED;
	pthread_cond_broadcast(&front.changed);
	pthread_mutex_unlock(&front.lock);
}

/* In place of the ioctl's. */
struct azc_device *azc_device_open(const char *path, int *sys_errno)
{
	(void)path;
	(void)sys_errno;
	return &front.device;
}

static int setup(void **state)
{
	azblob_config *config = azblob_config_new();
	azblob_conn *conn;

	memset(&front, 0, sizeof(front));
	pthread_mutex_init(&front.lock, NULL);
	pthread_cond_init(&front.changed, NULL);
	front.device.submit = front_submit;
	front.device.cancel = front_cancel;
	front.device.close = host_device.close;
	host_set_fault(NO_FAULT, "", 0, 0, NULL);
	host.probe = NULL;
	host.blob_size = 4 * PART;
	host.blob = calloc(1, host.blob_size);
	host.there = true;
	assert_int_equal(
		azblob_config_set_connection_string(config, "UseDevelopmentStorage=true", NULL), 0);
	assert_int_equal(azblob_config_set_transport(config, AZBLOB_TRANSPORT_DRIVER, NULL), 0);
	assert_int_equal(azblob_config_set_block_size(config, PART, NULL), 0);
	assert_int_equal(azblob_config_set_parallel(config, 2, NULL), 0);
	assert_int_equal(azblob_open(config, &conn, NULL), 0);
	azblob_config_free(config);
	host.requests = 0;
	*state = conn;
	return 0;
}

static int teardown(void **state)
{
	azblob_close(*state);
	free(host.blob);
	free(host.upload);
	host.blob = host.upload = NULL;
	return 0;
}

static azblob_queue *new_queue(azblob_conn *conn)
{
	azblob_queue *queue;

	assert_int_equal(azblob_queue_new(conn, NULL, &queue, NULL), 0);
	assert_int_equal(azblob_queue_kind(queue), AZBLOB_QUEUE_THREADS);
	return queue;
}

static char memory[PART];

static uint64_t start_get(azblob_queue *queue)
{
	uint64_t id;

	assert_int_equal(azblob_queue_get(queue, "box", "x", 0, PART, memory, NULL, &id, NULL), 0);
	return id;
}

static uint64_t start_put(azblob_queue *queue)
{
	uint64_t id;

	assert_int_equal(
		azblob_queue_put_block(queue, "box", "x", BLOCK, memory, PART, NULL, &id, NULL), 0);
	return id;
}

static void take(azblob_queue *queue, uint64_t id, struct azblob_completion *done)
{
	assert_int_equal(azblob_queue_wait(queue, -1, done), 1);
	assert_int_equal(done->id, id);
}

static void what_the_host_has_ends_when_the_host_says_so(void **state)
{
	azblob_queue *queue = new_queue(*state);
	struct azblob_completion done;
	uint64_t id;

	front.place = AT_HOST;
	front.match = "GET /devstore";
	id = start_get(queue);
	wait_kept(1);
	assert_int_equal(azblob_cancel(queue, id, NULL), 0);
	take(queue, id, &done);
	assert_int_equal(done.result, -1);
	assert_int_equal(done.error.kind, AZBLOB_CANCELLED);
	assert_int_equal(done.error.link_status, VSP_WIRE_STATUS_CANCELLED);
	/* A read changes nothing. */
	assert_int_equal(done.error.outcome_unknown, 0);
	front.match = "PUT /devstore";
	id = start_put(queue);
	wait_kept(1);
	assert_int_equal(azblob_cancel(queue, id, NULL), 0);
	take(queue, id, &done);
	assert_int_equal(done.error.kind, AZBLOB_CANCELLED);
	assert_int_equal(done.error.outcome_unknown, 1);
	/* Neither was tried again. */
	assert_int_equal(host.requests, 0);
	azblob_queue_free(queue);
}

static void what_waits_in_the_driver_has_not_happened(void **state)
{
	azblob_queue *queue = new_queue(*state);
	struct azblob_completion done;
	uint64_t id;

	front.place = IN_LINE;
	front.match = "PUT /devstore";
	id = start_put(queue);
	wait_kept(1);
	assert_int_equal(azblob_cancel(queue, id, NULL), 0);
	take(queue, id, &done);
	assert_int_equal(done.result, -1);
	assert_int_equal(done.error.kind, AZBLOB_CANCELLED);
	assert_int_equal(done.error.link_status, 0);
	assert_int_equal(done.error.outcome_unknown, 0);
	assert_int_equal(host.requests, 0);
	azblob_queue_free(queue);
}

/* The library asks again by itself: nobody but the test's end waits for the completion. */
static void a_request_on_its_way_to_the_driver_is_found_there(void **state)
{
	azblob_queue *queue = new_queue(*state);
	struct azblob_completion done;
	uint64_t id;

	front.place = AT_HOST;
	front.match = "GET /devstore";
	front.absent = 5;
	id = start_get(queue);
	wait_kept(1);
	assert_int_equal(azblob_cancel(queue, id, NULL), 0);
	wait_kept(0);
	assert_true(front.cancels > 5);
	take(queue, id, &done);
	assert_int_equal(done.error.kind, AZBLOB_CANCELLED);
	/* Once more, with the thread that is there now. */
	front.absent = 3;
	id = start_get(queue);
	wait_kept(1);
	assert_int_equal(azblob_cancel(queue, id, NULL), 0);
	take(queue, id, &done);
	assert_int_equal(done.error.kind, AZBLOB_CANCELLED);
	azblob_queue_free(queue);
}

static void an_answer_that_was_faster_counts(void **state)
{
	azblob_queue *queue = new_queue(*state);
	struct azblob_completion done;
	uint64_t id;

	front.place = AT_HOST_OF_PROTOCOL_1;
	front.match = "PUT /devstore";
	id = start_put(queue);
	wait_kept(1);
	assert_int_equal(azblob_cancel(queue, id, NULL), 0);
	assert_int_equal(front.cancels, 1);
	assert_int_equal(azblob_queue_poll(queue, &done), 0);
	release_all();
	take(queue, id, &done);
	/* Whatever the host answered, and once. */
	assert_int_not_equal(done.error.kind, AZBLOB_CANCELLED);
	assert_int_equal(host.requests, 1);
	azblob_queue_free(queue);
}

static void raw_requests_are_cancelled_too(void **state)
{
	static const char head[] = "GET /.azblob HTTP/1.1\r\nHost: x\r\n\r\n";
	static char answer[16384];
	struct azblob_raw_request raw = AZBLOB_RAW_REQUEST_INIT;
	azblob_queue *queue = new_queue(*state);
	struct azblob_completion done;
	uint64_t id;

	raw.head = head;
	raw.head_length = sizeof(head) - 1;
	raw.answer = answer;
	raw.answer_room = sizeof(answer);
	front.match = "GET /.azblob";
	for (int in_line = 0; in_line < 2; in_line++) {
		front.place = in_line ? IN_LINE : AT_HOST;
		assert_int_equal(azblob_queue_request(queue, &raw, NULL, &id, NULL), 0);
		wait_kept(1);
		assert_int_equal(azblob_cancel(queue, id, NULL), 0);
		take(queue, id, &done);
		assert_int_equal(done.result, -1);
		assert_int_equal(done.error.kind, AZBLOB_CANCELLED);
		/* Nobody knows what a raw request does. */
		assert_int_equal(done.error.outcome_unknown, !in_line);
		assert_int_equal(done.status, in_line ? 0 : VSP_WIRE_STATUS_CANCELLED);
	}
	azblob_queue_free(queue);
}

static void freeing_a_queue_does_not_wait_for_slow_answers(void **state)
{
	azblob_queue *queue = new_queue(*state);

	front.place = AT_HOST;
	front.match = "GET /devstore";
	for (int i = 0; i < 8; i++)
		start_get(queue);
	wait_kept(8);
	azblob_queue_free(queue);
	assert_int_equal(front.waiting, 0);
}

/* What was cancelled by somebody else, a host that moves for instance, is done again. */
static void a_cancellation_that_nobody_asked_for_is_repeated(void **state)
{
	azblob_queue *queue = new_queue(*state);
	struct azblob_completion done;
	uint64_t id;

	host_set_fault(LINK_STATUS, "GET /devstore", 1, VSP_WIRE_STATUS_CANCELLED, NULL);
	id = start_get(queue);
	take(queue, id, &done);
	assert_int_equal(done.result, 0);
	assert_int_equal(done.retries, 1);
	azblob_queue_free(queue);
}

static int stop_at_the_second_part(void *context, uint64_t done, uint64_t total)
{
	(void)context;
	(void)total;
	return done >= 2 * PART;
}

static int write_nothing(void *context, const void *data, size_t length, uint64_t offset)
{
	(void)context;
	(void)data;
	(void)length;
	/* Not before the other thread's part is at the host. */
	if (offset == PART)
		wait_kept(1);
	return 0;
}

/* The part that another thread waits for would keep the call for ever. */
static void a_transfer_that_is_stopped_does_not_wait_for_its_parts(void **state)
{
	struct azblob_get_options options = AZBLOB_GET_OPTIONS_INIT;
	struct azblob_error error;

	options.progress = stop_at_the_second_part;
	front.place = AT_HOST;
	front.match = "GET /.azblob/0123456789abcdef0123456789abcdef?offset=131072&";
	host.blob_size = 3 * PART;
	assert_int_equal(azblob_get_blob_to_writer(*state, "box", "x", 0, AZBLOB_LENGTH_REST,
						   write_nothing, NULL, &options, NULL, &error),
			 -1);
	assert_int_equal(error.kind, AZBLOB_CANCELLED);
	assert_int_equal(front.waiting, 0);
}

struct call {
	azblob_conn *conn;
	pthread_t thread;
	struct azblob_error error;
	int result;
};

static void *put_one(void *data)
{
	struct call *call = data;

	call->result = azblob_put_blob(call->conn, "box", "x", memory, sizeof(memory), NULL, NULL,
				       &call->error);
	return NULL;
}

static void calls_that_block_are_interrupted(void **state)
{
	enum {
		COUNT = 3
	};
	struct call call[COUNT];
	struct azblob_properties *properties;

	front.match = "PUT /devstore";
	for (int in_line = 0; in_line < 2; in_line++) {
		front.place = in_line ? IN_LINE : AT_HOST;
		/* As if they were only just getting there. */
		front.absent = 4;
		for (size_t i = 0; i < COUNT; i++) {
			call[i].conn = *state;
			assert_int_equal(pthread_create(&call[i].thread, NULL, put_one, &call[i]),
					 0);
		}
		wait_kept(COUNT);
		azblob_interrupt(*state);
		for (size_t i = 0; i < COUNT; i++) {
			assert_int_equal(pthread_join(call[i].thread, NULL), 0);
			assert_int_equal(call[i].result, -1);
			assert_int_equal(call[i].error.kind, AZBLOB_CANCELLED);
			assert_int_equal(call[i].error.outcome_unknown, !in_line);
		}
	}
	assert_int_equal(host.requests, 0);
	/* Nothing is under way, and what begins later is not meant. */
	azblob_interrupt(*state);
	assert_int_equal(azblob_get_properties(*state, "box", "x", &properties, NULL), 0);
	azblob_properties_free(properties);
}

/**
 * asked - a progress function that takes its time once two parts are done
 * @inside: it is at it; @go: it may go on.  Both under @lock.
 */
static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool inside;
	bool go;
} asked = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static int think_at_the_second_part(void *context, uint64_t done, uint64_t total)
{
	(void)context;
	(void)total;
	if (done < 2 * PART)
		return 0;
	pthread_mutex_lock(&asked.lock);
	asked.inside = true;
	pthread_cond_broadcast(&asked.changed);
	while (!asked.go)
		pthread_cond_wait(&asked.changed, &asked.lock);
	pthread_mutex_unlock(&asked.lock);
	return 0;
}

static void *get_and_think(void *data)
{
	struct azblob_get_options options = AZBLOB_GET_OPTIONS_INIT;
	struct call *call = data;

	options.progress = think_at_the_second_part;
	call->result = azblob_get_blob_to_writer(call->conn, "box", "x", 0, AZBLOB_LENGTH_REST,
						 write_nothing, NULL, &options, NULL, &call->error);
	return NULL;
}

/* A download whose third part is at the host; it ends with its progress function at work. */
static void match_the_third_part(void)
{
	front.place = AT_HOST;
	front.match = "GET /.azblob/0123456789abcdef0123456789abcdef?offset=131072&";
	host.blob_size = 3 * PART;
}

static void an_interruption_does_not_wait_for_a_progress_function(void **state)
{
	struct call call = { .conn = *state };

	match_the_third_part();
	asked.inside = asked.go = false;
	assert_int_equal(pthread_create(&call.thread, NULL, get_and_think, &call), 0);
	pthread_mutex_lock(&asked.lock);
	while (!asked.inside)
		pthread_cond_wait(&asked.changed, &asked.lock);
	pthread_mutex_unlock(&asked.lock);
	wait_kept(1);
	azblob_interrupt(*state);
	/* The host was told before it came back, with the function still at it. */
	assert_int_equal(front.cancels, 1);
	pthread_mutex_lock(&asked.lock);
	asked.go = true;
	pthread_cond_broadcast(&asked.changed);
	pthread_mutex_unlock(&asked.lock);
	assert_int_equal(pthread_join(call.thread, NULL), 0);
	assert_int_equal(call.result, -1);
	assert_int_equal(call.error.kind, AZBLOB_CANCELLED);
	assert_int_equal(front.waiting, 0);
}

static int interrupt_at_the_second_part(void *context, uint64_t done, uint64_t total)
{
	(void)total;
	if (done >= 2 * PART)
		azblob_interrupt(context);
	return 0;
}

static void a_progress_function_may_interrupt(void **state)
{
	struct azblob_get_options options = AZBLOB_GET_OPTIONS_INIT;
	struct azblob_error error;

	match_the_third_part();
	options.progress = interrupt_at_the_second_part;
	options.progress_context = *state;
	assert_int_equal(azblob_get_blob_to_writer(*state, "box", "x", 0, AZBLOB_LENGTH_REST,
						   write_nothing, NULL, &options, NULL, &error),
			 -1);
	assert_int_equal(error.kind, AZBLOB_CANCELLED);
	assert_int_equal(front.waiting, 0);
}

static void *ask_raw(void *data)
{
	static const char head[] = "GET /.azblob HTTP/1.1\r\nHost: x\r\n\r\n";
	static char answer[16384];
	struct azblob_raw_request raw = AZBLOB_RAW_REQUEST_INIT;
	struct call *call = data;

	raw.head = head;
	raw.head_length = sizeof(head) - 1;
	raw.answer = answer;
	raw.answer_room = sizeof(answer);
	call->result = azblob_request(call->conn, &raw, NULL, &call->error);
	return NULL;
}

static void requests_of_queues_are_not_interrupted(void **state)
{
	azblob_queue *queue = new_queue(*state);
	struct call call = { .conn = *state };
	struct azblob_completion done;
	uint64_t id;

	front.place = AT_HOST;
	front.match = "GET /";
	id = start_get(queue);
	wait_kept(1);
	assert_int_equal(pthread_create(&call.thread, NULL, ask_raw, &call), 0);
	wait_kept(2);
	azblob_interrupt(*state);
	assert_int_equal(pthread_join(call.thread, NULL), 0);
	assert_int_equal(call.error.kind, AZBLOB_CANCELLED);
	assert_int_equal(call.error.outcome_unknown, 1);
	assert_int_equal(front.waiting, 1);
	release_all();
	take(queue, id, &done);
	assert_int_equal(done.result, 0);
	azblob_queue_free(queue);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_the_host_has_ends_when_the_host_says_so),
		TEST(what_waits_in_the_driver_has_not_happened),
		TEST(a_request_on_its_way_to_the_driver_is_found_there),
		TEST(an_answer_that_was_faster_counts),
		TEST(raw_requests_are_cancelled_too),
		TEST(freeing_a_queue_does_not_wait_for_slow_answers),
		TEST(a_cancellation_that_nobody_asked_for_is_repeated),
		TEST(a_transfer_that_is_stopped_does_not_wait_for_its_parts),
		TEST(calls_that_block_are_interrupted),
		TEST(an_interruption_does_not_wait_for_a_progress_function),
		TEST(a_progress_function_may_interrupt),
		TEST(requests_of_queues_are_not_interrupted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
