// SPDX-License-Identifier: MIT
/*
 * One load: processes are started, each opens a connection, has each of its threads make one
 * request that is not counted, and says so; once all have, they are let go at the same time.
 */
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LOOK_MS 100

/**
 * struct shared - what all processes see
 * @stop: somebody failed, or the user has had enough.
 * @figure: of each worker: the seconds of each request, then the time at which it was done.
 */
struct shared {
	atomic_bool stop;
	atomic_bool failed;
	struct azblob_error error; /* of the one that set @failed */
	double figure[];
};

struct worker {
	const struct bench_load *load;
	struct shared *shared;
	azblob_conn *conn;
	unsigned int number; /* among all */
	pthread_barrier_t *ready;
	pthread_barrier_t *go;
};

/**
 * struct watch - ends what a process waits for when the parent has had enough
 * @stop: a pipe, whose end says so.
 * @over: an eventfd, readable when nothing is waited for any more.
 */
struct watch {
	azblob_conn *conn;
	int stop;
	int over;
};

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

void bench_blob_name(unsigned int worker, char name[32])
{
	snprintf(name, 32, "bench-%u", worker);
}

void bench_fill(unsigned int worker, char *data, size_t size)
{
	uint64_t state = UINT64_C(0x9e3779b97f4a7c15) * (worker + 1);

	for (size_t i = 0; i < size; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		data[i] = (char)state;
	}
}

static void fail(struct shared *shared, const struct azblob_error *error)
{
	if (!atomic_exchange(&shared->failed, true))
		shared->error = *error;
	atomic_store(&shared->stop, true);
}

/* One request; false when it failed. */
static bool request(const struct worker *worker, const char *name, char *data)
{
	const struct bench_load *load = worker->load;
	struct azblob_get_result result;
	struct azblob_error error;
	int status;

	if (load->writes)
		status = azblob_put_blob(worker->conn, load->container, name, data, load->size,
					 NULL, NULL, &error);
	else
		status = azblob_get_blob(worker->conn, load->container, name, 0, AZBLOB_LENGTH_REST,
					 data, load->size, NULL, &result, &error);
	if (!status && !load->writes && result.size != load->size) {
		memset(&error, 0, sizeof(error));
		error.kind = AZBLOB_CHECKSUM;
		snprintf(error.message, sizeof(error.message), "%s has %llu bytes, not %zu", name,
			 (unsigned long long)result.size, load->size);
		status = -1;
	}
	if (status)
		fail(worker->shared, &error);
	return !status;
}

static void *work(void *context)
{
	const struct worker *worker = context;
	const struct bench_load *load = worker->load;
	double *figure = worker->shared->figure + (size_t)worker->number * (load->requests + 1);
	char *data = aligned_alloc(4096, (load->size + 4095) / 4096 * 4096);
	char name[32];

	if (!data)
		abort();
	bench_blob_name(worker->number, name);
	bench_fill(worker->number, data, load->size);
	/* Connects, and faults the pages in. */
	request(worker, name, data);
	pthread_barrier_wait(worker->ready);
	pthread_barrier_wait(worker->go);
	for (unsigned int i = 0; i < load->requests && !atomic_load(&worker->shared->stop); i++) {
		double start = now();

		if (!request(worker, name, data))
			break;
		figure[i] = now() - start;
	}
	figure[load->requests] = now();
	free(data);
	return NULL;
}

static void *watch_main(void *data)
{
	const struct watch *watch = data;
	struct pollfd over[2] = {
		{ .fd = watch->over, .events = POLLIN },
		{ .fd = watch->stop, .events = POLLIN },
	};

	while (poll(over, 2, -1) < 0 && errno == EINTR)
		;
	/* Again and again: threads that had not looked at @stop may begin another request. */
	while (!over[0].revents) {
		azblob_interrupt(watch->conn);
		poll(over, 1, LOOK_MS);
	}
	return NULL;
}

/*
 * All of one process; writes a byte to @ready, starts when @go ends, and ends its requests when
 * @stop does.
 */
static void process(const struct bench_load *load, struct shared *shared, unsigned int number,
		    int ready, int go, int stop)
{
	struct worker *worker = calloc(load->threads, sizeof(*worker));
	pthread_t *thread = calloc(load->threads, sizeof(*thread));
	pthread_barrier_t barrier[2];
	struct azblob_error error;
	struct watch watch;
	pthread_t watcher;
	azblob_conn *conn;
	char byte = 0;

	if (!worker || !thread)
		abort();
	azblob_config_set_transport(load->cli->config, load->way, NULL);
	if (azblob_open(load->cli->config, &conn, &error)) {
		fail(shared, &error);
		_exit(write(ready, &byte, 1) != 1);
	}
	watch = (struct watch){ .conn = conn, .stop = stop, .over = eventfd(0, EFD_CLOEXEC) };
	if (watch.over < 0 || pthread_create(&watcher, NULL, watch_main, &watch))
		abort();
	pthread_barrier_init(&barrier[0], NULL, load->threads + 1);
	pthread_barrier_init(&barrier[1], NULL, load->threads + 1);
	for (unsigned int i = 0; i < load->threads; i++) {
		worker[i] = (struct worker){ .load = load,
					     .shared = shared,
					     .conn = conn,
					     .number = number * load->threads + i,
					     .ready = &barrier[0],
					     .go = &barrier[1] };
		if (pthread_create(&thread[i], NULL, work, &worker[i]))
			abort();
	}
	pthread_barrier_wait(&barrier[0]);
	if (write(ready, &byte, 1) != 1)
		abort();
	while (read(go, &byte, 1) < 0 && errno == EINTR)
		;
	pthread_barrier_wait(&barrier[1]);
	for (unsigned int i = 0; i < load->threads; i++)
		pthread_join(thread[i], NULL);
	if (eventfd_write(watch.over, 1))
		abort();
	pthread_join(watcher, NULL);
	/* The rest goes with the process. */
	azblob_close(conn);
	_exit(0);
}

/**
 * struct children - the processes
 * @stop: a pipe, whose end has them end their requests; [1] is -1 after that.
 */
struct children {
	pid_t *pid;
	unsigned int count;
	unsigned int left;
	bool died;
	int stop[2];
};

/* Takes those that have ended. */
static void reap(struct children *children)
{
	for (unsigned int i = 0; i < children->count; i++) {
		int status;

		if (!children->pid[i] || waitpid(children->pid[i], &status, WNOHANG) <= 0)
			continue;
		children->pid[i] = 0;
		children->left--;
		children->died |= status != 0;
	}
}

static void stop_if_interrupted(struct children *children, struct shared *shared)
{
	if (!cli_interrupted())
		return;
	atomic_store(&shared->stop, true);
	if (children->stop[1] >= 0)
		close(children->stop[1]);
	children->stop[1] = -1;
}

static void wait_a_little(int fd)
{
	struct pollfd ready = { .fd = fd, .events = POLLIN };

	poll(&ready, 1, LOOK_MS);
}

/* Until all have said that they are ready; false when that will not be. */
static bool all_ready(struct children *children, struct shared *shared, int fd)
{
	unsigned int said = 0;

	while (said < children->count) {
		char bytes[64];
		ssize_t got;

		wait_a_little(fd);
		got = read(fd, bytes, sizeof(bytes));
		if (got > 0)
			said += (unsigned int)got;
		reap(children);
		stop_if_interrupted(children, shared);
		if (children->died)
			return false;
	}
	return true;
}

static void start(const struct bench_load *load, struct shared *shared, struct children *children,
		  const int ready[2], const int go[2])
{
	pid_t parent = getpid();

	fflush(stdout);
	for (unsigned int i = 0; i < load->processes; i++) {
		pid_t pid = fork();

		if (!pid) {
			/* Not to be left over, whatever becomes of the parent. */
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (getppid() != parent)
				_exit(1);
			close(go[1]);
			close(children->stop[1]);
			process(load, shared, i, ready[1], go[0], children->stop[0]);
		}
		if (pid < 0) {
			children->died = true;
			return;
		}
		children->pid[children->count++] = pid;
		children->left++;
	}
}

/* Starts, times and ends them; false when one died. */
static bool measure(const struct bench_load *load, struct shared *shared, double *begun)
{
	struct children children = { 0 };
	int ready[2];
	int go[2];

	children.pid = calloc(load->processes, sizeof(*children.pid));
	if (!children.pid || pipe2(ready, O_CLOEXEC | O_NONBLOCK))
		abort();
	if (pipe2(go, O_CLOEXEC) || pipe2(children.stop, O_CLOEXEC))
		abort();
	start(load, shared, &children, ready, go);
	if (children.died || !all_ready(&children, shared, ready[0]))
		atomic_store(&shared->stop, true);
	*begun = now();
	/* The end of the pipe lets all of them go. */
	close(go[1]);
	close(ready[1]);
	while (children.left) {
		/* Ends at once when the last one has, since that closes the other end. */
		wait_a_little(ready[0]);
		reap(&children);
		stop_if_interrupted(&children, shared);
	}
	close(ready[0]);
	close(go[0]);
	close(children.stop[0]);
	if (children.stop[1] >= 0)
		close(children.stop[1]);
	free(children.pid);
	return !children.died;
}

/* Latencies, and how long all of it took. */
static void take_figures(const struct bench_load *load, const struct shared *shared, double begun,
			 struct bench_run *run)
{
	unsigned int workers = load->processes * load->threads;
	double ended = begun;

	run->latency = calloc((size_t)workers * load->requests, sizeof(double));
	if (!run->latency)
		abort();
	for (unsigned int i = 0; i < workers; i++) {
		const double *figure = shared->figure + (size_t)i * (load->requests + 1);

		memcpy(run->latency + run->count, figure, load->requests * sizeof(double));
		run->count += load->requests;
		if (figure[load->requests] > ended)
			ended = figure[load->requests];
	}
	run->seconds = ended - begun;
}

int bench_run(const struct bench_load *load, struct bench_run *run)
{
	size_t count = (size_t)load->processes * load->threads * (load->requests + 1);
	size_t size = sizeof(struct shared) + count * sizeof(double);
	struct shared *shared =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int code = EXIT_OK;
	double begun = 0;
	bool lived;

	memset(run, 0, sizeof(*run));
	if (shared == MAP_FAILED) {
		cli_error("bench: no memory for %zu figures", count);
		return EXIT_FAILED;
	}
	lived = measure(load, shared, &begun);
	if (cli_interrupted()) {
		code = cli_interrupted_code();
	} else if (atomic_load(&shared->failed)) {
		code = cli_report("bench", &shared->error);
	} else if (!lived) {
		cli_error("bench: a process died, or could not be started");
		code = EXIT_FAILED;
	}
	if (!code)
		take_figures(load, shared, begun, run);
	munmap(shared, size);
	return code;
}
