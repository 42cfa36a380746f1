// SPDX-License-Identifier: MIT
/*
 * The device that comes and goes.  A thread opens and probes it, and sleeps as long as it is there.
 * While it is not, the thread waits for something to happen in its folder (udev makes the node
 * there), and tries now and then, because a node may be there long before its host answers.
 */
#include "gateway.h"

#include <errno.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "transport.h"
#include "uapi/misc/hv_azure_blob.h"

#define PAGE ((size_t)AZ_BLOB_PAGE_SIZE)
#define PROBE_TIMEOUT_MS 10000u
/* Pauses between tries while nothing happens, each twice the last. */
#define FIRST_PAUSE_MS 100
#define LAST_PAUSE_MS 10000
/* A host that takes less for a part than a small buffer is not one of ours. */
#define LEAST_PART GW_SMALL

/**
 * struct port - what gw_port is the front of
 * @references: one is the device's as long as the port is the present one.
 * @node: what the path named when it was opened.
 */
struct port {
	struct gw_port pub;
	struct gw_device *owner;
	struct azc_device *device;
	atomic_uint references;
	struct stat node;
};

/**
 * struct gw_device
 * @lock: protects @port and @ending.
 * @port: NULL while there is none.
 * @wake: an eventfd: the port has gone, or it is the end.
 */
struct gw_device {
	char *path;
	struct azc_pool *pool; /* for the probe */
	pthread_t thread;
	pthread_mutex_t lock;
	struct port *port;
	bool ending;
	int wake;
	int watch;      /* inotify; -1: there is none, then only tries */
	char said[200]; /* the last reason that was logged, so that each is told once */
	atomic_uint arrivals;
};

void gw_port_hold(struct gw_port *port)
{
	atomic_fetch_add(&((struct port *)port)->references, 1);
}

void gw_port_put(struct gw_port *pub)
{
	struct port *port = (struct port *)pub;

	if (!port || atomic_fetch_sub(&port->references, 1) != 1)
		return;
	port->device->close(port->device);
	free(port);
}

static void wake(struct gw_device *device)
{
	const uint64_t one = 1;

	(void)!write(device->wake, &one, sizeof(one));
}

/* @port is of no use any more. */
static void lost(struct port *port)
{
	struct gw_device *device = port->owner;
	bool was;

	pthread_mutex_lock(&device->lock);
	was = device->port == port;
	if (was)
		device->port = NULL;
	pthread_mutex_unlock(&device->lock);
	if (!was)
		return;
	azb_log(AZB_LOG_WARNING, "%s has gone", device->path);
	wake(device);
	gw_port_put(&port->pub);
}

int gw_port_submit(struct gw_port *pub, struct az_blob_request_sync *request)
{
	struct port *port = (struct port *)pub;
	int result = port->device->submit(port->device, request);

	if (result == -ENODEV)
		lost(port);
	return result;
}

struct gw_port *gw_device_get(struct gw_device *device)
{
	struct port *port;

	pthread_mutex_lock(&device->lock);
	port = device->port;
	if (port)
		gw_port_hold(&port->pub);
	pthread_mutex_unlock(&device->lock);
	return port ? &port->pub : NULL;
}

unsigned int gw_device_arrivals(const struct gw_device *device)
{
	return atomic_load(&device->arrivals);
}

/* ------------------------------------------------------------------ opening */

static const char *header(const struct gw_exchange *exchange, const char *name)
{
	const char *at = exchange->headers.data, *end = at + exchange->headers.length;

	while (at < end) {
		const char *value = at + strlen(at) + 1;

		if (!strcasecmp(at, name))
			return value;
		at = value + strlen(value) + 1;
	}
	return "";
}

/* GET /.azblob, see docs/payload.md. */
static bool probe(struct gw_device *device, struct port *port, char *why, size_t room)
{
	static const char head[] = "GET /.azblob HTTP/1.1\r\nHost: localhost\r\n\r\n";
	/* all pages, less those of the largest head and the longest response, each unaligned */
	const size_t own_max =
		((size_t)AZ_BLOB_MAX_PAGES - (HEAD_MAX_BYTES + GW_LONG_RESPONSE_ROOM) / PAGE - 3) *
		PAGE;
	struct gw_exchange exchange = { .head = head,
					.head_length = sizeof(head) - 1,
					.response_room = GW_RESPONSE_ROOM,
					.probe = true,
					.timeout_ms = PROBE_TIMEOUT_MS };
	enum gw_outcome outcome;
	unsigned long long part;
	bool good = false;

	port->pub.part_max = own_max;
	outcome = gw_exchange_do(&exchange, &port->pub, device->pool);
	if (outcome != GW_ANSWERED) {
		snprintf(why, room, "%s", exchange.reason);
	} else if (exchange.status != 200 ||
		   strcmp(header(&exchange, "Azblob-Payload"), "1") != 0) {
		snprintf(why, room, "its host does not know this program's requests (status %u)",
			 exchange.status);
	} else {
		part = strtoull(header(&exchange, "Azblob-Part-Max"), NULL, 10);
		good = part >= LEAST_PART;
		if (part < own_max)
			port->pub.part_max = (size_t)part / PAGE * PAGE;
		snprintf(why, room, good ? "%s" : "its host takes too little in one request",
			 header(&exchange, "Azblob-Server"));
	}
	gw_exchange_reset(&exchange);
	return good;
}

static struct port *open_port(struct gw_device *device, char *why, size_t room)
{
	struct port *port = calloc(1, sizeof(*port));
	int sys_errno = ENOMEM;

	if (port) {
		atomic_init(&port->references, 1);
		atomic_init(&port->pub.requests, 1);
		/* only for logs: where randomness is not ready yet, zeros do */
		if (getrandom(port->pub.guid, sizeof(port->pub.guid), GRND_NONBLOCK) < 0)
			memset(port->pub.guid, 0, sizeof(port->pub.guid));
		port->owner = device;
		port->device = azc_device_open(device->path, &sys_errno);
	}
	if (port && port->device && stat(device->path, &port->node)) {
		sys_errno = errno;
		port->device->close(port->device);
		port->device = NULL;
	}
	if (!port || !port->device) {
		snprintf(why, room, "%s", strerror(sys_errno));
		free(port);
		return NULL;
	}
	if (probe(device, port, why, room))
		return port;
	gw_port_put(&port->pub);
	return NULL;
}

/* Waits for the pause to pass, or something to happen.  True: in the folder. */
static bool pause_for(struct gw_device *device, int ms)
{
	struct pollfd fds[2] = { { .fd = device->wake, .events = POLLIN },
				 { .fd = device->watch, .events = POLLIN } };
	char ignored[4096];
	bool happened;

	poll(fds, device->watch >= 0 ? 2 : 1, ms);
	(void)!read(device->wake, ignored, sizeof(uint64_t));
	happened = device->watch >= 0 && read(device->watch, ignored, sizeof(ignored)) > 0;
	return happened;
}

static bool is_ending(struct gw_device *device)
{
	bool ending;

	pthread_mutex_lock(&device->lock);
	ending = device->ending;
	pthread_mutex_unlock(&device->lock);
	return ending;
}

static bool is_there(struct gw_device *device)
{
	bool there;

	pthread_mutex_lock(&device->lock);
	there = device->port || device->ending;
	pthread_mutex_unlock(&device->lock);
	return there;
}

static bool try_open(struct gw_device *device)
{
	char why[sizeof(device->said)] = "";
	struct port *port = open_port(device, why, sizeof(why));

	if (!port) {
		if (strcmp(why, device->said) != 0)
			azb_log(AZB_LOG_WARNING, "%s: %s", device->path, why);
		snprintf(device->said, sizeof(device->said), "%s", why);
		return false;
	}
	*device->said = 0;
	azb_log(AZB_LOG_INFO, "%s: %s", device->path, why);
	pthread_mutex_lock(&device->lock);
	device->port = port;
	pthread_mutex_unlock(&device->lock);
	atomic_fetch_add(&device->arrivals, 1);
	return true;
}

/*
 * A node that is removed takes its device along.  Who is told so before a request goes there need
 * not wonder what became of it.
 */
static void look_at_node(struct gw_device *device)
{
	struct stat now;
	bool there = !stat(device->path, &now);
	struct port *port;

	pthread_mutex_lock(&device->lock);
	port = device->port;
	if (port && there && now.st_dev == port->node.st_dev && now.st_ino == port->node.st_ino)
		port = NULL;
	if (port)
		device->port = NULL;
	pthread_mutex_unlock(&device->lock);
	if (!port)
		return;
	azb_log(AZB_LOG_WARNING, "%s was removed", device->path);
	gw_port_put(&port->pub);
}

static void *look(void *argument)
{
	struct gw_device *device = argument;
	int pause = FIRST_PAUSE_MS;

	while (!is_ending(device)) {
		if (is_there(device)) {
			if (pause_for(device, -1))
				look_at_node(device);
			pause = FIRST_PAUSE_MS;
		} else if (!try_open(device)) {
			if (pause_for(device, pause))
				pause = FIRST_PAUSE_MS;
			else
				pause = pause * 2 < LAST_PAUSE_MS ? pause * 2 : LAST_PAUSE_MS;
		}
	}
	return NULL;
}

static void watch_folder(struct gw_device *device)
{
	char *copy = strdup(device->path);

	device->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (copy && device->watch >= 0 &&
	    inotify_add_watch(device->watch, dirname(copy),
			      IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM | IN_ATTRIB) <
		    0) {
		close(device->watch);
		device->watch = -1;
	}
	free(copy);
}

struct gw_device *gw_device_new(const char *path)
{
	struct gw_device *device = calloc(1, sizeof(*device));
	sigset_t all, old;
	int rc;

	if (!device)
		return NULL;
	pthread_mutex_init(&device->lock, NULL);
	device->path = strdup(path);
	device->pool = azc_pool_new();
	device->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!device->path || !device->pool || device->wake < 0)
		goto fail;
	watch_folder(device);
	/* at once, so that the first request finds it */
	try_open(device);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&device->thread, NULL, look, device);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!rc)
		return device;
	if (device->watch >= 0)
		close(device->watch);
	gw_port_put(device->port ? &device->port->pub : NULL);
fail:
	if (device->wake >= 0)
		close(device->wake);
	azc_pool_free(device->pool);
	free(device->path);
	free(device);
	return NULL;
}

void gw_device_free(struct gw_device *device)
{
	if (!device)
		return;
	pthread_mutex_lock(&device->lock);
	device->ending = true;
	pthread_mutex_unlock(&device->lock);
	wake(device);
	pthread_join(device->thread, NULL);
	gw_port_put(device->port ? &device->port->pub : NULL);
	if (device->watch >= 0)
		close(device->watch);
	close(device->wake);
	azc_pool_free(device->pool);
	pthread_mutex_destroy(&device->lock);
	free(device->path);
	free(device);
}
