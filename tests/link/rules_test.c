// SPDX-License-Identifier: MIT
/* Every rule of vsp_link.h broken once: that link is cut, and the door goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"

/* The link ends with a GOODBYE, no request was completed, and others are served. */
static void assert_cut(struct bench *bench)
{
	assert_true(emu_wait_closed(&bench->emu));
	assert_true(bench->emu.goodbye);
	assert_null(emu_receive_type(&bench->emu, AZL_COMPLETE, 0, 0));
	assert_int_equal(fake_effects(bench->svc), 0);
	bench_lives(bench);
}

static void send_header(struct bench *bench, uint32_t length, uint16_t type, uint16_t flags,
			uint64_t id)
{
	struct azl_header header = { length, type, flags, id };

	emu_send(&bench->emu, &header, sizeof(header), NULL, 0);
}

/* ------------------------------------------------------------------- HELLO */

static struct azl_hello hello_of(const struct emu *emu)
{
	struct azl_hello hello = { .header = { .length = sizeof(hello), .type = AZL_HELLO },
				   .magic = AZL_MAGIC,
				   .version_min = 1,
				   .version_max = 1,
				   .features = BOTH };

	memcpy(hello.session, emu->session, sizeof(hello.session));
	return hello;
}

/* Sends a first message to a new link and asserts that the answer is REFUSE with text. */
static void assert_refused(struct bench *bench, const void *bytes, size_t length, uint32_t error,
			   const char *text)
{
	struct emu_message *message;
	struct emu emu;

	emu_init(&emu);
	assert_int_equal(emu_open(&emu, bench->path), 0);
	emu_send(&emu, bytes, length, NULL, 0);
	message = emu_receive(&emu, EMU_DEADLINE_MS);
	assert_non_null(message);
	assert_int_equal(message->header.type, AZL_REFUSE);
	assert_int_equal(message->refuse.error, error);
	assert_non_null(strstr((char *)(&message->refuse + 1), text));
	free(message);
	assert_true(emu_wait_closed(&emu));
	emu_drop(&emu);
	bench_lives(bench);
}

static void a_wrong_hello_is_refused_with_the_reason(void **state)
{
	struct bench *bench = *state;
	struct azl_hello hello = hello_of(&bench->emu);
	struct azl_hello bad;

	bad = hello;
	bad.magic++;
	assert_refused(bench, &bad, sizeof(bad), EPROTO, "magic");
	bad = hello;
	bad.version_min = bad.version_max = 2;
	assert_refused(bench, &bad, sizeof(bad), EPROTONOSUPPORT, "version 1");
	bad.version_min = bad.version_max = 0;
	assert_refused(bench, &bad, sizeof(bad), EPROTONOSUPPORT, "version 1");
	bad.version_min = 2;
	assert_refused(bench, &bad, sizeof(bad), EPROTO, "version_min");
	bad = hello;
	bad.header.type = AZL_REQUEST;
	assert_refused(bench, &bad, sizeof(bad), EPROTO, "before HELLO");
	bad = hello;
	bad.header.length++;
	assert_refused(bench, &bad, sizeof(bad), EPROTO, "length");
	bad = hello;
	bad.header.id = 1;
	assert_refused(bench, &bad, sizeof(bad), EPROTO, "id");
	assert_refused(bench, "GET / HTTP/1.1\r\n\r\n", 18, EPROTO, "unknown type");
}

static void a_session_in_use_is_refused(void **state)
{
	struct bench *bench = *state;
	struct azl_hello hello = hello_of(&bench->emu);

	assert_refused(bench, &hello, sizeof(hello), EBUSY, "in use");
	assert_int_equal(bench_head(bench, "GET /.azblob HTTP/1.1\r\n\r\n").http, 200);
}

static void features_are_granted_as_far_as_they_are_known(void **state)
{
	struct bench *bench = *state;
	struct emu emu;

	emu_init(&emu);
	assert_int_equal(emu_connect(&emu, bench->path, ~0ull), 0);
	assert_true(emu.features == BOTH);
	emu_drop(&emu);
	emu_init(&emu);
	assert_int_equal(emu_connect(&emu, bench->path, 0), 0);
	assert_true(emu.features == 0);
	assert_int_equal(emu.max_inflight, AZL_MAX_INFLIGHT);
	emu_drop(&emu);
}

static void the_pidfd_is_the_backends(void **state)
{
	struct bench *bench = *state;
	char path[64], line[256];
	int pid = 0;
	FILE *info;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", bench->emu.pidfd);
	info = fopen(path, "r");
	assert_non_null(info);
	while (fgets(line, sizeof(line), info)) {
		if (!strncmp(line, "Pid:", 4))
			pid = (int)strtol(line + 4, NULL, 10);
	}
	fclose(info);
	assert_int_equal(pid, getpid());
}

/* ---------------------------------------------------------------- messages */

struct bad_header {
	uint32_t length;
	uint16_t type;
	uint16_t flags;
	uint64_t id;
};

static const struct bad_header bad_headers[] = {
	{ 16, 0, 0, 0 },
	{ 16, AZL_COMPLETE, 0, 1 }, /* the backend's own */
	{ 16, 14, 0, 0 },
	{ 72, AZL_HELLO, 0, 0 }, /* a second one */
	{ 0, AZL_CANCEL, 0, 1 },
	{ 15, AZL_CANCEL, 0, 1 },
	{ 17, AZL_CANCEL, 0, 1 },
	{ 16, AZL_CANCEL, 2, 1 },
	{ 16, AZL_CANCEL, 0, 0 },
	{ 16, AZL_ACK, 1, 1 },
	{ 16, AZL_ACK, 0, 0 },
	{ 63, AZL_REQUEST, 0, 1 },
	{ 64, AZL_REQUEST, 0, 0 },
	{ 64, AZL_REQUEST, 4, 1 },
	{ AZL_MAX_MESSAGE + 1, AZL_REQUEST, 0, 1 },
	{ 0xffffffff, AZL_REQUEST, 0, 1 },
	{ 32, AZL_REGION_ADD, 2, 1 },
	{ 32, AZL_REGION_ADD, 0, AZL_MAX_REGIONS },
	{ 32, AZL_REGION_ADD, 0, 5 }, /* without its descriptor: cut when it is whole */
	{ 16, AZL_REGION_DEL, 0, 7 }, /* does not exist */
	{ 16, AZL_REGION_DEL, 0, AZL_MAX_REGIONS },
	{ 16, AZL_GOODBYE_EMULATOR, 1, 0 },
	{ 16, AZL_GOODBYE_EMULATOR, 0, 1 },
};

static void a_bad_header_cuts_the_link(void **state)
{
	struct bench *bench = *state;
	static const uint8_t rest[64];

	for (size_t i = 0; i < sizeof(bad_headers) / sizeof(bad_headers[0]); i++) {
		const struct bad_header *bad = &bad_headers[i];

		send_header(bench, bad->length, bad->type, bad->flags, bad->id);
		if (bad->type == AZL_REGION_ADD)
			emu_send(&bench->emu, rest, 16, NULL, 0);
		assert_cut(bench);
		emu_drop(&bench->emu);
		bench_connect(bench);
	}
}

static void messages_may_come_byte_by_byte_and_many_at_once(void **state)
{
	struct bench *bench = *state;
	struct azl_header cancels[3000];
	uint8_t *bytes = (uint8_t *)cancels;

	for (size_t i = 0; i < 3000; i++)
		cancels[i] = (struct azl_header){ sizeof(cancels[i]), AZL_CANCEL, 0, 77 };
	for (size_t i = 0; i < 100; i++)
		emu_send(&bench->emu, bytes + i, 1, NULL, 0);
	emu_send(&bench->emu, bytes + 100, sizeof(cancels) - 100, NULL, 0);
	assert_int_equal(bench_head(bench, "GET /.azblob HTTP/1.1\r\n\r\n").http, 200);
}

/* ------------------------------------------------------------- descriptors */

static void stray_descriptors_cut_the_link(void **state)
{
	struct azl_header cancel = { sizeof(cancel), AZL_CANCEL, 0, 1 };
	struct bench *bench = *state;
	int fds[40];

	for (int i = 0; i < 40; i++)
		fds[i] = bench->memory.fd;
	emu_send(&bench->emu, &cancel, sizeof(cancel), fds, 1);
	assert_cut(bench);
	emu_drop(&bench->emu);

	bench_connect(bench);
	emu_send(&bench->emu, &cancel, sizeof(cancel), fds, 40);
	assert_cut(bench);
	emu_drop(&bench->emu);

	/* With the second byte of a message that wants one. */
	bench_connect(bench);
	struct azl_region_add add = { .header = { sizeof(add), AZL_REGION_ADD, 0, 1 },
				      .size = 4096 };
	emu_send(&bench->emu, &add, 1, NULL, 0);
	emu_await_read(&bench->emu);
	emu_send(&bench->emu, (uint8_t *)&add + 1, sizeof(add) - 1, fds, 1);
	emu_send(&bench->emu, &cancel, sizeof(cancel), fds, 2);
	assert_cut(bench);
	emu_drop(&bench->emu);

	bench_connect(bench);
	emu_send(&bench->emu, &add, sizeof(add), fds, 2);
	assert_cut(bench);
}

static unsigned int open_files(void)
{
	unsigned int count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static void no_descriptor_is_left_behind(void **state)
{
	struct azl_header cancel = { sizeof(cancel), AZL_CANCEL, 0, 1 };
	struct bench *bench = *state;
	unsigned int before = open_files();
	int fds[4];

	for (int i = 0; i < 4; i++)
		fds[i] = bench->memory.fd;
	for (int i = 0; i < 20; i++) {
		emu_send(&bench->emu, &cancel, sizeof(cancel), fds, 4);
		assert_true(emu_wait_closed(&bench->emu));
		emu_drop(&bench->emu);
		bench_connect(bench);
	}
	/* The last link is closed on another thread than the one that answered us. */
	for (int i = 0; i < 10000 && open_files() > before; i++)
		usleep(1000);
	assert_int_equal(open_files(), before);
}

/* ----------------------------------------------------------------- regions */

static void regions_that_can_not_be_shared_are_refused(void **state)
{
	struct bench *bench = *state;
	struct emu_memory loose = emu_memory_new(8192, 0);
	struct emu_memory fixed = emu_memory_new(8192, F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE);
	struct emu_memory file = { .fd = open("/dev/zero", O_RDWR) };

	assert_int_equal(emu_region(&bench->emu, 1, &loose, 0, 8192, 0), EPERM);
	assert_int_equal(emu_region(&bench->emu, 1, &file, 0, 8192, 0), EINVAL);
	assert_int_equal(emu_region(&bench->emu, 1, &bench->memory, 0, MEMORY_SIZE + 4096, 0),
			 ERANGE);
	assert_int_equal(emu_region(&bench->emu, 1, &bench->memory, MEMORY_SIZE, 4096, 0), ERANGE);
	assert_int_equal(emu_region(&bench->emu, 1, &fixed, 0, 8192, 0), EPERM);
	assert_int_equal(emu_region(&bench->emu, 1, &fixed, 0, 8192, AZL_REGION_READONLY), 0);
	/* It was not there before, so the id could be used again. */
	assert_int_equal(emu_region(&bench->emu, 2, &bench->memory, 4096, 4096, 0), 0);
	emu_memory_free(&loose);
	emu_memory_free(&fixed);
	close(file.fd);
}

static void a_region_against_the_rules_cuts_the_link(void **state)
{
	static const struct {
		uint64_t offset, size;
		uint32_t id;
	} bad[] = { { 1, 4096, 1 },
		    { 0, 4095, 1 },
		    { 0, 0, 1 },
		    { 1ull << 63, 4096, 1 },
		    { 4096, UINT64_MAX - 4095, 1 },
		    { 0, 4096, 0 } };
	struct bench *bench = *state;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(emu_region(&bench->emu, bad[i].id, &bench->memory, bad[i].offset,
					    bad[i].size, 0),
				 -1);
		assert_cut(bench);
		emu_drop(&bench->emu);
		bench_connect(bench);
	}
}

static void a_region_goes_and_its_id_comes_back(void **state)
{
	struct bench *bench = *state;
	struct emu_message *gone;

	for (int i = 0; i < 3; i++) {
		assert_int_equal(emu_region(&bench->emu, 5, &bench->memory, 0, 4096, 0), 0);
		send_header(bench, 16, AZL_REGION_DEL, 0, 5);
		gone = emu_receive_type(&bench->emu, AZL_REGION_GONE, 5, EMU_DEADLINE_MS);
		assert_non_null(gone);
		free(gone);
	}
}

/* ---------------------------------------------------------------- requests */

/* A REQUEST with every field at hand: PUT /b/x with a body of 100 bytes. */
struct raw {
	struct azl_request request;
	char head[48];
	struct azl_segment segment[3];
};

static struct raw raw_put(void)
{
	static const char head[] = "PUT /b/x HTTP/1.1\r\nContent-Length: 100\r\n\r\n";
	struct raw raw = {
		.request = { .header = { sizeof(raw) - sizeof(raw.segment[0]), AZL_REQUEST, 0, 9 },
			     .operation = VSP_WIRE_OP_USER_REQUEST,
			     .head_length = sizeof(head) - 1,
			     .response_length = RESPONSE_ROOM,
			     .data_length = 100,
			     .data_valid = 100,
			     .segment_count = 2 },
		.segment = { { 0, AZL_SEGMENT_DATA_IN, DATA_AT, 100 },
			     { 0, AZL_SEGMENT_RESPONSE, RESPONSE_AT, RESPONSE_ROOM } },
	};

	_Static_assert(sizeof(head) - 1 > 40 && sizeof(head) - 1 <= 48, "padded to 48");
	memcpy(raw.head, head, sizeof(head) - 1);
	return raw;
}

static void spoil(struct raw *raw, int how)
{
	struct azl_request *r = &raw->request;

	switch (how) {
	case 0:
		r->header.length += 8;
		break;
	case 1:
		r->header.length -= 8;
		break;
	case 2:
		r->reserved = 1;
		break;
	case 3:
		r->head_length = AZL_MAX_REQUEST_HEAD + 1;
		break;
	case 4:
		r->data_length = 99;
		break;
	case 5:
		r->data_length = AZL_MAX_BODY + 1;
		break;
	case 6:
		r->response_length = AZL_MAX_BODY + 1;
		break;
	case 7:
		r->segment_count = 1;
		break;
	case 8:
		r->segment_count = AZL_MAX_SEGMENTS + 1;
		break;
	case 9:
		r->data_valid = 99;
		break;
	case 10:
		r->data_valid = 0; /* then the data buffer must be DATA_OUT */
		break;
	case 11:
		r->response_length--;
		break;
	case 12:
		raw->head[47] = 1; /* padding */
		break;
	case 13:
		raw->segment[0].use = 0;
		break;
	case 14:
		raw->segment[0].use = 4;
		break;
	case 15:
		raw->segment[0].use = AZL_SEGMENT_DATA_OUT;
		break;
	case 16: {
		struct azl_segment swap = raw->segment[0];

		raw->segment[0] = raw->segment[1];
		raw->segment[1] = swap;
		break;
	}
	case 17:
		raw->segment[0].region = 3;
		break;
	case 18:
		raw->segment[0].region = AZL_MAX_REGIONS;
		break;
	case 19:
		raw->segment[0].length = 0;
		break;
	case 20:
		raw->segment[0].offset = MEMORY_SIZE - 99;
		break;
	case 21:
		raw->segment[0].offset = UINT64_MAX - 50;
		break;
	case 22:
		raw->segment[1].length = UINT64_MAX;
		break;
	case 23:
		r->header.flags = AZL_REQUEST_INLINE; /* with segments */
		break;
	case 24: /* read-only memory for the response */
		raw->segment[1].region = 1;
		break;
	default:
		fail();
	}
}

static void a_request_against_the_rules_cuts_the_link(void **state)
{
	struct bench *bench = *state;
	struct raw raw;

	for (int how = 0; how <= 24; how++) {
		assert_int_equal(emu_region(&bench->emu, 1, &bench->memory, 0, MEMORY_SIZE,
					    AZL_REGION_READONLY),
				 0);
		raw = raw_put();
		spoil(&raw, how);
		emu_send(&bench->emu, &raw, raw.request.header.length, NULL, 0);
		if (how == 0) /* one byte more would be missing for ever */
			emu_send(&bench->emu, &raw, 8, NULL, 0);
		assert_cut(bench);
		emu_drop(&bench->emu);
		bench_connect(bench);
	}
	/* And it was the spoiling: unspoiled it is done. */
	raw = raw_put();
	emu_send(&bench->emu, &raw, raw.request.header.length, NULL, 0);
	assert_int_equal(bench_answer(bench, 9).http, 201);
}

static void read_only_memory_may_be_read(void **state)
{
	struct bench *bench = *state;
	struct raw raw = raw_put();
	struct emu_memory still = emu_memory_new(MEMORY_SIZE, F_SEAL_SHRINK);
	const void *stored;
	size_t length;

	bench_pattern(still.base + DATA_AT, 100, 0, 4);
	assert_int_equal(emu_region(&bench->emu, 1, &still, 0, MEMORY_SIZE, AZL_REGION_READONLY),
			 0);
	raw.segment[0].region = 1;
	emu_send(&bench->emu, &raw, raw.request.header.length, NULL, 0);
	assert_int_equal(bench_answer(bench, 9).http, 201);
	stored = fake_blob(bench->svc, "x", &length);
	assert_int_equal(length, 100);
	assert_memory_equal(stored, still.base + DATA_AT, 100);
	emu_memory_free(&still);
}

static void an_id_in_flight_may_not_be_used_again(void **state)
{
	struct bench *bench = *state;
	struct emu_request request = bench_request("GET /b/x HTTP/1.1\r\n\r\n", 0, 0);

	fake_shut(bench->svc, FAKE_START);
	request.id = 5;
	emu_submit(&bench->emu, &request);
	fake_await(bench->svc, FAKE_START, 1);
	emu_submit(&bench->emu, &request);
	emu_await_read(&bench->emu);
	/* The one in flight is waited for: until then nothing is closed. */
	assert_null(emu_receive_type(&bench->emu, AZL_GOODBYE_BACKEND, 0, 0));
	assert_false(bench->emu.closed);
	fake_open(bench->svc, FAKE_START);
	assert_true(emu_wait_closed(&bench->emu));
	assert_true(bench->emu.goodbye);
	bench_lives(bench);
}

static void more_requests_than_agreed_cut_the_link(void **state)
{
	struct bench *bench = *state;
	struct emu_request request = bench_request("GET /b/x HTTP/1.1\r\n\r\n", 0, 0);
	struct emu other;

	fake_shut(bench->svc, FAKE_START);
	for (unsigned int i = 0; i < AZL_MAX_INFLIGHT; i++) {
		request.response.offset = RESPONSE_AT + i % 100 * RESPONSE_ROOM;
		emu_submit(&bench->emu, &request);
	}
	fake_await(bench->svc, FAKE_START, 1);
	emu_cancel(&bench->emu, 999999, 0); /* unknown: ignored */
	emu_submit(&bench->emu, &request);
	/* A later link's WELCOME says that what was sent before has been handled. */
	emu_await_read(&bench->emu);
	emu_init(&other);
	assert_int_equal(emu_connect(&other, bench->path, 0), 0);
	emu_drop(&other);
	fake_open(bench->svc, FAKE_START);
	assert_true(emu_wait_closed(&bench->emu));
	assert_true(bench->emu.goodbye);
	bench_lives(bench);
}

static void as_many_requests_as_agreed_are_served(void **state)
{
	struct bench *bench = *state;
	struct emu_request request = bench_request("GET /b/none HTTP/1.1\r\n\r\n", 0, 0);
	uint64_t first = bench->emu.next_id;

	fake_shut(bench->svc, FAKE_START);
	for (unsigned int i = 0; i < AZL_MAX_INFLIGHT; i++) {
		request.response.offset = RESPONSE_AT + i % 100 * RESPONSE_ROOM;
		emu_submit(&bench->emu, &request);
	}
	fake_open(bench->svc, FAKE_START);
	for (unsigned int i = 0; i < AZL_MAX_INFLIGHT; i++) {
		struct emu_message *message = emu_complete(&bench->emu, first + i);

		assert_non_null(message);
		assert_int_equal(message->complete.status, 0);
		free(message);
	}
}

static void without_the_feature_regions_segments_and_acks_are_violations(void **state)
{
	struct bench *bench = *state;
	struct raw raw = raw_put();

	for (int i = 0; i < 3; i++) {
		emu_drop(&bench->emu);
		assert_int_equal(emu_connect(&bench->emu, bench->path, 0), 0);
		if (i == 0)
			assert_int_equal(emu_region(&bench->emu, 0, &bench->memory, 0, 4096, 0),
					 -1);
		if (i == 1)
			emu_send(&bench->emu, &raw, raw.request.header.length, NULL, 0);
		if (i == 2)
			send_header(bench, 16, AZL_ACK, 0, 1);
		assert_cut(bench);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_set_up, bench_tear_down)
	const struct CMUnitTest tests[] = {
		TEST(a_wrong_hello_is_refused_with_the_reason),
		TEST(a_session_in_use_is_refused),
		TEST(features_are_granted_as_far_as_they_are_known),
		TEST(the_pidfd_is_the_backends),
		TEST(a_bad_header_cuts_the_link),
		TEST(messages_may_come_byte_by_byte_and_many_at_once),
		TEST(stray_descriptors_cut_the_link),
		TEST(no_descriptor_is_left_behind),
		TEST(regions_that_can_not_be_shared_are_refused),
		TEST(a_region_against_the_rules_cuts_the_link),
		TEST(a_region_goes_and_its_id_comes_back),
		TEST(a_request_against_the_rules_cuts_the_link),
		TEST(read_only_memory_may_be_read),
		TEST(an_id_in_flight_may_not_be_used_again),
		TEST(more_requests_than_agreed_cut_the_link),
		TEST(as_many_requests_as_agreed_are_served),
		TEST(without_the_feature_regions_segments_and_acks_are_violations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
