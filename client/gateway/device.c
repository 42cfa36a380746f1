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
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "transport.h"

/* Pauses between tries while nothing happens, each twice the last. */
#define FIRST_PAUSE_MS 100
#define LAST_PAUSE_MS 10000

/**
 * struct port - what gw_port is the front of
 * @references: one is the device's as long as the port is the present one.
 * @node: what the path named when it was opened.
 */
struct port {
	struct gw_port pub;
	struct gw_device *owner;
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
	pthread_t thread;
	pthread_mutex_t lock;
	struct port *port;
	bool ending;
	int wake;
	int watch;      /* inotify; -1: there is none, then only tries */
	char said[400]; /* the last reason that was logged, so that each is told once */
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
	azblob_close(port->pub.conn);
	free(port);
}

static void wake(struct gw_device *device)
{
	const uint64_t one = 1;

	(void)!write(device->wake, &one, sizeof(one));
}

void gw_port_gone(struct gw_port *pub)
{
	struct port *port = (struct port *)pub;
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

static struct port *open_port(struct gw_device *device, char *why, size_t room)
{
	/* no credentials: each request brings those of its client */
	const azblob_config config = { .account = (char *)(uintptr_t) "",
				       .sas = (char *)(uintptr_t) "",
				       .device = device->path,
				       .transport = AZBLOB_TRANSPORT_DRIVER,
				       .timeout_ms = 0 };
	struct port *port = calloc(1, sizeof(*port));
	struct azblob_error error;

	if (!port) {
		snprintf(why, room, "out of memory");
		return NULL;
	}
	atomic_init(&port->references, 1);
	port->owner = device;
	if (azblob_open(&config, &port->pub.conn, &error)) {
		snprintf(why, room, "%.*s", (int)room - 1, error.message);
	} else if (stat(device->path, &port->node)) {
		snprintf(why, room, "%s: %s", device->path, strerror(errno));
	} else if (port->pub.conn->transport->part_max < GW_LARGE) {
		snprintf(why, room, "%s: its host takes too little in one request", device->path);
	} else {
		snprintf(why, room, "%s: %s", device->path, port->pub.conn->transport->server);
		return port;
	}
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
			azb_log(AZB_LOG_WARNING, "%s", why);
		snprintf(device->said, sizeof(device->said), "%s", why);
		return false;
	}
	*device->said = 0;
	azb_log(AZB_LOG_INFO, "%s", why);
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
	device->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!device->path || device->wake < 0)
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
	pthread_mutex_destroy(&device->lock);
	free(device->path);
	free(device);
}
