// SPDX-License-Identifier: MIT
/*
 * vspcancel - requests under way, what their program does meanwhile, and calls that
 * cancel them
 *
 * usage: vspcancel STEP... < HEAD
 *
 *   file=N              0 to 3: the open file of what follows (0); opened at first use
 *   thread=NAME[,BYTES] a thread makes a request by ioctl, whose guid is all NAME
 *   command=NAME[,BYTES]  the same as an io_uring command
 *   cancel=NAME[,FLAGS[,SIZE[,ENDED[,TOLD[,BEYOND]]]]]
 *                       prints "cancel RESULT ENDED TOLD": 0 or a negative errno, and
 *                       what is in the structure then
 *   cancel_at=ADDRESS   in place of the address of the structure
 *   cancel_ro=NAME      the structure is in memory that can only be read
 *   close               the file; threads that are in the driver keep it
 *   munmap              the data of all requests
 *   fork                a child that writes to the data of all requests, and ends
 *   exec                this program again, which prints "executed"
 *   check=SEED          prints "check N": how many of the requests have not this pattern
 *   say=WORD, wait      prints WORD; waits for SIGUSR1
 *   join                waits for all requests; prints "NAME RESULT/STATUS/HTTP" of each
 *                       in the order in which they were started
 *   storm=N,LOOPS,BYTES N threads and N commands, LOOPS requests each, while another
 *                       thread cancels them all the time; prints each outcome and how often
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pattern.h"

/* As published: include/uapi/misc/hv_azure_blob.h */
#define NR_CANCEL 0x52f5u
#define NR_REQUEST 0xc05052f4u
#define OP_URING_CMD 46
#define PAGE 4096u
#define RESPONSE 16384u
#define MAX_SLOTS 64

struct cancel {
	uint32_t size, flags;
	uint8_t guid[16];
	uint32_t ended, told;
	uint64_t beyond[4];
};

struct request {
	uint8_t guid[16];
	uint32_t timeout, request_len, response_len, data_len, data_valid, flags;
	uint64_t request_buffer, response_buffer, data_buffer;
	uint32_t status, response_out, id, reserved;
};
_Static_assert(sizeof(struct request) == 80, "published");

struct slot {
	unsigned int name, loops;
	int fd;
	size_t bytes;
	unsigned char *request, *response, *data;
	pthread_t thread;
	int is_command, result;
	uint32_t status, http;
};

struct outcome {
	int result;
	uint32_t status, http;
	unsigned long count;
};

static char head[1 << 16];
static size_t head_length;
static int files[4] = { -1, -1, -1, -1 };
static unsigned int file;
static struct slot slots[MAX_SLOTS];
static unsigned int nr_slots, nr_commands;
static struct io_uring ring;
static int has_ring, storm_over;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct outcome outcomes[16];

static void die(const char *what)
{
	fprintf(stderr, "vspcancel: %s: %s\n", what, strerror(errno));
	exit(2);
}

static uint64_t value_or(char **text, uint64_t otherwise)
{
	uint64_t v = otherwise;

	if (*text && **text) {
		v = strtoull(*text, text, 0);
		if (**text == ',')
			++*text;
	}
	return v;
}

static void *map(size_t length)
{
	void *p = mmap(NULL, length, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

static int current_file(void)
{
	if (files[file] < 0)
		files[file] = open("/dev/azure_blob", O_RDWR | O_CLOEXEC);
	if (files[file] < 0)
		die("/dev/azure_blob");
	return files[file];
}

static struct slot *new_slot(unsigned int name, size_t bytes)
{
	struct slot *slot = &slots[nr_slots++];

	if (nr_slots > MAX_SLOTS) {
		errno = ENOSPC;
		die("requests");
	}
	slot->name = name;
	slot->bytes = bytes;
	slot->fd = current_file();
	slot->loops = 1;
	slot->request = map(sizeof(head));
	memcpy(slot->request, head, head_length);
	slot->response = map(RESPONSE);
	slot->data = bytes ? map(bytes) : NULL;
	return slot;
}

static struct request make_request(struct slot *slot)
{
	struct request r = {
		.request_len = (uint32_t)head_length,
		.response_len = RESPONSE,
		.data_len = (uint32_t)slot->bytes,
		.request_buffer = (uintptr_t)slot->request,
		.response_buffer = (uintptr_t)slot->response,
		.data_buffer = (uintptr_t)slot->data,
	};

	memset(r.guid, (int)slot->name, sizeof(r.guid));
	memset(slot->response, 0, 64);
	return r;
}

static void note(struct slot *slot, int result, uint32_t status)
{
	slot->result = result;
	slot->status = status;
	slot->http = 0;
	if (!result && !status)
		sscanf((char *)slot->response, "HTTP/1.1 %3u", &slot->http);
	pthread_mutex_lock(&lock);
	for (struct outcome *o = outcomes; o < outcomes + 16; o++) {
		if (!o->count)
			*o = (struct outcome){ result, slot->status, slot->http, 0 };
		if (o->result == result && o->status == slot->status && o->http == slot->http) {
			o->count++;
			break;
		}
	}
	pthread_mutex_unlock(&lock);
}

static void *run_thread(void *arg)
{
	struct slot *slot = arg;

	while (slot->loops--) {
		struct request r = make_request(slot);
		int result = ioctl(slot->fd, NR_REQUEST, &r) < 0 ? -errno : 0;

		note(slot, result, result ? 0 : r.status);
	}
	return NULL;
}

static void start_thread(struct slot *slot)
{
	errno = pthread_create(&slot->thread, NULL, run_thread, slot);
	if (errno)
		die("thread");
}

static void start_command(struct slot *slot)
{
	struct io_uring_params params = { .flags = IORING_SETUP_SQE128 | IORING_SETUP_CQE32 };
	struct request r = make_request(slot);
	struct io_uring_sqe *sqe;

	if (!has_ring) {
		errno = -io_uring_queue_init_params(MAX_SLOTS, &ring, &params);
		if (errno)
			die("io_uring_setup");
		has_ring = 1;
	}
	slot->is_command = 1;
	slot->loops--;
	sqe = io_uring_get_sqe(&ring);
	if (!sqe)
		die("submission queue");
	memset(sqe, 0, 128);
	sqe->opcode = OP_URING_CMD;
	sqe->fd = slot->fd;
	sqe->off = NR_REQUEST;
	sqe->user_data = (uintptr_t)slot;
	memcpy((char *)sqe + 48, &r, sizeof(r));
	if (io_uring_submit(&ring) != 1)
		die("submit");
	nr_commands++;
}

/* Ends when no command is left, and starts again those that have loops. */
static void run_commands(void)
{
	struct io_uring_cqe *cqe;
	struct slot *slot;
	int ret;

	while (nr_commands) {
		ret = io_uring_wait_cqe(&ring, &cqe);
		if (ret == -EINTR)
			continue;
		errno = -ret;
		if (ret)
			die("wait");
		slot = (struct slot *)(uintptr_t)cqe->user_data;
		note(slot, cqe->res, cqe->res ? 0 : (uint32_t)cqe->big_cqe[0]);
		io_uring_cqe_seen(&ring, cqe);
		nr_commands--;
		if (slot->loops)
			start_command(slot);
	}
}

static void print_cancel(int result, const struct cancel *c)
{
	printf("cancel %d %u %u\n", result, c->ended, c->told);
}

static void do_cancel(char *text)
{
	struct cancel c = { 0 };

	memset(c.guid, (int)value_or(&text, 0), sizeof(c.guid));
	c.flags = (uint32_t)value_or(&text, 0);
	c.size = (uint32_t)value_or(&text, 32);
	c.ended = (uint32_t)value_or(&text, 0);
	c.told = (uint32_t)value_or(&text, 0);
	c.beyond[0] = value_or(&text, 0);
	print_cancel(ioctl(current_file(), NR_CANCEL, &c) < 0 ? -errno : 0, &c);
}

static void do_cancel_read_only(char *text)
{
	struct cancel *c = map(PAGE);

	memset(c->guid, (int)value_or(&text, 0), sizeof(c->guid));
	c->size = 32;
	mprotect(c, PAGE, PROT_READ);
	print_cancel(ioctl(current_file(), NR_CANCEL, c) < 0 ? -errno : 0, c);
}

static void join_all(void)
{
	run_commands();
	for (struct slot *slot = slots; slot < slots + nr_slots; slot++) {
		if (!slot->is_command)
			pthread_join(slot->thread, NULL);
		printf("%u %d/0x%x/%u\n", slot->name, slot->result, slot->status, slot->http);
	}
}

static void *canceller(void *arg)
{
	unsigned int names = *(unsigned int *)arg;
	unsigned long calls = 0;

	for (unsigned int name = 0; !__atomic_load_n(&storm_over, __ATOMIC_SEQ_CST);
	     name = (name + 1) % names) {
		struct cancel c = { .size = 32 };

		memset(c.guid, (int)name, sizeof(c.guid));
		if (ioctl(files[file], NR_CANCEL, &c) < 0 && errno != ENOENT)
			die("cancel");
		calls++;
	}
	return (void *)calls;
}

static void do_storm(char *text)
{
	unsigned int n = (unsigned int)value_or(&text, 4), names = 2 * n;
	unsigned int loops = (unsigned int)value_or(&text, 1);
	size_t bytes = value_or(&text, 0);
	pthread_t thread;
	void *calls;

	for (unsigned int i = 0; i < names; i++)
		new_slot(i, bytes)->loops = loops;
	errno = pthread_create(&thread, NULL, canceller, &names);
	if (errno)
		die("thread");
	for (unsigned int i = 0; i < n; i++)
		start_thread(&slots[i]);
	for (unsigned int i = n; i < names; i++)
		start_command(&slots[i]);
	run_commands();
	for (unsigned int i = 0; i < n; i++)
		pthread_join(slots[i].thread, NULL);
	__atomic_store_n(&storm_over, 1, __ATOMIC_SEQ_CST);
	pthread_join(thread, &calls);
	for (struct outcome *o = outcomes; o < outcomes + 16 && o->count; o++)
		printf("%d/0x%x/%u %lu\n", o->result, o->status, o->http, o->count);
	printf("calls %lu\n", (unsigned long)calls);
}

static void do_wait(void)
{
	sigset_t set;
	int got;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigwait(&set, &got);
}

static void do_munmap(void)
{
	for (struct slot *slot = slots; slot < slots + nr_slots; slot++) {
		munmap(slot->data, slot->bytes);
		slot->data = NULL;
	}
}

static void do_fork(void)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (!pid) {
		/* Its own copies, whoever copies. */
		for (struct slot *slot = slots; slot < slots + nr_slots; slot++)
			memset(slot->data, 0x5a, slot->bytes);
		_exit(0);
	}
	if (waitpid(pid, NULL, 0) != pid)
		die("child");
}

static void do_check(unsigned long seed)
{
	unsigned int wrong = 0;

	for (struct slot *slot = slots; slot < slots + nr_slots; slot++)
		wrong += pattern_check(slot->data, slot->bytes, seed, 0) >= 0;
	printf("check %u\n", wrong);
}

static void step(char *name)
{
	char *text = strchr(name, '=');
	struct cancel none = { 0 };
	unsigned int guid;

	if (text)
		*text++ = '\0';
	if (!strcmp(name, "file")) {
		file = (unsigned int)value_or(&text, 0) & 3;
		current_file();
	} else if (!strcmp(name, "thread")) {
		guid = (unsigned int)value_or(&text, 0);
		start_thread(new_slot(guid, value_or(&text, 0)));
	} else if (!strcmp(name, "command")) {
		guid = (unsigned int)value_or(&text, 0);
		start_command(new_slot(guid, value_or(&text, 0)));
	} else if (!strcmp(name, "cancel")) {
		do_cancel(text);
	} else if (!strcmp(name, "cancel_ro")) {
		do_cancel_read_only(text);
	} else if (!strcmp(name, "cancel_at")) {
		print_cancel(ioctl(current_file(), NR_CANCEL, value_or(&text, 0)) < 0 ? -errno : 0,
			     &none);
	} else if (!strcmp(name, "close")) {
		close(files[file]);
		files[file] = -1;
	} else if (!strcmp(name, "munmap")) {
		do_munmap();
	} else if (!strcmp(name, "fork")) {
		do_fork();
	} else if (!strcmp(name, "exec")) {
		execl("/proc/self/exe", "vspcancel", "executed", NULL);
		die("exec");
	} else if (!strcmp(name, "executed")) {
		printf("executed\n");
	} else if (!strcmp(name, "check")) {
		do_check(value_or(&text, 0));
	} else if (!strcmp(name, "say")) {
		printf("%s\n", text);
	} else if (!strcmp(name, "wait")) {
		do_wait();
	} else if (!strcmp(name, "join")) {
		join_all();
	} else if (!strcmp(name, "storm")) {
		do_storm(text);
	} else {
		errno = EINVAL;
		die(name);
	}
	fflush(stdout);
}

int main(int argc, char **argv)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	head_length = fread(head, 1, sizeof(head), stdin);
	for (int i = 1; i < argc; i++)
		step(argv[i]);
	return 0;
}
