/* SPDX-License-Identifier: MIT */
/*
 * Parts of a body that is passed on while it comes, brought at the same time.  The exchange is a
 * few functions here, by the linker's --wrap (meson.build).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc64.h"
#include "base/waiting.h"
#include "store/azure/azure.h"

#define WRAP(type, name, ...)            \
	type __wrap_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)

static sem_t sending, waiting, release;
static char sent[64];
static size_t sent_length;
static char exchange;

WRAP(int, az_plan_start, const struct az_plan *plan, const struct az_extra *extra,
     struct up_call **call, char **token, struct rest_error *error)
{
	(void)plan;
	(void)extra;
	(void)error;
	*call = (struct up_call *)&exchange;
	*token = NULL;
	return 0;
}

/* The first bytes take until they are released. */
WRAP(int, up_send, struct up_call *call, const struct iovec *iov, int count, uint64_t *crc)
{
	(void)call;
	if (!sent_length) {
		sem_post(&sending);
		sem_wait(&release);
	}
	for (int i = 0; i < count; i++) {
		assert_true(sent_length + iov[i].iov_len <= sizeof(sent));
		memcpy(sent + sent_length, iov[i].iov_base, iov[i].iov_len);
		sent_length += iov[i].iov_len;
		*crc = azb_crc64(*crc, iov[i].iov_base, iov[i].iov_len);
	}
	return 0;
}

WRAP(void, up_end, struct up_call *call)
{
	(void)call;
}

/* Somebody is about to wait, and holds what the sender will need: it really waits before that. */
void __real_azb_waiting_begin(void);

WRAP(void, azb_waiting_begin, void)
{
	__real_azb_waiting_begin();
	sem_post(&waiting);
}

struct writer {
	struct rest_upload *upload;
	char text[5];
	int result;
	uint64_t crc;
	pthread_t thread;
};

static void *write_it(void *data)
{
	struct writer *w = data;
	struct iovec iov = { w->text, 4 };

	w->result = w->upload->ops->write(w->upload, 0, &iov, 1, 0, NULL, &w->crc);
	return NULL;
}

static struct rest_upload *begin(struct az *az)
{
	struct az_plan *plan = calloc(1, sizeof(*plan));
	struct rest_error error;

	assert_non_null(plan);
	plan->az = az;
	plan->operation = az_operation_named("Put Block");
	plan->body_length = 8;
	sent_length = 0;
	sem_init(&sending, 0, 0);
	sem_init(&waiting, 0, 0);
	sem_init(&release, 0, 0);
	return az_upload_begin(plan, true, &error);
}

/* Two parts at the same place: the second one waits while the first is sent. */
static void both(struct writer *first, struct writer *second)
{
	static struct az az;
	struct rest_upload *upload = begin(&az);

	assert_non_null(upload);
	first->upload = second->upload = upload;
	assert_int_equal(pthread_create(&first->thread, NULL, write_it, first), 0);
	sem_wait(&sending);
	assert_int_equal(pthread_create(&second->thread, NULL, write_it, second), 0);
	sem_wait(&waiting);
	sem_post(&release);
	pthread_join(first->thread, NULL);
	pthread_join(second->thread, NULL);
	upload->ops->abort(upload);
	assert_int_equal(first->result, 0);
	assert_int_equal(sent_length, 4);
	assert_memory_equal(sent, first->text, 4);
}

static void the_same_part_twice_at_once_is_the_same_part(void **state)
{
	struct writer first = { .text = "part" }, second = { .text = "part" };

	(void)state;
	both(&first, &second);
	assert_int_equal(second.result, 0);
	assert_true(second.crc == first.crc);
}

static void other_bytes_in_its_place_are_refused(void **state)
{
	struct writer first = { .text = "part" }, second = { .text = "trap" };

	(void)state;
	both(&first, &second);
	assert_int_equal(second.result, -EEXIST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_same_part_twice_at_once_is_the_same_part),
		cmocka_unit_test(other_bytes_in_its_place_are_refused),
	};

	return cmocka_run_group_tests_name("azure_upload", tests, NULL, NULL);
}
