// SPDX-License-Identifier: MIT
/*
 * fastpath - a client of the public connector library's kind, written from the description of
 * its envelope alone: opens a blob, reads all of it in pieces, closes it
 *
 * usage: fastpath [NAME=VALUE]... < JSON OF THE OPEN
 *
 *   dev=PATH       /dev/azure_xs_fastpath
 *   nr=NUMBER      0xc048520a, _IOWR('R', 10) with 72 bytes
 *   piece=BYTES    1048576, of each read
 *   out=FILE       the blob goes there
 *   timeout=MS     60000
 *   spoil=WHAT     crc (of the open), or handle (of the first read): what must be refused
 *
 * Prints one line of JSON for each call: {"method":..., "errno":..., "answer":{...}}, the answer as
 * the host gave it.  The status is 0 when all three calls were answered with status 1001,
 * 1 when one was not, 2 when an answer is no envelope or a system call failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vspraw.h"

#define HEADER 32u
#define RESPONSE 32768u
#define PRESET 0x0ace0aceu
#define HOST_DOWN 0x80070102u
#define OK_STATUS 1001

enum method {
	OPEN = 1,
	READ = 2,
	CLOSE = 3
};

static int device;
static uint32_t number = NR_LEGACY;
static uint32_t timeout_ms = 60000;
static const char *spoil = "";
static char answer[RESPONSE + 1]; /* JSON of the last one */

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "fastpath: %s\n", what);
	exit(2);
}

static uint64_t crc64(const unsigned char *bytes, size_t length)
{
	uint64_t crc = ~UINT64_C(0);

	for (size_t i = 0; i < length; i++) {
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 1 ? crc >> 1 ^ UINT64_C(0x9a6c9329ac4bc9b5) : crc >> 1;
	}
	return ~crc;
}

static uint64_t crc_of_message(unsigned char *message, size_t length)
{
	memset(message + 16, 0, 8);
	return crc64(message, length);
}

/* Checks what came and leaves its JSON in answer. */
static void take_answer(unsigned char *response, uint32_t length)
{
	uint32_t format;
	uint64_t crc;

	if (length == 0)
		die("an answer without a byte (EILSEQ)");
	if (length < HEADER || length > RESPONSE || memcmp(response, "HsRes001", 8))
		die("the answer is no envelope");
	memcpy(&format, response + 8, 4);
	if (format != 1)
		die("the answer is not JSON");
	memcpy(&crc, response + 16, 8);
	if (crc != crc_of_message(response, length))
		die("the answer's checksum is wrong");
	memcpy(answer, response + HEADER, length - HEADER);
	answer[length - HEADER] = 0;
}

/* One request; the errno of the library's meaning. */
static int ask(enum method method, const char *id, const char *json, void *data, uint32_t data_len)
{
	static unsigned char request[65536], response[RESPONSE];
	unsigned char raw[RAW_SIZE] = { 0 };
	size_t length = HEADER + strlen(json);
	uint32_t format = 1, kind = method;
	uint64_t crc;

	if (length > sizeof(request))
		die("the JSON is too long");
	memset(request, 0, HEADER);
	memcpy(request, "HsReq001", 8);
	memcpy(request + 8, &format, 4);
	memcpy(request + 12, &kind, 4);
	memcpy(request + HEADER, json, length - HEADER);
	crc = crc_of_message(request, length);
	if (method == OPEN && !strcmp(spoil, "crc"))
		crc ^= 1;
	memcpy(request + 16, &crc, 8);

	memcpy(raw, id, strnlen(id, 16));
	raw_set(raw, number, RAW_TIMEOUT, timeout_ms);
	raw_set(raw, number, RAW_REQUEST_LEN, length);
	raw_set(raw, number, RAW_RESPONSE_LEN, RESPONSE);
	raw_set(raw, number, RAW_DATA_LEN, data_len);
	raw_set(raw, number, RAW_REQUEST_BUFFER, (uintptr_t)request);
	raw_set(raw, number, RAW_RESPONSE_BUFFER, (uintptr_t)response);
	raw_set(raw, number, RAW_DATA_BUFFER, (uintptr_t)data);
	raw_set(raw, number, RAW_STATUS, PRESET);
	answer[0] = 0;
	if (ioctl(device, number, raw) < 0)
		return errno;
	if (raw_get(raw, number, RAW_STATUS) == HOST_DOWN)
		return EHOSTDOWN;
	if (raw_get(raw, number, RAW_STATUS))
		die("the host has set a status");
	take_answer(response, raw_get(raw, number, RAW_RESPONSE_OUT));
	return 0;
}

/* The value of a member; enough of JSON for answers of one level without escapes. */
static const char *member(const char *name)
{
	char quoted[64];
	const char *at;

	snprintf(quoted, sizeof(quoted), "\"%s\":", name);
	at = strstr(answer, quoted);
	return at ? at + strlen(quoted) : NULL;
}

static long long get_number(const char *name)
{
	const char *at = member(name);

	return at ? strtoll(at, NULL, 10) : -1;
}

static int report(const char *method, int error)
{
	printf("{\"method\":\"%s\",\"errno\":%d,\"answer\":%s}\n", method, error,
	       answer[0] ? answer : "null");
	return !error && get_number("status") == OK_STATUS;
}

static int read_all(const char *key, uint32_t piece, int out)
{
	unsigned char *data = malloc(piece);
	long long offset = 0, got;
	char json[256], id[32];

	if (!data)
		die("no memory");
	do {
		snprintf(id, sizeof(id), "read at %lld", offset);
		snprintf(json, sizeof(json),
			 "{\"schemaVersion\":1,\"xMsClientRequestId\":\"%s\",\"handleKey\":\"%."
			 "32s\","
			 "\"offset\":%lld,\"length\":%u}",
			 id, strcmp(spoil, "handle") ? key : "00000000000000000000000000000000",
			 offset, piece);
		memset(data, 0xa5, piece);
		if (!report("read", ask(READ, id, json, data, piece))) {
			free(data);
			return 0;
		}
		got = get_number("bytesRead");
		if (got < 0 || got > piece)
			die("bytesRead is nonsense");
		if (out >= 0 && write(out, data, (size_t)got) != got)
			die("cannot write the file");
		offset += got;
	} while (got == piece);
	free(data);
	return 1;
}

int main(int argc, char **argv)
{
	const char *path = "/dev/azure_xs_fastpath", *key;
	char json[65536], id[40], close_json[128];
	uint32_t piece = 1 << 20;
	int out = -1, done;
	size_t length;

	for (int i = 1; i < argc; i++) {
		if (!strncmp(argv[i], "dev=", 4))
			path = argv[i] + 4;
		else if (!strncmp(argv[i], "nr=", 3))
			number = raw_number(argv[i] + 3);
		else if (!strncmp(argv[i], "piece=", 6))
			piece = (uint32_t)strtoul(argv[i] + 6, NULL, 0);
		else if (!strncmp(argv[i], "out=", 4))
			out = open(argv[i] + 4, O_WRONLY | O_CREAT | O_TRUNC, 0600);
		else if (!strncmp(argv[i], "timeout=", 8))
			timeout_ms = (uint32_t)strtoul(argv[i] + 8, NULL, 0);
		else if (!strncmp(argv[i], "spoil=", 6))
			spoil = argv[i] + 6;
		else
			die("unknown argument");
	}
	device = open(path, O_RDWR);
	if (device < 0)
		die("cannot open the device");
	length = fread(json, 1, sizeof(json) - 1, stdin);
	json[length] = 0;

	if (!report("open", ask(OPEN, "open", json, NULL, 0)))
		return 1;
	key = member("handleKey");
	if (!key || sscanf(key, "\"%32[0-9a-f]\"", id) != 1)
		die("no handleKey");
	done = read_all(id, piece, out);
	snprintf(close_json, sizeof(close_json), "{\"handleKey\":\"%s\"}", id);
	return report("close", ask(CLOSE, "close", close_json, NULL, 0)) && done ? 0 : 1;
}
