/* SPDX-License-Identifier: MIT */
/* Worker threads of the doors: turns between links, and the kinds of workers of HTTP. */
#include "service_help.h"

#include <arpa/inet.h>
#include <poll.h>
#include <semaphore.h>
#include <sys/socket.h>

#include "door/http.h"
#include "door/link_pool.h"

#define PATIENCE_MS 60000

struct task {
	struct link_job job;
	int name;
};

static sem_t begun, go, all_done;
static int order[256];
static size_t order_count;

static void first(struct link_job *job)
{
	(void)job;
	sem_post(&begun);
	sem_wait(&go);
}

static void note(struct link_job *job)
{
	order[order_count++] = ((struct task *)(void *)job)->name;
	sem_post(&all_done);
}

static void a_link_with_many_jobs_does_not_hold_up_another(void **state)
{
	struct link_pool *pool = link_pool_new(1);
	struct link_queue busy = { 0 }, calm = { 0 };
	struct task blocker = { .job.run = first }, many[100], few[2];

	(void)state;
	sem_init(&begun, 0, 0);
	sem_init(&go, 0, 0);
	sem_init(&all_done, 0, 0);
	assert_non_null(pool);
	link_pool_submit(pool, NULL, &blocker.job);
	sem_wait(&begun);
	for (int i = 0; i < 100; i++) {
		many[i] = (struct task){ .job.run = note, .name = i };
		link_pool_submit(pool, &busy, &many[i].job);
	}
	for (int i = 0; i < 2; i++) {
		few[i] = (struct task){ .job.run = note, .name = 1000 + i };
		link_pool_submit(pool, &calm, &few[i].job);
	}
	sem_post(&go);
	for (int i = 0; i < 102; i++)
		sem_wait(&all_done);
	link_pool_free(pool);
	/* turns: one of each, until one has none left; in order among themselves */
	assert_int_equal(order[0], 0);
	assert_int_equal(order[1], 1000);
	assert_int_equal(order[2], 1);
	assert_int_equal(order[3], 1001);
	for (int i = 4; i < 102; i++)
		assert_int_equal(order[i], i - 2);
}

static enum store_error (*real_change)(struct store *store, const struct store_change *change,
				       struct store_result *result);

/* A commit that takes as long as the test wants. */
static enum store_error slow_change(struct store *store, const struct store_change *change,
				    struct store_result *result)
{
	sem_post(&begun);
	sem_wait(&go);
	return real_change(store, change, result);
}

static int connect_to(const char *bound)
{
	struct sockaddr_in address = { .sin_family = AF_INET,
				       .sin_port = htons((uint16_t)atoi(strrchr(bound, ':') + 1)),
				       .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* Waits for @count heads of answers. */
static bool has_answers(int fd, int count)
{
	char text[65536];
	size_t have = 0;

	while (count) {
		struct pollfd ready = { .fd = fd, .events = POLLIN };
		ssize_t n = poll(&ready, 1, PATIENCE_MS) == 1
				    ? recv(fd, text + have, sizeof(text) - have - 1, 0)
				    : -1;
		const char *at = text;
		int found = 0;

		if (n <= 0)
			return false;
		have += (size_t)n;
		text[have] = '\0';
		while ((at = strstr(at, "HTTP/1.1 20"))) {
			found++;
			at++;
		}
		if (found >= count)
			return true;
	}
	return true;
}

/*
 * One worker of each kind.  A deletion behind a read, in one connection, waits for its commit:
 * the worker for reads must stay free for others.
 */
static void a_write_behind_a_read_does_not_take_a_reader(void **state)
{
	struct http_door_config config = { .readers = 1, .writers = 1 };
	char bound[HTTP_ADDRESS_ROOM], error[200], both[16384], read[8192];
	struct service *s = *state;
	struct store_ops ops = *s->store.store->ops;
	const struct store_ops *real = s->store.store->ops;
	struct http_door *door = http_door_new(&config, s->svc);
	int writer, reader;

	sem_init(&begun, 0, 0);
	sem_init(&go, 0, 0);
	assert_non_null(door);
	assert_int_equal(http_door_listen(door, "127.0.0.1:0", false, bound, error, sizeof(error)),
			 0);
	assert_int_equal(http_door_start(door), 0);
	real_change = ops.change;
	ops.change = slow_change;
	s->store.store->ops = &ops;
	service_head(s, "GET", "/cont?restype=container", "");
	strcpy(read, s->text);
	service_head(s, "DELETE", "/cont?restype=container", "");
	snprintf(both, sizeof(both), "%s%s", read, s->text);
	writer = connect_to(bound);
	assert_int_equal(send(writer, both, strlen(both), MSG_NOSIGNAL), strlen(both));
	sem_wait(&begun);
	reader = connect_to(bound);
	assert_int_equal(send(reader, read, strlen(read), MSG_NOSIGNAL), strlen(read));
	assert_true(has_answers(reader, 1));
	sem_post(&go);
	assert_true(has_answers(writer, 2));
	close(reader);
	close(writer);
	http_door_close(door, PATIENCE_MS);
	s->store.store->ops = real;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_link_with_many_jobs_does_not_hold_up_another),
		cmocka_unit_test_setup_teardown(a_write_behind_a_read_does_not_take_a_reader,
						service_setup, service_teardown),
	};

	return cmocka_run_group_tests_name("door_pool", tests, NULL, NULL);
}
