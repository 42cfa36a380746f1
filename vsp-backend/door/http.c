// SPDX-License-Identifier: MIT
/* Sockets, loops and time of the HTTP door; http_internal.h says who owns what. */
#include "http.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "../base/log.h"
#include "../base/unixsock.h"
#include "http_internal.h"

#define MAX_LOOPS 16u
/*
 * Writers wait for commits, and the more of them wait the more share one.  Readers hardly ever
 * wait: more of them than CPUs can use only wake each other (half the requests for each second
 * of CPU at 16 clients).
 */
#define DEFAULT_WRITERS 64u
#define READERS_PER_CPU 2u
#define DEFAULT_CONNECTIONS 4096u
#define DEFAULT_HEAD_MS 30000u
#define DEFAULT_IDLE_MS 120000u
#define DEFAULT_PROGRESS_MS 60000u
/* How often a loop looks at the time; also how long it stops accepting without descriptors. */
#define TICK_MS 500
#define EVENTS 64
/* Accepted in one go, before connections that are there have their turn. */
#define ACCEPT_TURN 32
#define BACKLOG 1024

long long http_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---------------------------------------------------------------- listening */

static void show_address(const struct sockaddr_storage *address, socklen_t length,
			 char out[HTTP_ADDRESS_ROOM])
{
	char host[INET6_ADDRSTRLEN + 16] = "?", port[8] = "?";

	if (address->ss_family == AF_UNIX) {
		snprintf(out, HTTP_ADDRESS_ROOM, "unix");
		return;
	}
	getnameinfo((const struct sockaddr *)address, length, host, sizeof(host), port,
		    sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV);
	snprintf(out, HTTP_ADDRESS_ROOM, strchr(host, ':') ? "[%s]:%s" : "%s:%s", host, port);
}

/* "ADDR:PORT" into its halves.  False: no such thing. */
static bool split(const char *address, char host[256], char port[6])
{
	const char *colon = strrchr(address, ':');
	size_t length;
	char *end;
	unsigned long number;

	if (!colon || colon == address || !colon[1] || strlen(colon + 1) > 5)
		return false;
	number = strtoul(colon + 1, &end, 10);
	if (*end || colon[1] < '0' || colon[1] > '9' || number > 65535)
		return false;
	memcpy(port, colon + 1, strlen(colon + 1) + 1);
	length = (size_t)(colon - address);
	if (address[0] == '[') {
		if (address[length - 1] != ']')
			return false;
		address++;
		length -= 2;
	} else if (memchr(address, ':', length)) {
		return false;
	}
	if (!length || length > 255)
		return false;
	memcpy(host, address, length);
	host[length] = 0;
	return true;
}

static int open_listener(const struct addrinfo *info)
{
	int on = 1;
	int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (info->ai_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
	if (bind(fd, info->ai_addr, info->ai_addrlen) || listen(fd, BACKLOG)) {
		int error = -errno;

		close(fd);
		return error;
	}
	return fd;
}

static int listen_path(struct http_door *door, const char *path, unsigned int flags,
		       char bound[HTTP_ADDRESS_ROOM], char *error, size_t error_size)
{
	char *copy = strdup(path);
	/* who may come in is what the folder says; who may do what, the credentials */
	int fd = copy ? azb_unix_listen(path, 0666) : -ENOMEM;

	if (fd < 0) {
		free(copy);
		snprintf(error, error_size, "'%s': %s", path, azb_unix_why(fd));
		return fd;
	}
	snprintf(bound, HTTP_ADDRESS_ROOM, "%s", path);
	door->listener[door->listener_count++] = (struct http_listener){ fd, flags, copy };
	return 0;
}

int http_door_listen(struct http_door *door, const char *address, unsigned int flags,
		     char bound[HTTP_ADDRESS_ROOM], char *error, size_t error_size)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE };
	struct sockaddr_storage name = { .ss_family = AF_UNSPEC };
	socklen_t length = sizeof(name);
	struct addrinfo *info;
	char host[256], port[6];
	int fd, rc;

	if (door->listener_count == HTTP_MAX_LISTEN) {
		snprintf(error, error_size, "at most %u addresses are accepted", HTTP_MAX_LISTEN);
		return -EINVAL;
	}
	if (strchr(address, '/'))
		return listen_path(door, address, flags, bound, error, error_size);
	if (!split(address, host, port)) {
		snprintf(error, error_size,
			 "'%s': ADDR:PORT is accepted, as 127.0.0.1:10000 or [::1]:10000", address);
		return -EINVAL;
	}
	rc = getaddrinfo(host, port, &hints, &info);
	if (rc) {
		snprintf(error, error_size, "'%s': %s", address, gai_strerror(rc));
		return -EADDRNOTAVAIL;
	}
	fd = open_listener(info);
	freeaddrinfo(info);
	if (fd < 0) {
		snprintf(error, error_size, "'%s': %s", address, strerror(-fd));
		return fd;
	}
	getsockname(fd, (struct sockaddr *)&name, &length);
	show_address(&name, length, bound);
	door->listener[door->listener_count++] = (struct http_listener){ fd, flags, NULL };
	return 0;
}

/* ---------------------------------------------------------------- accepting */

/* A pointer into the door's array of listeners says which one an event is of. */
static bool is_listener(const struct http_door *door, const void *what)
{
	const struct http_listener *listener = what;

	return listener >= door->listener && listener < door->listener + HTTP_MAX_LISTEN;
}

static void listen_on(struct http_loop *loop, bool on)
{
	struct http_door *door = loop->door;

	if (loop->listening == on)
		return;
	loop->listening = on;
	for (unsigned int i = 0; i < door->listener_count; i++) {
		struct epoll_event event = { .events = EPOLLIN | EPOLLEXCLUSIVE,
					     .data.ptr = &door->listener[i] };

		epoll_ctl(loop->epoll, on ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, door->listener[i].fd,
			  &event);
	}
}

static void add_conn(struct http_loop *loop, int fd, unsigned int flags,
		     const struct sockaddr_storage *address, socklen_t length)
{
	struct http_door *door = loop->door;
	struct epoll_event event = { .events = EPOLLIN | EPOLLONESHOT };
	struct http_conn *conn = calloc(1, sizeof(*conn));
	int on = 1;

	if (conn) {
		conn->loop = loop;
		conn->fd = fd;
		conn->state = CONN_HEAD;
		conn->website = flags & HTTP_LISTEN_WEBSITE;
		/* a handshake is short work, as reads are */
		conn->reading = true;
	}
	if (!conn || (flags & HTTP_LISTEN_TLS && !conn_tls_begin(conn))) {
		free(conn);
		close(fd);
		return;
	}
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	show_address(address, length, conn->peer);
	if (address->ss_family != AF_UNIX)
		getnameinfo((const struct sockaddr *)address, length, conn->address,
			    sizeof(conn->address), NULL, 0, NI_NUMERICHOST);
	conn_deadline(conn, door->config.head_ms);
	event.data.ptr = conn;
	if (epoll_ctl(loop->epoll, EPOLL_CTL_ADD, fd, &event)) {
		conn_tls_end(conn);
		free(conn);
		close(fd);
		return;
	}
	atomic_fetch_add(&door->connections, 1);
	conn->next = loop->first;
	if (conn->next)
		conn->next->previous = conn;
	loop->first = conn;
}

static void accept_some(struct http_loop *loop, const struct http_listener *listener)
{
	static const char busy[] = "HTTP/1.1 503 Service Unavailable\r\n"
				   "x-ms-error-code: ServerBusy\r\nRetry-After: 1\r\n"
				   "Connection: close\r\nContent-Length: 0\r\n\r\n";
	struct http_door *door = loop->door;

	for (int i = 0; i < ACCEPT_TURN; i++) {
		struct sockaddr_storage address = { .ss_family = AF_UNSPEC };
		socklen_t length = sizeof(address);
		int fd = accept4(listener->fd, (struct sockaddr *)&address, &length,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
			    errno == ENOMEM) {
				azb_log(AZB_LOG_WARNING, "http: accept: %m");
				listen_on(loop, false);
			}
			return;
		}
		if (atomic_load(&door->connections) >= door->config.max_connections) {
			atomic_fetch_add(&door->refused, 1);
			if (!(listener->flags & HTTP_LISTEN_TLS))
				(void)!send(fd, busy, sizeof(busy) - 1, MSG_NOSIGNAL);
			close(fd);
			continue;
		}
		add_conn(loop, fd, listener->flags, &address, length);
	}
}

/* ------------------------------------------------------------------ a loop */

/*
 * Cuts off what has taken too long.  Never frees: a worker may be about to arm the connection.
 * The socket's end gives an event, and that closes it.
 */
static void look_at_time(struct http_loop *loop)
{
	bool closing = atomic_load(&loop->door->closing);
	long long now = http_now_ms();
	bool cut = closing && now >= atomic_load(&loop->door->cut_off_ms);

	for (struct http_conn *conn = loop->first; conn; conn = conn->next) {
		if (cut) {
			shutdown(conn->fd, SHUT_RDWR);
			continue;
		}
		if (atomic_load_explicit(&conn->busy, memory_order_acquire))
			continue;
		if (now >= atomic_load_explicit(&conn->deadline_ms, memory_order_relaxed) ||
		    (closing && conn->state <= CONN_HEAD && !conn->head_begun))
			shutdown(conn->fd, SHUT_RDWR);
	}
}

/*
 * An event makes the loop the owner.  That the kernel puts the event after what the worker did
 * before it armed the connection is not said anywhere in C: this load pairs with arm()'s store.
 */
static void take_back(struct http_conn *conn)
{
	if (!atomic_load_explicit(&conn->busy, memory_order_acquire))
		conn_run(conn, false);
}

static void *loop_main(void *argument)
{
	struct http_loop *loop = argument;
	struct http_door *door = loop->door;
	struct epoll_event events[EVENTS];
	long long looked = http_now_ms();

	listen_on(loop, true);
	for (;;) {
		bool closing = atomic_load(&door->closing);
		uint64_t ignored;
		int n;

		if (closing && !loop->first)
			break;
		n = epoll_wait(loop->epoll, events, EVENTS,
			       loop->first || !loop->listening ? TICK_MS : -1);
		for (int i = 0; i < n; i++) {
			void *what = events[i].data.ptr;

			if (what == loop)
				(void)!read(loop->wake, &ignored, sizeof(ignored));
			else if (is_listener(door, what))
				accept_some(loop, what);
			else
				take_back(what);
		}
		closing = atomic_load(&door->closing);
		if (closing || http_now_ms() - looked >= TICK_MS) {
			looked = http_now_ms();
			listen_on(loop, !closing);
			look_at_time(loop);
		}
	}
	listen_on(loop, false);
	return NULL;
}

/* ----------------------------------------------------------------- the door */

static unsigned int or_default(unsigned int value, unsigned int otherwise)
{
	return value ? value : otherwise;
}

struct http_door *http_door_new(const struct http_door_config *config, struct svc *svc)
{
	struct http_door *door = calloc(1, sizeof(*door));
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);

	if (!door)
		return NULL;
	pthread_mutex_init(&door->tls_lock, NULL);
	door->config = *config;
	door->svc = svc;
	door->loop_count = or_default(config->loops, cpus < 1 ? 1 : (unsigned int)cpus);
	if (door->loop_count > MAX_LOOPS)
		door->loop_count = MAX_LOOPS;
	door->config.writers = or_default(config->writers, DEFAULT_WRITERS);
	door->config.readers =
		or_default(config->readers, READERS_PER_CPU * (cpus < 1 ? 1 : (unsigned int)cpus));
	door->config.max_connections = or_default(config->max_connections, DEFAULT_CONNECTIONS);
	door->config.head_ms = or_default(config->head_ms, DEFAULT_HEAD_MS);
	door->config.idle_ms = or_default(config->idle_ms, DEFAULT_IDLE_MS);
	door->config.progress_ms = or_default(config->progress_ms, DEFAULT_PROGRESS_MS);
	door->loop = calloc(door->loop_count, sizeof(*door->loop));
	door->readers = link_pool_new(door->config.readers);
	door->writers = link_pool_new(door->config.writers);
	if (door->loop && door->readers && door->writers)
		return door;
	http_door_close(door, 0);
	return NULL;
}

static int start_loop(struct http_loop *loop)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = loop };
	sigset_t all, old;
	int rc;

	loop->epoll = epoll_create1(EPOLL_CLOEXEC);
	loop->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->epoll < 0 || loop->wake < 0 ||
	    epoll_ctl(loop->epoll, EPOLL_CTL_ADD, loop->wake, &event))
		return -errno;
	/* signals of the process are for the main thread */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(&loop->thread, NULL, loop_main, loop);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	loop->running = !rc;
	return -rc;
}

static void show_numbers(struct metrics_source *source, struct azb_buf *out)
{
	struct http_door *door =
		(struct http_door *)((char *)source - offsetof(struct http_door, numbers));

	metrics_head(out, "azblob_http_connections", "gauge", "connections that are open");
	azb_buf_printf(out, "azblob_http_connections %u\n", atomic_load(&door->connections));
	metrics_head(out, "azblob_http_refused_total", "counter",
		     "connections beyond --max-connections");
	azb_buf_printf(out, "azblob_http_refused_total %llu\n",
		       (unsigned long long)atomic_load(&door->refused));
	metrics_head(out, "azblob_http_answers_total", "counter", "answers, by kind of status");
	for (unsigned int i = 1; i < 6; i++)
		azb_buf_printf(out, "azblob_http_answers_total{status=\"%uxx\"} %llu\n", i,
			       (unsigned long long)atomic_load(&door->answers[i]));
	metrics_head(out, "azblob_http_received_bytes_total", "counter", "heads and bodies");
	azb_buf_printf(out, "azblob_http_received_bytes_total %llu\n",
		       (unsigned long long)atomic_load(&door->received));
	metrics_head(out, "azblob_http_sent_bytes_total", "counter", "heads and bodies");
	azb_buf_printf(out, "azblob_http_sent_bytes_total %llu\n",
		       (unsigned long long)atomic_load(&door->sent));
}

int http_door_start(struct http_door *door)
{
	door->numbers.show = show_numbers;
	metrics_add(&door->numbers);
	for (unsigned int i = 0; i < door->loop_count; i++) {
		door->loop[i].epoll = -1;
		door->loop[i].wake = -1;
		door->loop[i].door = door;
	}
	for (unsigned int i = 0; i < door->loop_count; i++) {
		int rc = start_loop(&door->loop[i]);

		if (rc)
			return rc;
	}
	return 0;
}

void http_door_drain(struct http_door *door, unsigned int grace_ms)
{
	const uint64_t one = 1;

	if (!door || atomic_load(&door->closing))
		return;
	atomic_store(&door->cut_off_ms, http_now_ms() + grace_ms);
	atomic_store(&door->closing, true);
	for (unsigned int i = 0; door->loop && i < door->loop_count; i++)
		if (door->loop[i].running)
			(void)!write(door->loop[i].wake, &one, sizeof(one));
}

void http_door_close(struct http_door *door, unsigned int grace_ms)
{
	if (!door)
		return;
	http_door_drain(door, grace_ms);
	metrics_remove(&door->numbers);
	for (unsigned int i = 0; door->loop && i < door->loop_count; i++)
		if (door->loop[i].running)
			pthread_join(door->loop[i].thread, NULL);
	/* no connection is left, so no job; but a worker may be on its way out of its last one */
	if (door->readers)
		link_pool_free(door->readers);
	if (door->writers)
		link_pool_free(door->writers);
	for (unsigned int i = 0; door->loop && i < door->loop_count; i++) {
		if (door->loop[i].door) {
			close(door->loop[i].epoll);
			close(door->loop[i].wake);
		}
	}
	for (unsigned int i = 0; i < door->listener_count; i++) {
		close(door->listener[i].fd);
		if (door->listener[i].path)
			unlink(door->listener[i].path);
		free(door->listener[i].path);
	}
	http_tls_put(door->tls);
	pthread_mutex_destroy(&door->tls_lock);
	free(door->loop);
	free(door);
}
