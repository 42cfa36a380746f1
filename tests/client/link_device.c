// SPDX-License-Identifier: MIT
/*
 * A device for tests that is no device: it plays driver and emulator over the backend's link
 * socket, with the bytes in the messages.  Linked in place of the ioctl, --device then names the
 * socket; nothing of this is in the programs that are installed.
 *
 * With AZBLOB_LINK_RETURNS set it does as the emulator when the daemon dies: connects again and
 * sends once more what is unanswered.
 *
 * With AZBLOB_LINK_COMMITS set, a list of the wire's statuses in hexadecimal, the first commits of
 * bodies come to these: NO_RESOURCES without the backend, others after it has done them.  A "404"
 * there is what the backend says of a handle that it does not know.
 *
 * With AZBLOB_LINK_STUCK set, the host is stuck at the first handle that only a byte is read from:
 * such a read of it is answered by its time-out.
 */
#include "transport.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "azblob/vsp_link.h"
#include "azblob/vsp_wire.h"
#include "uapi/misc/hv_azure_blob.h"

struct waiter {
	struct waiter *next;
	uint64_t id;
	struct az_blob_request_sync *request;
	bool done;
	bool ack; /* the backend wants to hear that the answer arrived */
};

struct link_device {
	struct azc_device device;
	struct sockaddr_un address;
	uint8_t session[16];
	bool returns;
	int fd; /* the reader's; others: under send_lock */
	pthread_t reader;
	pthread_mutex_t send_lock; /* messages are sent whole; taken before lock */
	pthread_mutex_t lock;      /* protects the rest */
	pthread_cond_t changed;
	struct waiter *waiters;
	uint64_t next_id;
	bool closing;
	bool gone;
};

static bool read_all(int fd, void *buffer, size_t length)
{
	char *at = buffer;

	while (length) {
		ssize_t got = read(fd, at, length);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		at += got;
		length -= (size_t)got;
	}
	return true;
}

static bool write_all(int fd, const void *buffer, size_t length)
{
	const char *at = buffer;

	while (length) {
		ssize_t done = send(fd, at, length, MSG_NOSIGNAL);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		at += done;
		length -= (size_t)done;
	}
	return true;
}

static bool send_bare(struct link_device *link, uint16_t type, uint64_t id)
{
	struct azl_header header = { .length = sizeof(header), .type = type, .id = id };
	bool good;

	pthread_mutex_lock(&link->send_lock);
	good = write_all(link->fd, &header, sizeof(header));
	pthread_mutex_unlock(&link->send_lock);
	return good;
}

static struct waiter *find_waiter(struct link_device *link, uint64_t id)
{
	struct waiter *at;

	pthread_mutex_lock(&link->lock);
	for (at = link->waiters; at && at->id != id; at = at->next)
		;
	pthread_mutex_unlock(&link->lock);
	return at;
}

/* The lock is held. */
static void remove_waiter(struct link_device *link, const struct waiter *waiter)
{
	struct waiter **at = &link->waiters;

	while (*at && *at != waiter)
		at = &(*at)->next;
	if (*at)
		*at = waiter->next;
}

static bool take_complete(struct link_device *link, const struct azl_header *header)
{
	struct azl_complete complete = { .header = *header };
	struct az_blob_request_sync *request;
	struct waiter *waiter;

	if (header->length < sizeof(complete) ||
	    !read_all(link->fd, (char *)&complete + sizeof(*header),
		      sizeof(complete) - sizeof(*header)))
		return false;
	waiter = find_waiter(link, header->id);
	if (!waiter)
		return false;
	request = waiter->request;
	if (complete.response_length > request->response_len ||
	    complete.data_length > request->data_len ||
	    header->length != sizeof(complete) + complete.response_length + complete.data_length)
		return false;
	if (!read_all(link->fd, (void *)(uintptr_t)request->response_buffer,
		      complete.response_length) ||
	    !read_all(link->fd, (void *)(uintptr_t)request->data_buffer, complete.data_length))
		return false;
	request->response.status = complete.status;
	request->response.response_len = complete.response_length;
	pthread_mutex_lock(&link->lock);
	remove_waiter(link, waiter);
	waiter->ack = header->flags & AZL_COMPLETE_ACK;
	waiter->done = true;
	pthread_cond_broadcast(&link->changed);
	pthread_mutex_unlock(&link->lock);
	return true;
}

static bool come_back(struct link_device *link);

static void *reader_main(void *data)
{
	struct link_device *link = data;
	struct azl_header header;

	do {
		while (read_all(link->fd, &header, sizeof(header)) && header.type == AZL_COMPLETE &&
		       take_complete(link, &header))
			;
	} while (come_back(link));
	pthread_mutex_lock(&link->lock);
	link->gone = true;
	pthread_cond_broadcast(&link->changed);
	pthread_mutex_unlock(&link->lock);
	return NULL;
}

/* Pages that a buffer touches. */
static uint64_t pages(uint64_t address, uint64_t length)
{
	return length ? (address + length - 1) / AZ_BLOB_PAGE_SIZE - address / AZ_BLOB_PAGE_SIZE + 1
		      : 0;
}

/* What the driver refuses. */
static int check(const struct az_blob_request_sync *request)
{
	if (!request->request_len || !request->response_len || request->reserved ||
	    (request->data_len && request->data_valid > request->data_len))
		return -EINVAL;
	if (pages(request->request_buffer, request->request_len) +
		    pages(request->response_buffer, request->response_len) +
		    pages(request->data_buffer, request->data_len) >
	    AZ_BLOB_MAX_PAGES)
		return -EMSGSIZE;
	return 0;
}

/* The send lock is held. */
static bool send_request(struct link_device *link, const struct az_blob_request_sync *request,
			 uint64_t id, uint16_t flags)
{
	static const char zeros[8];
	size_t padding = -request->request_len & 7u;
	struct azl_request message = {
		.header = { .type = AZL_REQUEST, .flags = AZL_REQUEST_INLINE | flags, .id = id },
		.operation = VSP_WIRE_OP_USER_REQUEST,
		.timeout_ms = request->timeout,
		.head_length = request->request_len,
		.response_length = request->response_len,
		.data_length = request->data_len,
		.data_valid = request->data_valid,
	};

	message.header.length =
		(uint32_t)(sizeof(message) + request->request_len + padding + request->data_valid);
	memcpy(message.guid, request->guid, sizeof(message.guid));
	return write_all(link->fd, &message, sizeof(message)) &&
	       write_all(link->fd, (void *)(uintptr_t)request->request_buffer,
			 request->request_len) &&
	       write_all(link->fd, zeros, padding) &&
	       write_all(link->fd, (void *)(uintptr_t)request->data_buffer, request->data_valid);
}

#define COMMIT "POST /.azblob/"
#define COMMIT_LENGTH (sizeof(COMMIT) - 1)
#define UNKNOWN_HANDLE 0x404u

/* The status that @request is to come to; 0: its own. */
static uint32_t lost_commit(const struct az_blob_request_sync *request)
{
	static _Atomic unsigned int commits;
	const char *list = getenv("AZBLOB_LINK_COMMITS");
	const char *head = (const char *)(uintptr_t)request->request_buffer;
	unsigned long status;
	char *end;

	if (!list || request->request_len <= COMMIT_LENGTH ||
	    memcmp(head, COMMIT, COMMIT_LENGTH) != 0)
		return 0;
	status = strtoul(list, &end, 16);
	for (unsigned int n = commits++; n && end != list; n--) {
		list = end;
		status = strtoul(list, &end, 16);
	}
	return end == list ? 0 : (uint32_t)status;
}

#define READ "GET /.azblob/"
#define READ_LENGTH (sizeof(READ) - 1)
#define ONE_BYTE "?offset=0&length=1 "
#define HANDLE_DIGITS 32u

static bool is_stuck(const struct az_blob_request_sync *request)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static char at[HANDLE_DIGITS];
	const char *head = (const char *)(uintptr_t)request->request_buffer;
	bool stuck;

	if (!getenv("AZBLOB_LINK_STUCK") ||
	    request->request_len < READ_LENGTH + HANDLE_DIGITS + sizeof(ONE_BYTE) - 1 ||
	    memcmp(head, READ, READ_LENGTH) != 0 ||
	    memcmp(head + READ_LENGTH + HANDLE_DIGITS, ONE_BYTE, sizeof(ONE_BYTE) - 1) != 0)
		return false;
	pthread_mutex_lock(&lock);
	if (!*at)
		memcpy(at, head + READ_LENGTH, HANDLE_DIGITS);
	stuck = !memcmp(at, head + READ_LENGTH, HANDLE_DIGITS);
	pthread_mutex_unlock(&lock);
	return stuck;
}

static void wait_time_out(uint32_t ms)
{
	struct timespec time = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

	while (nanosleep(&time, &time))
		;
}

static int link_submit(struct azc_device *device, struct az_blob_request_sync *request)
{
	struct link_device *link = (struct link_device *)device;
	struct waiter waiter = { .request = request };
	int result = check(request);
	uint32_t lost;

	if (result)
		return result;
	if (is_stuck(request)) {
		wait_time_out(request->timeout);
		request->response.status = VSP_WIRE_STATUS_TIMEOUT;
		return 0;
	}
	lost = lost_commit(request);
	if (lost == VSP_WIRE_STATUS_NO_RESOURCES) {
		request->response.status = lost;
		return 0;
	}
	if (lost == UNKNOWN_HANDLE) {
		char *digit = (char *)(uintptr_t)request->request_buffer + COMMIT_LENGTH;

		*digit = *digit == '0' ? '1' : '0';
		lost = 0;
	}
	pthread_mutex_lock(&link->send_lock);
	pthread_mutex_lock(&link->lock);
	waiter.id = link->next_id++;
	waiter.next = link->waiters;
	link->waiters = &waiter;
	pthread_mutex_unlock(&link->lock);
	/* The reader finds out, and sends it again where it comes back. */
	if (!send_request(link, request, waiter.id, 0))
		shutdown(link->fd, SHUT_RDWR);
	pthread_mutex_unlock(&link->send_lock);
	pthread_mutex_lock(&link->lock);
	while (!waiter.done && !link->gone)
		pthread_cond_wait(&link->changed, &link->lock);
	result = waiter.done ? 0 : -ENODEV;
	if (!waiter.done)
		remove_waiter(link, &waiter);
	pthread_mutex_unlock(&link->lock);
	if (!result && lost)
		request->response.status = lost;
	/* not by the reader: a backend that waits for it to read takes nothing in */
	if (waiter.ack)
		send_bare(link, AZL_ACK, waiter.id);
	return result;
}

/* As the driver's: what is in line to be sent is sent, and the host is told after it. */
static int link_cancel(struct azc_device *device, const uint8_t guid[16], bool *unsent)
{
	struct link_device *link = (struct link_device *)device;
	struct waiter *at;
	uint64_t id = 0;

	pthread_mutex_lock(&link->lock);
	for (at = link->waiters; at && memcmp(at->request->guid, guid, 16) != 0; at = at->next)
		;
	if (at)
		id = at->id;
	pthread_mutex_unlock(&link->lock);
	if (!id)
		return -ENOENT;
	*unsent = false;
	/* One that has been answered meanwhile is nothing to the backend. */
	return send_bare(link, AZL_CANCEL, id) ? 0 : -ENODEV;
}

static void link_close(struct azc_device *device)
{
	struct link_device *link = (struct link_device *)device;

	pthread_mutex_lock(&link->lock);
	link->closing = true;
	pthread_mutex_unlock(&link->lock);
	send_bare(link, AZL_GOODBYE_EMULATOR, 0);
	pthread_mutex_lock(&link->send_lock);
	shutdown(link->fd, SHUT_RDWR);
	pthread_mutex_unlock(&link->send_lock);
	pthread_join(link->reader, NULL);
	close(link->fd);
	free(link);
}

/* WELCOME comes with a pidfd, which is of no use here. */
static bool read_welcome(int fd)
{
	struct azl_welcome welcome;
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &welcome, sizeof(welcome.header) };
	struct msghdr message = { .msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof(control) };
	struct cmsghdr *extra;
	ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC | MSG_WAITALL);

	extra = CMSG_FIRSTHDR(&message);
	if (extra && extra->cmsg_type == SCM_RIGHTS) {
		int pidfd;

		memcpy(&pidfd, CMSG_DATA(extra), sizeof(pidfd));
		close(pidfd);
	}
	return got == (ssize_t)sizeof(welcome.header) && welcome.header.type == AZL_WELCOME &&
	       welcome.header.length == sizeof(welcome) &&
	       read_all(fd, (char *)&welcome + sizeof(welcome.header),
			sizeof(welcome) - sizeof(welcome.header)) &&
	       welcome.version == AZL_VERSION;
}

static bool say_hello(int fd, const uint8_t session[16])
{
	struct azl_hello hello = {
		.header = { .length = sizeof(hello), .type = AZL_HELLO },
		.magic = AZL_MAGIC,
		.version_min = AZL_VERSION,
		.version_max = AZL_VERSION,
		.features = AZL_FEATURE_RESEND,
	};

	memcpy(hello.session, session, sizeof(hello.session));
	return write_all(fd, &hello, sizeof(hello)) && read_welcome(fd);
}

/* A connection that has said HELLO, or -1 with errno. */
static int dial(const struct link_device *link)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		abort();
	if (!connect(fd, (const struct sockaddr *)&link->address, sizeof(link->address)) &&
	    say_hello(fd, link->session))
		return fd;
	errno = errno ? errno : ENODEV;
	close(fd);
	return -1;
}

static bool is_closing(struct link_device *link)
{
	bool closing;

	pthread_mutex_lock(&link->lock);
	closing = link->closing;
	pthread_mutex_unlock(&link->lock);
	return closing;
}

/* In the reader, which takes waiters out: so none goes meanwhile. */
static bool come_back(struct link_device *link)
{
	int fd = -1;

	pthread_mutex_lock(&link->send_lock);
	while (link->returns && !is_closing(link) && fd < 0) {
		fd = dial(link);
		if (fd < 0)
			usleep(10000);
	}
	if (fd >= 0) {
		close(link->fd);
		link->fd = fd;
		for (struct waiter *at = link->waiters; at; at = at->next)
			if (!send_request(link, at->request, at->id, AZL_REQUEST_RESENT))
				shutdown(fd, SHUT_RDWR);
	}
	pthread_mutex_unlock(&link->send_lock);
	return fd >= 0;
}

struct azc_device *azc_device_open(const char *path, int *sys_errno)
{
	struct link_device *link = calloc(1, sizeof(*link));

	if (!link || getrandom(link->session, sizeof(link->session), 0) != sizeof(link->session))
		abort();
	link->address.sun_family = AF_UNIX;
	snprintf(link->address.sun_path, sizeof(link->address.sun_path), "%s", path);
	link->returns = getenv("AZBLOB_LINK_RETURNS") != NULL;
	link->fd = dial(link);
	if (link->fd < 0) {
		*sys_errno = errno;
		free(link);
		return NULL;
	}
	link->next_id = 1;
	link->device.submit = link_submit;
	link->device.cancel = link_cancel;
	link->device.close = link_close;
	pthread_mutex_init(&link->send_lock, NULL);
	pthread_mutex_init(&link->lock, NULL);
	pthread_cond_init(&link->changed, NULL);
	if (pthread_create(&link->reader, NULL, reader_main, link))
		abort();
	return &link->device;
}
