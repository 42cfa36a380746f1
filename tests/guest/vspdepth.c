// SPDX-License-Identifier: MIT
/*
 * vspdepth - many reads outstanding from one thread, by io_uring, for a while
 *
 * usage: vspdepth way=device|disk [NAME=VALUE]...
 *
 *   depth=N       reads outstanding (64)
 *   seconds=N     how long (3)
 *   size=N        bytes that each read brings (4096)
 *   fixed=1       device: the data buffers are registered with io_uring
 *   registered=1  device: heads, answers and data are in one buffer registered with the driver
 *   heads=FILE    device: request heads, one after the other, used in turn
 *   dev=PATH      the node (/dev/azure_blob), or a block device, read with O_DIRECT
 *   span=N        disk: reads are from all over the first N bytes (1 GiB), no two neighbours at a
 *                 time: the kernel would make one request of those
 *
 * Prints one line of JSON: reads, bytes, seconds.  A read that fails ends it with a message.
 */
#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vspmeasure.h"

/* Public numbers that older headers of the C library lack */
#define OP_URING_CMD 46u
#define CMD_FIXED 1u
#define NR_REQUEST 0xc05052f4u /* _IOWR('R', 0xf4), 80 bytes */
#define ENTRY_PAYLOAD 48
#define NR_REGISTER 0x52f2u
#define ALL_IN_BUFFER 7u
#define PAGE 4096u

#define MOST_DEPTH 1024u

/* struct az_blob_request, at its published offsets */
struct wire {
	uint8_t guid[16];
	uint32_t timeout, request_len, response_len, data_len, data_valid, flags;
	uint64_t request_buffer, response_buffer, data_buffer;
	uint32_t status, response_out, buffer_id, reserved;
};
_Static_assert(sizeof(struct wire) == 80, "as in NR_REQUEST");

/* struct az_blob_register, likewise */
struct registration {
	uint32_t size, flags;
	uint64_t address, length;
	uint32_t buffer_id, reserved;
};

static bool disk, fixed, registered;
static unsigned int depth = 64, seconds = 3;
static size_t size = 4096;
static uint64_t span = 1u << 30, at;
static const char *dev, *heads_file;
static unsigned int which;
static unsigned char *data, *response;
static int fd;
static struct registration buffer = { .size = sizeof(buffer) };
static size_t heads_at;

/* Data, answers and heads one after the other, in memory that the driver is told of. */
static void register_buffer(void)
{
	const char *end = head[head_count - 1] + head_length[head_count - 1];
	size_t heads = (size_t)(end - head[0]),
	       answers_at = (size * depth + PAGE - 1) / PAGE * PAGE;

	heads_at = answers_at + (size_t)RESPONSE * depth;
	buffer.length = (heads_at + heads + PAGE - 1) / PAGE * PAGE;
	data = memory(buffer.length);
	response = data + answers_at;
	memcpy(data + heads_at, head[0], heads);
	buffer.address = (uintptr_t)data;
	if (ioctl(fd, NR_REGISTER, &buffer))
		fail("%s: register: %s", dev, strerror(errno));
}

static void submit(struct io_uring *ring, uint64_t slot)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

	if (!sqe)
		fail("the submission queue is full");
	if (disk) {
		io_uring_prep_read(sqe, fd, data + slot * size, (unsigned int)size, at * size);
		/* Prime, so that all places are read before one is read again, or nearly so. */
		at = (at + 7919) % (span / size);
	} else {
		unsigned int h = which++ % head_count;
		struct wire wire = {
			.timeout = 60000,
			.request_len = (uint32_t)head_length[h],
			.response_len = RESPONSE,
			.data_len = (uint32_t)size,
			.request_buffer = (uintptr_t)head[h],
			.response_buffer = (uintptr_t)(response + slot * RESPONSE),
			.data_buffer = (uintptr_t)(data + slot * size),
		};

		if (registered) {
			wire.flags = ALL_IN_BUFFER;
			wire.buffer_id = buffer.buffer_id;
			wire.request_buffer = heads_at + (size_t)(head[h] - head[0]);
			wire.response_buffer -= (uintptr_t)data;
			wire.data_buffer -= (uintptr_t)data;
		}
		memset(sqe, 0, 64);
		sqe->opcode = OP_URING_CMD;
		sqe->fd = fd;
		sqe->off = NR_REQUEST;
		sqe->rw_flags = fixed ? CMD_FIXED : 0;
		sqe->buf_index = fixed ? (uint16_t)slot : 0;
		memcpy((char *)sqe + ENTRY_PAYLOAD, &wire, sizeof(wire));
	}
	sqe->user_data = slot;
}

static void check(const struct io_uring_cqe *cqe)
{
	if (disk) {
		if (cqe->res != (int)size)
			fail("%s: %s", dev, cqe->res < 0 ? strerror(-cqe->res) : "short read");
		return;
	}
	if (cqe->res)
		fail("%s: %s", dev, strerror(-cqe->res));
	if ((uint32_t)cqe->big_cqe[0])
		fail("status 0x%x", (uint32_t)cqe->big_cqe[0]);
	if (strncmp((char *)response + cqe->user_data * RESPONSE, "HTTP/1.1 2", 10))
		fail("answer: %.60s", response + cqe->user_data * RESPONSE);
}

static void take_options(int argc, char **argv)
{
	const char *way = "";

	for (int i = 1; i < argc; i++) {
		char *value = strchr(argv[i], '=');

		if (!value)
			fail("%s: NAME=VALUE is wanted", argv[i]);
		*value++ = 0;
		if (!strcmp(argv[i], "way"))
			way = value;
		else if (!strcmp(argv[i], "depth"))
			depth = (unsigned int)strtoul(value, NULL, 10);
		else if (!strcmp(argv[i], "seconds"))
			seconds = (unsigned int)strtoul(value, NULL, 10);
		else if (!strcmp(argv[i], "size"))
			size = strtoul(value, NULL, 10);
		else if (!strcmp(argv[i], "span"))
			span = strtoull(value, NULL, 10);
		else if (!strcmp(argv[i], "fixed"))
			fixed = *value == '1';
		else if (!strcmp(argv[i], "registered"))
			registered = *value == '1';
		else if (!strcmp(argv[i], "heads"))
			heads_file = value;
		else if (!strcmp(argv[i], "dev"))
			dev = value;
		else
			fail("there is no option %s", argv[i]);
	}
	disk = !strcmp(way, "disk");
	if (!disk && strcmp(way, "device"))
		fail("way=device or way=disk is wanted");
	if (disk ? !dev : !heads_file)
		fail(disk ? "dev=PATH is wanted" : "heads=FILE is wanted");
	if (registered && (disk || fixed))
		fail("registered=1 is for way=device, without fixed=1");
	if (!dev)
		dev = "/dev/azure_blob";
	if (!depth || depth > MOST_DEPTH || !seconds || !size || span < size)
		fail("depth is 1 to %u, seconds and size 1 or more, span not less than size",
		     MOST_DEPTH);
}

int main(int argc, char **argv)
{
	struct io_uring_params params = { 0 };
	struct io_uring ring;
	struct io_uring_cqe *cqe;
	unsigned long long reads = 0;
	unsigned int under_way;
	uint64_t start, end;

	take_options(argc, argv);
	if (!disk) {
		read_heads(heads_file);
		params.flags = IORING_SETUP_SQE128 | IORING_SETUP_CQE32;
	}
	fd = open(dev, disk ? O_RDONLY | O_DIRECT : O_RDWR);
	if (fd < 0)
		fail("%s: %s", dev, strerror(errno));
	if (registered) {
		register_buffer();
	} else {
		data = memory(size * depth);
		response = memory((size_t)RESPONSE * depth);
	}
	errno = -io_uring_queue_init_params(depth, &ring, &params);
	if (errno)
		fail("io_uring: %s", strerror(errno));
	if (fixed) {
		struct iovec *iov = calloc(depth, sizeof(*iov));

		for (unsigned int i = 0; iov && i < depth; i++)
			iov[i] = (struct iovec){ data + i * size, size };
		errno = -io_uring_register_buffers(&ring, iov, depth);
		if (!iov || errno)
			fail("buffers: %s", strerror(errno));
	}

	start = now();
	for (unsigned int i = 0; i < depth; i++)
		submit(&ring, i);
	under_way = depth;
	while (under_way) {
		bool over = now() - start >= (uint64_t)seconds * 1000000000u;
		unsigned int ring_head, seen = 0;

		errno = 0;
		if (io_uring_submit_and_wait(&ring, 1) < 0)
			fail("io_uring: %s", strerror(errno));
		io_uring_for_each_cqe(&ring, ring_head, cqe)
		{
			check(cqe);
			seen++;
			reads++;
			under_way--;
			if (!over) {
				submit(&ring, cqe->user_data);
				under_way++;
			}
		}
		io_uring_cq_advance(&ring, seen);
	}
	/* Reads that were under way at the end are counted, and so is their time. */
	end = now();
	printf("{\"reads\": %llu, \"bytes\": %llu, \"seconds\": %.6f}\n", reads, reads * size,
	       (double)(end - start) / 1e9);
	return 0;
}
