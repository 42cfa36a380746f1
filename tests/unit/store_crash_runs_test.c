/* SPDX-License-Identifier: MIT */
/*
 * Append and page blobs against kill -9 at random moments, while small writes are folded and
 * what is overwritten is collected.  A child says, through memory it shares with the test, what it
 * is about to do and what was acknowledged.
 */
#include "store_help.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#define ROUNDS 12
#define PAGES 512
#define PAGE 512

struct shared {
	atomic_uint appended; /* acknowledged bytes of the append blob */
	atomic_uint appending;
	atomic_uchar done[PAGES]; /* what each page holds, in every byte */
	atomic_uchar begun[PAGES];
	atomic_uchar taken[PAGES]; /* at the last snapshot */
	atomic_llong snapshot;
	atomic_uint changes;
	atomic_uint steps;
};

static struct shared *shared;

static enum store_error bring(struct store *store, struct store_change *change, const void *bytes,
			      size_t length)
{
	struct iovec iov = { (void *)(uintptr_t)bytes, length };
	enum store_error error = store_upload_begin(store, length, 0, &change->upload);

	if (!error)
		error = store_upload_write(change->upload, 0, &iov, 1, 0, NULL, NULL);
	return error ? error : store_change(store, change, NULL);
}

/* The byte that is at a place of the append blob. */
static unsigned char byte_at(size_t at)
{
	return (unsigned char)(at * 2654435761u >> 13);
}

static void *append(void *context)
{
	struct store_change change = { .kind = STORE_APPEND, .ref = ref_of("a") };
	static unsigned char bytes[40000];

	for (;;) {
		size_t at = shared->appended, length = at % 11 ? 700 + at % 300 : 20000;

		for (size_t i = 0; i < length; i++)
			bytes[i] = byte_at(at + i);
		shared->appending = (unsigned int)(at + length);
		if (bring(context, &change, bytes, length))
			_exit(1);
		shared->appended = (unsigned int)(at + length);
		shared->changes++;
	}
	return NULL;
}

static void write_some(struct store *store, unsigned int step)
{
	static unsigned char bytes[PAGES * PAGE];
	unsigned int first = step * 2654435761u % PAGES;
	unsigned int count = step % 13 ? 1 + step % 5 : 100;
	unsigned char mark = (unsigned char)(step % 4 ? 1 + step % 250 : 0);
	struct store_change change = { .kind = mark ? STORE_PAGES_WRITE : STORE_PAGES_CLEAR,
				       .ref = ref_of("p"),
				       .offset = first * PAGE };

	if (first + count > PAGES)
		count = PAGES - first;
	for (unsigned int i = first; i < first + count; i++)
		shared->begun[i] = mark;
	memset(bytes, mark, sizeof(bytes));
	change.size = count * PAGE;
	if (mark ? bring(store, &change, bytes, count * PAGE) : store_change(store, &change, NULL))
		_exit(1);
	for (unsigned int i = first; i < first + count; i++)
		shared->done[i] = mark;
	shared->changes++;
}

static void take_snapshot(struct store *store)
{
	struct store_change change = { .kind = STORE_BLOB_SNAPSHOT, .ref = ref_of("p") };
	struct store_change clean = { .kind = STORE_BLOB_DELETE, .ref = ref_of("p") };
	struct store_result result;

	clean.ref.snapshot = shared->snapshot;
	shared->snapshot = 0;
	if (store_change(store, &change, &result))
		_exit(1);
	for (unsigned int i = 0; i < PAGES; i++)
		shared->taken[i] = shared->done[i];
	shared->snapshot = result.snapshot;
	if (clean.ref.snapshot && store_change(store, &clean, NULL))
		_exit(1);
	shared->changes++;
}

static void run_child(const struct fixture *f)
{
	struct store *store = fixture_open(f, "");
	pthread_t thread;

	if (pthread_create(&thread, NULL, append, store))
		_exit(1);
	for (;;) {
		unsigned int step = shared->steps++;

		if (step % 40 == 20)
			take_snapshot(store);
		else
			write_some(store, step);
	}
}

static unsigned char *read_all(struct store *store, const struct store_ref *ref, size_t *length)
{
	unsigned char *bytes;
	struct store_read *read;

	ok(store_read_open(store, ref, NULL, NULL, &read));
	*length = read->info.length;
	bytes = malloc(*length + 1);
	ok(store_read_at(read, 0, bytes, *length));
	store_read_close(read);
	return bytes;
}

static void check_appended(struct store *store)
{
	struct store_ref ref = ref_of("a");
	unsigned char *bytes;
	size_t length;

	bytes = read_all(store, &ref, &length);
	/* the one on its way is there whole, or not at all */
	assert_true(length == shared->appended || length == shared->appending);
	for (size_t i = 0; i < length; i++)
		if (bytes[i] != byte_at(i))
			fail_msg("byte %zu of %zu is another", i, length);
	free(bytes);
	shared->appended = (unsigned int)length;
}

/* Each page holds what was acknowledged; those of a write on its way changed together. */
static void check_pages(struct store *store, const struct store_ref *ref, bool past)
{
	int changed = -1;
	unsigned char *bytes;
	size_t length;

	bytes = read_all(store, ref, &length);
	assert_int_equal(length, PAGES * PAGE);
	for (unsigned int i = 0; i < PAGES; i++) {
		unsigned char is = bytes[i * PAGE];
		unsigned char done = past ? shared->taken[i] : shared->done[i];
		unsigned char begun = past ? done : shared->begun[i];

		for (unsigned int k = 1; k < PAGE; k++)
			assert_int_equal(bytes[i * PAGE + k], is);
		if (done == begun) {
			assert_int_equal(is, done);
			continue;
		}
		assert_true(is == done || is == begun);
		assert_true(changed < 0 || changed == (is == begun));
		changed = is == begun;
		shared->done[i] = shared->begun[i] = is;
	}
	free(bytes);
}

static void killed_at_any_moment_every_acknowledged_write_is_there(void **state)
{
	struct store_change create = { .kind = STORE_PUT_BLOB, .type = STORE_APPEND_BLOB };
	struct fixture *f = *state;
	struct store_ref ref = ref_of("p");

	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	assert_true(shared != MAP_FAILED);
	create.ref = ref_of("a");
	ok(store_change(f->store, &create, NULL));
	create.ref = ref;
	create.type = STORE_PAGE_BLOB;
	create.size = PAGES * PAGE;
	ok(store_change(f->store, &create, NULL));
	for (unsigned int round = 0; round < ROUNDS; round++) {
		store_close(f->store);
		kill_in_child(f, run_child, &shared->changes, 30 + round * 37 % 200,
			      round * 137 % 3000);
		store_good(f);
		f->store = fixture_open(f, "");
		check_appended(f->store);
		ref.snapshot = 0;
		check_pages(f->store, &ref, false);
		ref.snapshot = shared->snapshot;
		if (ref.snapshot)
			check_pages(f->store, &ref, true);
	}
	assert_true(query_number(f, "SELECT count(*) FROM chunks WHERE file IS NOT NULL") > 0);
	munmap(shared, sizeof(*shared));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			killed_at_any_moment_every_acknowledged_write_is_there, fixture_setup,
			fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
