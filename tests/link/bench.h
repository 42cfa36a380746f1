/* SPDX-License-Identifier: MIT */
/*
 * What the tests of the link door share: a door in this process over the fake
 * service, a fake emulator on its socket, and 8 MiB of guest memory as region 0.
 */
#ifndef AZBLOB_TESTS_LINK_BENCH_H
#define AZBLOB_TESTS_LINK_BENCH_H

#include "../../vsp-backend/door/link.h"
#include "emu.h"
#include "fake_svc.h"

#define BOTH (AZL_FEATURE_REGIONS | AZL_FEATURE_RESEND)
#define MEMORY_SIZE (8u << 20)
/* Where things are in guest memory; none at the start of a page. */
#define RESPONSE_AT 0x1010u
#define RESPONSE_ROOM (32u << 10)
#define DATA_AT 0x20030u

struct bench {
	char directory[32];
	char path[64];
	struct svc *svc;
	struct link_door *door;
	struct link_door_config config;
	struct emu emu;
	struct emu_memory memory;
};

/* For cmocka: *state is a struct bench; the emulator is connected, region 0 is there. */
int bench_set_up(void **state);
/* Also checks that nothing is left behind: uploads, answers. */
int bench_tear_down(void **state);
/* Starts the door with bench->config. */
void bench_start(struct bench *bench);
/* Ends the door and starts another with bench->config, and connects as a new device. */
void bench_restart(struct bench *bench);
/* Connects bench->emu and gives region 0. */
void bench_connect(struct bench *bench);

/* A request with @data bytes of room (or of body, when @valid) at DATA_AT. */
struct emu_request bench_request(const char *head, uint32_t data, uint32_t valid);

/* The answer of one request. */
struct bench_answer {
	uint32_t status;   /* of the wire */
	unsigned int http; /* 0 when there is no head */
	uint32_t response_length, data_length;
	bool ack;
	char head[4096]; /* with a zero after it */
};

/* Waits for the answer of a request that was submitted; fails the test without one. */
struct bench_answer bench_answer(struct bench *bench, uint64_t id);
/* Sends it and waits. */
struct bench_answer bench_do(struct bench *bench, const struct emu_request *request);
/* The same for a head with no data buffer. */
struct bench_answer bench_head(struct bench *bench, const char *head);
/* The value of a header, or "": in memory that the next call uses again. */
const char *bench_header(const struct bench_answer *answer, const char *name);
/* The handle in an answer; fails the test without one. */
void bench_handle(const struct bench_answer *answer, char id[33]);
/* Asserts that the door still serves others: a new link, a probe. */
void bench_lives(struct bench *bench);
/* Bytes that tell where they belong. */
void bench_pattern(void *to, size_t length, uint64_t offset, unsigned int seed);

#endif /* AZBLOB_TESTS_LINK_BENCH_H */
