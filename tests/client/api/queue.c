// SPDX-License-Identifier: MIT
/*
 * Queues as a program uses them: many requests from one thread, completions by a descriptor, by
 * waiting and by asking; raw requests; registered buffers; cancellation.
 *
 * usage: queue CONTAINER [uring|threads [plain|uring|host]]   what the queue and the buffers must
 * be
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>

#include "api.h"

#define MIB ((size_t)1 << 20)
#define PART ((size_t)64 << 10)
#define PARTS 48u

static const char *want_queue = "";
static const char *want_buffer = "";

static unsigned char *pages(size_t length)
{
	void *p = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

static unsigned char byte_at(size_t position)
{
	return (unsigned char)(position * 131 + (position >> 8) * 17 + (position >> 16));
}

static void fill(unsigned char *data, size_t length, size_t position)
{
	for (size_t i = 0; i < length; i++)
		data[i] = byte_at(position + i);
}

static int is_right(const unsigned char *data, size_t length, size_t position)
{
	for (size_t i = 0; i < length; i++)
		if (data[i] != byte_at(position + i))
			return 0;
	return 1;
}

static azblob_queue *new_queue(azblob_conn *conn, unsigned int depth)
{
	struct azblob_queue_options options = AZBLOB_QUEUE_OPTIONS_INIT;
	azblob_queue *queue;

	options.depth = depth;
	options.threads = !strcmp(want_queue, "threads");
	OK(azblob_queue_new(conn, &options, &queue, &api_error));
	if (*want_queue)
		CHECK(azblob_queue_kind(queue) ==
		      (options.threads ? AZBLOB_QUEUE_THREADS : AZBLOB_QUEUE_URING));
	return queue;
}

/* By the descriptor, as an event loop does. */
static void take_by_poll(azblob_queue *queue, struct azblob_completion *completion)
{
	struct pollfd fd = { .fd = azblob_queue_fd(queue), .events = POLLIN };

	while (!azblob_queue_poll(queue, completion))
		CHECK(poll(&fd, 1, 120000) == 1);
}

/* Eight characters that happen to be base64. */
static void block_name(unsigned int number, char id[9])
{
	snprintf(id, 9, "block%03u", number % 1000);
}

static void upload_in_blocks(azblob_conn *conn, const char *box, const char *blob,
			     unsigned char *memory)
{
	azblob_queue *queue = new_queue(conn, PARTS);
	struct azblob_submit_options options = AZBLOB_SUBMIT_OPTIONS_INIT;
	struct azblob_completion completion;
	const char *ids[PARTS];
	char names[PARTS][9];
	uint64_t id;

	fill(memory, PARTS * PART, 0);
	for (unsigned int i = 0; i < PARTS; i++) {
		block_name(i, names[i]);
		ids[i] = names[i];
		options.context = &names[i];
		OK(azblob_queue_put_block(queue, box, blob, ids[i], memory + i * PART, PART,
					  &options, &id, &api_error));
	}
	/* Not one more: nobody has taken a completion. */
	FAILS(azblob_queue_put_block(queue, box, blob, ids[0], memory, PART, NULL, NULL,
				     &api_error),
	      AZBLOB_RESOURCES);
	CHECK(!strcmp(api_error.code, "QueueFull"));
	for (unsigned int i = 0; i < PARTS; i++) {
		take_by_poll(queue, &completion);
		if (completion.result)
			fprintf(stderr, "%s\n", completion.error.message);
		CHECK(!completion.result);
		CHECK((char(*)[9])completion.context >= names &&
		      (char(*)[9])completion.context < names + PARTS);
	}
	CHECK(!azblob_queue_poll(queue, &completion));
	CHECK(!azblob_queue_wait(queue, -1, &completion));
	azblob_queue_free(queue);
	OK(azblob_put_block_list(conn, box, blob, ids, PARTS, NULL, NULL, &api_error));
}

static void read_in_parts(azblob_conn *conn, const char *box, const char *blob,
			  unsigned char *memory)
{
	azblob_queue *queue = new_queue(conn, PARTS + 2);
	struct azblob_submit_options options = AZBLOB_SUBMIT_OPTIONS_INIT;
	struct azblob_completion completion;
	uint64_t beyond;
	uint64_t missing;
	char etag[128] = "";

	memset(memory, 0, PARTS * PART);
	for (size_t i = 0; i < PARTS; i++) {
		options.context = memory + i * PART;
		OK(azblob_queue_get(queue, box, blob, i * PART, PART, memory + i * PART, &options,
				    NULL, &api_error));
	}
	OK(azblob_queue_get(queue, box, blob, PARTS * PART, PART, memory + PARTS * PART, NULL,
			    &beyond, &api_error));
	OK(azblob_queue_get(queue, box, "not there", 0, PART, memory + PARTS * PART, NULL, &missing,
			    &api_error));
	for (unsigned int i = 0; i < PARTS + 2; i++) {
		CHECK(azblob_queue_wait(queue, -1, &completion) == 1);
		if (completion.id == beyond || completion.id == missing) {
			CHECK(completion.result == -1 && completion.error.kind == AZBLOB_SERVICE);
			CHECK(completion.error.http_status ==
			      (completion.id == beyond ? 416 : 404));
			continue;
		}
		if (completion.result)
			fprintf(stderr, "%s\n", completion.error.message);
		CHECK(!completion.result && completion.verified && completion.length == PART);
		CHECK(completion.blob_size == PARTS * PART && *completion.etag);
		CHECK(is_right(completion.context, PART,
			       (size_t)((unsigned char *)completion.context - memory)));
		memcpy(etag, completion.etag, sizeof(etag));
	}
	/* The end of the blob, and a version that it has not. */
	options.if_match = etag;
	OK(azblob_queue_get(queue, box, blob, PARTS * PART - 10, PART, memory, &options, NULL,
			    &api_error));
	CHECK(azblob_queue_wait(queue, -1, &completion) == 1);
	CHECK(!completion.result && completion.length == 10);
	CHECK(is_right(memory, 10, PARTS * PART - 10));
	options.if_match = "\"0x0\"";
	OK(azblob_queue_get(queue, box, blob, 0, PART, memory, &options, NULL, &api_error));
	CHECK(azblob_queue_wait(queue, -1, &completion) == 1);
	CHECK(completion.result == -1 && completion.error.http_status == 412);
	azblob_queue_free(queue);
}

static void bad_submissions_leave_nothing(azblob_conn *conn, const char *box)
{
	azblob_queue *queue = new_queue(conn, 1);
	struct azblob_queue_options options = AZBLOB_QUEUE_OPTIONS_INIT;
	struct azblob_completion completion;
	azblob_queue *none;
	char byte;

	FAILS(azblob_queue_get(queue, box, "x", 0, 0, &byte, NULL, NULL, &api_error),
	      AZBLOB_BAD_ARGUMENT);
	FAILS(azblob_queue_get(queue, box, "x", 0, 64 * MIB, &byte, NULL, NULL, &api_error),
	      AZBLOB_BAD_ARGUMENT);
	FAILS(azblob_queue_get(queue, "No", "x", 0, 1, &byte, NULL, NULL, &api_error),
	      AZBLOB_BAD_ARGUMENT);
	FAILS(azblob_queue_put_block(queue, box, "x", "?", &byte, 1, NULL, NULL, &api_error),
	      AZBLOB_BAD_ARGUMENT);
	CHECK(!azblob_queue_wait(queue, -1, &completion));
	FAILS(azblob_cancel(queue, 1 << 12, &api_error), AZBLOB_BAD_ARGUMENT);
	azblob_queue_free(queue);
	options.depth = 5000;
	FAILS(azblob_queue_new(conn, &options, &none, &api_error), AZBLOB_BAD_ARGUMENT);
}

static const char probe[] = "GET /.azblob HTTP/1.1\r\nHost: localhost\r\n\r\n";

static void raw_requests_are_carried_as_they_are(azblob_conn *conn)
{
	struct azblob_raw_request raw = AZBLOB_RAW_REQUEST_INIT;
	struct azblob_raw_result result;
	struct azblob_completion completion;
	azblob_queue *queue = new_queue(conn, 4);
	char *answer = (char *)pages(65536);

	raw.head = probe;
	raw.head_length = sizeof(probe) - 1;
	raw.answer = answer;
	raw.answer_room = 65536;
	if (azblob_conn_transport(conn) == AZBLOB_TRANSPORT_HTTP) {
		FAILS(azblob_request(conn, &raw, &result, &api_error), AZBLOB_TRANSPORT);
		FAILS(azblob_queue_request(queue, &raw, NULL, NULL, &api_error), AZBLOB_TRANSPORT);
		azblob_queue_free(queue);
		return;
	}
	OK(azblob_request(conn, &raw, &result, &api_error));
	CHECK(result.answered && !result.status && result.answer_length > 17);
	CHECK(!memcmp(answer, "HTTP/1.1 200 ", 13));
	memset(answer, 0, 65536);
	OK(azblob_queue_request(queue, &raw, NULL, NULL, &api_error));
	CHECK(azblob_queue_wait(queue, -1, &completion) == 1);
	CHECK(!completion.result && !completion.status && completion.length > 17);
	CHECK(!memcmp(answer, "HTTP/1.1 200 ", 13));
	/* Refused by the host before anything was done. */
	raw.answer_room = 64;
	FAILS(azblob_request(conn, &raw, &result, &api_error), AZBLOB_TRANSPORT);
	CHECK(result.answered && result.status == 0x8007007a && !api_error.outcome_unknown);
	CHECK(api_error.link_status == result.status);
	OK(azblob_queue_request(queue, &raw, NULL, NULL, &api_error));
	CHECK(azblob_queue_wait(queue, -1, &completion) == 1);
	CHECK(completion.result == -1 && completion.status == 0x8007007a);
	/* Refused by the library, and by the driver. */
	raw.answer_room = 65536;
	raw.data_length = 4096;
	FAILS(azblob_request(conn, &raw, &result, &api_error), AZBLOB_BAD_ARGUMENT);
	raw.data = pages(4096);
	raw.data_length = 40 * MIB;
	FAILS(azblob_request(conn, &raw, &result, &api_error), AZBLOB_BAD_ARGUMENT);
	CHECK(!result.answered && !api_error.outcome_unknown);
	azblob_queue_free(queue);
}

static void a_connection_for_raw_requests_needs_no_account(void)
{
	struct azblob_raw_request raw = AZBLOB_RAW_REQUEST_INIT;
	const char *device = getenv("AZBLOB_TEST_DEVICE");
	azblob_config *config = azblob_config_new();
	struct azblob_raw_result result;
	azblob_conn *conn;

	OK(azblob_config_set_transport(config, AZBLOB_TRANSPORT_RAW, &api_error));
	OK(azblob_config_set_device(config, device ? device : "/nowhere", &api_error));
	if (!device) {
		FAILS(azblob_open(config, &conn, &api_error), AZBLOB_TRANSPORT);
		azblob_config_free(config);
		return;
	}
	OK(azblob_open(config, &conn, &api_error));
	azblob_config_free(config);
	CHECK(azblob_conn_transport(conn) == AZBLOB_TRANSPORT_RAW);
	raw.head = probe;
	raw.head_length = sizeof(probe) - 1;
	raw.answer = pages(16384);
	raw.answer_room = 16384;
	OK(azblob_request(conn, &raw, &result, &api_error));
	FAILS(azblob_container_create(conn, "box", &api_error), AZBLOB_BAD_ARGUMENT);
	azblob_close(conn);
}

static void registered_memory_is_used_by_all_calls(azblob_conn *conn, const char *box)
{
	size_t length = (PARTS + 1) * PART;
	unsigned char *memory = pages(length);
	azblob_buffer *buffer;
	azblob_buffer *again;
	enum azblob_buffer_kind kind;

	FAILS(azblob_buffer_register(conn, memory + 1, length, 0, &buffer, &api_error),
	      AZBLOB_BAD_ARGUMENT);
	FAILS(azblob_buffer_register(conn, memory, length, 99, &buffer, &api_error),
	      AZBLOB_BAD_ARGUMENT);
	OK(azblob_buffer_register(conn, memory, length, 0, &buffer, &api_error));
	kind = azblob_buffer_kind(buffer);
	CHECK(kind == AZBLOB_BUFFER_PLAIN || azblob_conn_transport(conn) != AZBLOB_TRANSPORT_HTTP);
	if (*want_buffer)
		CHECK(!strcmp(want_buffer, kind == AZBLOB_BUFFER_HOST    ? "host"
					   : kind == AZBLOB_BUFFER_URING ? "uring"
									 : "plain"));
	upload_in_blocks(conn, box, "registered", memory);
	read_in_parts(conn, box, "registered", memory);
	memset(memory, 0, length);
	OK(azblob_get_blob(conn, box, "registered", 0, PARTS * PART, memory, length, NULL, NULL,
			   &api_error));
	CHECK(is_right(memory, PARTS * PART, 0));
	azblob_buffer_deregister(buffer);
	/* As plain memory it still serves, and it can be registered again. */
	read_in_parts(conn, box, "registered", memory);
	OK(azblob_buffer_register(conn, memory, length, AZBLOB_BUFFER_READ_ONLY, &again,
				  &api_error));
	upload_in_blocks(conn, box, "read-only", memory);
	read_in_parts(conn, box, "read-only", memory);
	azblob_buffer_deregister(again);
	azblob_buffer_deregister(NULL);
	munmap(memory, length);
}

static void a_freed_queue_is_done_with_its_memory(azblob_conn *conn, const char *box)
{
	azblob_queue *queue = new_queue(conn, PARTS);
	unsigned char *memory = pages(PARTS * PART);

	for (size_t i = 0; i < PARTS; i++)
		OK(azblob_queue_get(queue, box, "plain", i * PART, PART, memory + i * PART, NULL,
				    NULL, &api_error));
	azblob_queue_free(queue);
	munmap(memory, PARTS * PART);
	azblob_queue_free(NULL);
}

static void cancelled_requests_end_all_the_same(azblob_conn *conn, const char *box)
{
	azblob_queue *queue = new_queue(conn, PARTS);
	unsigned char *memory = pages(PARTS * PART);
	struct azblob_completion completion;
	uint64_t ids[PARTS];
	unsigned int cancelled = 0;

	for (size_t i = 0; i < PARTS; i++)
		OK(azblob_queue_get(queue, box, "plain", i * PART, PART, memory + i * PART, NULL,
				    &ids[i], &api_error));
	for (size_t i = PARTS; i-- > 0;)
		/* What has ended already is not there to be cancelled. */
		if (azblob_cancel(queue, ids[i], &api_error))
			CHECK(api_error.kind == AZBLOB_BAD_ARGUMENT);
	for (unsigned int i = 0; i < PARTS; i++) {
		CHECK(azblob_queue_wait(queue, -1, &completion) == 1);
		if (completion.result) {
			CHECK(completion.error.kind == AZBLOB_CANCELLED);
			CHECK(!completion.error.outcome_unknown);
			cancelled++;
		}
		FAILS(azblob_cancel(queue, completion.id, &api_error), AZBLOB_BAD_ARGUMENT);
	}
	printf("%u of %u were cancelled\n", cancelled, PARTS);
	CHECK(!azblob_queue_wait(queue, -1, &completion));
	azblob_queue_free(queue);
	munmap(memory, PARTS * PART);
}

struct shared {
	azblob_queue *queue;
	const char *box;
	unsigned char *memory;
	pthread_barrier_t *end;
	unsigned int good;
};

static void *share(void *data)
{
	struct shared *shared = data;
	struct azblob_completion completion;
	struct azblob_error error;

	for (size_t i = 0; i < PARTS; i++)
		while (azblob_queue_get(shared->queue, shared->box, "plain", i * PART, PART,
					shared->memory + i * PART, NULL, NULL, &error)) {
			CHECK(!strcmp(error.code, "QueueFull"));
			if (azblob_queue_wait(shared->queue, 1000, &completion))
				shared->good += !completion.result;
		}
	while (azblob_queue_wait(shared->queue, -1, &completion))
		shared->good += !completion.result;
	/* A thread must not end before its requests. */
	pthread_barrier_wait(shared->end);
	return NULL;
}

static void a_queue_may_be_shared_by_threads(azblob_conn *conn, const char *box)
{
	enum {
		THREADS = 4
	};
	azblob_queue *queue = new_queue(conn, 16);
	struct shared shared[THREADS];
	pthread_t thread[THREADS];
	pthread_barrier_t end;
	unsigned int good = 0;

	pthread_barrier_init(&end, NULL, THREADS);
	for (unsigned int i = 0; i < THREADS; i++) {
		shared[i] = (struct shared){ queue, box, pages(PARTS * PART), &end, 0 };
		CHECK(!pthread_create(&thread[i], NULL, share, &shared[i]));
	}
	for (unsigned int i = 0; i < THREADS; i++) {
		CHECK(!pthread_join(thread[i], NULL));
		CHECK(is_right(shared[i].memory, PARTS * PART, 0));
		munmap(shared[i].memory, PARTS * PART);
		good += shared[i].good;
	}
	CHECK(good == THREADS * PARTS);
	pthread_barrier_destroy(&end);
	azblob_queue_free(queue);
}

static void held_requests(azblob_conn *conn, const char *box, int keep)
{
	enum {
		COUNT = 4
	};
	azblob_queue *queue = new_queue(conn, COUNT);
	unsigned char *memory = pages(COUNT * PART);
	struct azblob_submit_options options = AZBLOB_SUBMIT_OPTIONS_INIT;
	struct azblob_completion completion;
	uint64_t ids[COUNT];
	sigset_t go;
	int number;

	sigemptyset(&go);
	sigaddset(&go, SIGUSR1);
	sigprocmask(SIG_BLOCK, &go, NULL);
	/* However slow the machine is: nothing here is about time-outs. */
	options.timeout_ms = 3600000;
	printf("ready\n");
	fflush(stdout);
	/* Until whoever started this has stopped the host. */
	sigwait(&go, &number);
	for (size_t i = 0; i < COUNT; i++)
		OK(azblob_queue_get(queue, box, "held", i * PART, PART, memory + i * PART, &options,
				    &ids[i], &api_error));
	/* And has seen that it has them. */
	if (!keep)
		sigwait(&go, &number);
	for (size_t i = 0; i < COUNT && !keep; i++)
		OK(azblob_cancel(queue, ids[i], &api_error));
	/* The memory is not the caller's yet, so there is nothing to take. */
	if (!keep)
		CHECK(!azblob_queue_wait(queue, 200, &completion));
	printf("cancelled\n");
	fflush(stdout);
	for (size_t i = 0; i < COUNT; i++) {
		CHECK(azblob_queue_wait(queue, -1, &completion) == 1);
		/* Whichever the host came to first. */
		if (!keep && completion.result)
			CHECK(completion.error.kind == AZBLOB_CANCELLED);
		else
			CHECK(!completion.result && completion.length == PART &&
			      completion.verified);
	}
	azblob_queue_free(queue);
	munmap(memory, COUNT * PART);
}

/* The next step of whoever started this. */
static void wait_for_signal(void)
{
	sigset_t go;
	int number;

	sigemptyset(&go);
	sigaddset(&go, SIGUSR1);
	sigwait(&go, &number);
}

static void say(const char *text)
{
	printf("%s\n", text);
	fflush(stdout);
}

/*
 * The host has the requests, and nobody behind it will ever answer them: that they end, and without
 * their time-out, is the cancellation's doing.  Or they are @unsent, in the driver's line.
 */
static void requests_under_way_are_cancelled(azblob_conn *conn, const char *box, int unsent)
{
	enum {
		COUNT = 4
	};
	azblob_queue *queue = new_queue(conn, COUNT + 1);
	unsigned char *memory = pages((COUNT + 1) * PART);
	struct azblob_submit_options options = AZBLOB_SUBMIT_OPTIONS_INIT;
	struct azblob_completion completion;
	uint64_t ids[COUNT + 1];
	sigset_t go;

	sigemptyset(&go);
	sigaddset(&go, SIGUSR1);
	sigprocmask(SIG_BLOCK, &go, NULL);
	options.timeout_ms = 3600000;
	say("ready");
	wait_for_signal();
	for (size_t i = 0; i < COUNT; i++)
		OK(azblob_queue_get(queue, box, "held", i * PART, PART, memory + i * PART, &options,
				    &ids[i], &api_error));
	OK(azblob_queue_put_block(queue, box, "held", "YQ==", memory + COUNT * PART, PART, &options,
				  &ids[COUNT], &api_error));
	wait_for_signal();
	for (size_t i = 0; i <= COUNT; i++)
		OK(azblob_cancel(queue, ids[i], &api_error));
	for (size_t i = 0; i <= COUNT; i++) {
		CHECK(azblob_queue_wait(queue, -1, &completion) == 1);
		CHECK(completion.result == -1);
		CHECK(completion.error.kind == AZBLOB_CANCELLED);
		CHECK(completion.error.link_status == (unsent ? 0 : 0x800703e3));
		CHECK(!completion.retries);
		/* A read changes nothing; a block may be there if it was sent. */
		CHECK(completion.error.outcome_unknown == (!unsent && completion.id == ids[COUNT]));
	}
	CHECK(!azblob_queue_wait(queue, -1, &completion));
	say("cancelled");
	wait_for_signal();
	/* The memory is the caller's again. */
	OK(azblob_queue_get(queue, box, "held", 0, PART, memory, &options, NULL, &api_error));
	CHECK(azblob_queue_wait(queue, -1, &completion) == 1);
	CHECK(!completion.result && completion.verified);
	azblob_queue_free(queue);
	munmap(memory, (COUNT + 1) * PART);
}

static void *submit_and_leave(void *data)
{
	static unsigned char memory[4096];
	struct shared *shared = data;

	OK(azblob_queue_get(shared->queue, shared->box, "held", 0, sizeof(memory), memory, NULL,
			    NULL, &api_error));
	return NULL;
}

/* The kernel may end a thread's commands with it; then the host may still write to their memory. */
static void a_thread_ends_before_its_requests(azblob_conn *conn, const char *box)
{
	azblob_queue *queue = new_queue(conn, 1);
	struct shared shared = { .queue = queue, .box = box };
	struct azblob_completion completion;
	pthread_t thread;
	sigset_t go;
	int number;

	sigemptyset(&go);
	sigaddset(&go, SIGUSR1);
	sigprocmask(SIG_BLOCK, &go, NULL);
	printf("ready\n");
	fflush(stdout);
	sigwait(&go, &number);
	CHECK(!pthread_create(&thread, NULL, submit_and_leave, &shared));
	CHECK(!pthread_join(thread, NULL));
	CHECK(azblob_queue_wait(queue, -1, &completion) == 1);
	if (completion.result)
		CHECK(completion.error.sys_errno == ECANCELED && !completion.retries);
	else
		CHECK(completion.verified && completion.length == 4096);
	azblob_queue_free(queue);
}

int main(int argc, char **argv)
{
	unsigned char *memory = pages((PARTS + 1) * PART);
	azblob_conn *conn;

	CHECK(argc >= 2);
	if (argc > 3 && !strcmp(argv[2], "held")) {
		want_queue = argv[3];
		conn = api_open();
		held_requests(conn, argv[1], argc > 4);
		azblob_close(conn);
		return 0;
	}
	if (argc > 3 && !strcmp(argv[2], "cancel")) {
		want_queue = argv[3];
		conn = api_open();
		requests_under_way_are_cancelled(conn, argv[1], argc > 4);
		azblob_close(conn);
		return 0;
	}
	if (argc > 2 && !strcmp(argv[2], "left")) {
		conn = api_open();
		a_thread_ends_before_its_requests(conn, argv[1]);
		azblob_close(conn);
		return 0;
	}
	want_queue = argc > 2 ? argv[2] : "";
	want_buffer = argc > 3 ? argv[3] : "";
	conn = api_open();
	upload_in_blocks(conn, argv[1], "plain", memory);
	read_in_parts(conn, argv[1], "plain", memory);
	bad_submissions_leave_nothing(conn, argv[1]);
	raw_requests_are_carried_as_they_are(conn);
	a_connection_for_raw_requests_needs_no_account();
	registered_memory_is_used_by_all_calls(conn, argv[1]);
	a_freed_queue_is_done_with_its_memory(conn, argv[1]);
	cancelled_requests_end_all_the_same(conn, argv[1]);
	a_queue_may_be_shared_by_threads(conn, argv[1]);
	azblob_close(conn);
	return 0;
}
