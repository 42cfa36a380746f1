// SPDX-License-Identifier: MIT
/* The link door: its socket, its event loop and its end; see link.h. */
#include "link_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../base/log.h"
#include "../base/unixsock.h"

/* Requests that wait for one commit wait in as many threads. */
#define THREADS_DEFAULT 32u
#define BUDGET_DEFAULT (16u * 1024u * 1024u)
#define EVENTS 64
/* A request may be answered so much after its time-out. */
#define DUE_STEP_NS (20u * 1000000u)
/* How long no link is accepted after the process ran out of descriptors. */
#define DEAF_NS (500u * 1000000u)
/* How long a peer that does not read may delay the end of the door. */
#define LINGER_MS 1000u

/* Tells the event loop's own descriptors from connections. */
static char listener_tag, wake_tag;

void link_door_wake(struct link_door *door)
{
	uint64_t one = 1;

	/* Only EAGAIN is possible, and then a wake is under way. */
	while (write(door->wake, &one, sizeof(one)) < 0 && errno == EINTR)
		;
}

/* -------------------------------------------------------------- event loop */

/*
 * Without a free descriptor the listener stays readable, and epoll would say so again at once and
 * for ever.  It is left alone for a while; who wants to connect waits in its queue.
 */
static void listen_again(struct link_door *door, bool now)
{
	struct epoll_event event = { .events = now ? EPOLLIN : 0, .data.ptr = &listener_tag };

	door->deaf_until_ns = now ? 0 : link_now_ns() + DEAF_NS;
	epoll_ctl(door->epoll, EPOLL_CTL_MOD, door->listener, &event);
}

static void accept_all(struct link_door *door)
{
	for (;;) {
		int fd = accept4(door->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct link_conn *conn;

		if (fd < 0) {
			if (errno == EINTR || errno == ECONNABORTED)
				continue;
			if (errno != EAGAIN && errno != EWOULDBLOCK) {
				azb_log(AZB_LOG_ERROR, "link: accept: %m");
				listen_again(door, false);
			}
			return;
		}
		conn = link_conn_new(door, fd);
		if (!conn) {
			azb_log(AZB_LOG_ERROR, "link: out of memory");
			close(fd);
			continue;
		}
		conn->next = door->conns;
		door->conns = conn;
		atomic_fetch_add(&door->links, 1);
	}
}

/* All links that may have something to do; each may leave the list. */
static void step_all(struct link_door *door)
{
	struct link_conn *next;

	for (struct link_conn *conn = door->conns; conn; conn = next) {
		next = conn->next;
		link_conn_step(conn);
	}
}

static void on_wake(struct link_door *door)
{
	uint64_t count;

	while (read(door->wake, &count, sizeof(count)) < 0 && errno == EINTR)
		;
	step_all(door);
}

static void answer_overdue(struct link_door *door, uint64_t now)
{
	door->due_ns = UINT64_MAX;
	for (struct link_conn *conn = door->conns; conn; conn = conn->next) {
		uint64_t next = link_conn_expire(conn, now);

		if (next < door->due_ns)
			door->due_ns = next;
	}
	/* Looking through all requests costs; many that are due one by one are taken together. */
	if (door->due_ns < now + DUE_STEP_NS)
		door->due_ns = now + DUE_STEP_NS;
}

static void on_event(struct link_door *door, const struct epoll_event *event)
{
	struct link_conn *conn = event->data.ptr;

	if (event->data.ptr == &listener_tag) {
		accept_all(door);
		return;
	}
	if (event->events & EPOLLOUT)
		link_conn_writable(conn);
	if (event->events & EPOLLIN)
		link_conn_readable(conn);
	if (event->events & (EPOLLHUP | EPOLLERR))
		link_conn_hangup(conn);
	link_conn_step(conn);
}

static void expire_job(struct link_job *job)
{
	struct link_door *door =
		(struct link_door *)((char *)job - offsetof(struct link_door, expire_job));

	handles_expire(door->handles);
	atomic_store(&door->expiring, false);
}

static void *serve(void *argument)
{
	struct link_door *door = argument;
	/* Often enough that an expired handle is gone soon after its time. */
	uint64_t tick_ms = handles_idle_ms(door->handles) / 8 + 1;
	uint64_t tick = link_now_ns(), until = UINT64_MAX;
	struct epoll_event events[EVENTS];

	for (;;) {
		uint64_t now = link_now_ns();
		uint64_t wait_ms = tick_ms;
		bool woken;
		int count;

		if (now - tick >= tick_ms * 1000000u && !atomic_exchange(&door->expiring, true)) {
			tick = now;
			door->expire_job.run = expire_job;
			link_pool_submit(door->pool, NULL, &door->expire_job);
		}
		if (atomic_load(&door->draining)) {
			if (door->listener >= 0) {
				close(door->listener);
				door->listener = -1;
				until = now + door->grace_ms * 1000000ull;
				for (struct link_conn *c = door->conns; c; c = c->next)
					link_conn_drain(c);
				step_all(door);
			}
			if (now >= until) {
				for (struct link_conn *c = door->conns; c; c = c->next)
					link_conn_hurry(c, now >= until + LINGER_MS * 1000000ull);
				step_all(door);
			}
			if (!door->conns)
				return NULL;
			wait_ms = 50;
		}
		if (door->deaf_until_ns && door->listener >= 0) {
			if (now >= door->deaf_until_ns)
				listen_again(door, true);
			else if (wait_ms > DEAF_NS / 1000000)
				wait_ms = DEAF_NS / 1000000;
		}
		if (now >= door->due_ns)
			answer_overdue(door, now);
		if (door->due_ns != UINT64_MAX && (door->due_ns - now) / 1000000 + 1 < wait_ms)
			wait_ms = (door->due_ns - now) / 1000000 + 1;
		count = epoll_wait(door->epoll, events, EVENTS,
				   wait_ms > 60000 ? 60000 : (int)wait_ms);
		woken = false;
		for (int i = 0; i < count; i++) {
			if (events[i].data.ptr == &wake_tag)
				woken = true;
			else
				on_event(door, &events[i]);
		}
		/* Last: it may free links that have events of their own in this batch. */
		if (woken)
			on_wake(door);
	}
}

/* ------------------------------------------------------------------ set-up */

static int listen_on(const char *path)
{
	/*
	 * Whoever connects acts as a virtual machine's device: only the owner may.  Nobody can have
	 * connected before the mode was set.
	 */
	int fd = azb_unix_listen(path, 0600);

	if (fd < 0)
		azb_log(AZB_LOG_ERROR, "link socket %s: %s", path, azb_unix_why(fd));
	return fd;
}

static int watch(struct link_door *door, int fd, void *tag)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = tag };

	return epoll_ctl(door->epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static void destroy(struct link_door *door)
{
	/* Its jobs may still wake the loop and use the handles. */
	link_pool_free(door->pool);
	handles_free(door->handles);
	if (door->listener >= 0) {
		close(door->listener);
		unlink(door->config.path);
	}
	if (door->epoll >= 0)
		close(door->epoll);
	if (door->wake >= 0)
		close(door->wake);
	if (door->pidfd >= 0)
		close(door->pidfd);
	free((char *)(uintptr_t)door->config.path);
	free(door);
}

static int start_thread(struct link_door *door)
{
	sigset_t all, old;
	int error;

	/* Signals are the main thread's, except those that a fault sends to its own thread. */
	sigfillset(&all);
	sigdelset(&all, SIGBUS);
	sigdelset(&all, SIGSEGV);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	error = -pthread_create(&door->thread, NULL, serve, door);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return error;
}

static void show_numbers(struct metrics_source *source, struct azb_buf *out)
{
	struct link_door *door =
		(struct link_door *)((char *)source - offsetof(struct link_door, shown));
	const char *path = door->config.path;

	metrics_head(out, "azblob_link_accepted_total", "counter", "links that emulators opened");
	azb_buf_printf(out, "azblob_link_accepted_total{socket=\"%s\"} %u\n", path,
		       atomic_load(&door->links));
	metrics_head(out, "azblob_link_requests_total", "counter",
		     "requests of guests; failed: not answered by HTTP's rules");
	azb_buf_printf(out,
		       "azblob_link_requests_total{socket=\"%s\",status=\"ok\"} %llu\n"
		       "azblob_link_requests_total{socket=\"%s\",status=\"failed\"} %llu\n",
		       path, atomic_load(&door->completed), path, atomic_load(&door->failed));
}

int link_door_open(const struct link_door_config *config, struct svc *svc,
		   struct link_door **result)
{
	struct link_door *door = calloc(1, sizeof(*door));
	int error = -ENOMEM;

	if (!door)
		return -ENOMEM;
	door->config = *config;
	door->svc = svc;
	door->due_ns = UINT64_MAX;
	door->listener = door->epoll = door->wake = door->pidfd = -1;
	door->config.path = strdup(config->path);
	if (!door->config.threads)
		door->config.threads = THREADS_DEFAULT;
	if (!door->config.max_inflight || door->config.max_inflight > AZL_MAX_INFLIGHT)
		door->config.max_inflight = AZL_MAX_INFLIGHT;
	if (!door->config.budget)
		door->config.budget = BUDGET_DEFAULT;
	door->handles = handles_new(&config->handles);
	door->pool = link_pool_new(door->config.threads);
	if (!door->config.path || !door->handles || !door->pool)
		goto fail;

	error = link_memory_guard();
	if (error)
		goto fail;
	/* Emulators wait for the end of this process by it: no link without one. */
	door->pidfd = (int)syscall(SYS_pidfd_open, getpid(), 0);
	door->epoll = epoll_create1(EPOLL_CLOEXEC);
	door->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (door->pidfd < 0 || door->epoll < 0 || door->wake < 0) {
		error = -errno;
		azb_log(AZB_LOG_ERROR, "link: pidfd_open (Linux 5.3), epoll or eventfd: %m");
		goto fail;
	}
	door->listener = listen_on(config->path);
	if (door->listener < 0) {
		error = door->listener;
		goto fail;
	}
	error = watch(door, door->listener, &listener_tag);
	if (!error)
		error = watch(door, door->wake, &wake_tag);
	if (!error)
		error = start_thread(door);
	if (error)
		goto fail;
	door->shown.show = show_numbers;
	metrics_add(&door->shown);
	*result = door;
	return 0;
fail:
	if (error == -ENOMEM)
		azb_log(AZB_LOG_ERROR, "link: out of memory");
	destroy(door);
	return error;
}

void link_door_drain(struct link_door *door, unsigned int grace_ms)
{
	if (!door || atomic_load(&door->draining))
		return;
	door->grace_ms = grace_ms;
	/* A new backend may listen at the same path from here on. */
	unlink(door->config.path);
	atomic_store(&door->draining, true);
	link_door_wake(door);
}

void link_door_close(struct link_door *door, unsigned int grace_ms)
{
	if (!door)
		return;
	link_door_drain(door, grace_ms);
	metrics_remove(&door->shown);
	pthread_join(door->thread, NULL);
	destroy(door);
}
