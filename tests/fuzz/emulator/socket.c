// SPDX-License-Identifier: MIT
/* The backend of rig.h: the chardev, its socket and the process at the other end (standins.h). */
#include "rig.h"

#include "chardev/char-socket.h"
#include "io/channel-socket.h"

uint64_t rig_last_request;

static size_t socket_room = SIZE_MAX; /* bytes that can be written until it is full */

/* ---- what the units call ---- */

static struct {
	IOEventHandler *event;
	void *opaque;
	Chardev *chardev;
	bool connected;
	bool with_pidfd; /* goes with the next bytes */
	GByteArray *in;  /* to the emulator */
	size_t piece;
	GByteArray *out; /* from it: a message that is not all there */
	uint64_t skip;   /* bytes of the message that are of no interest */
	bool takes_regions;
} link_ = { .piece = SIZE_MAX };

static struct watch {
	int fd;
	IOHandler *read, *write;
	void *opaque;
} link_watch = { .fd = -1 }, pidfd_watch = { .fd = -1 };
static int link_fd = -1;

bool fuzz_chr_connected(CharBackend *be);
Chardev *fuzz_chr_get_driver(CharBackend *be);
void fuzz_chr_set_handlers(CharBackend *be, IOCanReadHandler *can_read, IOReadHandler *read,
			   IOEventHandler *event, BackendChangeHandler *change, void *opaque,
			   GMainContext *context, bool set_open);
void fuzz_chr_disconnect(CharBackend *be);
void fuzz_chr_deinit(CharBackend *be, bool del);
int fuzz_dup(int fd);
QIOChannelSocket *fuzz_channel_new_fd(int fd, Error **errp);
bool fuzz_channel_has_feature(QIOChannel *channel, QIOChannelFeature feature);
ssize_t fuzz_channel_readv(QIOChannel *channel, const struct iovec *iov, size_t count, int **fds,
			   size_t *fd_count, int flags, Error **errp);
ssize_t fuzz_channel_writev(QIOChannel *channel, const struct iovec *iov, size_t count, int *fds,
			    size_t fd_count, int flags, Error **errp);
void fuzz_set_fd_handler(AioContext *context, int fd, IOHandler *read, IOHandler *write,
			 AioPollFn *poll, IOHandler *poll_ready, void *opaque);
bool fuzz_aio_poll(AioContext *context, bool blocking);
gboolean fuzz_get_contents(const char *path, char **contents, gsize *length, GError **error);
void fuzz_say(const char *format, ...);

bool fuzz_chr_connected(CharBackend *be)
{
	return true;
}

Chardev *fuzz_chr_get_driver(CharBackend *be)
{
	return link_.chardev;
}

void fuzz_chr_set_handlers(CharBackend *be, IOCanReadHandler *can_read, IOReadHandler *read,
			   IOEventHandler *event, BackendChangeHandler *change, void *opaque,
			   GMainContext *context, bool set_open)
{
	link_.event = event;
	link_.opaque = opaque;
}

void fuzz_chr_disconnect(CharBackend *be)
{
	link_.connected = false;
}

void fuzz_chr_deinit(CharBackend *be, bool del)
{
}

static int null_fd(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	must(fd >= 0);
	return fd;
}

int fuzz_dup(int fd)
{
	return null_fd();
}

QIOChannelSocket *fuzz_channel_new_fd(int fd, Error **errp)
{
	QIOChannelSocket *channel = qio_channel_socket_new();

	/* which closes it */
	channel->fd = fd;
	link_fd = fd;
	return channel;
}

bool fuzz_channel_has_feature(QIOChannel *channel, QIOChannelFeature feature)
{
	return true;
}

ssize_t fuzz_channel_readv(QIOChannel *channel, const struct iovec *iov, size_t count, int **fds,
			   size_t *fd_count, int flags, Error **errp)
{
	size_t size = MIN(MIN(link_.in->len, link_.piece), iov_size(iov, count));

	*fds = NULL;
	*fd_count = 0;
	must(count && iov_size(iov, count));
	if (!size)
		return link_.connected ? QIO_CHANNEL_ERR_BLOCK : 0;
	iov_from_buf(iov, count, 0, link_.in->data, size);
	g_byte_array_remove_range(link_.in, 0, size);
	if (link_.with_pidfd) {
		link_.with_pidfd = false;
		*fds = g_new(int, 1);
		**fds = null_fd();
		*fd_count = 1;
	}
	return size;
}

static void say_later(const void *bytes, size_t size)
{
	g_byte_array_append(link_.in, bytes, size);
}

/* What the emulator says: messages have to be whole and of its types. */
static void heard(const uint8_t *bytes, size_t size)
{
	while (size) {
		struct azl_header header;
		size_t take;

		if (link_.skip) {
			take = MIN(link_.skip, size);
			link_.skip -= take;
			bytes += take;
			size -= take;
			continue;
		}
		take = MIN(sizeof(header) - link_.out->len, size);
		g_byte_array_append(link_.out, bytes, take);
		bytes += take;
		size -= take;
		if (link_.out->len < sizeof(header))
			return;
		memcpy(&header, link_.out->data, sizeof(header));
		g_byte_array_set_size(link_.out, 0);
		must(header.length >= sizeof(header) && header.length <= AZL_MAX_MESSAGE);
		must(header.type <= AZL_GOODBYE_EMULATOR && header.type % 2);
		link_.skip = header.length - sizeof(header);
		if (header.type == AZL_REQUEST)
			rig_last_request = header.id;
		if (header.type == AZL_REGION_ADD && link_.takes_regions) {
			struct azl_region_status status = { .header = { .length = sizeof(status),
									.type = AZL_REGION_STATUS,
									.id = header.id } };

			say_later(&status, sizeof(status));
		}
	}
}

ssize_t fuzz_channel_writev(QIOChannel *channel, const struct iovec *iov, size_t count, int *fds,
			    size_t fd_count, int flags, Error **errp)
{
	g_autofree uint8_t *bytes = NULL;
	size_t size = MIN(iov_size(iov, count), socket_room);

	if (!link_.connected)
		return -1;
	if (!size)
		return QIO_CHANNEL_ERR_BLOCK;
	if (socket_room != SIZE_MAX)
		socket_room -= size;
	bytes = g_malloc(size);
	iov_to_buf(iov, count, 0, bytes, size);
	heard(bytes, size);
	return size;
}

void fuzz_set_fd_handler(AioContext *context, int fd, IOHandler *read, IOHandler *write,
			 AioPollFn *poll, IOHandler *poll_ready, void *opaque)
{
	struct watch *watch = fd == link_fd ? &link_watch : &pidfd_watch;

	must(!read || watch->fd < 0 || watch->fd == fd);
	watch->fd = read ? fd : -1;
	watch->read = read;
	watch->write = write;
	watch->opaque = opaque;
	if (fd == link_fd && !read)
		link_fd = -1;
}

gboolean fuzz_get_contents(const char *path, char **contents, gsize *length, GError **error)
{
	*contents = g_strdup("pos:\t0\nflags:\t02000002\nPid:\t1\n");
	return true;
}

void fuzz_say(const char *format, ...)
{
}

/* ---- what targets call ---- */

bool rig_is_connected(void)
{
	return link_.connected && link_watch.fd >= 0;
}

void rig_say(const void *bytes, size_t size, size_t piece)
{
	if (!rig_is_connected())
		return;
	link_.piece = MAX(piece, 1);
	say_later(bytes, size);
	rig_settle();
	link_.piece = SIZE_MAX;
}

void rig_set_room(size_t bytes)
{
	socket_room = bytes;
	rig_settle();
}

void rig_connect(bool welcome)
{
	struct azl_welcome message = {
		.header = { .length = sizeof(message), .type = AZL_WELCOME },
		.version = AZL_VERSION,
		.max_request_head = AZL_MAX_REQUEST_HEAD,
		.max_inflight = 64,
		.features = (rig_vsp->inline_only ? 0 : AZL_FEATURE_REGIONS) | AZL_FEATURE_RESEND,
	};

	if (link_.connected)
		return;
	g_byte_array_set_size(link_.in, 0);
	g_byte_array_set_size(link_.out, 0);
	link_.skip = 0;
	link_.connected = true;
	link_.with_pidfd = true;
	link_.takes_regions = welcome;
	link_.event(link_.opaque, CHR_EVENT_OPENED);
	if (welcome && rig_vsp->session.state == VSP_SESSION_HELLO)
		rig_say(&message, sizeof(message), SIZE_MAX);
	rig_settle();
}

void rig_disconnect(void)
{
	if (!link_.connected)
		return;
	link_.connected = false;
	link_.event(link_.opaque, CHR_EVENT_CLOSED);
	rig_settle();
}

void rig_die(void)
{
	if (pidfd_watch.fd >= 0)
		pidfd_watch.read(pidfd_watch.opaque);
	/* the socket of who is dead is closed */
	if (link_.connected && rig_vsp->session.state != VSP_SESSION_HELLO &&
	    rig_vsp->session.state != VSP_SESSION_HELD)
		rig_disconnect();
}

bool rig_has_process(void)
{
	return pidfd_watch.fd >= 0;
}

bool rig_socket_step(void)
{
	bool progress = false;

	if (link_watch.fd >= 0 && link_.in->len) {
		link_watch.read(link_watch.opaque);
		progress = true;
	}
	if (link_watch.fd >= 0 && link_watch.write && socket_room) {
		link_watch.write(link_watch.opaque);
		progress = true;
	}
	return progress;
}

void rig_socket_init(void)
{
	link_.in = g_byte_array_new();
	link_.out = g_byte_array_new();
	link_.chardev = CHARDEV(object_new(TYPE_CHARDEV_SOCKET));
	SOCKET_CHARDEV(link_.chardev)->addr = g_new0(SocketAddress, 1);
	SOCKET_CHARDEV(link_.chardev)->addr->type = SOCKET_ADDRESS_TYPE_UNIX;
	SOCKET_CHARDEV(link_.chardev)->sioc = qio_channel_socket_new();
}
