/* SPDX-License-Identifier: MIT */
/* The local store: uploads in parts, their checksums, and who may write what when. */
#include "store_help.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/crc64.h"

#define SIZE 1000000
static unsigned char bytes[SIZE];

static enum store_error write_part(struct store_upload *upload, uint64_t offset, size_t length,
				   const uint64_t *expect, uint64_t *crc64)
{
	/* two buffers and an empty one, as a guest's pages would come */
	struct iovec iov[3] = { { bytes + offset, length / 3 },
				{ bytes, 0 },
				{ bytes + offset + length / 3, length - length / 3 } };

	return store_upload_write(upload, offset, iov, 3, 0, expect, crc64);
}

static struct store_change put_of(struct store *store, const char *name, unsigned int flags)
{
	struct store_change put = { .kind = STORE_PUT_BLOB, .ref = ref_of(name) };

	fill_bytes(bytes, SIZE, 1);
	ok(store_upload_begin(store, SIZE, flags, &put.upload));
	return put;
}

static void parts_in_any_order_make_the_whole(void **state)
{
	struct fixture *f = *state;
	struct store_change put = put_of(f->store, "p", STORE_UPLOAD_MD5);
	unsigned char md5[16];
	struct store_digest digest;
	struct store_result result;

	for (size_t i = 0; i < 10; i++)
		ok(write_part(put.upload, (i * 7 % 10) * (SIZE / 10), SIZE / 10, NULL, NULL));
	ok(store_upload_digest(put.upload, &digest));
	assert_true(digest.crc64 == azb_crc64(0, bytes, SIZE));
	EVP_Digest(bytes, SIZE, md5, NULL, EVP_md5(), NULL);
	assert_true(digest.has_md5);
	assert_memory_equal(digest.md5, md5, 16);
	/* asking twice is allowed */
	ok(store_upload_digest(put.upload, &digest));
	assert_memory_equal(digest.md5, md5, 16);
	ok(store_change(f->store, &put, &result));
	assert_true(result.crc64 == digest.crc64);
	assert_true(has_seed(f->store, "p", SIZE, 1));
}

static void a_missing_part_is_noticed_and_can_still_come(void **state)
{
	struct fixture *f = *state;
	struct store_change put = put_of(f->store, "m", 0);
	struct store_digest digest;

	ok(write_part(put.upload, 0, 1000, NULL, NULL));
	ok(write_part(put.upload, 2000, SIZE - 2000, NULL, NULL));
	assert_int_equal(store_upload_digest(put.upload, &digest), STORE_INCOMPLETE);
	assert_int_equal(store_change(f->store, &put, NULL), STORE_INCOMPLETE);
	assert_false(exists(f->store, "m"));
	ok(write_part(put.upload, 1000, 1000, NULL, NULL));
	ok(store_change(f->store, &put, NULL));
	assert_true(has_seed(f->store, "m", SIZE, 1));
}

static void the_same_part_replaces_and_other_overlaps_are_refused(void **state)
{
	struct fixture *f = *state;
	struct store_change put = put_of(f->store, "o", STORE_UPLOAD_MD5);
	unsigned char md5[16];
	struct store_digest digest;

	fill_bytes(bytes, SIZE, 2);
	ok(write_part(put.upload, 0, 5000, NULL, NULL));
	ok(write_part(put.upload, 5000, 5000, NULL, NULL));
	fill_bytes(bytes, SIZE, 1);
	assert_int_equal(write_part(put.upload, 4999, 2, NULL, NULL), STORE_OVERLAP);
	assert_int_equal(write_part(put.upload, 0, 4999, NULL, NULL), STORE_OVERLAP);
	assert_int_equal(write_part(put.upload, 0, 5001, NULL, NULL), STORE_OVERLAP);
	assert_int_equal(write_part(put.upload, 0, 10000, NULL, NULL), STORE_OVERLAP);
	assert_int_equal(write_part(put.upload, SIZE - 1, 2, NULL, NULL), STORE_OUT_OF_RANGE);
	ok(write_part(put.upload, 5000, 5000, NULL, NULL));
	ok(write_part(put.upload, 0, 5000, NULL, NULL));
	ok(write_part(put.upload, 10000, SIZE - 10000, NULL, NULL));
	ok(store_upload_digest(put.upload, &digest));
	EVP_Digest(bytes, SIZE, md5, NULL, EVP_md5(), NULL);
	assert_memory_equal(digest.md5, md5, 16);
	assert_true(digest.crc64 == azb_crc64(0, bytes, SIZE));
	ok(store_change(f->store, &put, NULL));
	assert_true(has_seed(f->store, "o", SIZE, 1));
}

static void a_part_with_a_wrong_checksum_does_not_count(void **state)
{
	struct fixture *f = *state;
	struct store_change put = put_of(f->store, "w", STORE_UPLOAD_MD5);
	uint64_t right = azb_crc64(0, bytes, SIZE), wrong = right ^ 1, crc;
	unsigned char md5[16];
	struct store_digest digest;

	assert_int_equal(write_part(put.upload, 0, SIZE, &wrong, NULL), STORE_CRC_MISMATCH);
	assert_int_equal(store_change(f->store, &put, NULL), STORE_INCOMPLETE);
	ok(write_part(put.upload, 0, SIZE, &right, &crc));
	assert_true(crc == right);
	ok(store_upload_digest(put.upload, &digest));
	EVP_Digest(bytes, SIZE, md5, NULL, EVP_md5(), NULL);
	assert_memory_equal(digest.md5, md5, 16);
	ok(store_change(f->store, &put, NULL));
	assert_true(has_seed(f->store, "w", SIZE, 1));
}

static void a_stream_of_many_small_pieces_is_one_part(void **state)
{
	struct fixture *f = *state;
	struct store_change put = put_of(f->store, "s", STORE_UPLOAD_STREAM | STORE_UPLOAD_MD5);
	struct store_digest digest;

	for (size_t at = 0; at < SIZE; at += 10) {
		struct iovec iov = { bytes + at, 10 };

		ok(store_upload_write(put.upload, at, &iov, 1, STORE_WRITE_PRIVATE, NULL, NULL));
	}
	ok(store_upload_digest(put.upload, &digest));
	assert_true(digest.crc64 == azb_crc64(0, bytes, SIZE));
	ok(store_change(f->store, &put, NULL));
	assert_true(has_seed(f->store, "s", SIZE, 1));
}

static void too_many_scattered_parts_are_refused(void **state)
{
	struct fixture *f = *state;
	struct store_change put = put_of(f->store, "t", 0);
	enum store_error error = STORE_OK;
	size_t at;

	for (at = 0; at < SIZE && !error; at += 10)
		error = write_part(put.upload, at, 5, NULL, NULL);
	assert_int_equal(error, STORE_TOO_MANY_PARTS);
	assert_int_equal(at / 10, STORE_MAX_PARTS + 1);
	store_upload_abort(put.upload);
}

/* Parts beyond one extent file: 1.25 GiB, mostly zeros. */
static void an_upload_across_extent_files(void **state)
{
	struct fixture *f = *state;
	uint64_t gib = UINT64_C(1) << 30, size = 5 * gib / 4, at = 0;
	struct store_change put = { .kind = STORE_PUT_BLOB, .ref = ref_of("x") };
	/* one that crosses a border, big ones of zeros around it */
	const struct {
		uint64_t length;
		bool data;
	} parts[] = { { gib - 1000, false },
		      { 5000, true },
		      { gib / 4 - 4000 - 777, false },
		      { 777, true } };
	static unsigned char zeros[1 << 20], have[5000];
	struct store_read *read;
	struct store_result result;
	struct store_piece pieces[8];
	uint64_t crc = 0;
	size_t count;

	fill_bytes(bytes, SIZE, 1);
	ok(store_upload_begin(f->store, size, STORE_UPLOAD_STREAM, &put.upload));
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		uint64_t end = at + parts[i].length;

		while (at < end) {
			struct iovec iov = { zeros, sizeof(zeros) };

			if (parts[i].data)
				iov = (struct iovec){ bytes, parts[i].length };
			if (iov.iov_len > end - at)
				iov.iov_len = end - at;
			crc = azb_crc64(crc, iov.iov_base, iov.iov_len);
			ok(store_upload_write(put.upload, at, &iov, 1, STORE_WRITE_PRIVATE, NULL,
					      NULL));
			at += iov.iov_len;
		}
	}
	assert_true(at == size);
	ok(store_change(f->store, &put, &result));
	assert_true(result.crc64 == crc);
	ok(store_read_open(f->store, &put.ref, NULL, NULL, &read));
	ok(store_read_at(read, gib - 1000, have, 5000));
	assert_memory_equal(have, bytes, 5000);
	ok(store_read_at(read, size - 777, have, 777));
	assert_memory_equal(have, bytes, 777);
	ok(store_read_map(read, gib - 1000, 2000, pieces, 8, &count));
	assert_int_equal(count, 2);
	ok(store_read_map(read, gib - 1, 2, pieces, 1, &count));
	assert_int_equal(count, 1);
	assert_int_equal(pieces[0].length, 1);
	store_read_close(read);
	ok(delete_blob(f->store, "x"));
	assert_true(wait_for_disk_below(f, 1 << 20));
}

static atomic_bool hostile_stop;

static void *hostile(void *context)
{
	volatile unsigned char *p = context;

	while (!hostile_stop)
		for (size_t i = 0; i < SIZE; i += 61)
			p[i]++;
	return NULL;
}

static void checksum_and_bytes_agree_while_the_source_changes(void **state)
{
	struct fixture *f = *state;
	struct store_change put = put_of(f->store, "h", STORE_UPLOAD_MD5);
	static unsigned char have[SIZE];
	unsigned char md5[16];
	struct store_digest digest;
	struct store_read *read;
	pthread_t thread;
	uint64_t crc;

	hostile_stop = false;
	pthread_create(&thread, NULL, hostile, bytes);
	ok(write_part(put.upload, 0, SIZE, NULL, &crc));
	hostile_stop = true;
	pthread_join(thread, NULL);
	ok(store_upload_digest(put.upload, &digest));
	ok(store_change(f->store, &put, NULL));
	ok(store_read_open(f->store, &put.ref, NULL, NULL, &read));
	ok(store_read_at(read, 0, have, SIZE));
	assert_true(azb_crc64(0, have, SIZE) == crc);
	EVP_Digest(have, SIZE, md5, NULL, EVP_md5(), NULL);
	assert_memory_equal(md5, digest.md5, 16);
	store_read_close(read);
}

struct worker {
	struct store *store;
	struct store_upload *upload;
	int number;
	enum store_error error;
};

static void *write_some_parts(void *context)
{
	struct worker *w = context;

	for (size_t part = (size_t)w->number; part < 100 && !w->error; part += 4)
		w->error = write_part(w->upload, part * (SIZE / 100), SIZE / 100, NULL, NULL);
	/* and one that the others send too */
	if (!w->error)
		w->error = write_part(w->upload, 0, SIZE / 100, NULL, NULL);
	return NULL;
}

static void parts_from_several_threads(void **state)
{
	struct fixture *f = *state;
	struct store_change put = put_of(f->store, "t", STORE_UPLOAD_MD5);
	struct worker workers[4];
	pthread_t threads[4];
	unsigned char md5[16];
	struct store_digest digest;

	for (int i = 0; i < 4; i++) {
		workers[i] = (struct worker){ .upload = put.upload, .number = i };
		pthread_create(&threads[i], NULL, write_some_parts, &workers[i]);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		ok(workers[i].error);
	}
	ok(store_upload_digest(put.upload, &digest));
	EVP_Digest(bytes, SIZE, md5, NULL, EVP_md5(), NULL);
	assert_memory_equal(md5, digest.md5, 16);
	ok(store_change(f->store, &put, NULL));
	assert_true(has_seed(f->store, "t", SIZE, 1));
}

static void *put_and_check(void *context)
{
	static const size_t sizes[] = { 10, 16385, 100000, 5000, 400000 };
	struct worker *w = context;
	char name[32];

	for (int i = 0; i < 25 && !w->error; i++) {
		size_t size = sizes[(i + w->number) % 5];
		uint32_t seed = (uint32_t)(w->number * 1000 + i);

		snprintf(name, sizeof(name), "w%d-%d", w->number, i % 7);
		w->error = put_seed(w->store, name, size, seed);
		if (!w->error && !has_seed(w->store, name, size, seed))
			w->error = STORE_CORRUPT;
		if (!w->error && i % 5 == 4)
			w->error = delete_blob(w->store, name);
	}
	return NULL;
}

static void many_clients_at_once(void **state)
{
	struct fixture *f = *state;
	struct worker workers[16];
	pthread_t threads[16];

	for (int i = 0; i < 16; i++) {
		workers[i] = (struct worker){ .store = f->store, .number = i };
		pthread_create(&threads[i], NULL, put_and_check, &workers[i]);
	}
	for (int i = 0; i < 16; i++) {
		pthread_join(threads[i], NULL);
		ok(workers[i].error);
	}
}

static atomic_int created;

static void *put_if_absent(void *context)
{
	static const uint64_t any[] = { STORE_ETAG_ANY };
	struct store_conditions none = { .if_none_match = any, .if_none_match_count = 1 };
	struct worker *w = context;
	enum store_error error = put_bytes(w->store, "once", "x", 1, &none, NULL);

	if (!error)
		created++;
	w->error = error == STORE_BLOB_EXISTS ? STORE_OK : error;
	return NULL;
}

static void if_none_match_lets_exactly_one_of_many_create(void **state)
{
	struct fixture *f = *state;
	struct worker workers[16];
	pthread_t threads[16];

	created = 0;
	for (int i = 0; i < 16; i++) {
		workers[i] = (struct worker){ .store = f->store };
		pthread_create(&threads[i], NULL, put_if_absent, &workers[i]);
	}
	for (int i = 0; i < 16; i++) {
		pthread_join(threads[i], NULL);
		ok(workers[i].error);
	}
	assert_int_equal(created, 1);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(parts_in_any_order_make_the_whole),
		T(a_missing_part_is_noticed_and_can_still_come),
		T(the_same_part_replaces_and_other_overlaps_are_refused),
		T(a_part_with_a_wrong_checksum_does_not_count),
		T(a_stream_of_many_small_pieces_is_one_part),
		T(too_many_scattered_parts_are_refused),
		T(an_upload_across_extent_files),
		T(checksum_and_bytes_agree_while_the_source_changes),
		T(parts_from_several_threads),
		T(many_clients_at_once),
		T(if_none_match_lets_exactly_one_of_many_create),
	};

	return cmocka_run_group_tests_name("store_upload", tests, NULL, NULL);
}
