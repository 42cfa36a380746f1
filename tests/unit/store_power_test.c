/* SPDX-License-Identifier: MIT */
/*
 * The local store against power cuts.  Some threads change a store, everything it writes is
 * recorded (powercut.h), and so is what was begun and what was acknowledged.  Then for moment after
 * moment the disk is made as it may be after a cut there; the store must open as it is, be
 * consistent, and hold what was acknowledged, with all of its metadata and its kept answers; of
 * what was under way all or nothing; and nothing of what failed.
 */
#include "store_help.h"

#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/crc64.h"
#include "power_runs.h"
#include "powercut.h"
#include "store/local/check.h"

#define THREADS 3
#define NAMES 4    /* of each thread */
#define CHANGES 40 /* of each thread */
#define WORKERS 2  /* processes that look at cuts */
/* AZBLOB_CUTS and AZBLOB_SEED choose others: the long suite looks at more (make fault) */
#define CUTS 1500
#define SEED 12345

static const uint8_t session[16] = "a power cut test";

/* What a name holds; seed 0: nothing. */
struct value {
	uint32_t seed;    /* of the bytes */
	uint32_t meta;    /* of metadata and headers; 0: none */
	uint64_t etag;    /* 0: not known, as there was no answer */
	uint64_t request; /* whose kept answer came with it */
};

/* One change, in the order of their ends. */
struct change {
	int thread, name;
	size_t begun, ended; /* moments of the log; ended 0: never */
	struct value value;
};

static struct change changes[THREADS * CHANGES];
static atomic_size_t change_count;

static size_t length_of(uint32_t seed)
{
	static const size_t lengths[] = { 10, 3000, 16384, 16385, 30000, 60000 };

	return lengths[seed % 6];
}

static void name_of(char *name, int thread, int number)
{
	sprintf(name, "t%d-%d", thread, number);
}

static size_t render(void *context, const struct store_result *result, void *bytes, size_t room)
{
	(void)result;
	return (size_t)snprintf(bytes, room, "answer %llu", *(unsigned long long *)context);
}

/* ------------------------------------------------------------------- the work */

struct worker {
	struct store *store;
	int thread;
	uint64_t random;
	struct value now[NAMES];
};

static uint32_t any(struct worker *w, uint32_t below)
{
	w->random = w->random * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (uint32_t)(w->random >> 33) % below;
}

static char *meta_of(uint32_t meta, size_t *length)
{
	static _Thread_local char text[64];

	*length = (size_t)sprintf(text, "key%cvalue %u", 0, meta) + 1;
	return text;
}

static enum store_error upload(struct store *store, const unsigned char *bytes, size_t length,
			       struct store_upload **up)
{
	enum store_error error = store_upload_begin(store, length, 0, up);
	struct iovec iov = { (void *)(uintptr_t)bytes, length };

	return error ? error : store_upload_write(*up, 0, &iov, 1, 0, NULL, NULL);
}

/* Does the change that makes @value of a name; @old is what is there. */
static enum store_error make(struct worker *w, const char *name, const struct value *old,
			     struct value *value, bool as_blocks)
{
	struct store_effect effect = { .request = value->request,
				       .render = render,
				       .context = &value->request };
	char type[32];
	struct store_headers headers = { .content_type = type, .has_md5 = true };
	struct store_change change = { .ref = ref_of(name), .effect = &effect };
	struct store_block_ref list[2] = { { .id = { 1, "a" }, .from = STORE_BLOCK_UNCOMMITTED },
					   { .id = { 1, "b" }, .from = STORE_BLOCK_UNCOMMITTED } };
	unsigned char *bytes = NULL;
	struct store_result result;
	enum store_error error = STORE_OK;

	memcpy(effect.session, session, sizeof(session));
	snprintf(type, sizeof(type), "type/%u", value->meta);
	memset(headers.md5, (int)value->meta, sizeof(headers.md5));
	change.headers = &headers;
	change.meta.bytes = meta_of(value->meta, &change.meta.length);
	if (!value->seed) {
		change.kind = STORE_BLOB_DELETE;
	} else if (value->seed == old->seed) {
		change.kind = STORE_BLOB_UPDATE;
		change.set = STORE_SET_META | STORE_SET_HEADERS;
	} else {
		size_t length = length_of(value->seed), half = length / 2;

		bytes = malloc(length);
		fill_bytes(bytes, length, value->seed);
		change.kind = as_blocks ? STORE_PUT_BLOCK_LIST : STORE_PUT_BLOB;
		for (int i = 0; as_blocks && i < 2 && !error; i++) {
			struct store_change put = { .kind = STORE_PUT_BLOCK,
						    .ref = ref_of(name),
						    .block = list[i].id };

			error = upload(w->store, bytes + (i ? half : 0), i ? length - half : half,
				       &put.upload);
			if (!error)
				error = store_change(w->store, &put, NULL);
		}
		change.blocks = list;
		change.block_count = 2;
		if (!as_blocks)
			error = upload(w->store, bytes, length, &change.upload);
	}
	if (!error)
		error = store_change(w->store, &change, &result);
	value->etag = result.etag;
	free(bytes);
	return error;
}

/* A write that fails, or is given up; nothing of it may ever be seen. */
static void fail_one(struct worker *w, const char *name)
{
	uint64_t none = 7, wrong = 1;
	struct store_conditions conditions = { .if_match = &none, .if_match_count = 1 };
	struct store_effect effect = { .request = UINT64_MAX / 2,
				       .render = render,
				       .context = &none };
	struct store_change put = { .kind = STORE_PUT_BLOB,
				    .ref = ref_of(name),
				    .conditions = &conditions,
				    .effect = &effect };
	unsigned char bytes[20000];
	struct iovec iov = { bytes, sizeof(bytes) };

	memcpy(effect.session, session, sizeof(session));
	fill_bytes(bytes, sizeof(bytes), UINT32_MAX);
	ok(store_upload_begin(w->store, sizeof(bytes), 0, &put.upload));
	assert_int_equal(store_upload_write(put.upload, 0, &iov, 1, 0, &wrong, NULL),
			 STORE_CRC_MISMATCH);
	ok(store_upload_write(put.upload, 0, &iov, 1, 0, NULL, NULL));
	if (any(w, 2))
		assert_int_equal(store_change(w->store, &put, NULL), STORE_CONDITION_NOT_MET);
	store_upload_abort(put.upload);
}

static void *work(void *context)
{
	struct worker *w = context;
	char name[16];

	for (uint32_t i = 1; i <= CHANGES; i++) {
		int number = (int)any(w, NAMES);
		struct value *old = &w->now[number];
		struct value value = { .seed = i * 16 + (uint32_t)w->thread + 1,
				       .meta = i,
				       .request = i * 16 + (uint32_t)w->thread };
		struct change *change;
		uint32_t what = any(w, 10);

		name_of(name, w->thread, number);
		if (what == 0 && old->seed)
			value.seed = 0;
		else if (what <= 2 && old->seed)
			value.seed = old->seed;
		else if (what == 3)
			fail_one(w, name);
		change = &changes[atomic_fetch_add(&change_count, 1)];
		*change = (struct change){ .thread = w->thread, .name = number };
		change->begun = cut_now();
		ok(make(w, name, old, &value, what > 7));
		change->value = value;
		change->ended = cut_now();
		*old = value;
	}
	return NULL;
}

/* ----------------------------------------------------------------- the looking */

static bool has_value(struct store *store, const char *name, const struct value *value)
{
	struct store_ref ref = ref_of(name);
	struct store_read *read;
	enum store_error error = store_read_open(store, &ref, NULL, NULL, &read);
	unsigned char bytes[60000], want[60000];
	const char *key, *text;
	size_t at = 0, length = length_of(value->seed);
	char expected[32];
	bool same;

	if (error == STORE_BLOB_NOT_FOUND)
		return !value->seed;
	if (error)
		fail_msg("%s: %s", name, store_error_name(error));
	same = value->seed && read->info.length == length;
	if (same) {
		ok(store_read_at(read, 0, bytes, length));
		fill_bytes(want, length, value->seed);
		same = !memcmp(bytes, want, length);
	}
	if (same) {
		snprintf(expected, sizeof(expected), "value %u", value->meta);
		same = store_meta_next(&read->info.meta, &at, &key, &text) && !strcmp(key, "key") &&
		       !strcmp(text, expected);
		snprintf(expected, sizeof(expected), "type/%u", value->meta);
		same = same && read->info.headers.content_type &&
		       !strcmp(read->info.headers.content_type, expected) &&
		       read->info.headers.has_md5 &&
		       read->info.headers.md5[7] == (uint8_t)value->meta;
		same = same && (!value->etag || value->etag == read->info.etag);
	}
	store_read_close(read);
	return same;
}

static bool has_answer(struct store *store, uint64_t request)
{
	char want[32];
	void *bytes;
	size_t length;
	bool same;

	ok(store_effect_lookup(store, session, request, &bytes, &length));
	if (!bytes)
		return false;
	same = length == (size_t)snprintf(want, sizeof(want), "answer %llu",
					  (unsigned long long)request) &&
	       !memcmp(bytes, want, length);
	free(bytes);
	if (!same)
		fail_msg("the answer of %llu is another one", (unsigned long long)request);
	return true;
}

/* What name @number of @thread must hold after a cut at @cut, and what was under way. */
static void expect(size_t cut, int thread, int number, struct value *done, struct value *begun,
		   bool *under_way)
{
	*done = (struct value){ 0 };
	*under_way = false;
	for (size_t i = 0; i < change_count; i++) {
		const struct change *c = &changes[i];

		if (c->thread != thread || c->name != number || c->begun > cut)
			continue;
		/* a thread's changes come in order, and only the last may be under way */
		if (c->ended <= cut) {
			*done = c->value;
		} else {
			*begun = c->value;
			begun->etag = 0;
			*under_way = true;
		}
	}
}

static void look_at(struct store *store, size_t cut, const char *where)
{
	for (int t = 0; t < THREADS; t++)
		for (int n = 0; n < NAMES; n++) {
			struct value done, begun;
			bool under_way, old, new;
			char name[16];

			name_of(name, t, n);
			expect(cut, t, n, &done, &begun, &under_way);
			old = has_value(store, name, &done);
			new = under_way &&has_value(store, name, &begun);
			if (!old && !new)
				fail_msg("%s: %s is neither what was acknowledged nor what was "
					 "under way",
					 where, name);
			if (done.request && !has_answer(store, done.request))
				fail_msg("%s: %s: the kept answer is missing", where, name);
			/* the answer is there exactly when the change is */
			if (under_way && old != new &&has_answer(store, begun.request) != new)
				fail_msg("%s: %s: answer and change disagree", where, name);
		}
	power_runs_look(store, cut, where);
	if (has_answer(store, UINT64_MAX / 2))
		fail_msg("%s: the answer of a failed change", where);
}

static void hear(void *context, bool problem, const char *line)
{
	if (problem)
		print_error("%s: %s\n", (const char *)context, line);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static void cut_at(struct fixture *f, size_t cut, uint64_t seed, size_t made)
{
	enum cut_mode mode = (enum cut_mode)(seed % CUT_MODES); /* has no factor 2 */
	char where[160], entry[128], error[400] = "";
	struct check_result result;

	cut_goto(cut);
	cut_make(f->path, mode, seed * UINT64_C(0x9e3779b97f4a7c15) + cut);
	snprintf(where, sizeof(where), "cut %zu (%s), mode %d, seed %llu", cut,
		 cut_describe(cut - 1, entry, sizeof(entry)), mode, (unsigned long long)seed);
	/* before anything is put in order: some times, as it takes long; in all modes */
	if (cut >= made && seed % 8 < 1) {
		if (!local_check(f->path, true, hear, where, &result, error, sizeof(error)))
			fail_msg("%s: %s", where, error);
		if (result.problems)
			fail_msg("%s: not consistent", where);
	}
	f->store = fixture_open(f, "");
	if (cut >= made)
		look_at(f->store, cut, where);
	store_close(f->store);
	if (seed % 16 == 1 &&
	    (!local_check(f->path, true, hear, where, &result, error, sizeof(error)) ||
	     result.problems))
		fail_msg("%s: not consistent after it was opened: %s", where, error);
	nftw(f->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static unsigned long setting(const char *name, unsigned long standard)
{
	const char *text = getenv(name);

	return text ? strtoul(text, NULL, 10) : standard;
}

/* Cuts are many and independent: some processes share them. */
static void look_at_cuts(struct fixture *f, size_t end, size_t made)
{
	size_t cuts = setting("AZBLOB_CUTS", CUTS);
	pid_t children[WORKERS];
	int status;

	for (int w = 0; w < WORKERS; w++) {
		children[w] = fork();
		assert_true(children[w] >= 0);
		if (children[w])
			continue;
		snprintf(f->path, sizeof(f->path), "%s/cut%d", f->dir, w);
		for (size_t i = (size_t)w; i < cuts; i += WORKERS)
			cut_at(f, 1 + (end - 1) * i / cuts, i / WORKERS, made);
		_exit(0);
	}
	for (int w = 0; w < WORKERS; w++) {
		assert_int_equal(waitpid(children[w], &status, 0), children[w]);
		assert_int_equal(status, 0);
	}
}

static void after_a_power_cut_at_any_moment_all_that_was_acknowledged_is_there(void **state)
{
	struct store_change create = { .kind = STORE_CONTAINER_CREATE, .ref = ref_of(NULL) };
	struct fixture f = { .store = NULL };
	struct worker workers[THREADS];
	pthread_t threads[THREADS + 1];
	size_t made, end;

	(void)state;
	/* memory, where there is some: nothing here is about a real disk */
	if (!access("/dev/shm", W_OK))
		setenv("TMPDIR", "/dev/shm", 1);
	fixture_directory(&f);
	cut_record(f.path);
	f.store = fixture_open(&f, "");
	ok(store_change(f.store, &create, NULL));
	made = cut_now();
	for (int i = 0; i < THREADS; i++) {
		workers[i] =
			(struct worker){ .store = f.store,
					 .thread = i,
					 .random = (uint64_t)i + setting("AZBLOB_SEED", SEED) };
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	assert_int_equal(pthread_create(&threads[THREADS], NULL, power_runs_work, f.store), 0);
	for (int i = 0; i <= THREADS; i++)
		pthread_join(threads[i], NULL);
	store_close(f.store);
	end = cut_now();
	cut_record_end();
	print_message("# %zu writes and syncs\n", end);
	look_at_cuts(&f, end, made);
	cut_free();
	fixture_remove(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			after_a_power_cut_at_any_moment_all_that_was_acknowledged_is_there),
	};

	return cmocka_run_group_tests_name("store_power", tests, NULL, NULL);
}
