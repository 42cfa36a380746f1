// SPDX-License-Identifier: MIT
/*
 * vspbench - many clients that read or write, by one way or another, for a while
 *
 * usage: vspbench way=device|http|vsock|disk [NAME=VALUE]...
 *
 *   clients=N     processes, or with threads=1 threads of one process (1)
 *   seconds=N     how long (3)
 *   size=N        bytes that each read brings (4096)
 *   write=1       not disk: the heads are of requests that have a body of so many bytes; then
 *                 "reads" are writes
 *   registered=1  device: heads, answers and data are in one registered buffer
 *   pages=small   pages=huge: what the memory of the data is made of (as the system likes)
 *   heads=FILE    not disk: request heads, one after the other; client I begins with head I
 *   dev=PATH      device: the node (/dev/azure_blob); disk: a block device, read with O_DIRECT
 *   host=ADDRESS, port=N   http: the server; a connection for each client is kept
 *   port=N        vsock: of the host, for HTTP
 *   span=N        disk: reads are taken in order from the first N bytes (1 GiB)
 *
 * Every client has its memory touched and its file or connection open before the clock starts.
 * Prints one line of JSON: reads, bytes, seconds, and of the first client the median and the 99th
 * percentile of its reads in microseconds.  A read that fails ends it all with a message.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vspmeasure.h"
#include "vspraw.h"

#define MOST_CLIENTS 1000u
#define SAMPLES (1u << 20)

/* Public numbers: the driver's ioctl, and all three buffers in the registered one */
#define NR_REGISTER 0x52f2u
#define ALL_IN_BUFFER 7u
#define PAGE 4096u

enum way {
	DEVICE,
	HTTP,
	VSOCK,
	DISK
};

static enum way way;
static unsigned int clients = 1, seconds = 3;
static bool threads, writing, registered;
static enum pages pages;
static size_t size = 4096;
static uint64_t span = 1u << 30;
static const char *dev, *host, *heads_file;
static uint16_t port;

/* Shared by all processes */
struct shared {
	atomic_uint ready, go, stop, failed;
	_Atomic uint64_t reads;
	uint32_t samples;
	uint32_t sample[SAMPLES]; /* nanoseconds, of the first client */
};
static struct shared *shared;

struct client {
	unsigned int number;
	int fd;
	unsigned char *data, *response;
	uint64_t at;
	/* Of the registered buffer; response_at and heads_at are places in it. */
	uint32_t buffer_id;
	size_t response_at, heads_at;
};

/* struct az_blob_register, at its published offsets */
struct registration {
	uint32_t size, flags;
	uint64_t address, length;
	uint32_t buffer_id, reserved;
};

static void tell_the_others(void)
{
	if (shared)
		atomic_store(&shared->failed, 1);
}

/* Data, answer and all heads in one piece of memory, which the driver is told of. */
static void register_buffer(struct client *c)
{
	const char *end = head[head_count - 1] + head_length[head_count - 1];
	size_t heads = (size_t)(end - head[0]);
	struct registration reg = { .size = sizeof(reg) };

	c->response_at = (size + PAGE - 1) / PAGE * PAGE;
	c->heads_at = c->response_at + RESPONSE;
	reg.length = (c->heads_at + heads + PAGE - 1) / PAGE * PAGE;
	c->data = memory_of(reg.length, pages);
	c->response = c->data + c->response_at;
	memcpy(c->data + c->heads_at, head[0], heads);
	reg.address = (uintptr_t)c->data;
	if (ioctl(c->fd, NR_REGISTER, &reg))
		fail("%s: register: %s", dev, strerror(errno));
	c->buffer_id = reg.buffer_id;
}

static void connect_client(struct client *c)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_vm vm = { .svm_family = AF_VSOCK,
				  .svm_cid = VMADDR_CID_HOST,
				  .svm_port = port };
	struct sockaddr *to = way == HTTP ? (struct sockaddr *)&in : (struct sockaddr *)&vm;
	int one = 1;

	if (way == HTTP && inet_pton(AF_INET, host, &in.sin_addr) != 1)
		fail("host=%s is no IPv4 address", host);
	c->fd = socket(to->sa_family, SOCK_STREAM, 0);
	if (c->fd < 0 || connect(c->fd, to, way == HTTP ? sizeof(in) : sizeof(vm)))
		fail("%s:%u: %s", way == HTTP ? host : "vsock", port, strerror(errno));
	if (way == HTTP)
		setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

static void open_client(struct client *c)
{
	if (way == HTTP || way == VSOCK) {
		connect_client(c);
	} else {
		c->fd = open(dev, way == DISK ? O_RDONLY | O_DIRECT : O_RDWR);
		if (c->fd < 0)
			fail("%s: %s", dev, strerror(errno));
	}
	if (registered) {
		register_buffer(c);
		return;
	}
	c->data = memory_of(size, pages);
	c->response = memory(RESPONSE);
}

static const char *status_of(const char *answer)
{
	return strncmp(answer, "HTTP/1.1 ", 9) ? "no answer" : answer + 9;
}

static void read_device(struct client *c, unsigned int which)
{
	unsigned char raw[RAW_LARGEST] = { 0 };
	uint32_t nr = registered ? NR_F4 : NR_F0;
	uintptr_t request = (uintptr_t)head[which];

	raw_set(raw, nr, RAW_TIMEOUT, 60000);
	raw_set(raw, nr, RAW_REQUEST_LEN, head_length[which]);
	raw_set(raw, nr, RAW_RESPONSE_LEN, RESPONSE);
	raw_set(raw, nr, RAW_DATA_LEN, size);
	raw_set(raw, nr, RAW_DATA_VALID, writing ? size : 0);
	if (registered) {
		raw_set(raw, nr, RAW_RESERVED, ALL_IN_BUFFER);
		raw_set(raw, nr, RAW_BUFFER_ID, c->buffer_id);
		request = c->heads_at + (request - (uintptr_t)head[0]);
	}
	raw_set(raw, nr, RAW_REQUEST_BUFFER, request);
	raw_set(raw, nr, RAW_RESPONSE_BUFFER, registered ? c->response_at : (uintptr_t)c->response);
	raw_set(raw, nr, RAW_DATA_BUFFER, registered ? 0 : (uintptr_t)c->data);
	if (ioctl(c->fd, nr, raw))
		fail("%s: %s", dev, strerror(errno));
	if (raw_get(raw, nr, RAW_STATUS))
		fail("status 0x%x", raw_get(raw, nr, RAW_STATUS));
	if (status_of((char *)c->response)[0] != '2')
		fail("answer: %.60s", (char *)c->response);
}

static void send_all(struct client *c, const void *bytes, size_t length)
{
	const unsigned char *from = bytes;

	while (length) {
		ssize_t n = send(c->fd, from, length, MSG_NOSIGNAL);

		if (n <= 0)
			fail("send: %s", strerror(errno));
		from += n;
		length -= (size_t)n;
	}
}

static void read_http(struct client *c, unsigned int which)
{
	size_t have = 0, body = 0, length;
	char *end, *field;
	ssize_t n;

	send_all(c, head[which], head_length[which]);
	if (writing)
		send_all(c, c->data, size);
	do {
		n = recv(c->fd, c->response + have, RESPONSE - 1 - have, 0);
		if (n <= 0)
			fail("recv: %s", n ? strerror(errno) : "closed");
		have += (size_t)n;
		c->response[have] = 0;
		end = strstr((char *)c->response, "\r\n\r\n");
	} while (!end && have < RESPONSE - 1);
	if (!end || status_of((char *)c->response)[0] != '2')
		fail("answer: %.60s", (char *)c->response);
	field = strcasestr((char *)c->response, "\r\ncontent-length:");
	length = field && field < end ? strtoul(field + 17, NULL, 10) : 0;
	if (length != (writing ? 0 : size))
		fail("%zu bytes instead of %zu", length, writing ? 0 : size);
	body = have - (size_t)(end + 4 - (char *)c->response);
	memcpy(c->data, end + 4, body);
	while (body < length) {
		n = recv(c->fd, c->data + body, length - body, 0);
		if (n <= 0)
			fail("recv: %s", n ? strerror(errno) : "closed");
		body += (size_t)n;
	}
}

static void read_disk(struct client *c)
{
	ssize_t n = pread(c->fd, c->data, size, (off_t)c->at);

	if (n != (ssize_t)size)
		fail("%s: %s", dev, n < 0 ? strerror(errno) : "short read");
	c->at = (c->at + size * clients) % (span / size * size);
}

static void run(struct client *c)
{
	unsigned int which = c->number;
	uint64_t reads = 0;

	open_client(c);
	c->at = (uint64_t)c->number * size % (span / size * size);
	atomic_fetch_add(&shared->ready, 1);
	while (!atomic_load(&shared->go))
		usleep(1000);
	while (!atomic_load_explicit(&shared->stop, memory_order_relaxed)) {
		uint64_t start = now();

		if (way == DISK)
			read_disk(c);
		else if (way == HTTP || way == VSOCK)
			read_http(c, which++ % head_count);
		else
			read_device(c, which++ % head_count);
		reads++;
		if (!c->number && shared->samples < SAMPLES)
			shared->sample[shared->samples++] = (uint32_t)(now() - start);
	}
	atomic_fetch_add(&shared->reads, reads);
}

static void *run_thread(void *context)
{
	run(context);
	return NULL;
}

static int by_value(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void take_options(int argc, char **argv)
{
	const char *name = NULL;

	for (int i = 1; i < argc; i++) {
		char *value = strchr(argv[i], '=');

		if (!value)
			fail("%s: NAME=VALUE is wanted", argv[i]);
		*value++ = 0;
		if (!strcmp(argv[i], "way"))
			name = value;
		else if (!strcmp(argv[i], "clients"))
			clients = (unsigned int)strtoul(value, NULL, 10);
		else if (!strcmp(argv[i], "threads"))
			threads = *value == '1';
		else if (!strcmp(argv[i], "write"))
			writing = *value == '1';
		else if (!strcmp(argv[i], "registered"))
			registered = *value == '1';
		else if (!strcmp(argv[i], "pages"))
			pages = *value == 'h' ? PAGES_HUGE : PAGES_SMALL;
		else if (!strcmp(argv[i], "seconds"))
			seconds = (unsigned int)strtoul(value, NULL, 10);
		else if (!strcmp(argv[i], "size"))
			size = strtoul(value, NULL, 10);
		else if (!strcmp(argv[i], "span"))
			span = strtoull(value, NULL, 10);
		else if (!strcmp(argv[i], "heads"))
			heads_file = value;
		else if (!strcmp(argv[i], "dev"))
			dev = value;
		else if (!strcmp(argv[i], "host"))
			host = value;
		else if (!strcmp(argv[i], "port"))
			port = (uint16_t)strtoul(value, NULL, 10);
		else
			fail("there is no option %s", argv[i]);
	}
	if (name && !strcmp(name, "device"))
		way = DEVICE;
	else if (name && !strcmp(name, "http") && host && port)
		way = HTTP;
	else if (name && !strcmp(name, "vsock") && port)
		way = VSOCK;
	else if (name && !strcmp(name, "disk") && dev)
		way = DISK;
	else
		fail("way=device, way=http host= port=, way=vsock port=, or way=disk dev= is "
		     "wanted");
	if (registered && way != DEVICE)
		fail("registered=1 is for way=device");
	if (!dev)
		dev = "/dev/azure_blob";
	if (!clients || clients > MOST_CLIENTS || !seconds || !size || span < size)
		fail("clients is 1 to %u, seconds and size 1 or more, span not less than size",
		     MOST_CLIENTS);
	if (way != DISK && !heads_file)
		fail("heads=FILE is wanted");
}

int main(int argc, char **argv)
{
	static struct client client[MOST_CLIENTS];
	static pthread_t thread[MOST_CLIENTS];
	uint64_t start, end;

	before_failing = tell_the_others;
	take_options(argc, argv);
	if (way != DISK)
		read_heads(heads_file);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		fail("no memory");
	for (unsigned int i = 0; i < clients; i++) {
		client[i].number = i;
		if (threads) {
			if (pthread_create(&thread[i], NULL, run_thread, &client[i]))
				fail("no thread");
		} else {
			pid_t pid = fork();

			if (pid < 0)
				fail("fork: %s", strerror(errno));
			if (!pid) {
				run(&client[i]);
				_exit(0);
			}
		}
	}
	while (atomic_load(&shared->ready) < clients && !atomic_load(&shared->failed))
		usleep(1000);
	start = now();
	atomic_store(&shared->go, 1);
	/* Seldom: what this executes while it waits would be counted as the clients'. */
	for (end = start; end - start < (uint64_t)seconds * 1000000000u; end = now()) {
		uint64_t left = (uint64_t)seconds * 1000000u - (end - start) / 1000u;

		if (atomic_load(&shared->failed))
			break;
		usleep(left < 200000u ? (useconds_t)left + 1 : 200000u);
	}
	atomic_store(&shared->stop, 1);
	for (unsigned int i = 0; i < clients; i++) {
		int status = 0;

		if (threads)
			pthread_join(thread[i], NULL);
		else if (wait(&status) < 0 || status)
			atomic_store(&shared->failed, 1);
	}
	/* Reads that were under way at the end are counted, and so is their time. */
	end = now();
	if (atomic_load(&shared->failed))
		return 1;
	qsort(shared->sample, shared->samples, sizeof(shared->sample[0]), by_value);
	printf("{\"reads\": %llu, \"bytes\": %llu, \"seconds\": %.6f, \"median_us\": %.3f, "
	       "\"p99_us\": %.3f}\n",
	       (unsigned long long)shared->reads, (unsigned long long)(shared->reads * size),
	       (double)(end - start) / 1e9,
	       shared->samples ? shared->sample[shared->samples / 2] / 1e3 : 0,
	       shared->samples ? shared->sample[shared->samples / 100 * 99] / 1e3 : 0);
	return 0;
}
