// SPDX-License-Identifier: MIT
/* A fake emulator; see emu.h. */
#include "emu.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static void die(const char *what)
{
	fprintf(stderr, "emu: %s: %s\n", what, strerror(errno));
	abort();
}

struct emu_memory emu_memory_new(size_t size, unsigned int seals)
{
	struct emu_memory memory = { .size = size };

	memory.fd = memfd_create("guest", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (memory.fd < 0 || ftruncate(memory.fd, (off_t)size) < 0)
		die("memfd");
	memory.base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory.fd, 0);
	if (memory.base == MAP_FAILED)
		die("mmap");
	if (fcntl(memory.fd, F_ADD_SEALS, seals) < 0)
		die("seals");
	return memory;
}

void emu_memory_free(struct emu_memory *memory)
{
	munmap(memory->base, memory->size);
	close(memory->fd);
}

/* -------------------------------------------------------------- the stream */

void emu_init(struct emu *emu)
{
	memset(emu, 0, sizeof(*emu));
	emu->fd = emu->pidfd = -1;
	emu->next_id = 1;
	emu->last = &emu->first;
	if (getrandom(emu->session, sizeof(emu->session), 0) != (ssize_t)sizeof(emu->session))
		die("getrandom");
}

int emu_open(struct emu *emu, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	emu->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (emu->fd < 0)
		return -errno;
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (connect(emu->fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		int error = -errno;

		close(emu->fd);
		emu->fd = -1;
		return error;
	}
	emu->closed = emu->goodbye = false;
	return 0;
}

void emu_send(struct emu *emu, const void *bytes, size_t length, const int *fds, unsigned int count)
{
	union {
		struct cmsghdr header;
		char room[CMSG_SPACE(64 * sizeof(int))];
	} control = { 0 };
	const uint8_t *at = bytes;

	while (length) {
		struct iovec iov = { (void *)(uintptr_t)at, length };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t put;

		if (count) {
			msg.msg_control = control.room;
			msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
			control.header.cmsg_level = SOL_SOCKET;
			control.header.cmsg_type = SCM_RIGHTS;
			control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
			memcpy(CMSG_DATA(&control.header), fds, count * sizeof(int));
		}
		put = sendmsg(emu->fd, &msg, MSG_NOSIGNAL);
		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return; /* the backend has cut us off: reading will tell */
		count = 0;
		at += put;
		length -= (size_t)put;
	}
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* Reads exactly @length bytes; false at the end of the stream or of the time. */
static bool read_all(struct emu *emu, void *to, size_t length, int64_t until, int *fd)
{
	uint8_t *at = to;

	while (length) {
		union {
			struct cmsghdr header;
			char room[CMSG_SPACE(sizeof(int))];
		} control;
		struct iovec iov = { at, length };
		struct msghdr msg = { .msg_iov = &iov,
				      .msg_iovlen = 1,
				      .msg_control = control.room,
				      .msg_controllen = sizeof(control.room) };
		struct pollfd poller = { .fd = emu->fd, .events = POLLIN };
		int64_t left = until - now_ms();
		ssize_t got;

		if (left < 0 || poll(&poller, 1, (int)left) == 0)
			return false;
		got = recvmsg(emu->fd, &msg, MSG_CMSG_CLOEXEC);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) {
			emu->closed = true;
			return false;
		}
		if (CMSG_FIRSTHDR(&msg) && CMSG_FIRSTHDR(&msg)->cmsg_type == SCM_RIGHTS)
			memcpy(fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(*fd));
		at += got;
		length -= (size_t)got;
	}
	return true;
}

static struct emu_message *read_message(struct emu *emu, int deadline_ms)
{
	int64_t until = now_ms() + deadline_ms;
	struct emu_message *message;
	struct azl_header header;
	int fd = -1;

	if (emu->fd < 0 || emu->closed || !read_all(emu, &header, sizeof(header), until, &fd))
		return NULL;
	if (header.length < sizeof(header) || header.length > AZL_MAX_MESSAGE + AZL_MAX_BODY) {
		fprintf(stderr, "emu: the backend sent a message of %u bytes\n", header.length);
		abort();
	}
	message = calloc(1, sizeof(*message) + header.length);
	if (!message)
		die("memory");
	message->header = header;
	if (!read_all(emu, &message->header + 1, header.length - sizeof(header), until, &fd)) {
		free(message);
		return NULL;
	}
	message->fd = fd;
	if (header.type == AZL_GOODBYE_BACKEND)
		emu->goodbye = true;
	return message;
}

struct emu_message *emu_receive(struct emu *emu, int deadline_ms)
{
	struct emu_message *message = emu->first;

	if (!message)
		return read_message(emu, deadline_ms);
	emu->first = message->next;
	if (!emu->first)
		emu->last = &emu->first;
	message->next = NULL;
	return message;
}

struct emu_message *emu_receive_type(struct emu *emu, uint16_t type, uint64_t id, int deadline_ms)
{
	struct emu_message *message;

	for (struct emu_message **link = &emu->first; *link; link = &(*link)->next) {
		message = *link;
		if (message->header.type != type || (id && message->header.id != id))
			continue;
		*link = message->next;
		if (!*link)
			emu->last = link;
		message->next = NULL;
		return message;
	}
	while ((message = read_message(emu, deadline_ms))) {
		if (message->header.type == type && (!id || message->header.id == id))
			return message;
		*emu->last = message;
		emu->last = &message->next;
	}
	return NULL;
}

void emu_await_read(struct emu *emu)
{
	int64_t until = now_ms() + EMU_DEADLINE_MS;
	int unread = 1;

	while (unread && now_ms() < until) {
		/* There is no event for this; a Unix socket counts what its peer has not read. */
		if (ioctl(emu->fd, SIOCOUTQ, &unread) < 0)
			die("SIOCOUTQ");
		if (unread)
			sched_yield();
	}
}

bool emu_wait_closed(struct emu *emu)
{
	struct emu_message *message;

	while ((message = read_message(emu, EMU_DEADLINE_MS))) {
		*emu->last = message;
		emu->last = &message->next;
	}
	return emu->closed;
}

/* ----------------------------------------------------------- conversations */

int emu_hello(struct emu *emu, uint64_t features)
{
	struct azl_hello hello = {
		.header = { .length = sizeof(hello), .type = AZL_HELLO },
		.magic = AZL_MAGIC,
		.version_min = AZL_VERSION,
		.version_max = AZL_VERSION,
		.features = features,
	};
	struct emu_message *message;
	int result = 0;

	memcpy(hello.session, emu->session, sizeof(hello.session));
	emu_send(emu, &hello, sizeof(hello), NULL, 0);
	message = emu_receive(emu, EMU_DEADLINE_MS);
	if (!message)
		return -ECONNRESET;
	if (message->header.type == AZL_REFUSE) {
		size_t length = message->header.length - sizeof(struct azl_refuse);

		emu->refused = message->refuse.error;
		memcpy(emu->refusal, &message->refuse + 1, length);
		emu->refusal[length] = '\0';
		result = -ECONNREFUSED;
	} else if (message->header.type == AZL_WELCOME && message->fd >= 0) {
		emu->features = message->welcome.features;
		emu->max_inflight = message->welcome.max_inflight;
		if (emu->pidfd >= 0)
			close(emu->pidfd);
		emu->pidfd = message->fd;
	} else {
		result = -EPROTO;
	}
	free(message);
	return result;
}

int emu_connect(struct emu *emu, const char *path, uint64_t features)
{
	int error = emu_open(emu, path);

	return error ? error : emu_hello(emu, features);
}

void emu_drop(struct emu *emu)
{
	if (emu->fd >= 0)
		close(emu->fd);
	if (emu->pidfd >= 0)
		close(emu->pidfd);
	emu->fd = emu->pidfd = -1;
	while (emu->first) {
		struct emu_message *message = emu->first;

		emu->first = message->next;
		free(message);
	}
	emu->last = &emu->first;
}

bool emu_goodbye(struct emu *emu)
{
	struct azl_header goodbye = { .length = sizeof(goodbye), .type = AZL_GOODBYE_EMULATOR };

	emu_send(emu, &goodbye, sizeof(goodbye), NULL, 0);
	emu_wait_closed(emu);
	return emu->goodbye;
}

int emu_region(struct emu *emu, uint32_t id, const struct emu_memory *memory, uint64_t offset,
	       uint64_t size, uint16_t flags)
{
	struct azl_region_add add = { .header = { .length = sizeof(add),
						  .type = AZL_REGION_ADD,
						  .flags = flags,
						  .id = id },
				      .offset = offset,
				      .size = size };
	struct emu_message *message;
	int error;

	emu_send(emu, &add, sizeof(add), &memory->fd, 1);
	/* Region 0 is an id like any other, so look at it here. */
	message = emu_receive_type(emu, AZL_REGION_STATUS, 0, EMU_DEADLINE_MS);
	if (!message)
		return -1;
	error = message->header.id == id ? (int)message->region_status.error : -1;
	free(message);
	return error;
}

static unsigned int pieces_of(const struct emu_span *span)
{
	if (!span->length)
		return 0;
	return span->piece ? (unsigned int)((span->length + span->piece - 1) / span->piece) : 1;
}

static struct azl_segment *add_pieces(struct azl_segment *at, const struct emu_span *span,
				      uint64_t length, uint32_t use)
{
	uint64_t done = 0;

	while (done < length) {
		uint64_t piece =
			span->piece && span->piece < length - done ? span->piece : length - done;

		*at++ = (struct azl_segment){ span->region, use, span->offset + done, piece };
		done += piece;
	}
	return at;
}

uint64_t emu_submit(struct emu *emu, const struct emu_request *request)
{
	size_t head_length = request->head_length ? request->head_length : strlen(request->head);
	size_t padded = (head_length + 7) & ~(size_t)7;
	bool is_inline = request->flags & AZL_REQUEST_INLINE;
	struct emu_span data = request->data;
	struct azl_request *message;
	struct azl_segment *segment, *end;
	size_t room;

	if (request->data_valid)
		data.length = request->data_valid;
	room = sizeof(*message) + padded +
	       (pieces_of(&data) + pieces_of(&request->response)) * sizeof(*segment) +
	       (is_inline ? request->data_valid : 0);
	message = calloc(1, room);
	if (!message)
		die("memory");
	message->header.type = AZL_REQUEST;
	message->header.flags = request->flags;
	message->header.id = request->id ? request->id : emu->next_id++;
	message->operation = request->operation ? request->operation : VSP_WIRE_OP_USER_REQUEST;
	message->timeout_ms = request->timeout_ms;
	message->head_length = (uint32_t)head_length;
	message->response_length = (uint32_t)request->response.length;
	message->data_length = (uint32_t)request->data.length;
	message->data_valid = request->data_valid;
	memcpy(message + 1, request->head, head_length);
	segment = end = (struct azl_segment *)((char *)(message + 1) + padded);
	if (is_inline) {
		if (request->data_valid)
			memcpy(segment, request->body, request->data_valid);
		message->header.length =
			(uint32_t)(sizeof(*message) + padded + request->data_valid);
	} else {
		end = add_pieces(end, &data, data.length,
				 request->data_valid ? AZL_SEGMENT_DATA_IN : AZL_SEGMENT_DATA_OUT);
		end = add_pieces(end, &request->response, request->response.length,
				 AZL_SEGMENT_RESPONSE);
		message->segment_count = (uint32_t)(end - segment);
		message->header.length = (uint32_t)((char *)end - (char *)message);
	}
	room = message->header.id;
	emu_send(emu, message, message->header.length, NULL, 0);
	free(message);
	return room;
}

void emu_cancel(struct emu *emu, uint64_t id, uint16_t flags)
{
	struct azl_header cancel = {
		.length = sizeof(cancel), .type = AZL_CANCEL, .flags = flags, .id = id
	};

	emu_send(emu, &cancel, sizeof(cancel), NULL, 0);
}

struct emu_message *emu_complete(struct emu *emu, uint64_t id)
{
	struct emu_message *message = emu_receive_type(emu, AZL_COMPLETE, id, EMU_DEADLINE_MS);

	if (message && message->header.flags & AZL_COMPLETE_ACK && !emu->no_ack) {
		struct azl_header ack = { .length = sizeof(ack),
					  .type = AZL_ACK,
					  .id = message->header.id };

		emu_send(emu, &ack, sizeof(ack), NULL, 0);
	}
	return message;
}

const char *emu_inline_response(const struct emu_message *message)
{
	return (const char *)(&message->complete + 1);
}

const uint8_t *emu_inline_data(const struct emu_message *message)
{
	return (const uint8_t *)(&message->complete + 1) + message->complete.response_length;
}

/* ------------------------------------------------------------ answers' heads */

unsigned int emu_status(const char *head, size_t length)
{
	if (length < 12 || memcmp(head, "HTTP/1.1 ", 9) != 0)
		return 0;
	return (unsigned int)((head[9] - '0') * 100 + (head[10] - '0') * 10 + (head[11] - '0'));
}

bool emu_header(const char *head, size_t length, const char *name, char *value, size_t room)
{
	const char *end = head + length;
	size_t name_length = strlen(name);

	for (const char *line = head; line < end;) {
		const char *eol = memchr(line, '\n', (size_t)(end - line));

		if (!eol || eol - line < 2) /* the empty line */
			return false;
		if ((size_t)(eol - line) > name_length && !strncasecmp(line, name, name_length) &&
		    line[name_length] == ':') {
			const char *from = line + name_length + 1;
			size_t bytes;

			while (from < eol && *from == ' ')
				from++;
			bytes = (size_t)(eol - from);
			if (bytes && from[bytes - 1] == '\r')
				bytes--;
			if (bytes >= room)
				return false;
			memcpy(value, from, bytes);
			value[bytes] = '\0';
			return true;
		}
		line = eol + 1;
	}
	return false;
}
