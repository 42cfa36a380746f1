// SPDX-License-Identifier: MIT
/*
 * The real daemon over its link: bodies of all sizes, and what is left after kill -9.
 * Usage: link_daemon_test PATH-OF-AZBLOB-VSPD
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../vsp-backend/base/base64.h"
#include "../../vsp-backend/base/crc64.h"
#include "emu.h"
#include "sign.h"

#define MIB (1u << 20)
#define PART (8u * MIB)
#define LARGE (8u * PART)
/* Guest memory: 128 response buffers, then data. */
#define RESPONSE (32u << 10)
#define DATA_AT (128u * RESPONSE)
#define MEMORY (DATA_AT + LARGE + 4096)

static const char *program;

struct rig {
	char directory[40];
	char path[64];
	pid_t daemon;
	struct emu emu;
	struct emu_memory memory;
};

/* ------------------------------------------------------------------ daemon */

static void start_daemon(struct rig *rig)
{
	char store[80], ready[16], line[64] = "";
	int pipes[2];

	snprintf(store, sizeof(store), "local,path=%s/store", rig->directory);
	assert_int_equal(pipe(pipes), 0);
	snprintf(ready, sizeof(ready), "%d", pipes[1]);
	rig->daemon = fork();
	assert_true(rig->daemon >= 0);
	if (!rig->daemon) {
		close(pipes[0]);
		/* A test that fails leaves no daemon behind. */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execl(program, program, "--store", store, "--link", rig->path, "--ready-fd", ready,
		      "--log-level", "error", (char *)NULL);
		perror(program);
		_exit(127);
	}
	close(pipes[1]);
	/* Ends with its line, or with the daemon. */
	if (read(pipes[0], line, sizeof(line) - 1) <= 0)
		fail_msg("%s did not start", program);
	assert_memory_equal(line, "ready", 5);
	close(pipes[0]);
}

static int end_daemon(struct rig *rig, int signo)
{
	int status;

	kill(rig->daemon, signo);
	assert_int_equal(waitpid(rig->daemon, &status, 0), rig->daemon);
	return status;
}

static void connect_device(struct rig *rig)
{
	assert_int_equal(
		emu_connect(&rig->emu, rig->path, AZL_FEATURE_REGIONS | AZL_FEATURE_RESEND), 0);
	assert_int_equal(emu_region(&rig->emu, 0, &rig->memory, 0, MEMORY, 0), 0);
}

/* ---------------------------------------------------------------- requests */

struct answer {
	uint32_t status;
	unsigned int http;
	uint32_t data_length;
	char head[2048];
};

static uint64_t response_of(uint64_t id)
{
	return id % 128 * RESPONSE;
}

/* Sends a head with a data buffer at DATA_AT + @at. */
static uint64_t submit(struct rig *rig, const char *head, uint64_t at, uint32_t data,
		       uint32_t valid, uint64_t id, uint16_t flags)
{
	struct emu_request request = { .head = head,
				       .id = id ? id : rig->emu.next_id++,
				       .flags = flags,
				       .data = { .offset = DATA_AT + at, .length = data },
				       .data_valid = valid };

	request.response =
		(struct emu_span){ .offset = response_of(request.id), .length = RESPONSE };
	return emu_submit(&rig->emu, &request);
}

static struct answer wait_for(struct rig *rig, uint64_t id)
{
	struct emu_message *message = emu_complete(&rig->emu, id);
	struct answer answer = { 0 };
	size_t length;

	assert_non_null(message);
	answer.status = message->complete.status;
	answer.data_length = message->complete.data_length;
	length = message->complete.response_length;
	if (length >= sizeof(answer.head))
		length = sizeof(answer.head) - 1;
	memcpy(answer.head, rig->memory.base + response_of(id), length);
	answer.http = emu_status(answer.head, length);
	free(message);
	return answer;
}

static struct answer ask(struct rig *rig, const char *head, uint32_t data, uint32_t valid)
{
	return wait_for(rig, submit(rig, head, 0, data, valid, 0, 0));
}

static const char *header(const struct answer *answer, const char *name)
{
	static char value[256];

	if (!emu_header(answer->head, strlen(answer->head), name, value, sizeof(value)))
		return "";
	return value;
}

static void get_handle(const struct answer *answer, char id[33])
{
	const char *value = header(answer, "Azblob-Handle");

	assert_int_equal(strlen(value), 32);
	memcpy(id, value, 33);
}

static const char *crc_text(const void *bytes, size_t length)
{
	static char text[16];
	uint64_t crc = azb_crc64(0, bytes, length);

	azb_base64_encode(text, &crc, sizeof(crc));
	return text;
}

static void pattern(uint8_t *to, size_t length, uint64_t offset)
{
	for (size_t i = 0; i < length; i++)
		to[i] = (uint8_t)((offset + i) * 0x9e3779b97f4a7c15ull >> 40);
}

static bool is_pattern(const uint8_t *bytes, size_t length, uint64_t offset)
{
	for (size_t i = 0; i < length; i++) {
		if (bytes[i] != (uint8_t)((offset + i) * 0x9e3779b97f4a7c15ull >> 40))
			return false;
	}
	return true;
}

static char *put_head(char *out, size_t room, const char *name, uint64_t length, const char *more)
{
	char target[128], headers[512];

	snprintf(target, sizeof(target), "/" SIGN_ACCOUNT "/box/%s", name);
	snprintf(headers, sizeof(headers),
		 "Content-Length: %llu\r\nx-ms-blob-type: BlockBlob\r\n%s",
		 (unsigned long long)length, more);
	return sign_head(out, room, "PUT", target, headers);
}

static char *get_head(char *out, size_t room, const char *name, const char *more)
{
	char target[128];

	snprintf(target, sizeof(target), "/" SIGN_ACCOUNT "/box/%s", name);
	return sign_head(out, room, "GET", target, more);
}

static int set_up(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));
	char head[1024];

	alarm(300);
	strcpy(rig->directory, "/tmp/azblob-daemon-XXXXXX");
	assert_non_null(mkdtemp(rig->directory));
	snprintf(rig->path, sizeof(rig->path), "%s/link", rig->directory);
	rig->memory = emu_memory_new(MEMORY, F_SEAL_SHRINK);
	emu_init(&rig->emu);
	start_daemon(rig);
	connect_device(rig);
	sign_head(head, sizeof(head), "PUT", "/" SIGN_ACCOUNT "/box?restype=container",
		  "Content-Length: 0\r\n");
	assert_int_equal(ask(rig, head, 0, 0).http, 201);
	*state = rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;
	char command[80];
	int status = end_daemon(rig, SIGTERM);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	emu_drop(&rig->emu);
	emu_memory_free(&rig->memory);
	snprintf(command, sizeof(command), "rm -rf %s", rig->directory);
	assert_int_equal(system(command), 0);
	free(rig);
	alarm(0);
	return 0;
}

/* ------------------------------------------------------------------- tests */

static void bodies_of_one_request_go_out_and_come_back(void **state)
{
	static const uint32_t lengths[] = { 0, 1, 4096, 100000, MIB + 1, 32 * MIB };
	struct rig *rig = *state;
	char head[1024], name[32], more[64];
	struct answer answer;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		uint32_t length = lengths[i];
		uint8_t *data = rig->memory.base + DATA_AT;

		pattern(data, length, i);
		snprintf(name, sizeof(name), "blob%zu", i);
		snprintf(more, sizeof(more), "Azblob-Crc64: %s\r\n", crc_text(data, length));
		put_head(head, sizeof(head), name, length, more);
		answer = ask(rig, head, length, length);
		assert_int_equal(answer.http, 201);
		for (int checked = 0; checked < 2; checked++) {
			memset(data, 0xee, length + 10);
			get_head(head, sizeof(head), name, checked ? "Azblob-Crc64: true\r\n" : "");
			answer = ask(rig, head, length < 32 * MIB ? length + 10 : length, 0);
			assert_int_equal(answer.status, 0);
			assert_int_equal(answer.http, 200);
			assert_int_equal(answer.data_length, length);
			assert_true(is_pattern(data, length, i));
			assert_int_equal(data[length], 0xee);
			if (checked && length)
				assert_string_equal(header(&answer, "Azblob-Crc64"),
						    crc_text(data, length));
		}
	}
	put_head(head, sizeof(head), "blob2", 10, "Azblob-Crc64: AAAAAAAAAAE=\r\n");
	answer = ask(rig, head, 10, 10);
	assert_int_equal(answer.http, 400);
	assert_string_equal(header(&answer, "x-ms-error-code"), "Crc64Mismatch");
	get_head(head, sizeof(head), "blob2", "");
	assert_int_equal(ask(rig, head, 4096, 0).data_length, 4096);
}

static void credentials_are_checked(void **state)
{
	struct rig *rig = *state;
	struct answer answer;
	char head[1024];

	put_head(head, sizeof(head), "x", 10, "");
	strstr(head, SIGN_ACCOUNT ":")[sizeof(SIGN_ACCOUNT)] ^= 1;
	answer = ask(rig, head, 10, 10);
	assert_int_equal(answer.status, 0);
	assert_int_equal(answer.http, 403);
}

/* Opens an upload of LARGE bytes; its first part comes along. */
static void open_large(struct rig *rig, char id[33], const char *more)
{
	struct answer answer;
	char head[1024], lines[256];

	snprintf(lines, sizeof(lines), "Azblob-Body: open\r\n%s", more);
	put_head(head, sizeof(head), "large", LARGE, lines);
	answer = ask(rig, head, PART, PART);
	assert_int_equal(answer.status, 0);
	assert_int_equal(answer.http, 202);
	get_handle(&answer, id);
}

static uint64_t submit_part(struct rig *rig, const char *id, unsigned int part)
{
	uint8_t *data = rig->memory.base + DATA_AT + part * PART;
	char head[256];

	snprintf(head, sizeof(head),
		 "PUT /.azblob/%s?offset=%u HTTP/1.1\r\nContent-Length: %u\r\nAzblob-Crc64: "
		 "%s\r\n\r\n",
		 id, part * PART, PART, crc_text(data, PART));
	return submit(rig, head, part * PART, PART, PART, 0, 0);
}

static void assert_part_refused(struct rig *rig, const char *id, unsigned int offset,
				const char *code)
{
	struct answer answer;
	char head[256];

	snprintf(head, sizeof(head),
		 "PUT /.azblob/%s?offset=%u HTTP/1.1\r\nContent-Length: 10\r\n\r\n", id, offset);
	answer = ask(rig, head, 10, 10);
	assert_int_equal(answer.status, 0);
	assert_int_equal(answer.http, 400);
	assert_string_equal(header(&answer, "x-ms-error-code"), code);
}

static struct answer commit(struct rig *rig, const char *id)
{
	char head[128];

	snprintf(head, sizeof(head), "POST /.azblob/%s?commit HTTP/1.1\r\n\r\n", id);
	return ask(rig, head, 0, 0);
}

static void a_large_body_travels_in_parts_both_ways(void **state)
{
	struct rig *rig = *state;
	uint8_t *data = rig->memory.base + DATA_AT;
	char id[33], head[1024];
	struct answer answer;
	uint64_t sent[LARGE / PART];

	pattern(data, LARGE, 0);
	open_large(rig, id, "");
	answer = commit(rig, id);
	assert_int_equal(answer.http, 400);
	assert_string_equal(header(&answer, "x-ms-error-code"), "IncompleteBody");
	for (unsigned int i = LARGE / PART - 1; i > 0; i--)
		sent[i] = submit_part(rig, id, i);
	for (unsigned int i = 1; i < LARGE / PART; i++)
		assert_int_equal(wait_for(rig, sent[i]).http, 202);
	/* Once more: the same part replaces itself. */
	assert_int_equal(wait_for(rig, submit_part(rig, id, 3)).http, 202);
	assert_part_refused(rig, id, PART + 1, "InvalidInput");
	assert_part_refused(rig, id, LARGE - 9, "OutOfRangeInput");
	assert_int_equal(commit(rig, id).http, 201);
	assert_int_equal(commit(rig, id).http, 201);

	memset(data, 0, LARGE);
	get_head(head, sizeof(head), "large", "Azblob-Body: open\r\n");
	answer = ask(rig, head, PART, 0);
	assert_int_equal(answer.http, 200);
	assert_int_equal(answer.data_length, PART);
	assert_string_equal(header(&answer, "Content-Length"), "67108864");
	get_handle(&answer, id);
	/* Deleted meanwhile: the handle still reads what it was opened on. */
	sign_head(head, sizeof(head), "DELETE", "/" SIGN_ACCOUNT "/box/large", "");
	assert_int_equal(wait_for(rig, submit(rig, head, PART, 0, 0, 0, 0)).http, 202);
	for (unsigned int i = LARGE / PART - 1; i > 0; i--) {
		snprintf(head, sizeof(head),
			 "GET /.azblob/%s?offset=%u&length=%u HTTP/1.1\r\n%s\r\n", id, i * PART,
			 PART, i % 2 ? "Azblob-Crc64: true\r\n" : "");
		sent[i] = submit(rig, head, i * PART, PART, 0, 0, 0);
	}
	for (unsigned int i = 1; i < LARGE / PART; i++)
		assert_int_equal(wait_for(rig, sent[i]).http, 206);
	assert_true(is_pattern(data, LARGE, 0));
}

static void bodies_travel_in_messages_where_memory_is_not_shared(void **state)
{
	struct rig *rig = *state;
	struct emu_request request = { .flags = AZL_REQUEST_INLINE,
				       .response.length = RESPONSE,
				       .data.length = 5 * MIB,
				       .data_valid = 5 * MIB };
	uint8_t *body = malloc(5 * MIB);
	struct emu_message *message;
	struct emu other;
	char head[1024];

	emu_init(&other);
	assert_int_equal(emu_connect(&other, rig->path, AZL_FEATURE_RESEND), 0);
	pattern(body, 5 * MIB, 3);
	request.head = put_head(head, sizeof(head), "inline", 5 * MIB, "");
	request.body = body;
	message = emu_complete(&other, emu_submit(&other, &request));
	assert_non_null(message);
	assert_int_equal(
		emu_status(emu_inline_response(message), message->complete.response_length), 201);
	free(message);
	request.head = get_head(head, sizeof(head), "inline", "");
	request.data_valid = 0;
	message = emu_complete(&other, emu_submit(&other, &request));
	assert_non_null(message);
	assert_int_equal(message->complete.data_length, 5 * MIB);
	assert_memory_equal(emu_inline_data(message), body, 5 * MIB);
	free(message);
	free(body);
	assert_true(emu_goodbye(&other));
	emu_drop(&other);
}

static void restart(struct rig *rig)
{
	struct pollfd death = { .fd = rig->emu.pidfd, .events = POLLIN };
	int status = end_daemon(rig, SIGKILL);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(poll(&death, 1, EMU_DEADLINE_MS), 1);
	emu_drop(&rig->emu);
	start_daemon(rig);
	connect_device(rig);
}

static void a_kill_between_effect_and_ack_does_nothing_twice(void **state)
{
	struct rig *rig = *state;
	char head[1024];
	struct answer answer;
	uint64_t id = 1000;

	put_head(head, sizeof(head), "once", 100, "If-None-Match: *\r\n");
	rig->emu.no_ack = true;
	answer = wait_for(rig, submit(rig, head, 0, 100, 100, id, 0));
	assert_int_equal(answer.http, 201);
	restart(rig);
	answer = wait_for(rig, submit(rig, head, 0, 100, 100, id, AZL_REQUEST_RESENT));
	assert_int_equal(answer.http, 201);
	restart(rig);
	rig->emu.no_ack = false;
	answer = wait_for(rig, submit(rig, head, 0, 100, 100, id, AZL_REQUEST_RESENT));
	assert_int_equal(answer.http, 201);
	/* After the ACK it is forgotten, at some time. */
	for (int i = 0; i < 10000 && answer.http == 201; i++)
		answer = wait_for(rig, submit(rig, head, 0, 100, 100, id, AZL_REQUEST_RESENT));
	assert_int_equal(answer.http, 409);
}

static void requests_in_flight_at_a_kill_succeed_when_sent_again(void **state)
{
	struct rig *rig = *state;
	char head[60][1024], name[32];
	struct emu_message *message;

	for (unsigned int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < 60; i++) {
			snprintf(name, sizeof(name), "r%u-%u", round, i);
			put_head(head[i], sizeof(head[i]), name, 100, "If-None-Match: *\r\n");
			submit(rig, head[i], 0, 100, 100, 10000 + i + round * 1000, 0);
		}
		/* The first answer says that some have happened, and most are under way. */
		rig->emu.no_ack = true;
		for (unsigned int i = 0; i <= round; i++) {
			message = emu_receive_type(&rig->emu, AZL_COMPLETE, 0, EMU_DEADLINE_MS);
			assert_non_null(message);
			free(message);
		}
		restart(rig);
		rig->emu.no_ack = false;
		for (unsigned int i = 0; i < 60; i++)
			submit(rig, head[i], 0, 100, 100, 10000 + i + round * 1000,
			       AZL_REQUEST_RESENT);
		for (unsigned int i = 0; i < 60; i++)
			assert_int_equal(wait_for(rig, 10000 + i + round * 1000).http, 201);
	}
}

static void a_part_sent_again_to_a_new_daemon_finds_no_handle(void **state)
{
	struct rig *rig = *state;
	struct answer answer;
	char id[33], head[256];

	open_large(rig, id, "");
	restart(rig);
	snprintf(head, sizeof(head),
		 "PUT /.azblob/%s?offset=%u HTTP/1.1\r\nContent-Length: 10\r\n\r\n", id, PART);
	answer = wait_for(rig, submit(rig, head, 0, 10, 10, 900, AZL_REQUEST_RESENT));
	assert_int_equal(answer.http, 404);
	assert_string_equal(header(&answer, "x-ms-error-code"), "HandleNotFound");
}

static void a_commit_sent_again_to_a_new_daemon_is_answered(void **state)
{
	struct rig *rig = *state;
	struct answer answer;
	char id[33], head[256];

	open_large(rig, id, "If-None-Match: *\r\n");
	for (unsigned int i = 1; i < LARGE / PART; i++)
		assert_int_equal(wait_for(rig, submit_part(rig, id, i)).http, 202);
	snprintf(head, sizeof(head), "POST /.azblob/%s?commit HTTP/1.1\r\n\r\n", id);
	rig->emu.no_ack = true;
	assert_int_equal(wait_for(rig, submit(rig, head, 0, 0, 0, 901, 0)).http, 201);
	restart(rig);
	answer = wait_for(rig, submit(rig, head, 0, 0, 0, 901, AZL_REQUEST_RESENT));
	assert_int_equal(answer.http, 201);
}

/* A part of a batch: a deletion with credentials of its own, in the data buffer from @at on. */
static size_t add_part(struct rig *rig, size_t at, const char *name)
{
	char head[1024], target[128], *host, *rest;
	char *to = (char *)rig->memory.base + DATA_AT + at;

	snprintf(target, sizeof(target), "/" SIGN_ACCOUNT "/box/%s", name);
	sign_head(head, sizeof(head), "DELETE", target, "Content-Length: 0\r\n");
	/* the batch's own Host is theirs */
	host = strstr(head, "Host:");
	rest = strstr(host, "\r\n") + 2;
	memmove(host, rest, strlen(rest) + 1);
	return at + (size_t)sprintf(to, "--x\r\nContent-Type: application/http\r\n\r\n%s", head);
}

/* How many of the parts of a batch were answered so. */
static unsigned int parts_that_said(const struct rig *rig, uint64_t id, const char *status)
{
	const char *at = (const char *)rig->memory.base + response_of(id);
	unsigned int n = 0;

	for (at = strstr(at, "\r\n\r\n"); at && (at = strstr(at + 1, status)); n++)
		;
	return n;
}

static void run_batch(struct rig *rig, const char *head, uint32_t length, uint16_t flags,
		      unsigned int done, unsigned int missing)
{
	const uint64_t id = 2000;
	struct answer answer;

	memset(rig->memory.base + response_of(id), 0, RESPONSE);
	answer = wait_for(rig, submit(rig, head, 0, length, length, id, flags));
	assert_int_equal(answer.http, 202);
	assert_int_equal(parts_that_said(rig, id, "HTTP/1.1 202"), done);
	assert_int_equal(parts_that_said(rig, id, "HTTP/1.1 404"), missing);
}

static bool is_there(struct rig *rig, const char *name)
{
	char head[1024];
	unsigned int http;

	get_head(head, sizeof(head), name, "");
	http = wait_for(rig, submit(rig, head, MIB, 100, 0, 0, 0)).http;
	assert_true(http == 200 || http == 404);
	return http == 200;
}

/* No part of a batch is done twice, and what is kept of them goes with the batch. */
static void a_batch_sent_again_does_no_part_twice(void **state)
{
	static const char *const names[] = { "part0", "part1", "part2" };
	struct rig *rig = *state;
	char batch[1024], head[1024], headers[160];
	size_t length = 0;
	bool there = true;

	for (unsigned int i = 0; i < 3; i++) {
		put_head(head, sizeof(head), names[i], 100, "");
		assert_int_equal(ask(rig, head, 100, 100).http, 201);
		length = add_part(rig, length, names[i]);
	}
	length = add_part(rig, length, "none");
	length += (size_t)sprintf((char *)rig->memory.base + DATA_AT + length, "--x--\r\n");
	snprintf(headers, sizeof(headers),
		 "Content-Length: %zu\r\nContent-Type: multipart/mixed; boundary=x\r\n", length);
	sign_head(batch, sizeof(batch), "POST", "/" SIGN_ACCOUNT "?comp=batch", headers);
	rig->emu.no_ack = true;
	run_batch(rig, batch, (uint32_t)length, 0, 3, 1);
	restart(rig);
	put_head(head, sizeof(head), names[1], 100, "");
	assert_int_equal(wait_for(rig, submit(rig, head, MIB, 100, 100, 0, 0)).http, 201);
	run_batch(rig, batch, (uint32_t)length, AZL_REQUEST_RESENT, 3, 1);
	assert_true(is_there(rig, names[1]));
	rig->emu.no_ack = false;
	/* After the ACK it is forgotten, at some time. */
	for (int i = 0; i < 10000 && there; i++) {
		struct answer answer =
			wait_for(rig, submit(rig, batch, 0, (uint32_t)length, (uint32_t)length,
					     2000, AZL_REQUEST_RESENT));

		assert_int_equal(answer.http, 202);
		there = is_there(rig, names[1]);
	}
	assert_false(there);
}

static unsigned long anonymous_kib(pid_t pid)
{
	char path[64], line[256];
	unsigned long kib = 0;
	FILE *status;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	status = fopen(path, "r");
	assert_non_null(status);
	while (fgets(line, sizeof(line), status)) {
		if (!strncmp(line, "RssAnon:", 8))
			kib = strtoul(line + 8, NULL, 10);
	}
	fclose(status);
	return kib;
}

/* The emulator of another device: asks for a lot, stops, and reads when continued. */
static void be_stopped(const char *path)
{
	struct emu_request request = { .flags = AZL_REQUEST_INLINE,
				       .response.length = RESPONSE,
				       .data.length = 16 * MIB };
	char head[1024];
	struct emu emu;

	emu_init(&emu);
	if (emu_connect(&emu, path, 0) != 0)
		_exit(2);
	request.head = get_head(head, sizeof(head), "big", "");
	for (int i = 0; i < 50; i++)
		emu_submit(&emu, &request);
	raise(SIGSTOP);
	for (uint64_t id = 1; id <= 50; id++) {
		struct emu_message *message = emu_complete(&emu, id);

		if (!message || message->complete.data_length != 16 * MIB)
			_exit(3);
		free(message);
	}
	_exit(0);
}

static void a_stopped_emulator_costs_little_and_disturbs_nobody(void **state)
{
	struct rig *rig = *state;
	char head[1024];
	pid_t child;
	int status;

	put_head(head, sizeof(head), "big", 16 * MIB, "");
	assert_int_equal(ask(rig, head, 16 * MIB, 16 * MIB).http, 201);
	child = fork();
	if (!child)
		be_stopped(rig->path);
	assert_int_equal(waitpid(child, &status, WUNTRACED), child);
	assert_true(WIFSTOPPED(status));
	for (int i = 0; i < 100; i++) {
		get_head(head, sizeof(head), "big", "x-ms-range: bytes=0-9999\r\n");
		assert_int_equal(ask(rig, head, 10000, 0).http, 206);
	}
	/* All of its answers would be 800 MiB. */
	assert_true(anonymous_kib(rig->daemon) < 128 * 1024);
	kill(child, SIGCONT);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/* A huge page that the machine does not have is as lost as one of a full tmpfs. */
static void a_lost_page_of_the_guest_does_not_kill_the_daemon(void **state)
{
	struct emu_memory odd = { .fd = memfd_create("odd", MFD_HUGETLB | MFD_ALLOW_SEALING) };
	struct rig *rig = *state;
	struct emu_request request = {
		.response = { .length = RESPONSE },
		.data = { .region = 1, .offset = (1 << 30) - 8192, .length = 8192 },
		.data_valid = 8192
	};
	char head[1024];

	assert_true(odd.fd >= 0);
	assert_int_equal(ftruncate(odd.fd, 1 << 30), 0);
	assert_int_equal(fcntl(odd.fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	assert_int_equal(emu_region(&rig->emu, 1, &odd, 0, 1 << 30, 0), 0);
	request.head = put_head(head, sizeof(head), "odd", 8192, "");
	emu_submit(&rig->emu, &request);
	assert_true(emu_wait_closed(&rig->emu));
	assert_true(rig->emu.goodbye);
	assert_null(emu_receive_type(&rig->emu, AZL_COMPLETE, 0, 0));
	emu_drop(&rig->emu);
	close(odd.fd);
	connect_device(rig);
	assert_int_equal(ask(rig, get_head(head, sizeof(head), "odd", ""), 8192, 0).http, 404);
}

static void sigterm_ends_the_link_with_a_goodbye(void **state)
{
	struct rig *rig = *state;

	assert_true(WIFEXITED(end_daemon(rig, SIGTERM)));
	assert_true(emu_wait_closed(&rig->emu));
	assert_true(rig->emu.goodbye);
	emu_drop(&rig->emu);
	start_daemon(rig);
	connect_device(rig);
}

int main(int argc, char **argv)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(bodies_of_one_request_go_out_and_come_back),
		TEST(credentials_are_checked),
		TEST(a_large_body_travels_in_parts_both_ways),
		TEST(bodies_travel_in_messages_where_memory_is_not_shared),
		TEST(a_kill_between_effect_and_ack_does_nothing_twice),
		TEST(requests_in_flight_at_a_kill_succeed_when_sent_again),
		TEST(a_part_sent_again_to_a_new_daemon_finds_no_handle),
		TEST(a_commit_sent_again_to_a_new_daemon_is_answered),
		TEST(a_batch_sent_again_does_no_part_twice),
		TEST(a_stopped_emulator_costs_little_and_disturbs_nobody),
		TEST(a_lost_page_of_the_guest_does_not_kill_the_daemon),
		TEST(sigterm_ends_the_link_with_a_goodbye),
	};

	if (argc != 2) {
		fprintf(stderr, "usage: %s PATH-OF-AZBLOB-VSPD\n", argv[0]);
		return 2;
	}
	program = argv[1];
	return cmocka_run_group_tests(tests, NULL, NULL);
}
