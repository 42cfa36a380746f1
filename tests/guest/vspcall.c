// SPDX-License-Identifier: MIT
/*
 * vspcall - one ioctl on the driver, with every byte of it chosen by a test
 *
 * usage: vspcall [NAME=VALUE]... < HEAD
 *
 *   dev=PATH                /dev/azure_blob
 *   open=rdwr|rdonly|wronly, nonblock=1
 *   nr=f0|legacy|v1|f4|NUMBER
 *   guid=32 hex digits
 *   timeout, request_len, response_len, data_len, data_valid, reserved=NUMBER,
 *   buffer_id, reserved_2=NUMBER
 *                           the field (f4 calls the first of them flags, and only
 *                           f4 has the last two); otherwise what the buffers are
 *   argp=ADDRESS            in place of the address of the structure
 *   request, response, data=BUFFER, where BUFFER is SIZE[@OFFSET][:KIND[:ARG]]
 *   seed=N                  the data buffer starts as the pattern with this seed
 *   expect=N                ...and should end as the pattern with this seed
 *   save=FILE               write the data buffer there afterwards
 *   show=N                  bytes of the structure that are printed (72, f4: 80); beyond
 *                           its end it is all 0xee
 *   way=command             an io_uring command in place of the ioctl, with nr=f4
 *   way=registered          the data is in a buffer registered with the driver, with
 *                           nr=f4; an error of registering it is the result
 *
 * OFFSET is that of the buffer in its first page.  KIND is one of
 *   anon            private memory (the default)
 *   ro              private memory, filled and then made read-only
 *   zero            private memory never written: the zero page
 *   cow:FILE        private writable mapping of a file
 *   filero:FILE     private read-only mapping of a file
 *   shared:FILE     shared writable mapping of a file
 *   forked          private memory shared with a parent since fork
 *   samepage        every page of the buffer is the same page
 *   huge            aligned for, and advised to use, huge pages
 *   hugetlb         of the pool of huge pages
 *   alias:NAME      the same memory as another buffer
 *   hole            its last page cannot be touched
 *   vvar            memory of the kernel's that is mapped as a device's is
 *   device:FILE     memory of a device, by mapping its file
 *   unmapped        an address with nothing there
 *   addr:ADDRESS    just this address
 *   null            address 0
 *
 * Prints one line of JSON.  The status is 0 whatever the ioctl did.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pattern.h"
#include "vspraw.h"

#define PAGE 4096u
#define GUARD 0xa5
#define HUGE_PAGE (2u << 20)

/* As published: include/uapi/misc/hv_azure_blob.h */
#define NR_REGISTER 0x52f2u
#define BUFFER_READ_ONLY 1u
#define DATA_IN_BUFFER 1u
#define OP_URING_CMD 46
#define ENTRY_PAYLOAD 48
#define RAW_SHOWN (PAGE + 64)

enum {
	REQUEST,
	RESPONSE,
	DATA,
	BUFFERS
};

static const char *const names[BUFFERS] = { "request", "response", "data" };

struct buffer {
	const char *spec;
	char kind[16], arg[256];
	size_t size, offset;
	unsigned char *map; /* whole pages, NULL when there is no memory of ours */
	size_t mapped;
	unsigned char *start;
};

static struct buffer buffers[BUFFERS];

/* What the side that made the call found, seen by the side that prints. */
struct outcome {
	long result;
	int error;
	unsigned char raw[RAW_SHOWN];
	bool guards[BUFFERS];
	bool request_intact;
	long data_wrong; /* -1: as expected */
	uint32_t response_shown;
	unsigned char response[65536];
};

static void die(const char *what)
{
	fprintf(stderr, "vspcall: %s: %s\n", what, strerror(errno));
	exit(2);
}

static const char *option(int argc, char **argv, const char *name)
{
	size_t length = strlen(name);

	for (int i = 1; i < argc; i++) {
		if (!strncmp(argv[i], name, length) && argv[i][length] == '=')
			return argv[i] + length + 1;
	}
	return NULL;
}

static uint64_t number(int argc, char **argv, const char *name, uint64_t otherwise)
{
	const char *text = option(argc, argv, name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static void parse_buffer(struct buffer *buffer, const char *spec)
{
	char *end;

	buffer->spec = spec;
	strcpy(buffer->kind, "anon");
	if (!spec) {
		strcpy(buffer->kind, "null");
		return;
	}
	buffer->size = strtoull(spec, &end, 0);
	if (*end == '@')
		buffer->offset = strtoull(end + 1, &end, 0);
	if (*end == ':' && sscanf(end, ":%15[a-z]:%255s", buffer->kind, buffer->arg) < 1) {
		errno = EINVAL;
		die(spec);
	}
}

static bool is(const struct buffer *buffer, const char *kind)
{
	return !strcmp(buffer->kind, kind);
}

static void *map(size_t length, int protection, int flags, int fd)
{
	void *p = mmap(NULL, length, protection, flags, fd, 0);

	if (p == MAP_FAILED)
		die("mmap");
	return p;
}

static void map_file(struct buffer *buffer)
{
	bool shared = is(buffer, "shared");
	bool writable = !is(buffer, "filero");
	int fd = open(buffer->arg, shared ? O_RDWR : O_RDONLY);

	if (fd < 0)
		die(buffer->arg);
	buffer->map = map(buffer->mapped, PROT_READ | (writable ? PROT_WRITE : 0),
			  shared ? MAP_SHARED : MAP_PRIVATE, fd);
	close(fd);
}

static void map_same_page(struct buffer *buffer)
{
	int fd = memfd_create("page", 0);

	if (fd < 0 || ftruncate(fd, PAGE))
		die("memfd");
	buffer->map = map(buffer->mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	for (size_t at = 0; at < buffer->mapped; at += PAGE) {
		if (mmap(buffer->map + at, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd,
			 0) == MAP_FAILED)
			die("mmap");
	}
	close(fd);
}

static void map_huge(struct buffer *buffer)
{
	size_t length = (buffer->mapped + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;

	buffer->map =
		map(length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1);
}

static void map_device(struct buffer *buffer)
{
	int fd = open(buffer->arg, O_RDWR);

	if (fd < 0)
		die(buffer->arg);
	buffer->map = map(buffer->mapped, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	close(fd);
}

/* The kernel's own data for the C library's clocks. */
static void find_vvar(struct buffer *buffer)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long start;
	char line[512];

	while (maps && fgets(line, sizeof(line), maps)) {
		if (strstr(line, "[vvar]") && sscanf(line, "%lx-", &start) == 1)
			buffer->map = (unsigned char *)start;
	}
	if (!buffer->map) {
		errno = ENOENT;
		die("[vvar]");
	}
	fclose(maps);
}

static void map_anonymous(struct buffer *buffer)
{
	size_t align = is(buffer, "huge") ? HUGE_PAGE : PAGE;
	unsigned char *p = map(buffer->mapped + align, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1);

	buffer->map = (unsigned char *)(((uintptr_t)p + align - 1) / align * align);
	if (is(buffer, "huge"))
		madvise(buffer->map, buffer->mapped, MADV_HUGEPAGE);
}

static bool is_device(const struct buffer *buffer)
{
	return is(buffer, "device") || is(buffer, "vvar");
}

static bool is_ours(const struct buffer *buffer)
{
	return buffer->map && !is(buffer, "hole") && !is(buffer, "samepage") &&
	       !is(buffer, "alias") && !is_device(buffer);
}

/* Guards are the bytes of the buffer's pages that are not the buffer's. */
static void set_guards(struct buffer *buffer)
{
	memset(buffer->map, GUARD, buffer->offset);
	memset(buffer->start + buffer->size, GUARD, buffer->mapped - buffer->offset - buffer->size);
}

static bool guards_intact(const struct buffer *buffer)
{
	for (size_t i = 0; i < buffer->mapped; i++) {
		if (i == buffer->offset)
			i += buffer->size;
		if (i < buffer->mapped && buffer->map[i] != GUARD)
			return false;
	}
	return true;
}

static bool has_guards(const struct buffer *buffer)
{
	return is_ours(buffer) &&
	       (is(buffer, "anon") || is(buffer, "ro") || is(buffer, "forked") ||
		is(buffer, "huge") || is(buffer, "hugetlb") || is(buffer, "cow"));
}

static void make_buffer(struct buffer *buffer)
{
	buffer->mapped = (buffer->offset + buffer->size + PAGE - 1) / PAGE * PAGE;
	if (is(buffer, "null"))
		return;
	if (is(buffer, "addr")) {
		buffer->start = (unsigned char *)(uintptr_t)strtoull(buffer->arg, NULL, 0);
		return;
	}
	if (is(buffer, "alias")) {
		for (int i = 0; i < BUFFERS; i++) {
			if (!strcmp(names[i], buffer->arg)) {
				buffer->map = buffers[i].map;
				buffer->mapped = buffers[i].mapped;
			}
		}
		if (!buffer->map) {
			errno = EINVAL;
			die("alias of a buffer that is not there");
		}
	} else if (is(buffer, "cow") || is(buffer, "filero") || is(buffer, "shared")) {
		map_file(buffer);
	} else if (is(buffer, "samepage")) {
		map_same_page(buffer);
	} else if (is(buffer, "hugetlb")) {
		map_huge(buffer);
	} else if (is(buffer, "device")) {
		map_device(buffer);
	} else if (is(buffer, "vvar")) {
		find_vvar(buffer);
	} else {
		map_anonymous(buffer);
	}
	buffer->start = buffer->map + buffer->offset;
	if (has_guards(buffer) && !is(buffer, "cow"))
		set_guards(buffer);
}

/* What a buffer's pages become once they are filled. */
static void protect_buffer(struct buffer *buffer)
{
	if (is(buffer, "ro"))
		mprotect(buffer->map, buffer->mapped, PROT_READ);
	if (is(buffer, "hole"))
		mprotect(buffer->map + buffer->mapped - PAGE, PAGE, PROT_NONE);
	if (is(buffer, "unmapped")) {
		munmap(buffer->map, buffer->mapped);
		buffer->map = NULL;
	}
}

static bool may_fill(const struct buffer *buffer)
{
	return buffer->map && !is(buffer, "zero") && !is(buffer, "filero") && !is(buffer, "cow") &&
	       !is(buffer, "alias") && !is_device(buffer);
}

/* Returns 0 or a negative errno. */
static int register_data(int fd, bool sends, uint32_t *id)
{
	struct {
		uint32_t size, flags;
		uint64_t address, length;
		uint32_t id, reserved;
	} reg = { .size = sizeof(reg), .flags = sends ? BUFFER_READ_ONLY : 0 };

	reg.address = (uintptr_t)buffers[DATA].start;
	reg.length = (buffers[DATA].size + PAGE - 1) / PAGE * PAGE;
	if (ioctl(fd, NR_REGISTER, &reg) < 0)
		return -errno;
	*id = reg.id;
	return 0;
}

/* Returns 0 or a negative errno, and then fills what an ioctl would have filled. */
static int run_command(int fd, uint32_t nr, unsigned char *raw)
{
	struct io_uring_params params = { .flags = IORING_SETUP_SQE128 | IORING_SETUP_CQE32 };
	struct io_uring_sqe *sqe;
	struct io_uring_cqe *cqe;
	struct io_uring ring;
	int result;

	errno = -io_uring_queue_init_params(1, &ring, &params);
	if (errno)
		die("io_uring_setup");
	sqe = io_uring_get_sqe(&ring);
	if (!sqe)
		die("submission queue");
	memset(sqe, 0, 128);
	sqe->opcode = OP_URING_CMD;
	sqe->fd = fd;
	sqe->off = nr;
	memcpy((char *)sqe + ENTRY_PAYLOAD, raw, RAW_LARGEST);
	if (io_uring_submit_and_wait(&ring, 1) < 0 || io_uring_peek_cqe(&ring, &cqe))
		die("io_uring");
	result = cqe->res;
	if (!result) {
		raw_set(raw, nr, RAW_STATUS, (uint32_t)cqe->big_cqe[0]);
		raw_set(raw, nr, RAW_RESPONSE_OUT, cqe->big_cqe[0] >> 32);
	}
	io_uring_cqe_seen(&ring, cqe);
	io_uring_queue_exit(&ring);
	return result;
}

/* As ioctl() does it, whichever way is asked for. */
static int perform(int fd, uint32_t nr, void *argp, const char *way, struct outcome *out)
{
	uint32_t id = 0;
	int result;

	if (!way)
		return ioctl(fd, nr, argp);
	if (!strcmp(way, "registered")) {
		result = register_data(fd, raw_get(out->raw, nr, RAW_DATA_VALID) != 0, &id);
		if (result) {
			errno = -result;
			return -1;
		}
		raw_set(out->raw, nr, RAW_RESERVED, DATA_IN_BUFFER);
		raw_set(out->raw, nr, RAW_BUFFER_ID, id);
		raw_set(out->raw, nr, RAW_DATA_BUFFER, 0);
		return ioctl(fd, nr, argp);
	}
	if (strcmp(way, "command")) {
		errno = EINVAL;
		die(way);
	}
	result = run_command(fd, nr, out->raw);
	errno = -result;
	return result ? -1 : 0;
}

static void call(int argc, char **argv, const char *head, size_t head_length, struct outcome *out)
{
	uint32_t nr = raw_number(option(argc, argv, "nr") ? option(argc, argv, "nr") : "f0");
	const char *mode = option(argc, argv, "open"), *guid = option(argc, argv, "guid");
	const char *dev = option(argc, argv, "dev");
	int flags = mode && !strcmp(mode, "rdonly")   ? O_RDONLY
		    : mode && !strcmp(mode, "wronly") ? O_WRONLY
						      : O_RDWR;
	void *argp = out->raw;
	int fd;

	memset(out->raw, 0, RAW_LARGEST);
	memset(out->raw + RAW_LARGEST, 0xee, RAW_SHOWN - RAW_LARGEST);
	for (int i = 0; guid && i < 16 && guid[2 * i] && guid[2 * i + 1]; i++) {
		unsigned int byte = 0;

		sscanf(guid + 2 * i, "%2x", &byte);
		out->raw[i] = (unsigned char)byte;
	}
	raw_set(out->raw, nr, RAW_TIMEOUT, number(argc, argv, "timeout", 60000));
	raw_set(out->raw, nr, RAW_REQUEST_LEN, number(argc, argv, "request_len", head_length));
	raw_set(out->raw, nr, RAW_RESPONSE_LEN,
		number(argc, argv, "response_len", buffers[RESPONSE].size));
	raw_set(out->raw, nr, RAW_DATA_LEN, number(argc, argv, "data_len", buffers[DATA].size));
	raw_set(out->raw, nr, RAW_DATA_VALID, number(argc, argv, "data_valid", 0));
	raw_set(out->raw, nr, RAW_RESERVED, number(argc, argv, "reserved", 0));
	raw_set(out->raw, nr, RAW_BUFFER_ID, number(argc, argv, "buffer_id", 0));
	raw_set(out->raw, nr, RAW_RESERVED_2, number(argc, argv, "reserved_2", 0));
	raw_set(out->raw, nr, RAW_STATUS, 0x0ace0ace);
	raw_set(out->raw, nr, RAW_RESPONSE_OUT, 0x0ace0ace);
	raw_set(out->raw, nr, RAW_REQUEST_BUFFER, (uintptr_t)buffers[REQUEST].start);
	raw_set(out->raw, nr, RAW_RESPONSE_BUFFER, (uintptr_t)buffers[RESPONSE].start);
	raw_set(out->raw, nr, RAW_DATA_BUFFER, (uintptr_t)buffers[DATA].start);
	if (option(argc, argv, "argp"))
		argp = (void *)(uintptr_t)number(argc, argv, "argp", 0);

	fd = open(dev ? dev : "/dev/azure_blob",
		  flags | (number(argc, argv, "nonblock", 0) ? O_NONBLOCK : 0));
	if (fd < 0) {
		out->result = -2; /* open failed, the ioctl was not tried */
		out->error = errno;
		return;
	}
	out->result = perform(fd, nr, argp, option(argc, argv, "way"), out);
	out->error = out->result < 0 ? errno : 0;
	close(fd);

	for (int i = 0; i < BUFFERS; i++)
		out->guards[i] = !has_guards(&buffers[i]) || is(&buffers[i], "cow") ||
				 guards_intact(&buffers[i]);
	out->request_intact = !may_fill(&buffers[REQUEST]) || !is_ours(&buffers[REQUEST]) ||
			      is(&buffers[REQUEST], "forked") ||
			      !memcmp(buffers[REQUEST].start, head, head_length);
	out->data_wrong = -1;
	if (out->result == 0 && option(argc, argv, "expect") && buffers[DATA].map)
		out->data_wrong = pattern_check(buffers[DATA].start, buffers[DATA].size,
						number(argc, argv, "expect", 0), 0);
	if (out->result == 0 && buffers[RESPONSE].map && !is(&buffers[RESPONSE], "hole")) {
		out->response_shown = raw_get(out->raw, nr, RAW_RESPONSE_OUT);
		if (out->response_shown > buffers[RESPONSE].size)
			out->response_shown = (uint32_t)buffers[RESPONSE].size;
		if (out->response_shown > sizeof(out->response))
			out->response_shown = sizeof(out->response);
		memcpy(out->response, buffers[RESPONSE].start, out->response_shown);
	}
	if (option(argc, argv, "save") && buffers[DATA].map) {
		FILE *file = fopen(option(argc, argv, "save"), "w");

		if (!file ||
		    fwrite(buffers[DATA].start, 1, buffers[DATA].size, file) !=
			    buffers[DATA].size ||
		    fclose(file))
			die(option(argc, argv, "save"));
	}
}

static void print_hex(const char *name, const unsigned char *data, size_t length)
{
	printf(", \"%s\": \"", name);
	for (size_t i = 0; i < length; i++)
		printf("%02x", data[i]);
	printf("\"");
}

static void print(const struct outcome *out, uint32_t nr, size_t shown, bool parent_intact)
{
	printf("{\"opened\": %s, \"result\": %ld, \"errno\": %d",
	       out->result == -2 ? "false" : "true", out->result, out->error);
	printf(", \"status\": %u, \"response_len\": %u", raw_get(out->raw, nr, RAW_STATUS),
	       raw_get(out->raw, nr, RAW_RESPONSE_OUT));
	for (int i = 0; i < BUFFERS; i++)
		printf(", \"%s_guards\": %s", names[i], out->guards[i] ? "true" : "false");
	printf(", \"request_intact\": %s, \"parent_intact\": %s, \"data_wrong\": %ld",
	       out->request_intact ? "true" : "false", parent_intact ? "true" : "false",
	       out->data_wrong);
	print_hex("struct", out->raw, shown < RAW_SHOWN ? shown : RAW_SHOWN);
	print_hex("response", out->response, out->response_shown);
	printf("}\n");
}

int main(int argc, char **argv)
{
	struct outcome *out =
		map(sizeof(*out), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);
	uint32_t nr = raw_number(option(argc, argv, "nr") ? option(argc, argv, "nr") : "f0");
	static char head[1 << 17];
	size_t head_length = fread(head, 1, sizeof(head), stdin);
	bool forked = false, parent_intact = true;
	char default_request[32];

	snprintf(default_request, sizeof(default_request), "%zu", head_length);
	for (int i = 0; i < BUFFERS; i++) {
		const char *spec = option(argc, argv, names[i]);

		parse_buffer(&buffers[i], spec || i != REQUEST ? spec : default_request);
		make_buffer(&buffers[i]);
		forked |= is(&buffers[i], "forked");
	}
	if (may_fill(&buffers[REQUEST]))
		memcpy(buffers[REQUEST].start, head,
		       head_length < buffers[REQUEST].size ? head_length : buffers[REQUEST].size);
	if (may_fill(&buffers[RESPONSE]))
		memset(buffers[RESPONSE].start, 0xee, buffers[RESPONSE].size);
	if (may_fill(&buffers[DATA]))
		pattern_fill(buffers[DATA].start, buffers[DATA].size, number(argc, argv, "seed", 0),
			     0);
	for (int i = 0; i < BUFFERS; i++)
		protect_buffer(&buffers[i]);

	if (forked) {
		pid_t pid = fork();
		int status;

		if (pid < 0)
			die("fork");
		if (!pid) {
			call(argc, argv, head, head_length, out);
			_exit(0);
		}
		if (waitpid(pid, &status, 0) != pid || status) {
			fprintf(stderr, "vspcall: the child ended with status %d\n", status);
			return 2;
		}
		if (is(&buffers[DATA], "forked"))
			parent_intact = pattern_check(buffers[DATA].start, buffers[DATA].size,
						      number(argc, argv, "seed", 0), 0) < 0;
		for (size_t i = 0; is(&buffers[RESPONSE], "forked") && i < buffers[RESPONSE].size;
		     i++)
			parent_intact &= buffers[RESPONSE].start[i] == 0xee;
	} else {
		call(argc, argv, head, head_length, out);
	}
	print(out, nr, number(argc, argv, "show", nr == NR_F4 ? RAW_LARGEST : RAW_SIZE),
	      parent_intact);
	return 0;
}
