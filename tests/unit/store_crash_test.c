/* SPDX-License-Identifier: MIT */
/*
 * The local store against kill -9 at random moments.  A child changes the store
 * from several threads and says, through memory it shares with the test, what it is
 * about to do and what was acknowledged.  After each kill the store opens as it is, and
 * must hold exactly that.
 */
#include "store_help.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "store/local/check.h"

#define THREADS 4
#define NAMES 6 /* of each thread */
#define ROUNDS 25

/* What one name holds: a seed, or 0 for no blob.  The length follows from the seed. */
struct slot {
	atomic_uint done;  /* last state acknowledged */
	atomic_uint begun; /* the state that was on its way; the same as done if none */
};

struct shared {
	struct slot slots[THREADS][NAMES];
	atomic_uint next_seed;
	atomic_uint changes;
};

static struct shared *shared;

static size_t length_of(uint32_t seed)
{
	static const size_t lengths[] = { 10, 5000, 16384, 16385, 70000, 300000, 1500000 };

	return lengths[seed % 7];
}

static void name_of(char *name, int thread, int slot)
{
	sprintf(name, "t%d-%d", thread, slot);
}

/* Two blocks that together are the seed's bytes. */
static enum store_error put_as_blocks(struct store *store, const char *name, uint32_t seed)
{
	size_t length = length_of(seed), cut = length / 2;
	unsigned char *bytes = malloc(length);
	enum store_error error = STORE_OK;

	fill_bytes(bytes, length, seed);
	for (int i = 0; i < 2 && !error; i++) {
		struct store_change put = { .kind = STORE_PUT_BLOCK,
					    .ref = ref_of(name),
					    .block = { 1, { (uint8_t)('a' + i) } } };
		struct iovec iov = { i ? bytes + cut : bytes, i ? length - cut : cut };

		error = store_upload_begin(store, iov.iov_len, 0, &put.upload);
		if (error)
			break;
		error = store_upload_write(put.upload, 0, &iov, 1, 0, NULL, NULL);
		if (!error)
			error = store_change(store, &put, NULL);
	}
	free(bytes);
	return error ? error : put_block_list(store, name, "ua ub", NULL);
}

static enum store_error change_slot(struct store *store, const char *name, struct slot *slot)
{
	uint32_t seed = atomic_fetch_add(&shared->next_seed, 1);
	bool delete = seed % 5 == 0 && slot->done;
	enum store_error error;

	slot->begun = delete ? 0 : seed;
	if (delete)
		error = delete_blob(store, name);
	else if (seed % 3 == 0)
		error = put_as_blocks(store, name, seed);
	else
		error = put_seed(store, name, length_of(seed), seed);
	if (!error)
		slot->done = slot->begun;
	return error;
}

struct child_thread {
	struct store *store;
	int number;
};

static void *child_main(void *context)
{
	struct child_thread *t = context;
	char name[16];

	for (int i = 0;; i++) {
		name_of(name, t->number, i % NAMES);
		if (change_slot(t->store, name, &shared->slots[t->number][i % NAMES]))
			_exit(1);
		shared->changes++;
	}
	return NULL;
}

static void run_child(const struct fixture *f)
{
	struct child_thread threads[THREADS];
	pthread_t ids[THREADS];
	struct store *store = fixture_open(f, "");

	for (int i = 0; i < THREADS; i++) {
		threads[i] = (struct child_thread){ store, i };
		if (pthread_create(&ids[i], NULL, child_main, &threads[i]))
			_exit(1);
	}
	for (;;)
		pause();
}

/* Is the name in this state, with exactly its bytes? */
static bool is_state(struct store *store, const char *name, uint32_t state)
{
	return state ? has_seed(store, name, length_of(state), state) : !exists(store, name);
}

static void check_slots(struct store *store)
{
	char name[16];

	for (int t = 0; t < THREADS; t++)
		for (int i = 0; i < NAMES; i++) {
			struct slot *slot = &shared->slots[t][i];
			uint32_t done = slot->done, begun = slot->begun;

			name_of(name, t, i);
			if (is_state(store, name, done)) {
				slot->begun = done;
				continue;
			}
			/* it was not acknowledged, but may have happened: all of it */
			if (!is_state(store, name, begun))
				fail_msg("%s is neither %u nor %u", name, done, begun);
			slot->done = begun;
		}
}

static bool count_blob(void *context, const char *name, const struct store_blob_info *info)
{
	(void)name;
	*(uint64_t *)context += info->length;
	return true;
}

/* What all blobs there are have, in whole units, is all that the files hold. */
static void check_space(const struct fixture *f, struct store *store)
{
	static const char *const whole[] = {
		"SELECT count(*) FROM chunks k LEFT JOIN files f ON f.id = k.file"
		" WHERE k.file IS NOT NULL AND f.id IS NULL",
		"SELECT count(*) FROM files f WHERE f.used <> ifnull((SELECT"
		" sum((length + 4095) / 4096 * 4096) FROM chunks WHERE file = f.id), 0)",
		/* each chunk has exactly the references that there are to it */
		"SELECT count(*) FROM chunks k WHERE refs <>"
		" (SELECT count(*) FROM blobs WHERE chunk = k.id) +"
		" (SELECT count(*) FROM pieces WHERE chunk = k.id) +"
		" (SELECT count(*) FROM blocks WHERE chunk = k.id AND NOT taken) +"
		" (SELECT count(*) FROM garbage WHERE kind = 1 AND what = k.id)",
		/* no two chunks overlap */
		"SELECT count(*) FROM (SELECT file, offset, lead(offset) OVER"
		" (PARTITION BY file ORDER BY offset) AS next, (length + 4095) / 4096 * 4096 AS n"
		" FROM chunks WHERE file IS NOT NULL) WHERE offset + n > next",
		"SELECT count(*) FROM contents c WHERE NOT EXISTS"
		" (SELECT 1 FROM pieces WHERE content = c.id)",
	};
	struct store_list list = { .max = 100000 };
	struct store_ref ref = ref_of(NULL);
	uint64_t total = 0;
	char *next;

	assert_true(wait_for_number(f, "SELECT count(*) FROM garbage", 0));
	for (size_t i = 0; i < sizeof(whole) / sizeof(whole[0]); i++)
		assert_int_equal(query_number(f, whole[i]), 0);
	ok(store_blob_list(store, &ref, &list, count_blob, &total, &next));
	assert_null(next);
	assert_true(wait_for_disk_below(
		f, (uint64_t)query_number(f, "SELECT ifnull(sum(used), 0) FROM files") + 4096));
}

static void hear(void *context, bool problem, const char *line)
{
	(void)context;
	if (problem)
		print_error("%s\n", line);
}

/* As the crash left it, before anything has been put in order. */
static void check_store(const struct fixture *f)
{
	struct check_result result;
	char error[400] = "";

	if (!local_check(f->path, true, hear, NULL, &result, error, sizeof(error)))
		fail_msg("%s", error);
	assert_int_equal(result.problems, 0);
}

static void killed_at_any_moment_the_store_holds_what_it_acknowledged(void **state)
{
	struct fixture *f = *state;

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	assert_true(shared != MAP_FAILED);
	shared->next_seed = 1;
	for (unsigned int round = 0; round < ROUNDS; round++) {
		store_close(f->store);
		kill_in_child(f, run_child, &shared->changes, 1 + round * 7 % 40,
			      round * 137 % 3000);
		check_store(f);
		f->store = fixture_open(f, "");
		check_slots(f->store);
		check_space(f, f->store);
	}
	munmap(shared, sizeof(*shared));
}

static void an_upload_cut_off_by_a_kill_leaves_no_space_behind(void **state)
{
	struct fixture *f = *state;
	static unsigned char bytes[20000000];
	struct iovec iov = { bytes, sizeof(bytes) };
	int status;
	pid_t child;

	ok(put_seed(f->store, "stays", 300000, 1));
	store_close(f->store);
	fill_bytes(bytes, sizeof(bytes), 1);
	child = fork();
	assert_true(child >= 0);
	if (!child) {
		struct store *store = fixture_open(f, "");
		struct store_upload *small, *big;

		iov.iov_len = 300000;
		ok(store_upload_begin(store, 300000, 0, &small));
		ok(store_upload_write(small, 0, &iov, 1, 0, NULL, NULL));
		iov.iov_len = sizeof(bytes);
		ok(store_upload_begin(store, sizeof(bytes), 0, &big));
		ok(store_upload_write(big, 0, &iov, 1, 0, NULL, NULL));
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_true(disk_used(f) >= sizeof(bytes));
	f->store = fixture_open(f, "");
	assert_true(disk_used(f) < 400000);
	assert_int_equal(query_number(f, "SELECT count(*) FROM dirty"), 0);
	assert_true(has_seed(f->store, "stays", 300000, 1));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(killed_at_any_moment_the_store_holds_what_it_acknowledged),
		T(an_upload_cut_off_by_a_kill_leaves_no_space_behind),
	};

	return cmocka_run_group_tests_name("store_crash", tests, NULL, NULL);
}
