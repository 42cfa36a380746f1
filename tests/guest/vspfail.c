// SPDX-License-Identifier: MIT
/*
 * vspfail - each allocation, and each copy from or to user space, of a call fails once
 *
 * usage: vspfail [--twice] CALL < HEAD
 *
 *   open, info, register (and deregister)
 *   f0|legacy|v1|f4     a request by that ioctl, with 64 KiB of data
 *   registered          a request in a registered buffer
 *   command, fixed      a request as an io_uring command; in a buffer of io_uring's
 *   cancel=NAME         a request of its own whose guid is all NAME, which has to be
 *                       in flight: prints "ready" when its thread runs, waits for SIGUSR1
 *   write=FILE,TEXT[,FILE,TEXT]  TEXT into the first file; into the second one, with no
 *                       failure, when that worked
 *   insmod=FILE         load that module; and unload it, with no failure
 *
 * The call is made again and again: its first chance to fail is taken in the first run,
 * the second one in the next, until a run has none left.  Needs a kernel with
 * FAULT_INJECTION.  Prints "injected N", "refused N", and "errno N TIMES" for each
 * errno that the call gave.  A run without a failure has to work, or the status is 1.
 *
 * With --twice the next allocation of slab memory fails too, for what has another way
 * to its memory.  That takes a failslab in debugfs that fails all (probability 100) of
 * marked tasks (task-filter) and none of them yet (times 0).
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vspraw.h"

#define NR_INFO 0x52f1u
#define NR_REGISTER 0x52f2u
#define NR_DEREGISTER 0x52f3u
#define NR_CANCEL 0x52f5u
#define OP_URING_CMD 46
#define CMD_FIXED 1u
#define PAGE 4096u
#define DATA (16 * PAGE)
#define RESPONSE 16384u
#define MOST 5000

struct reg {
	uint32_t size, flags;
	uint64_t address, length;
	uint32_t id, reserved;
};

struct dereg {
	uint32_t size, flags, id, reserved;
};

static char head[1 << 16];
static size_t head_length;
static unsigned char *data, *response;
static int fd, fail_fd, times_fd = -1;
static char *argument;
static struct io_uring ring;
static unsigned int errors[4096], injected, refused;

static void die(const char *what)
{
	fprintf(stderr, "vspfail: %s: %s\n", what, strerror(errno));
	exit(2);
}

/* What the kernel does for that may be what fails: again, then. */
static void put_number(int file, unsigned int number)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "%u", number);

	while (write(file, text, (size_t)length) < 0) {
		if (errno != EFAULT && errno != ENOMEM)
			die("fault injection");
	}
}

/* The n-th chance; 0: none from now on. */
static void set_failure(unsigned int nth)
{
	/* While there is an n, it alone decides; that one counts among the times. */
	if (nth && times_fd >= 0)
		put_number(times_fd, 2);
	put_number(fail_fd, nth);
	if (!nth && times_fd >= 0)
		put_number(times_fd, 0);
}

/* Marks this task, with all that it may do without a failure done before. */
static void fail_twice(void)
{
	int mark = open("/proc/thread-self/make-it-fail", O_WRONLY);

	times_fd = open("/sys/kernel/debug/failslab/times", O_WRONLY);
	if (mark < 0 || times_fd < 0)
		die("fault injection");
	put_number(times_fd, 0);
	put_number(mark, 1);
	close(mark);
}

static bool has_failed(void)
{
	char text[16] = { 0 };

	/* What is not zero has not happened, and may have now. */
	return pread(fail_fd, text, sizeof(text) - 1, 0) > 0 && atoi(text) == 0;
}

static void *map(size_t length)
{
	void *p = mmap(NULL, length, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

static int check(long result)
{
	return result < 0 ? -errno : 0;
}

static int do_open(void)
{
	int other = open("/dev/azure_blob", O_RDWR);

	if (other < 0)
		return -errno;
	close(other);
	return 0;
}

static int do_info(void)
{
	uint64_t info[16] = { 64 };

	return check(ioctl(fd, NR_INFO, info));
}

static void fill(unsigned char *raw, uint32_t nr, uint64_t name)
{
	memset(raw, 0, RAW_LARGEST);
	memset(raw, (int)name, 16);
	raw_set(raw, nr, RAW_REQUEST_LEN, head_length);
	raw_set(raw, nr, RAW_RESPONSE_LEN, RESPONSE);
	raw_set(raw, nr, RAW_DATA_LEN, DATA);
	raw_set(raw, nr, RAW_REQUEST_BUFFER, (uintptr_t)head);
	raw_set(raw, nr, RAW_RESPONSE_BUFFER, (uintptr_t)response);
	raw_set(raw, nr, RAW_DATA_BUFFER, (uintptr_t)data);
}

static uint32_t request_nr;

static int do_request(void)
{
	unsigned char raw[RAW_LARGEST];

	fill(raw, request_nr, 0);
	return check(ioctl(fd, request_nr, raw));
}

/* Returns its id, or a negative errno. */
static int do_register_only(void)
{
	struct reg reg = { .size = sizeof(reg), .address = (uintptr_t)data, .length = DATA };

	return ioctl(fd, NR_REGISTER, &reg) < 0 ? -errno : (int)reg.id;
}

static int do_deregister_only(int id)
{
	struct dereg dereg = { .size = sizeof(dereg), .id = (uint32_t)id };

	return check(ioctl(fd, NR_DEREGISTER, &dereg));
}

static int registered;

static int do_register(void)
{
	registered = do_register_only();
	return registered < 0 ? registered : do_deregister_only(registered);
}

/*
 * The next run is to find the device's table of ids empty.  A buffer that was refused in
 * the midst gives its id back when the host has forgotten it, which nobody waits for; the
 * smallest one is had again then.
 */
static void undo_register(int ret)
{
	int id = registered;

	if (!ret)
		return;
	if (id > 0 && do_deregister_only(id))
		die("deregister");
	do {
		id = do_register_only();
		if (id < 0 || do_deregister_only(id))
			die("register");
	} while (id != 1);
}

static int do_registered(void)
{
	unsigned char raw[RAW_LARGEST];

	fill(raw, NR_F4, 0);
	raw_set(raw, NR_F4, RAW_RESERVED, 1); /* flags: the data is in the buffer */
	raw_set(raw, NR_F4, RAW_BUFFER_ID, (uint64_t)registered);
	raw_set(raw, NR_F4, RAW_DATA_BUFFER, 0);
	return check(ioctl(fd, NR_F4, raw));
}

static bool fixed;

static int do_command(void)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);
	struct io_uring_cqe *cqe;
	unsigned char raw[RAW_LARGEST];
	int ret;

	if (!sqe)
		die("submission queue");
	memset(sqe, 0, 128);
	fill(raw, NR_F4, 0);
	sqe->opcode = OP_URING_CMD;
	sqe->fd = fd;
	sqe->off = NR_F4;
	sqe->rw_flags = fixed ? CMD_FIXED : 0;
	memcpy((char *)sqe + 48, raw, RAW_LARGEST);
	/* io_uring without memory for the entry leaves it there. */
	while ((ret = io_uring_submit(&ring)) == -EAGAIN || ret == -ENOMEM || ret == -EFAULT)
		;
	if (ret != 1)
		die("submit");
	while ((ret = io_uring_wait_cqe(&ring, &cqe)))
		if (ret != -EINTR && ret != -EFAULT && ret != -ENOMEM && ret != -EAGAIN)
			die("wait");
	ret = cqe->res;
	io_uring_cqe_seen(&ring, cqe);
	return ret;
}

static void *hold(void *arg)
{
	unsigned char raw[RAW_LARGEST];

	fill(raw, NR_F4, (uintptr_t)arg);
	ioctl(fd, NR_F4, raw);
	return NULL;
}

static int do_cancel(void)
{
	struct {
		uint32_t size, flags;
		uint8_t guid[16];
		uint32_t ended, told;
	} cancel = { .size = 32 };

	memset(cancel.guid, atoi(argument), sizeof(cancel.guid));
	return check(ioctl(fd, NR_CANCEL, &cancel));
}

static int write_text(const char *path, const char *text)
{
	int file = open(path, O_WRONLY), ret;

	if (file < 0)
		return -errno;
	ret = check(write(file, text, strlen(text)));
	close(file);
	return ret;
}

static char *words[4];

static int do_write(void)
{
	int file = open(words[0], O_WRONLY), ret;

	if (file < 0)
		return -errno;
	ret = check(write(file, words[1], strlen(words[1])));
	close(file);
	return ret;
}

static int do_insmod(void)
{
	int file = open(argument, O_RDONLY | O_CLOEXEC), ret;

	if (file < 0)
		return -errno;
	ret = check(syscall(SYS_finit_module, file, "", 0));
	close(file);
	return ret;
}

/* A module has the name of its file. */
static void unload(const char *path)
{
	const char *slash = strrchr(path, '/');
	char name[64];

	snprintf(name, sizeof(name), "%s", slash ? slash + 1 : path);
	name[strcspn(name, ".")] = '\0';
	if (syscall(SYS_delete_module, name, O_NONBLOCK))
		die(name);
}

/* What has to be undone before the next run, with no failure. */
static void undo(int ret, int (*call)(void))
{
	if (call == do_register)
		undo_register(ret);
	if (ret)
		return;
	if (call == do_insmod)
		unload(argument);
	if (call == do_write && words[2] && write_text(words[2], words[3]))
		die(words[2]);
}

static void run(int (*call)(void))
{
	unsigned int n;
	int ret;

	for (n = 1; n < MOST; n++) {
		bool failed;

		set_failure(n);
		ret = call();
		failed = has_failed();
		set_failure(0);
		undo(ret, call);
		if (!failed) {
			/* One that could only not be told of its success has been cancelled. */
			if (!ret || (call == do_cancel && ret == -ENOENT))
				return;
			fprintf(stderr, "vspfail: %s with no failure\n", strerror(-ret));
			exit(1);
		}
		injected++;
		if (ret) {
			refused++;
			errors[-ret & 4095]++;
		}
	}
	fprintf(stderr, "vspfail: there is no end to it\n");
	exit(1);
}

static void start_ring(void)
{
	struct io_uring_params params = { .flags = IORING_SETUP_SQE128 | IORING_SETUP_CQE32 };
	struct iovec iov = { data, DATA };

	errno = -io_uring_queue_init_params(4, &ring, &params);
	if (errno)
		die("io_uring_setup");
	errno = fixed ? -io_uring_register_buffers(&ring, &iov, 1) : 0;
	if (errno)
		die("register buffers");
}

static void start_held(void)
{
	pthread_t thread;
	sigset_t set;
	int got;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (pthread_create(&thread, NULL, hold, (void *)(uintptr_t)atoi(argument)))
		die("thread");
	printf("ready\n");
	fflush(stdout);
	sigwait(&set, &got);
}

int main(int argc, char **argv)
{
	bool twice = argc > 1 && !strcmp(argv[1], "--twice");
	char *call = argc > 1 + twice ? argv[1 + twice] : "";
	int (*function)(void) = NULL;

	head_length = fread(head, 1, sizeof(head), stdin);
	data = map(DATA);
	response = map(RESPONSE);
	argument = strchr(call, '=');
	if (argument)
		*argument++ = '\0';
	fail_fd = open("/proc/thread-self/fail-nth", O_RDWR);
	if (fail_fd < 0)
		die("/proc/thread-self/fail-nth");
	if (strcmp(call, "write") && strcmp(call, "insmod")) {
		fd = open("/dev/azure_blob", O_RDWR);
		if (fd < 0)
			die("/dev/azure_blob");
	}
	if (!strcmp(call, "open")) {
		function = do_open;
	} else if (!strcmp(call, "info")) {
		function = do_info;
	} else if (!strcmp(call, "register")) {
		function = do_register;
	} else if (!strcmp(call, "registered")) {
		registered = do_register_only();
		if (registered < 0)
			die("register");
		function = do_registered;
	} else if (!strcmp(call, "command") || !strcmp(call, "fixed")) {
		fixed = !strcmp(call, "fixed");
		start_ring();
		function = do_command;
	} else if (!strcmp(call, "cancel") && argument) {
		start_held();
		function = do_cancel;
	} else if (!strcmp(call, "write") && argument) {
		for (int i = 0; i < 4; i++)
			words[i] = strsep(&argument, ",");
		function = do_write;
	} else if (!strcmp(call, "insmod") && argument) {
		function = do_insmod;
	} else {
		request_nr = raw_number(call);
		function = do_request;
	}
	if (twice)
		fail_twice();
	run(function);
	printf("injected %u\nrefused %u\n", injected, refused);
	for (int i = 0; i < 4096; i++) {
		if (errors[i])
			printf("errno %d %u\n", i, errors[i]);
	}
	return 0;
}
