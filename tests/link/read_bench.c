// SPDX-License-Identifier: MIT
/*
 * P3: the backend against the memory limit.  A fake emulator reads blobs of 32 MiB over the
 * link into shared memory; its peer is pread() of a file of the same bytes into the same
 * memory, with as many threads as requests are outstanding.  The two take turns within one
 * run, and the ratio of their medians is what counts.
 *
 * Usage: link_read_bench PATH-OF-AZBLOB-VSPD [DIRECTORY [ROUNDS [JSON]]]
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "emu.h"
#include "sign.h"

#define BODY (32u << 20)
#define RESPONSE (32u << 10)
#define MOST 4u    /* outstanding */
#define READS 320u /* in one turn: about a second, so that one late thread is not the result */
#define SMALL_READS 2000u
#define SMALL 4096u
#define DEEP 64u /* small reads outstanding */
#define DEEP_READS 40000u

static struct emu_memory memory;
static struct emu emu;
static int file;

static uint64_t data_of(unsigned int slot)
{
	return MOST * RESPONSE + (uint64_t)slot * BODY;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fail(const char *what)
{
	fprintf(stderr, "read_bench: %s\n", what);
	exit(1);
}

static uint64_t submit(const char *head, unsigned int slot, uint32_t length, uint32_t valid)
{
	struct emu_request request = {
		.head = head,
		.response = { .offset = slot * RESPONSE, .length = RESPONSE },
		.data = { .offset = data_of(slot), .length = length },
		.data_valid = valid,
	};

	return emu_submit(&emu, &request);
}

static void expect(uint64_t id, unsigned int slot, unsigned int http)
{
	struct emu_message *message = emu_complete(&emu, id);

	if (!message || message->complete.status ||
	    emu_status((char *)memory.base + slot * RESPONSE, RESPONSE) != http)
		fail("a request failed");
	free(message);
}

static void do_one(const char *head, uint32_t length, uint32_t valid, unsigned int http)
{
	expect(submit(head, 0, length, valid), 0, http);
}

/* Seconds for READS bodies over the link. */
static double over_link(unsigned int outstanding)
{
	char head[1024];
	uint64_t id[MOST];
	double start;

	sign_head(head, sizeof(head), "GET", "/" SIGN_ACCOUNT "/bench/blob", "");
	start = now();
	for (unsigned int i = 0; i < outstanding; i++)
		id[i] = submit(head, i, BODY, 0);
	for (unsigned int i = 0; i < READS; i++) {
		unsigned int slot = i % outstanding;

		expect(id[slot], slot, 200);
		if (i + outstanding < READS)
			id[slot] = submit(head, slot, BODY, 0);
	}
	return now() - start;
}

static unsigned int preaders;

static void *preader(void *argument)
{
	unsigned int slot = (unsigned int)(uintptr_t)argument;

	for (unsigned int i = slot; i < READS; i += preaders) {
		for (size_t done = 0; done < BODY;) {
			ssize_t got = pread(file, memory.base + data_of(slot) + done, BODY - done,
					    (off_t)done);

			if (got <= 0)
				fail("pread");
			done += (size_t)got;
		}
	}
	return NULL;
}

static double by_pread(unsigned int outstanding)
{
	pthread_t thread[MOST];
	double start = now();

	preaders = outstanding;
	for (unsigned int i = 0; i < outstanding; i++) {
		if (pthread_create(&thread[i], NULL, preader, (void *)(uintptr_t)i))
			fail("thread");
	}
	for (unsigned int i = 0; i < outstanding; i++)
		pthread_join(thread[i], NULL);
	return now() - start;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *values, unsigned int count)
{
	qsort(values, count, sizeof(*values), compare);
	return values[count / 2];
}

static pid_t start_daemon(const char *program, const char *directory, const char *socket_path)
{
	char store[200], ready[16], byte;
	int pipes[2];
	pid_t pid;

	if (pipe(pipes))
		fail("pipe");
	snprintf(store, sizeof(store), "local,path=%s/store", directory);
	snprintf(ready, sizeof(ready), "%d", pipes[1]);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pipes[0]);
		execl(program, program, "--store", store, "--link", socket_path, "--ready-fd",
		      ready, "--log-level", "warning", (char *)NULL);
		perror(program);
		_exit(127);
	}
	close(pipes[1]);
	if (read(pipes[0], &byte, 1) != 1)
		fail("the daemon did not start");
	close(pipes[0]);
	return pid;
}

/* The blob, and a file of the same bytes. */
static void prepare(const char *directory)
{
	char head[1024], path[200], length[64];
	uint8_t *bytes = memory.base + data_of(0);

	for (size_t i = 0; i < BODY; i++)
		bytes[i] = (uint8_t)(i * 0x9e3779b97f4a7c15ull >> 40);
	snprintf(path, sizeof(path), "%s/file", directory);
	file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (file < 0 || pwrite(file, bytes, BODY, 0) != (ssize_t)BODY)
		fail("the file to compare with could not be written");
	sign_head(head, sizeof(head), "PUT", "/" SIGN_ACCOUNT "/bench?restype=container",
		  "Content-Length: 0\r\n");
	do_one(head, 0, 0, 201);
	snprintf(length, sizeof(length), "Content-Length: %u\r\nx-ms-blob-type: BlockBlob\r\n",
		 BODY);
	sign_head(head, sizeof(head), "PUT", "/" SIGN_ACCOUNT "/bench/blob", length);
	do_one(head, BODY, BODY, 201);
	memset(bytes, 0, BODY);
	sign_head(head, sizeof(head), "GET", "/" SIGN_ACCOUNT "/bench/blob", "");
	do_one(head, BODY, 0, 200);
	for (size_t i = 0; i < BODY; i++) {
		if (bytes[i] != (uint8_t)(i * 0x9e3779b97f4a7c15ull >> 40))
			fail("the blob is not what was stored");
	}
}

/* User and system time of a process so far; the fields are those of proc(5). */
static double cpu_seconds(pid_t pid)
{
	unsigned long user = 0, system = 0;
	char path[64], line[1024];
	FILE *stat;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	stat = fopen(path, "r");
	if (!stat || !fgets(line, sizeof(line), stat) ||
	    sscanf(strrchr(line, ')') + 1, "%*s %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
		   &user, &system) != 2)
		fail("no times of the daemon");
	fclose(stat);
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

/* Microseconds of one 4 KiB read, one at a time: the median. */
static double small_read(void)
{
	static double times[SMALL_READS];
	char head[1024];

	sign_head(head, sizeof(head), "GET", "/" SIGN_ACCOUNT "/bench/blob",
		  "x-ms-range: bytes=8192-12287\r\n");
	for (unsigned int i = 0; i < SMALL_READS; i++) {
		double start = now();

		do_one(head, 4096, 0, 206);
		times[i] = (now() - start) * 1e6;
	}
	return median(times, SMALL_READS);
}

static uint64_t deep_submit(const char *head, unsigned int slot)
{
	uint64_t at = (uint64_t)slot * (RESPONSE + SMALL);
	struct emu_request request = {
		.head = head,
		.response = { .offset = at, .length = RESPONSE },
		.data = { .offset = at + RESPONSE, .length = SMALL },
	};

	return emu_submit(&emu, &request);
}

/* Microseconds for each of many 4 KiB reads with DEEP outstanding, and of the daemon's CPU. */
static double deep_reads(pid_t pid, double *cpu)
{
	uint64_t id[DEEP];
	char head[1024];
	double start, before = cpu_seconds(pid);

	sign_head(head, sizeof(head), "GET", "/" SIGN_ACCOUNT "/bench/blob",
		  "x-ms-range: bytes=8192-12287\r\n");
	start = now();
	for (unsigned int i = 0; i < DEEP; i++)
		id[i] = deep_submit(head, i);
	for (unsigned int i = 0; i < DEEP_READS; i++) {
		struct emu_message *message = emu_complete(&emu, id[i % DEEP]);

		if (!message || message->complete.status)
			fail("a request failed");
		free(message);
		if (i + DEEP < DEEP_READS)
			id[i % DEEP] = deep_submit(head, i % DEEP);
	}
	*cpu = (cpu_seconds(pid) - before) * 1e6 / DEEP_READS;
	return (now() - start) * 1e6 / DEEP_READS;
}

static void write_rates(FILE *json, const char *name, const double *seconds, unsigned int count,
			double megabytes)
{
	fprintf(json, ", \"%s\": [", name);
	for (unsigned int i = 0; i < count; i++)
		fprintf(json, "%s%.1f", i ? ", " : "", megabytes / seconds[i]);
	fputc(']', json);
}

int main(int argc, char **argv)
{
	static const unsigned int outstanding[] = { 1, 2, 4 };
	const char *base = argc > 2 ? argv[2] : "/tmp";
	unsigned int rounds = argc > 3 ? (unsigned int)strtoul(argv[3], NULL, 10) : 7;
	char directory[128], socket_path[160], command[200];
	FILE *json = argc > 4 ? fopen(argv[4], "w") : NULL;
	double link_time[99], pread_time[99], deep_time, deep_cpu;
	int status;
	pid_t pid;

	if (argc < 2 || rounds < 1 || rounds > 99 || strlen(base) > 90) {
		fprintf(stderr,
			"usage: %s PATH-OF-AZBLOB-VSPD [DIRECTORY [ROUNDS (1-99) [JSON]]]\n",
			argv[0]);
		return 2;
	}
	snprintf(directory, sizeof(directory), "%s/azblob-bench-XXXXXX", base);
	if (!mkdtemp(directory))
		fail("no temporary directory");
	snprintf(socket_path, sizeof(socket_path), "%s/link", directory);
	memory = emu_memory_new(data_of(MOST), F_SEAL_SHRINK);
	pid = start_daemon(argv[1], directory, socket_path);
	emu_init(&emu);
	if (emu_connect(&emu, socket_path, AZL_FEATURE_REGIONS) ||
	    emu_region(&emu, 0, &memory, 0, memory.size, 0))
		fail("no link");
	prepare(directory);

	printf("P3: 32 MiB reads into shared memory, page cache warm, median of %u rounds\n",
	       rounds);
	printf("%12s %14s %14s %8s\n", "outstanding", "link MB/s", "pread MB/s", "ratio");
	if (json)
		fprintf(json, "{\"id\": \"P3\", \"target\": 0.8, \"rows\": [");
	for (size_t row = 0; row < sizeof(outstanding) / sizeof(outstanding[0]); row++) {
		double megabytes = READS * (double)BODY / 1e6, a, b;

		/* Pages are touched, threads started. */
		over_link(outstanding[row]);
		by_pread(outstanding[row]);
		for (unsigned int i = 0; i < rounds; i++) {
			link_time[i] = over_link(outstanding[row]);
			pread_time[i] = by_pread(outstanding[row]);
		}
		a = megabytes / median(link_time, rounds);
		b = megabytes / median(pread_time, rounds);
		printf("%12u %14.0f %14.0f %8.2f\n", outstanding[row], a, b, a / b);
		if (json) {
			fprintf(json, "%s{\"outstanding\": %u", row ? ", " : "", outstanding[row]);
			write_rates(json, "link_mb_s", link_time, rounds, megabytes);
			write_rates(json, "pread_mb_s", pread_time, rounds, megabytes);
			fputc('}', json);
		}
	}
	link_time[0] = small_read();
	printf("a 4 KiB read, one at a time: %.1f us (median of %u)\n", link_time[0], SMALL_READS);
	deep_time = deep_reads(pid, &deep_cpu);
	printf("4 KiB reads, %u at a time: %.1f us each, %.1f us of the daemon's CPU\n", DEEP,
	       deep_time, deep_cpu);
	if (json) {
		fprintf(json,
			"], \"read_4k_us\": %.2f, \"deep_4k_us\": %.2f, \"deep_4k_cpu_us\": "
			"%.2f}\n",
			link_time[0], deep_time, deep_cpu);
		fclose(json);
	}

	emu_goodbye(&emu);
	kill(pid, SIGTERM);
	waitpid(pid, &status, 0);
	snprintf(command, sizeof(command), "rm -rf '%s'", directory);
	return system(command) ? 1 : 0;
}
