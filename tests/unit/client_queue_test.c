// SPDX-License-Identifier: MIT
/* Queues by threads, raw requests and registered buffers, with a host of our own behind them. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "azblob/vsp_wire.h"
#include "client_host.h"
#include "transport.h"
#include "uapi/misc/hv_azure_blob.h"

#define PART ((size_t)64 << 10)

/* ---- a device with registered buffers, in front of the host ---- */

enum {
	BUFFERS = 4
};

static struct {
	struct azc_device device;
	char *memory[BUFFERS];
	size_t length[BUFFERS];
	bool read_only[BUFFERS];
	unsigned int placed;
	int add_result; /* what a registration comes to */
	bool forgetful; /* as after hibernation: no buffer is known */
} front;

static int front_submit(struct azc_device *device, struct az_blob_request_sync *request)
{
	(void)device;
	return host_device.submit(&host_device, request);
}

static int front_submit_placed(struct azc_device *device, struct az_blob_request *request)
{
	struct az_blob_request_sync sync;
	unsigned int at = request->buffer_id - 1;
	int result;

	if (front.forgetful)
		return -ENOENT;
	assert_int_equal(request->flags, AZ_BLOB_DATA_IN_BUFFER);
	assert_true(at < BUFFERS && front.memory[at]);
	assert_true(request->data_buffer + request->data_len <= front.length[at]);
	assert_true(request->data_valid || !front.read_only[at]);
	memcpy(&sync, request, sizeof(sync));
	sync.reserved = 0;
	sync.data_buffer += (uintptr_t)front.memory[at];
	result = front_submit(device, &sync);
	request->response = sync.response;
	front.placed++;
	return result;
}

static int front_add(struct azc_device *device, void *memory, size_t length, bool read_only,
		     uint32_t *id)
{
	unsigned int at = 0;

	(void)device;
	if (front.add_result)
		return front.add_result;
	while (at < BUFFERS && front.memory[at])
		at++;
	if (at == BUFFERS)
		return -ENOSPC;
	front.memory[at] = memory;
	front.length[at] = length;
	front.read_only[at] = read_only;
	*id = at + 1;
	return 0;
}

static void front_remove(struct azc_device *device, uint32_t id)
{
	(void)device;
	assert_non_null(front.memory[id - 1]);
	front.memory[id - 1] = NULL;
}

/* In place of the ioctl's. */
struct azc_device *azc_device_open(const char *path, int *sys_errno)
{
	(void)path;
	(void)sys_errno;
	return &front.device;
}

/* ---- around each test ---- */

static azblob_conn *open_with(enum azblob_transport transport, unsigned int retries)
{
	azblob_config *config = azblob_config_new();
	azblob_conn *conn;

	assert_int_equal(
		azblob_config_set_connection_string(config, "UseDevelopmentStorage=true", NULL), 0);
	assert_int_equal(azblob_config_set_transport(config, transport, NULL), 0);
	assert_int_equal(azblob_config_set_retries(config, retries, NULL), 0);
	assert_int_equal(azblob_config_set_block_size(config, PART, NULL), 0);
	assert_int_equal(azblob_open(config, &conn, NULL), 0);
	azblob_config_free(config);
	host.requests = 0;
	return conn;
}

static int setup(void **state)
{
	memset(&front, 0, sizeof(front));
	front.device.submit = front_submit;
	front.device.submit_placed = front_submit_placed;
	front.device.add_buffer = front_add;
	front.device.remove_buffer = front_remove;
	front.device.close = host_device.close;
	host_set_fault(NO_FAULT, "", 0, 0, NULL);
	host.probe = NULL;
	host.blob_size = 4 * PART;
	host.blob = malloc(host.blob_size);
	for (size_t i = 0; i < host.blob_size; i++)
		host.blob[i] = (char)(i * 131 + (i >> 8));
	host.there = true;
	*state = open_with(AZBLOB_TRANSPORT_DRIVER, 2);
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

static azblob_queue *new_queue(azblob_conn *conn, unsigned int depth)
{
	struct azblob_queue_options options = AZBLOB_QUEUE_OPTIONS_INIT;
	azblob_queue *queue;

	options.depth = depth;
	assert_int_equal(azblob_queue_new(conn, &options, &queue, NULL), 0);
	/* This device has no commands, like a kernel before 6.1. */
	assert_int_equal(azblob_queue_kind(queue), AZBLOB_QUEUE_THREADS);
	return queue;
}

static void get(azblob_queue *queue, size_t offset, size_t length, void *buffer, uint64_t *id)
{
	assert_int_equal(
		azblob_queue_get(queue, "box", "x", offset, length, buffer, NULL, id, NULL), 0);
}

static void take(azblob_queue *queue, struct azblob_completion *completion)
{
	assert_int_equal(azblob_queue_wait(queue, -1, completion), 1);
}

static char *pages(size_t length)
{
	char *memory =
		mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_true(memory != MAP_FAILED);
	return memory;
}

/* ---- raw requests ---- */

static const char probe[] = "GET /.azblob HTTP/1.1\r\nHost: 127.0.0.1:10000\r\n\r\n";

static int raw(azblob_conn *conn, struct azblob_raw_result *result, struct azblob_error *error)
{
	static char answer[16384];
	struct azblob_raw_request request = AZBLOB_RAW_REQUEST_INIT;

	request.head = probe;
	request.head_length = sizeof(probe) - 1;
	request.answer = answer;
	request.answer_room = sizeof(answer);
	return azblob_request(conn, &request, result, error);
}

static void raw_requests_say_what_a_failure_means(void **state)
{
	static const struct {
		enum fault fault;
		uint32_t value;
		int kind;
		int unknown;
	} cases[] = {
		{ ERRNO, EINVAL, AZBLOB_BAD_ARGUMENT, 0 },
		{ ERRNO, EMSGSIZE, AZBLOB_BAD_ARGUMENT, 0 },
		{ ERRNO, EFAULT, AZBLOB_BAD_ARGUMENT, 0 },
		{ ERRNO, ENOTTY, AZBLOB_BAD_ARGUMENT, 0 },
		{ ERRNO, ENOMEM, AZBLOB_RESOURCES, 0 },
		{ ERRNO, EAGAIN, AZBLOB_RESOURCES, 0 },
		{ ERRNO, ENODEV, AZBLOB_TRANSPORT, 1 },
		{ ERRNO, EIO, AZBLOB_TRANSPORT, 1 },
		{ ERRNO, EINTR, AZBLOB_TRANSPORT, 1 },
		{ ERRNO, ETIMEDOUT, AZBLOB_TRANSPORT, 1 },
		{ LINK_STATUS, VSP_WIRE_STATUS_BAD_PACKET, AZBLOB_TRANSPORT, 0 },
		{ LINK_STATUS, VSP_WIRE_STATUS_NOT_SUPPORTED, AZBLOB_TRANSPORT, 0 },
		{ LINK_STATUS, VSP_WIRE_STATUS_TOO_SMALL, AZBLOB_TRANSPORT, 0 },
		{ LINK_STATUS, VSP_WIRE_STATUS_NO_RESOURCES, AZBLOB_RESOURCES, 0 },
		{ LINK_STATUS, VSP_WIRE_STATUS_TIMEOUT, AZBLOB_TRANSPORT, 1 },
		{ LINK_STATUS, VSP_WIRE_STATUS_CANCELLED, AZBLOB_TRANSPORT, 1 },
		{ LINK_STATUS, 0xdeadbeef, AZBLOB_TRANSPORT, 1 },
	};
	struct azblob_raw_result result;
	struct azblob_error error;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool said = cases[i].fault == LINK_STATUS;

		host.requests = 0;
		host_set_fault(cases[i].fault, "GET /.azblob", 1 << 30, cases[i].value, NULL);
		assert_int_equal(raw(*state, &result, &error), -1);
		assert_int_equal(error.kind, cases[i].kind);
		assert_int_equal(error.outcome_unknown, cases[i].unknown);
		assert_int_equal(error.sys_errno, said ? 0 : cases[i].value);
		assert_int_equal(error.link_status, said ? cases[i].value : 0);
		assert_int_equal(result.status, said ? cases[i].value : 0);
		assert_int_equal(result.answered, said);
		assert_true(*error.message);
		/* Whatever it was: the library does not know whether it is safe to repeat. */
		assert_int_equal(host.requests, 1);
	}
	host_set_fault(NO_FAULT, "", 0, 0, NULL);
	assert_int_equal(raw(*state, &result, NULL), 0);
	assert_int_equal(raw(*state, NULL, NULL), 0);
}

static void a_host_of_another_payload_is_for_raw_requests(void **state)
{
	struct azblob_raw_result result;
	struct azblob_error error;
	azblob_conn *conn;
	azblob_queue *queue;
	char byte;

	host.probe = "something else";
	conn = open_with(AZBLOB_TRANSPORT_RAW, 2);
	/* It was asked nothing. */
	assert_int_equal(host.requests, 0);
	assert_int_equal(raw(conn, &result, NULL), 0);
	assert_int_equal(result.answer_length, 14);
	host.requests = 0;
	assert_int_equal(azblob_get_blob(conn, "box", "x", 0, 1, &byte, 1, NULL, NULL, &error), -1);
	assert_int_equal(error.kind, AZBLOB_BAD_ARGUMENT);
	assert_non_null(strstr(error.message, "raw requests only"));
	queue = new_queue(conn, 1);
	assert_int_equal(azblob_queue_get(queue, "box", "x", 0, 1, &byte, NULL, NULL, &error), -1);
	assert_int_equal(error.kind, AZBLOB_BAD_ARGUMENT);
	assert_int_equal(host.requests, 0);
	azblob_queue_free(queue);
	azblob_close(conn);
	(void)state;
}

/* ---- queues ---- */

static void safe_requests_are_repeated_as_by_blocking_calls(void **state)
{
	azblob_queue *queue = new_queue(*state, 4);
	struct azblob_completion done;
	char *back = malloc(PART);

	/* Not done; may be done but a read; bytes that were spoiled. */
	host_set_fault(HTTP_STATUS, "GET /devstore", 2, 503, NULL);
	get(queue, PART, PART, back, NULL);
	take(queue, &done);
	assert_int_equal(done.result, 0);
	assert_int_equal(done.retries, 2);
	assert_memory_equal(back, host.blob + PART, PART);
	host_set_fault(LINK_STATUS, "GET /devstore", 1, VSP_WIRE_STATUS_TIMEOUT, NULL);
	get(queue, 0, PART, back, NULL);
	take(queue, &done);
	assert_int_equal(done.result, 0);
	host_set_fault(FLIP_BYTE, "GET /devstore", 1, 0, NULL);
	get(queue, 0, PART, back, NULL);
	take(queue, &done);
	assert_int_equal(done.result, 0);
	assert_int_equal(done.verified, 1);
	assert_int_equal(done.blob_size, 4 * PART);
	assert_string_equal(done.etag, "\"e\"");
	assert_memory_equal(back, host.blob, PART);
	/* In the end it is what it is. */
	host_set_fault(FLIP_BYTE, "GET /devstore", 1 << 30, 0, NULL);
	get(queue, 0, PART, back, NULL);
	take(queue, &done);
	assert_int_equal(done.result, -1);
	assert_int_equal(done.error.kind, AZBLOB_CHECKSUM);
	assert_int_equal(done.retries, 2);
	host_set_fault(NO_FAULT, "", 0, 0, NULL);
	azblob_queue_free(queue);
	free(back);
}

static void a_read_into_memory_that_the_host_still_has_is_not_repeated(void **state)
{
	azblob_queue *queue = new_queue(*state, 4);
	struct azblob_completion done;
	char *back = malloc(PART);

	host.requests = 0;
	host_set_fault(ERRNO, "GET /devstore", 1, ETIMEDOUT, NULL);
	get(queue, 0, PART, back, NULL);
	take(queue, &done);
	assert_int_equal(done.result, -1);
	assert_int_equal(done.error.sys_errno, ETIMEDOUT);
	assert_int_equal(host.requests, 1);
	azblob_queue_free(queue);
	free(back);
}

static void the_descriptor_is_readable_as_long_as_there_is_something(void **state)
{
	azblob_queue *queue = new_queue(*state, 8);
	struct pollfd fd = { .fd = azblob_queue_fd(queue), .events = POLLIN };
	struct azblob_completion done;
	char *back = malloc(8 * 4096);

	assert_int_equal(poll(&fd, 1, 0), 0);
	for (size_t i = 0; i < 8; i++)
		get(queue, i * 4096, 4096, back + i * 4096, NULL);
	for (int i = 0; i < 8; i++) {
		do
			assert_int_equal(poll(&fd, 1, 120000), 1);
		while (!azblob_queue_poll(queue, &done));
		assert_int_equal(done.result, 0);
	}
	assert_int_equal(poll(&fd, 1, 0), 0);
	assert_memory_equal(back, host.blob, 8 * 4096);
	azblob_queue_free(queue);
	free(back);
}

static void what_waits_for_a_thread_is_cancelled_at_once_and_never_sent(void **state)
{
	enum {
		COUNT = 70,
		THREADS = 64
	};
	azblob_queue *queue = new_queue(*state, COUNT);
	struct azblob_completion done;
	char *back = malloc((size_t)COUNT * 4096);
	uint64_t id[COUNT];
	struct azblob_error error;
	unsigned int cancelled = 0;

	/* The host answers nobody, so every thread has one and the rest has none. */
	pthread_mutex_lock(&host.lock);
	host.requests = 0;
	for (size_t i = 0; i < COUNT; i++)
		get(queue, 0, 4096, back + i * 4096, &id[i]);
	/* Only those that a thread has not come to yet are stopped now: the last ones surely. */
	for (size_t i = THREADS; i < COUNT; i++) {
		assert_int_equal(azblob_cancel(queue, id[i], NULL), 0);
		take(queue, &done);
		assert_int_equal(done.id, id[i]);
		assert_int_equal(done.result, -1);
		assert_int_equal(done.error.kind, AZBLOB_CANCELLED);
		assert_int_equal(done.error.outcome_unknown, 0);
		assert_int_equal(azblob_cancel(queue, id[i], &error), -1);
		assert_int_equal(error.kind, AZBLOB_BAD_ARGUMENT);
		cancelled++;
	}
	pthread_mutex_unlock(&host.lock);
	while (azblob_queue_wait(queue, -1, &done))
		assert_int_equal(done.result, 0);
	assert_int_equal(host.requests, COUNT - cancelled);
	azblob_queue_free(queue);
	free(back);
}

static void a_cancelled_request_is_not_repeated(void **state)
{
	azblob_conn *conn = open_with(AZBLOB_TRANSPORT_DRIVER, 20);
	azblob_queue *queue = new_queue(conn, 4);
	struct azblob_completion done;
	char *back = malloc(PART);
	uint64_t id;

	host_set_fault(HTTP_STATUS, "GET /devstore", 1 << 30, 503, NULL);
	get(queue, 0, PART, back, &id);
	for (unsigned int tries = 0; !tries;) {
		pthread_mutex_lock(&host.lock);
		tries = host.requests;
		pthread_mutex_unlock(&host.lock);
		usleep(1000);
	}
	assert_int_equal(azblob_cancel(queue, id, NULL), 0);
	take(queue, &done);
	assert_int_equal(done.error.kind, AZBLOB_CANCELLED);
	assert_int_equal(done.error.outcome_unknown, 0);
	assert_true(done.retries < 20);
	azblob_queue_free(queue);
	azblob_close(conn);
	free(back);
	(void)state;
}

static void freeing_a_queue_waits_for_its_requests(void **state)
{
	azblob_queue *queue = new_queue(*state, 100);
	char *back = pages(100 * 4096);

	for (size_t i = 0; i < 100; i++)
		get(queue, 0, 4096, back + i * 4096, NULL);
	azblob_queue_free(queue);
	/* Whoever writes here now is found. */
	munmap(back, 100 * 4096);
}

/*
 * A ring of the real kernel's, where it may be used, on files that are no driver: the one knows no
 * commands, so that each goes on in a thread; the other does nothing and calls it a success, so
 * that the answer makes no sense and a thread asks again.
 */
static void what_a_ring_can_not_do_a_thread_does(void **state)
{
	static const char *const nodes[] = { "/dev/zero", "/dev/null" };
	struct azblob_completion done;
	char *back = malloc(8 * 4096);

	for (size_t n = 0; n < 2; n++) {
		azblob_conn *conn;
		azblob_queue *queue;

		front.device.features = AZ_BLOB_FEATURE_URING | AZ_BLOB_FEATURE_URING_FIXED;
		front.device.node = open(nodes[n], O_RDWR | O_CLOEXEC);
		assert_true(front.device.node >= 0);
		conn = open_with(AZBLOB_TRANSPORT_DRIVER, 2);
		assert_int_equal(azblob_queue_new(conn, NULL, &queue, NULL), 0);
		print_message("%s: by %s\n", nodes[n],
			      azblob_queue_kind(queue) == AZBLOB_QUEUE_URING ? "a ring"
									     : "threads");
		memset(back, 0, 8 * 4096);
		for (size_t i = 0; i < 8; i++)
			get(queue, i * 4096, 4096, back + i * 4096, NULL);
		for (int i = 0; i < 8; i++) {
			take(queue, &done);
			assert_int_equal(done.result, 0);
			assert_int_equal(done.verified, 1);
		}
		assert_int_equal(azblob_queue_wait(queue, -1, &done), 0);
		assert_memory_equal(back, host.blob, 8 * 4096);
		azblob_queue_free(queue);
		azblob_close(conn);
		close(front.device.node);
	}
	free(back);
	(void)state;
}

/* ---- buffers ---- */

static void requests_in_a_registered_buffer_say_so(void **state)
{
	azblob_conn *conn = *state;
	azblob_queue *queue = new_queue(conn, 4);
	struct azblob_completion done;
	char *memory = pages(4 * PART);
	azblob_buffer *buffer;

	assert_int_equal(azblob_buffer_register(conn, memory, 2 * PART, 0, &buffer, NULL), 0);
	assert_int_equal(azblob_buffer_kind(buffer), AZBLOB_BUFFER_HOST);
	/* A blocking call, in parts; one in a queue; at an odd place. */
	assert_int_equal(
		azblob_get_blob(conn, "box", "x", 0, 2 * PART, memory, 2 * PART, NULL, NULL, NULL),
		0);
	assert_memory_equal(memory, host.blob, 2 * PART);
	assert_int_equal(front.placed, 2);
	get(queue, 17, 4096, memory + 2 * PART - 4096 - 3, NULL);
	take(queue, &done);
	assert_int_equal(done.result, 0);
	assert_memory_equal(memory + 2 * PART - 4096 - 3, host.blob + 17, 4096);
	assert_int_equal(front.placed, 3);
	/* Not wholly inside; outside. */
	get(queue, 0, PART, memory + 2 * PART - 1, NULL);
	take(queue, &done);
	get(queue, 0, PART, memory + 3 * PART, NULL);
	take(queue, &done);
	assert_int_equal(done.result, 0);
	assert_int_equal(front.placed, 3);
	azblob_buffer_deregister(buffer);
	get(queue, 0, PART, memory, NULL);
	take(queue, &done);
	assert_int_equal(done.result, 0);
	assert_int_equal(front.placed, 3);
	azblob_queue_free(queue);
	munmap(memory, 4 * PART);
}

static void a_buffer_that_the_driver_has_forgotten_is_plain_memory(void **state)
{
	azblob_conn *conn = *state;
	char *memory = pages(PART);
	azblob_buffer *buffer;

	assert_int_equal(azblob_buffer_register(conn, memory, PART, 0, &buffer, NULL), 0);
	front.forgetful = true;
	assert_int_equal(azblob_get_blob(conn, "box", "x", 0, PART, memory, PART, NULL, NULL, NULL),
			 0);
	assert_memory_equal(memory, host.blob, PART);
	azblob_buffer_deregister(buffer);
	munmap(memory, PART);
}

static void a_read_only_buffer_is_not_read_into(void **state)
{
	azblob_conn *conn = *state;
	char *memory = pages(PART);
	azblob_buffer *buffer;

	assert_int_equal(
		azblob_buffer_register(conn, memory, PART, AZBLOB_BUFFER_READ_ONLY, &buffer, NULL),
		0);
	assert_int_equal(azblob_put_blob(conn, "box", "x", memory, PART, NULL, NULL, NULL), 0);
	assert_int_equal(front.placed, 1);
	assert_int_equal(azblob_get_blob(conn, "box", "x", 0, PART, memory, PART, NULL, NULL, NULL),
			 0);
	assert_int_equal(front.placed, 1);
	azblob_buffer_deregister(buffer);
	munmap(memory, PART);
}

static void memory_that_can_not_be_pinned_serves_all_the_same(void **state)
{
	static const int reasons[] = { -ENOMEM, -ENOSPC, -EOPNOTSUPP, -EMSGSIZE, -EFAULT };
	azblob_conn *conn = *state;
	char *memory = pages(PART);
	azblob_buffer *buffer;

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		front.add_result = reasons[i];
		assert_int_equal(azblob_buffer_register(conn, memory, PART, 0, &buffer, NULL), 0);
		assert_int_equal(azblob_buffer_kind(buffer), AZBLOB_BUFFER_PLAIN);
		assert_int_equal(
			azblob_get_blob(conn, "box", "x", 0, PART, memory, PART, NULL, NULL, NULL),
			0);
		azblob_buffer_deregister(buffer);
	}
	assert_int_equal(front.placed, 0);
	munmap(memory, PART);
}

static void there_is_an_end_to_registered_buffers(void **state)
{
	azblob_buffer *buffer[64];
	azblob_buffer *more;
	struct azblob_error error;
	char *memory = pages(PART);

	front.add_result = -ENOSPC;
	for (int i = 0; i < 64; i++)
		assert_int_equal(azblob_buffer_register(*state, memory, PART, 0, &buffer[i], NULL),
				 0);
	assert_int_equal(azblob_buffer_register(*state, memory, PART, 0, &more, &error), -1);
	assert_int_equal(error.kind, AZBLOB_RESOURCES);
	for (int i = 0; i < 64; i++)
		azblob_buffer_deregister(buffer[i]);
	munmap(memory, PART);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(raw_requests_say_what_a_failure_means),
		TEST(a_host_of_another_payload_is_for_raw_requests),
		TEST(safe_requests_are_repeated_as_by_blocking_calls),
		TEST(a_read_into_memory_that_the_host_still_has_is_not_repeated),
		TEST(the_descriptor_is_readable_as_long_as_there_is_something),
		TEST(what_waits_for_a_thread_is_cancelled_at_once_and_never_sent),
		TEST(a_cancelled_request_is_not_repeated),
		TEST(freeing_a_queue_waits_for_its_requests),
		TEST(what_a_ring_can_not_do_a_thread_does),
		TEST(requests_in_a_registered_buffer_say_so),
		TEST(a_buffer_that_the_driver_has_forgotten_is_plain_memory),
		TEST(a_read_only_buffer_is_not_read_into),
		TEST(memory_that_can_not_be_pinned_serves_all_the_same),
		TEST(there_is_an_end_to_registered_buffers),
	};

	return cmocka_run_group_tests_name("client queue", tests, NULL, NULL);
}
