// SPDX-License-Identifier: MIT
/*
 * vspbuf - registered buffers, one step after the other
 *
 * usage: vspbuf STEP... < HEAD
 *
 *   map=BYTES           memory for what follows; @ is its address in numbers below
 *   file=BYTES[,PATH]   the same, a shared mapping of a file (/tmp/vspbuf)
 *   ro=BYTES            the same, private and read-only
 *   same=BYTES          the same, 16 MiB again and again
 *   hole                its last page is unmapped
 *   fill=SEED           the pattern, from the data's place on (see data=)
 *   register=ADDRESS,LENGTH[,FLAGS[,SIZE[,ID[,RESERVED[,BEYOND]]]]]
 *   deregister=ID[,FLAGS[,SIZE[,RESERVED[,BEYOND]]]]
 *   layout=REQUEST,RESPONSE,DATA,BYTES  places in the memory, and of how many bytes
 *   in=FLAGS            which of them are given as places in the buffer: 1 data,
 *                       2 request, 4 response
 *   id=ID               of the buffer; "last" is the last one that was registered
 *   call=VALID          a request by ioctl; VALID: data_valid
 *   thread=VALID, join  the same by another thread; waits for it, and prints "thread ..."
 *   uring=N,VALID       N commands at a time
 *   then=fork|exec|munmap|close  what is done when they are under way, before "done"; a
 *                       child writes to the memory; exec waits for SIGUSR1 first
 *   check=SEED          the data has to be the pattern
 *   open, close         another file on the device; the present one is closed
 *   uid=N               become that user, with no capabilities; memlock=BYTES
 *   munmap              the memory
 *   say=WORD, wait      prints WORD; waits for SIGUSR1
 *   limit=N             register the first page until that fails, at most N times
 *   child STEP... parent, reap   the steps are done by a child, which has the same open file;
 *                       "child PID"; waits for its end: "reap STATUS", negative for a signal
 *
 * Each step that does something prints "STEP RESULT": 0, or a negative errno; for a
 * request "RESULT/STATUS/HTTP STATUS"; for a register the id when it worked.
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
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pattern.h"

#define NR_REGISTER 0x52f2u
#define NR_DEREGISTER 0x52f3u
#define NR_REQUEST 0xc05052f4u
#define OP_URING_CMD 46
#define PAGE 4096u
#define SAME (16u << 20)

struct reg {
	uint32_t size, flags;
	uint64_t address, length;
	uint32_t id, reserved;
	uint64_t beyond[508];
};

struct dereg {
	uint32_t size, flags, id, reserved;
	uint64_t beyond[510];
};

struct request {
	uint8_t guid[16];
	uint32_t timeout, request_len, response_len, data_len, data_valid, flags;
	uint64_t request_buffer, response_buffer, data_buffer;
	uint32_t status, response_out, id, reserved;
};

static char head[1 << 16];
static size_t head_length;
static int fd = -1;
static unsigned char *memory;
static uint64_t mapped, request_at, response_at, data_at, data_len;
static uint32_t in_buffer, id, last;
static const char *then;
static struct request thread_request;
static int thread_result;
static pthread_t thread;
static pid_t child;

static void die(const char *what)
{
	fprintf(stderr, "vspbuf: %s: %s\n", what, strerror(errno));
	exit(2);
}

static uint64_t value(char **text)
{
	uint64_t base = 0, v;

	if (**text == '@') {
		base = (uintptr_t)memory;
		++*text;
		if (**text != '+' && **text != '-') {
			if (**text == ',')
				++*text;
			return base;
		}
	}
	if (!strncmp(*text, "last", 4)) {
		v = last;
		*text += 4;
	} else {
		v = strtoull(*text, text, 0);
	}
	if (**text == ',')
		++*text;
	return base + v;
}

static uint64_t value_or(char **text, uint64_t otherwise)
{
	return **text ? value(text) : otherwise;
}

static void open_device(void)
{
	if (fd >= 0)
		close(fd);
	fd = open("/dev/azure_blob", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		die("open");
}

/* More addresses than there is memory. */
static void map_same(uint64_t bytes)
{
	int file = memfd_create("same", 0);

	if (file < 0 || ftruncate(file, SAME))
		die("memfd");
	for (uint64_t at = 0; at < bytes; at += SAME) {
		uint64_t length = bytes - at < SAME ? bytes - at : SAME;

		if (mmap(memory + at, length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file,
			 0) == MAP_FAILED)
			die("mmap");
	}
	close(file);
	mapped = bytes;
}

static void do_map(const char *kind, uint64_t bytes, const char *path)
{
	int protection = PROT_READ | PROT_WRITE, flags = MAP_PRIVATE | MAP_ANONYMOUS, file = -1;

	if (!strcmp(kind, "ro"))
		protection = PROT_READ;
	if (!strcmp(kind, "file")) {
		path = *path ? path : "/tmp/vspbuf";
		file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
		if (file < 0 || ftruncate(file, (off_t)bytes))
			die(path);
		flags = MAP_SHARED;
	}
	if (!strcmp(kind, "same"))
		flags |= MAP_NORESERVE;
	memory = mmap(NULL, bytes, protection, flags, file, 0);
	if (memory == MAP_FAILED)
		die("mmap");
	if (!strcmp(kind, "same")) {
		map_same(bytes);
		return;
	}
	if (protection & PROT_WRITE)
		memset(memory, 0xee, bytes);
	mapped = bytes;
}

static int do_register(char *text)
{
	struct reg reg = { 0 };

	reg.address = value(&text);
	reg.length = value(&text);
	reg.flags = (uint32_t)value_or(&text, 0);
	reg.size = (uint32_t)value_or(&text, 32);
	reg.id = (uint32_t)value_or(&text, 0);
	reg.reserved = (uint32_t)value_or(&text, 0);
	reg.beyond[0] = value_or(&text, 0);
	if (ioctl(fd, NR_REGISTER, &reg) < 0)
		return -errno;
	last = reg.id;
	return (int)last;
}

static int do_deregister(char *text)
{
	struct dereg dereg = { 0 };

	dereg.id = (uint32_t)value(&text);
	dereg.flags = (uint32_t)value_or(&text, 0);
	dereg.size = (uint32_t)value_or(&text, 16);
	dereg.reserved = (uint32_t)value_or(&text, 0);
	dereg.beyond[0] = value_or(&text, 0);
	return ioctl(fd, NR_DEREGISTER, &dereg) < 0 ? -errno : 0;
}

static struct request make_request(uint64_t valid)
{
	struct request r = {
		.timeout = 0,
		.request_len = (uint32_t)head_length,
		.response_len = 16384,
		.data_len = (uint32_t)data_len,
		.data_valid = (uint32_t)valid,
		.flags = in_buffer,
		.id = id,
	};

	r.data_buffer = data_at + (in_buffer & 1 || !data_len ? 0 : (uintptr_t)memory);
	r.request_buffer = request_at + (in_buffer & 2 ? 0 : (uintptr_t)memory);
	r.response_buffer = response_at + (in_buffer & 4 ? 0 : (uintptr_t)memory);
	if (memory && request_at < mapped && request_at + head_length <= mapped)
		memcpy(memory + request_at, head, head_length);
	if (memory && response_at < mapped && response_at + r.response_len <= mapped)
		memset(memory + response_at, 0, r.response_len);
	return r;
}

static void print_outcome(const char *step, int result, uint32_t status)
{
	unsigned int http = 0;

	if (!result && !status && memory)
		sscanf((char *)memory + response_at, "HTTP/1.1 %3u", &http);
	printf("%s %d/0x%x/%u\n", step, result, status, http);
}

static void do_call(char *text)
{
	struct request r = make_request(value(&text));
	int result = ioctl(fd, NR_REQUEST, &r) < 0 ? -errno : 0;

	print_outcome("call", result, result ? 0 : r.status);
}

static void do_wait(void)
{
	sigset_t set;
	int got;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigwait(&set, &got);
}

static void *run_thread(void *unused)
{
	(void)unused;
	thread_result = ioctl(fd, NR_REQUEST, &thread_request) < 0 ? -errno : 0;
	return NULL;
}

static void do_thread(char *text)
{
	thread_request = make_request(value(&text));
	errno = pthread_create(&thread, NULL, run_thread, NULL);
	if (errno)
		die("thread");
}

static void do_join(void)
{
	pthread_join(thread, NULL);
	print_outcome("thread", thread_result, thread_result ? 0 : thread_request.status);
}

static void do_reap(void)
{
	int status;

	if (waitpid(child, &status, 0) != child)
		die("child");
	printf("reap %d\n", WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status));
}

static void do_then(void)
{
	pid_t pid;

	if (!then)
		return;
	if (!strcmp(then, "fork")) {
		pid = fork();
		if (!pid) {
			memset(memory, 0x5a, mapped);
			_exit(0);
		}
		if (pid < 0 || waitpid(pid, NULL, 0) != pid)
			die("child");
	} else if (!strcmp(then, "exec")) {
		do_wait();
		execl("/proc/self/exe", "vspbuf", "executed", NULL);
		die("exec");
	} else if (!strcmp(then, "munmap")) {
		munmap(memory, mapped);
		memory = NULL;
	} else if (!strcmp(then, "close")) {
		close(fd);
		fd = -1;
	} else {
		errno = EINVAL;
		die(then);
	}
	printf("done\n");
}

static void do_uring(char *text)
{
	struct io_uring_params params = { .flags = IORING_SETUP_SQE128 | IORING_SETUP_CQE32 };
	unsigned int count = (unsigned int)value(&text);
	struct request r = make_request(value(&text));
	struct io_uring_cqe *cqe;
	struct io_uring ring;

	errno = -io_uring_queue_init_params(count, &ring, &params);
	if (errno)
		die("io_uring_setup");
	for (unsigned int i = 0; i < count; i++) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

		memset(sqe, 0, 128);
		sqe->opcode = OP_URING_CMD;
		sqe->fd = fd;
		sqe->off = NR_REQUEST;
		memcpy((char *)sqe + 48, &r, sizeof(r));
	}
	io_uring_submit(&ring);
	printf("submitted\n");
	do_then();
	for (unsigned int i = 0; i < count; i++) {
		if (io_uring_wait_cqe(&ring, &cqe))
			die("wait");
		print_outcome("uring", cqe->res, cqe->res ? 0 : (uint32_t)cqe->big_cqe[0]);
		io_uring_cqe_seen(&ring, cqe);
	}
	io_uring_queue_exit(&ring);
}

static void do_uid(char *text)
{
	struct rlimit limit = { 64 << 10, 64 << 10 };
	uid_t uid = (uid_t)value(&text);

	limit.rlim_cur = limit.rlim_max = value_or(&text, 64 << 10);
	if (setrlimit(RLIMIT_MEMLOCK, &limit) || setresuid(uid, uid, uid))
		die("setresuid");
}

static void do_limit(uint64_t most)
{
	char text[64];
	int result = 0;
	uint64_t n;

	for (n = 0; n < most && result >= 0; n++) {
		snprintf(text, sizeof(text), "@,%u", PAGE);
		result = do_register(text);
	}
	printf("limit %llu %d\n", (unsigned long long)(result < 0 ? n - 1 : n), result);
}

static void step(char *name)
{
	char *text = strchr(name, '='), *rest;

	if (text)
		*text++ = '\0';
	rest = text;
	if (!strcmp(name, "map") || !strcmp(name, "file") || !strcmp(name, "ro") ||
	    !strcmp(name, "same")) {
		uint64_t bytes = value(&rest);

		do_map(name, bytes, rest);
	} else if (!strcmp(name, "hole")) {
		munmap(memory + mapped - PAGE, PAGE);
	} else if (!strcmp(name, "munmap")) {
		munmap(memory, mapped);
		memory = NULL;
	} else if (!strcmp(name, "register")) {
		printf("register %d\n", do_register(text));
	} else if (!strcmp(name, "deregister")) {
		printf("deregister %d\n", do_deregister(text));
	} else if (!strcmp(name, "layout")) {
		request_at = value(&rest);
		response_at = value(&rest);
		data_at = value(&rest);
		data_len = value(&rest);
	} else if (!strcmp(name, "in")) {
		in_buffer = (uint32_t)value(&rest);
	} else if (!strcmp(name, "id")) {
		id = (uint32_t)value(&rest);
	} else if (!strcmp(name, "fill")) {
		pattern_fill(memory + data_at, data_len, value(&rest), 0);
	} else if (!strcmp(name, "check")) {
		printf("check %ld\n", pattern_check(memory + data_at, data_len, value(&rest), 0));
	} else if (!strcmp(name, "call")) {
		do_call(text);
	} else if (!strcmp(name, "thread")) {
		do_thread(text);
	} else if (!strcmp(name, "join")) {
		do_join();
	} else if (!strcmp(name, "reap")) {
		do_reap();
	} else if (!strcmp(name, "uring")) {
		do_uring(text);
	} else if (!strcmp(name, "open")) {
		open_device();
	} else if (!strcmp(name, "close")) {
		close(fd);
		fd = -1;
	} else if (!strcmp(name, "uid")) {
		do_uid(text);
	} else if (!strcmp(name, "then")) {
		then = text;
	} else if (!strcmp(name, "executed")) {
		printf("executed\n");
	} else if (!strcmp(name, "say")) {
		printf("%s\n", text);
	} else if (!strcmp(name, "wait")) {
		do_wait();
	} else if (!strcmp(name, "limit")) {
		do_limit(value(&rest));
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
	open_device();
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "parent"))
			return 0; /* the child's last step */
		if (strcmp(argv[i], "child")) {
			step(argv[i]);
			continue;
		}
		child = fork();
		if (child < 0)
			die("fork");
		if (!child)
			continue;
		printf("child %d\n", child);
		while (i < argc && strcmp(argv[i], "parent"))
			i++;
	}
	return 0;
}
