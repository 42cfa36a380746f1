// SPDX-License-Identifier: MIT
/* What the tests of the link door share; see bench.h. */
#include "bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../vsp-backend/base/log.h"

void bench_start(struct bench *bench)
{
	bench->config.path = bench->path;
	assert_int_equal(link_door_open(&bench->config, bench->svc, &bench->door), 0);
}

void bench_connect(struct bench *bench)
{
	assert_int_equal(emu_connect(&bench->emu, bench->path, BOTH), 0);
	assert_int_equal(emu_region(&bench->emu, 0, &bench->memory, 0, MEMORY_SIZE, 0), 0);
}

void bench_restart(struct bench *bench)
{
	emu_drop(&bench->emu);
	link_door_close(bench->door, 0);
	bench_start(bench);
	emu_init(&bench->emu);
	bench_connect(bench);
}

int bench_set_up(void **state)
{
	struct bench *bench = calloc(1, sizeof(*bench));

	/* A test that hangs says so by ending. */
	alarm(120);
	azb_log_set_level(AZB_LOG_ERROR);
	strcpy(bench->directory, "/tmp/azblob-link-XXXXXX");
	assert_non_null(mkdtemp(bench->directory));
	snprintf(bench->path, sizeof(bench->path), "%s/socket", bench->directory);
	bench->svc = fake_svc_new();
	bench->memory = emu_memory_new(MEMORY_SIZE, F_SEAL_SHRINK);
	emu_init(&bench->emu);
	bench_start(bench);
	bench_connect(bench);
	*state = bench;
	return 0;
}

int bench_tear_down(void **state)
{
	struct bench *bench = *state;

	emu_drop(&bench->emu);
	link_door_close(bench->door, 1000);
	assert_int_equal(fake_uploads(bench->svc), 0);
	assert_int_equal(fake_answers(bench->svc), 0);
	fake_svc_free(bench->svc);
	emu_memory_free(&bench->memory);
	assert_int_not_equal(access(bench->path, F_OK), 0);
	rmdir(bench->directory);
	free(bench);
	alarm(0);
	return 0;
}

struct emu_request bench_request(const char *head, uint32_t data, uint32_t valid)
{
	return (struct emu_request){ .head = head,
				     .response = { .offset = RESPONSE_AT, .length = RESPONSE_ROOM },
				     .data = { .offset = DATA_AT, .length = data },
				     .data_valid = valid };
}

struct bench_answer bench_answer(struct bench *bench, uint64_t id)
{
	struct emu_message *message = emu_complete(&bench->emu, id);
	struct bench_answer answer = { 0 };
	size_t length;

	assert_non_null(message);
	answer.status = message->complete.status;
	answer.response_length = message->complete.response_length;
	answer.data_length = message->complete.data_length;
	answer.ack = message->header.flags & AZL_COMPLETE_ACK;
	length = answer.response_length;
	if (length >= sizeof(answer.head))
		length = sizeof(answer.head) - 1;
	if (message->header.length > sizeof(struct azl_complete))
		memcpy(answer.head, emu_inline_response(message), length);
	else
		memcpy(answer.head, bench->memory.base + RESPONSE_AT, length);
	answer.http = emu_status(answer.head, length);
	free(message);
	return answer;
}

struct bench_answer bench_do(struct bench *bench, const struct emu_request *request)
{
	return bench_answer(bench, emu_submit(&bench->emu, request));
}

struct bench_answer bench_head(struct bench *bench, const char *head)
{
	struct emu_request request = bench_request(head, 0, 0);

	return bench_do(bench, &request);
}

const char *bench_header(const struct bench_answer *answer, const char *name)
{
	static char value[256];

	if (!emu_header(answer->head, strlen(answer->head), name, value, sizeof(value)))
		return "";
	return value;
}

void bench_handle(const struct bench_answer *answer, char id[33])
{
	const char *value = bench_header(answer, "Azblob-Handle");

	assert_int_equal(strlen(value), 32);
	memcpy(id, value, 33);
}

void bench_lives(struct bench *bench)
{
	struct emu_request request = { .head = "GET /.azblob HTTP/1.1\r\n\r\n",
				       .flags = AZL_REQUEST_INLINE,
				       .response = { .length = RESPONSE_ROOM } };
	struct emu_message *message;
	struct emu other;

	emu_init(&other);
	assert_int_equal(emu_connect(&other, bench->path, BOTH), 0);
	message = emu_complete(&other, emu_submit(&other, &request));
	assert_non_null(message);
	assert_int_equal(message->complete.status, 0);
	assert_int_equal(
		emu_status(emu_inline_response(message), message->complete.response_length), 200);
	free(message);
	assert_true(emu_goodbye(&other));
	emu_drop(&other);
}

void bench_pattern(void *to, size_t length, uint64_t offset, unsigned int seed)
{
	uint8_t *bytes = to;

	for (size_t i = 0; i < length; i++) {
		uint64_t x = (offset + i) * 0x9e3779b97f4a7c15ull + seed;

		bytes[i] = (uint8_t)(x >> 40);
	}
}
