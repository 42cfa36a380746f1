// SPDX-License-Identifier: MIT
/*
 * vspload - many requests at once
 *
 * usage: vspload [NAME=VALUE]... < HEAD
 *
 *   procs=N, threads=N   workers: N processes with N threads each (1, 1)
 *   loops=N              requests for each worker (1); 0: until SIGTERM
 *   last=ERRNO           a worker ends with the first request that fails so
 *   again=ERRNO          a worker opens the device anew, as soon as it can, after a
 *                        request that fails so
 *   data_len=N           bytes of the data buffer (0)
 *   data_valid=N         bytes of it to send (0: receive)
 *   response_len=N       (16384)
 *   offset=N             where the data buffer starts in its first page (0)
 *   timeout=MS           (60000)
 *   seed=N               pattern to send
 *   expect=N             pattern that a status of 200 to 299 has to bring
 *   nr=f0|legacy|v1, dev=PATH, nonblock=1
 *
 * All workers touch their memory, then start together; "started" is printed at that
 * moment, and at the end one line of JSON that counts the outcomes by
 * "ERRNO/STATUS/HTTP STATUS", so a request that came back is in it once.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pattern.h"
#include "vspraw.h"

#define MAX_OUTCOMES 64
#define PAGE 4096u

struct outcome {
	int error;
	uint32_t status, http;
	uint64_t count;
};

/* Shared by all processes. */
struct shared {
	pthread_mutex_t lock;
	pthread_barrier_t barrier;
	struct outcome outcomes[MAX_OUTCOMES];
	uint64_t wrong; /* answers whose data was not the pattern */
	int stop;
};

static struct shared *shared;
static char head[1 << 16];
static size_t head_length;
static struct {
	uint64_t procs, threads, loops, data_len, data_valid, response_len, offset, timeout, seed;
	uint64_t expect, nonblock, last, again;
	bool expects;
	uint32_t nr;
	const char *dev;
} options = {
	.procs = 1,
	.threads = 1,
	.loops = 1,
	.response_len = 16384,
	.timeout = 60000,
	.nr = NR_F0,
	.dev = "/dev/azure_blob",
};

/* Ends all of it: the others would wait at the barrier for who is gone. */
static void die(const char *what)
{
	fprintf(stderr, "vspload: %s: %s\n", what, strerror(errno));
	if (shared)
		kill(0, SIGKILL);
	exit(2);
}

static void count(int error, uint32_t status, uint32_t http, bool wrong)
{
	pthread_mutex_lock(&shared->lock);
	shared->wrong += wrong;
	for (int i = 0; i < MAX_OUTCOMES; i++) {
		struct outcome *o = &shared->outcomes[i];

		if (!o->count)
			*o = (struct outcome){ error, status, http, 0 };
		if (o->error == error && o->status == status && o->http == http) {
			o->count++;
			break;
		}
	}
	pthread_mutex_unlock(&shared->lock);
}

static int open_device(void)
{
	return open(options.dev, O_RDWR | O_CLOEXEC | (options.nonblock ? O_NONBLOCK : 0));
}

static bool stopped(void)
{
	return __atomic_load_n(&shared->stop, __ATOMIC_RELAXED);
}

/* Waits for the device that comes after the one that has gone; -1 when told to stop. */
static int open_next(void)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	int fd;

	while ((fd = open_device()) < 0 && !stopped())
		nanosleep(&pause, NULL);
	return fd;
}

static void *worker(void *arg)
{
	unsigned char *data, *response, *request, raw[RAW_SIZE];
	size_t mapped = options.offset + options.data_len + PAGE;
	int fd = *(int *)arg;

	/* One of its own that it can close; the others must not cost the limit of files. */
	if (options.again) {
		fd = dup(fd);
		if (fd < 0)
			die("dup");
	}
	data = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	response = mmap(NULL, options.response_len + PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	request = mmap(NULL, sizeof(head), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);
	if (data == MAP_FAILED || response == MAP_FAILED || request == MAP_FAILED)
		die("mmap");
	memcpy(request, head, head_length);
	data += options.offset;
	if (options.data_valid) {
		pattern_fill(data, options.data_len, options.seed, 0);
	} else {
		for (size_t at = 0; at < options.data_len; at += PAGE)
			data[at] = 1;
	}
	pthread_barrier_wait(&shared->barrier);
	for (uint64_t i = 0; !options.loops || i < options.loops; i++) {
		unsigned int http = 0;
		bool wrong = false;
		long result;
		int error;

		if (stopped())
			break;
		if (options.expects)
			memset(data, 0, options.data_len < PAGE ? options.data_len : PAGE);
		memset(raw, 0, sizeof(raw));
		memcpy(raw, &i, sizeof(i));
		raw_set(raw, options.nr, RAW_TIMEOUT, options.timeout);
		raw_set(raw, options.nr, RAW_REQUEST_LEN, head_length);
		raw_set(raw, options.nr, RAW_RESPONSE_LEN, options.response_len);
		raw_set(raw, options.nr, RAW_DATA_LEN, options.data_len);
		raw_set(raw, options.nr, RAW_DATA_VALID, options.data_valid);
		raw_set(raw, options.nr, RAW_REQUEST_BUFFER, (uintptr_t)request);
		raw_set(raw, options.nr, RAW_RESPONSE_BUFFER, (uintptr_t)response);
		raw_set(raw, options.nr, RAW_DATA_BUFFER, options.data_len ? (uintptr_t)data : 0);
		memset(response, 0, 64);
		result = ioctl(fd, options.nr, raw);
		if (result == 0 && raw_get(raw, options.nr, RAW_STATUS) == 0)
			sscanf((char *)response, "HTTP/1.1 %3u", &http);
		if (options.expects && http / 100 == 2)
			wrong = pattern_check(data, options.data_len, options.expect, 0) >= 0;
		error = result < 0 ? errno : 0;
		count(error, error ? 0 : raw_get(raw, options.nr, RAW_STATUS), http, wrong);
		if (error && (uint64_t)error == options.last)
			break;
		if (error && (uint64_t)error == options.again) {
			close(fd);
			fd = open_next();
			if (fd < 0)
				return NULL;
		}
	}
	if (options.again)
		close(fd);
	return NULL;
}

static void run_threads(void)
{
	pthread_t *threads = calloc(options.threads, sizeof(*threads));
	pthread_attr_t attributes;
	int fd = open_device();

	if (!threads)
		die("threads");
	if (fd < 0)
		die(options.dev);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 64 << 10);
	for (uint64_t i = 0; i < options.threads; i++) {
		errno = pthread_create(&threads[i], &attributes, worker, &fd);
		if (errno)
			die("thread");
	}
	for (uint64_t i = 0; i < options.threads; i++)
		pthread_join(threads[i], NULL);
	close(fd);
	free(threads);
}

static void on_term(int number)
{
	(void)number;
	__atomic_store_n(&shared->stop, 1, __ATOMIC_RELAXED);
}

static void parse(int argc, char **argv)
{
	struct {
		const char *name;
		uint64_t *value;
	} numbers[] = {
		{ "procs", &options.procs },
		{ "threads", &options.threads },
		{ "loops", &options.loops },
		{ "data_len", &options.data_len },
		{ "data_valid", &options.data_valid },
		{ "response_len", &options.response_len },
		{ "offset", &options.offset },
		{ "timeout", &options.timeout },
		{ "seed", &options.seed },
		{ "expect", &options.expect },
		{ "nonblock", &options.nonblock },
		{ "last", &options.last },
		{ "again", &options.again },
	};

	for (int i = 1; i < argc; i++) {
		char *value = strchr(argv[i], '=');
		bool known = false;

		if (value)
			*value++ = '\0';
		for (size_t k = 0; value && k < sizeof(numbers) / sizeof(numbers[0]); k++) {
			if (!strcmp(argv[i], numbers[k].name)) {
				*numbers[k].value = strtoull(value, NULL, 0);
				known = true;
			}
		}
		if (value && !strcmp(argv[i], "nr"))
			options.nr = raw_number(value);
		else if (value && !strcmp(argv[i], "dev"))
			options.dev = value;
		else if (!known) {
			errno = EINVAL;
			die(argv[i]);
		}
		options.expects |= !strcmp(argv[i], "expect");
	}
}

static void init_shared(void)
{
	pthread_mutexattr_t mutex;
	pthread_barrierattr_t barrier;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		die("mmap");
	pthread_mutexattr_init(&mutex);
	pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
	pthread_mutex_init(&shared->lock, &mutex);
	pthread_barrierattr_init(&barrier);
	pthread_barrierattr_setpshared(&barrier, PTHREAD_PROCESS_SHARED);
	pthread_barrier_init(&shared->barrier, &barrier,
			     (unsigned int)(options.procs * options.threads + 1));
}

int main(int argc, char **argv)
{
	struct timespec begin, end;
	int killed = 0;
	bool first = true;

	parse(argc, argv);
	head_length = fread(head, 1, sizeof(head), stdin);
	init_shared();
	signal(SIGTERM, on_term);
	for (uint64_t i = 0; i < options.procs; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (!pid) {
			run_threads();
			_exit(0);
		}
	}
	pthread_barrier_wait(&shared->barrier);
	clock_gettime(CLOCK_MONOTONIC, &begin);
	printf("started\n");
	fflush(stdout);
	for (uint64_t i = 0; i < options.procs;) {
		int status;

		if (wait(&status) < 0) {
			if (errno == EINTR)
				continue;
			break;
		}
		killed += status != 0;
		i++;
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("{\"wrong\": %llu, \"killed\": %d, \"seconds\": %.6f, \"outcomes\": {",
	       (unsigned long long)shared->wrong, killed,
	       (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9);
	for (int i = 0; i < MAX_OUTCOMES && shared->outcomes[i].count; i++) {
		struct outcome *o = &shared->outcomes[i];

		printf("%s\"%d/0x%x/%u\": %llu", first ? "" : ", ", o->error, o->status, o->http,
		       (unsigned long long)o->count);
		first = false;
	}
	printf("}}\n");
	return 0;
}
