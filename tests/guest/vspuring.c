// SPDX-License-Identifier: MIT
/*
 * vspuring - requests as io_uring commands
 *
 * usage: vspuring [NAME=VALUE]... < HEAD
 *
 *   count=N, depth=N        commands in all, and in flight at a time (1, 1); one ring
 *   last=ERRNO              none is submitted after the first that ends so
 *   rings=N                 rings of that kind, one after the other (1)
 *   data_len=N, data_valid=N, seed=N, expect=N, timeout=MS, response_len=N, offset=N
 *                           as in vspload
 *   fixed=1                 the data buffers are registered with io_uring
 *   personality=UID         with the credentials of that user, registered with io_uring
 *   sqe128=0, cqe32=0       a ring without large entries
 *   defer=1, sqpoll=1       other kinds of ring
 *   async=1                 IOSQE_ASYNC
 *   op=NUMBER               another command
 *   set.FIELD=NUMBER        the field has this value: guid (its first 8 bytes), timeout,
 *                           request_len, response_len, data_len, data_valid, flags,
 *                           request_buffer, response_buffer, data_buffer, status,
 *                           response_out, buffer_id, reserved
 *   set.uring_flags, set.buf_index=NUMBER   io_uring's own
 *   dev=PATH, nonblock=1
 *   then=wait|exit|exec|close|ring|munmap|fork   after the first commands were
 *                           submitted, and "submitted" was printed (wait)
 *
 * exit, exec and ring wait for SIGUSR1 first.  Prints one line of JSON: outcomes by
 * "RESULT/STATUS/HTTP STATUS", and how many had wrong data.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "pattern.h"

/* As published: include/uapi/misc/hv_azure_blob.h */
#define NR_REQUEST 0xc05052f4u
#define ENTRY_PAYLOAD 48
#define OP_URING_CMD 46
#define CMD_FIXED 1u

#define MAX_OUTCOMES 64
#define PAGE 4096u

struct wire {
	uint8_t guid[16];
	uint32_t timeout, request_len, response_len, data_len, data_valid, flags;
	uint64_t request_buffer, response_buffer, data_buffer;
	uint32_t status, response_out, buffer_id, reserved;
};
_Static_assert(sizeof(struct wire) == 80, "published");

struct slot {
	unsigned char *data, *response;
};

struct outcome {
	int result;
	uint32_t status, http;
	uint64_t count;
};

static struct outcome outcomes[MAX_OUTCOMES];
static uint64_t wrong;
static char head[1 << 16];
static size_t head_length;
static int argc;
static char **argv;
static struct slot *slots;
static uint64_t depth, data_len, offset, response_len;
static unsigned char *request;
static uint16_t personality;

static void die(const char *what)
{
	fprintf(stderr, "vspuring: %s: %s\n", what, strerror(errno));
	exit(2);
}

static const char *option(const char *name)
{
	size_t length = strlen(name);

	for (int i = 1; i < argc; i++) {
		if (!strncmp(argv[i], name, length) && argv[i][length] == '=')
			return argv[i] + length + 1;
	}
	return NULL;
}

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *text = option(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static void *map(size_t length)
{
	void *p = mmap(NULL, length, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

static void make_slots(void)
{
	slots = calloc(depth, sizeof(*slots));
	request = map(sizeof(head));
	memcpy(request, head, head_length);
	for (uint64_t i = 0; i < depth; i++) {
		slots[i].data = (unsigned char *)map(data_len + offset + PAGE) + offset;
		slots[i].response = map(response_len + PAGE);
		if (number("data_valid", 0))
			pattern_fill(slots[i].data, data_len, number("seed", 0), 0);
	}
}

/* They are those of the program at this moment. */
static void register_personality(struct io_uring *ring)
{
	uid_t uid = (uid_t)number("personality", 0);
	int id;

	if (setresuid(uid, uid, 0))
		die("setresuid");
	id = io_uring_register_personality(ring);
	errno = -id;
	if (id < 0)
		die("register personality");
	personality = (uint16_t)id;
	if (setresuid(0, 0, 0))
		die("setresuid");
}

static void make_ring(struct io_uring *ring)
{
	struct io_uring_params params = { 0 };

	if (number("sqe128", 1))
		params.flags |= IORING_SETUP_SQE128;
	if (number("cqe32", 1))
		params.flags |= IORING_SETUP_CQE32;
	if (number("defer", 0))
		params.flags |= IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
	if (number("sqpoll", 0))
		params.flags |= IORING_SETUP_SQPOLL;
	errno = -io_uring_queue_init_params((unsigned int)depth, ring, &params);
	if (errno)
		die("io_uring_setup");
	if (number("fixed", 0)) {
		struct iovec *iov = calloc(depth, sizeof(*iov));
		struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };

		setrlimit(RLIMIT_MEMLOCK, &all);
		for (uint64_t i = 0; i < depth; i++)
			iov[i] = (struct iovec){ slots[i].data, data_len };
		errno = -io_uring_register_buffers(ring, iov, (unsigned int)depth);
		if (errno)
			die("register buffers");
		free(iov);
	}
	if (option("personality"))
		register_personality(ring);
}

static void submit(struct io_uring *ring, int fd, uint64_t slot)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct wire wire = { .timeout = (uint32_t)number("timeout", 60000) };
	uint64_t guid = number("set.guid", slot + 1);

	if (!sqe) {
		errno = ENOSPC;
		die("submission queue");
	}
	memset(sqe, 0, 64);
	sqe->opcode = OP_URING_CMD;
	sqe->fd = fd;
	sqe->flags = number("async", 0) ? IOSQE_ASYNC : 0;
	sqe->off = number("op", NR_REQUEST); /* cmd_op is its lower half */
	sqe->rw_flags = (int)number("set.uring_flags", number("fixed", 0) ? CMD_FIXED : 0);
	sqe->buf_index = (uint16_t)number("set.buf_index", number("fixed", 0) ? slot : 0);
	sqe->user_data = slot;
	sqe->personality = personality;

	memcpy(wire.guid, &guid, sizeof(guid));
	wire.timeout = (uint32_t)number("set.timeout", wire.timeout);
	wire.request_len = (uint32_t)number("set.request_len", head_length);
	wire.response_len = (uint32_t)number("set.response_len", response_len);
	wire.data_len = (uint32_t)number("set.data_len", data_len);
	wire.data_valid = (uint32_t)number("set.data_valid", number("data_valid", 0));
	wire.flags = (uint32_t)number("set.flags", 0);
	wire.request_buffer = number("set.request_buffer", (uintptr_t)request);
	wire.response_buffer = number("set.response_buffer", (uintptr_t)slots[slot].response);
	wire.data_buffer = number("set.data_buffer", data_len ? (uintptr_t)slots[slot].data : 0);
	wire.status = (uint32_t)number("set.status", 0);
	wire.response_out = (uint32_t)number("set.response_out", 0);
	wire.buffer_id = (uint32_t)number("set.buffer_id", 0);
	wire.reserved = (uint32_t)number("set.reserved", 0);
	memset(slots[slot].response, 0, 64);
	if (option("expect"))
		memset(slots[slot].data, 0, data_len < PAGE ? data_len : PAGE);
	/* The second half of a small entry is the next one's first. */
	memcpy((char *)sqe + ENTRY_PAYLOAD, &wire,
	       number("sqe128", 1) ? sizeof(wire) : 64 - ENTRY_PAYLOAD);
}

static void count(const struct io_uring_cqe *cqe)
{
	struct slot *slot = &slots[cqe->user_data];
	uint32_t status = 0, http = 0;

	if (cqe->res == 0 && number("cqe32", 1)) {
		uint64_t word = cqe->big_cqe[0];

		status = (uint32_t)word;
		if (word >> 32 > response_len)
			wrong++;
		if (!status && slot->response)
			sscanf((char *)slot->response, "HTTP/1.1 %3u", &http);
	}
	if (option("expect") && slot->data && cqe->res == 0 && http / 100 == 2 &&
	    pattern_check(slot->data, data_len, number("expect", 0), 0) >= 0)
		wrong++;
	for (int i = 0; i < MAX_OUTCOMES; i++) {
		struct outcome *o = &outcomes[i];

		if (!o->count)
			*o = (struct outcome){ cqe->res, status, http, 0 };
		if (o->result == cqe->res && o->status == status && o->http == http) {
			o->count++;
			break;
		}
	}
}

static void wait_usr1(void)
{
	sigset_t set;
	int got;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigwait(&set, &got);
}

/* Returns the process to wait for, or 0. */
static pid_t do_then(struct io_uring *ring, int *fd)
{
	const char *then = option("then");
	pid_t pid = 0;

	printf("submitted\n");
	fflush(stdout);
	if (!then || !strcmp(then, "wait"))
		return 0;
	if (!strcmp(then, "exit")) {
		wait_usr1();
		_exit(0);
	}
	if (!strcmp(then, "exec")) {
		wait_usr1();
		execl("/proc/self/exe", "vspuring", "then=executed", NULL);
		die("exec");
	}
	if (!strcmp(then, "ring")) {
		wait_usr1();
		io_uring_queue_exit(ring);
		printf("ring gone\n");
		fflush(stdout);
		wait_usr1();
		_exit(0);
	}
	if (!strcmp(then, "close")) {
		close(*fd);
		*fd = -1;
	} else if (!strcmp(then, "munmap")) {
		for (uint64_t i = 0; i < depth; i++) {
			munmap(slots[i].data - offset, data_len + offset + PAGE);
			slots[i].data = NULL;
		}
	} else if (!strcmp(then, "fork")) {
		pid = fork();
		if (pid < 0)
			die("fork");
		if (!pid) {
			/* Its own copies, whoever copies. */
			for (uint64_t i = 0; i < depth; i++)
				memset(slots[i].data, 0x5a, data_len);
			_exit(0);
		}
	} else {
		errno = EINVAL;
		die(then);
	}
	return pid;
}

static void run(uint64_t total)
{
	const char *dev = option("dev");
	int fd = open(dev ? dev : "/dev/azure_blob",
		      O_RDWR | O_CLOEXEC | (number("nonblock", 0) ? O_NONBLOCK : 0));
	uint64_t submitted = 0, done = 0;
	struct io_uring ring;
	pid_t child;

	if (fd < 0)
		die("open");
	make_ring(&ring);
	while (submitted < depth && submitted < total)
		submit(&ring, fd, submitted++);
	if (io_uring_submit(&ring) < 0)
		die("submit");
	child = do_then(&ring, &fd);
	while (done < submitted) {
		struct io_uring_cqe *cqe;
		uint64_t slot;
		int ret = io_uring_submit_and_wait(&ring, 1);

		if (ret == -EINTR)
			continue;
		if (ret < 0 || io_uring_peek_cqe(&ring, &cqe)) {
			errno = ret < 0 ? -ret : EAGAIN;
			die("wait");
		}
		do {
			slot = cqe->user_data;
			count(cqe);
			/* What is in flight still ends, one way or the other. */
			if (cqe->res < 0 && (uint64_t)-cqe->res == number("last", 0))
				total = submitted;
			io_uring_cqe_seen(&ring, cqe);
			done++;
			if (submitted < total) {
				submit(&ring, fd, slot);
				submitted++;
			}
		} while (!io_uring_peek_cqe(&ring, &cqe));
	}
	if (child)
		waitpid(child, NULL, 0);
	io_uring_queue_exit(&ring);
	if (fd >= 0)
		close(fd);
}

int main(int count_of, char **values)
{
	struct timespec begin, end;
	bool first = true;
	sigset_t set;

	argc = count_of;
	argv = values;
	if (option("then") && !strcmp(option("then"), "executed")) {
		printf("executed\n");
		return 0;
	}
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	head_length = fread(head, 1, sizeof(head), stdin);
	depth = number("depth", 1);
	data_len = number("data_len", 0);
	offset = number("offset", 0);
	response_len = number("response_len", 16384);
	make_slots();
	clock_gettime(CLOCK_MONOTONIC, &begin);
	for (uint64_t i = 0; i < number("rings", 1); i++)
		run(number("count", depth));
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("{\"wrong\": %llu, \"seconds\": %.6f, \"outcomes\": {", (unsigned long long)wrong,
	       (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9);
	for (int i = 0; i < MAX_OUTCOMES && outcomes[i].count; i++) {
		struct outcome *o = &outcomes[i];

		printf("%s\"%d/0x%x/%u\": %llu", first ? "" : ", ", o->result, o->status, o->http,
		       (unsigned long long)o->count);
		first = false;
	}
	printf("}}\n");
	return 0;
}
