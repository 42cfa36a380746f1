/* SPDX-License-Identifier: MIT */
/* Filters in front of a local store: what each does, and what it says to bad options. */
#include "store_help.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#include "base/metrics.h"
#include "filter/filter.h"

/* The fixture's store gets a filter in front, which goes with it. */
static void put_filter(struct fixture *f, const char *spec)
{
	char error[300] = "";
	struct store *outer = filter_open(spec, f->store, error, sizeof(error));

	if (!outer)
		fail_msg("%s", error);
	f->store = outer;
}

static enum store_error read_all(struct store *store, const char *name, void *bytes, size_t length)
{
	struct store_ref ref = ref_of(name);
	struct store_read *read;
	enum store_error error = store_read_open(store, &ref, NULL, NULL, &read);

	if (error)
		return error;
	error = store_read_at(read, 0, bytes, length);
	store_read_close(read);
	return error;
}

static bool see_name(void *context, const char *name, const struct store_blob_info *info)
{
	(void)info;
	snprintf(context, 16, "%.15s", name);
	return true;
}

static void list_one(struct store *store, char *name)
{
	struct store_ref ref = ref_of(NULL);
	struct store_list list = { .max = 10 };
	char *next = NULL;

	ok(store_blob_list(store, &ref, &list, see_name, name, &next));
	assert_null(next);
}

/* All verbs through filters that do nothing to them. */
static void filters_that_only_watch_change_nothing(void **state)
{
	struct fixture *f = *state;
	struct store_conditions conditions = { .has_if_modified_since = true,
					       .if_modified_since = INT64_MAX / 2 };
	struct store_ref ref = ref_of("l");
	struct store_piece pieces[4];
	struct store_blob_info info;
	struct store_read *read;
	struct store_upload *upload;
	char name[16];
	size_t count;

	put_filter(f, "log,level=debug,slow=1s");
	put_filter(f, "stats");
	put_filter(f, "delay,all=0");
	put_filter(f, "error,all=io,skip=4000000000");
	put_filter(f, "fault,read=flip,every=4000000000");
	put_filter(f, "fault,change=lost,skip=4000000000");
	ok(put_block(f->store, "l", "01", 100000, 1));
	ok(put_block_list(f->store, "l", "u01", NULL));
	assert_true(has_seed(f->store, "l", 100000, 1));
	ok(put_seed(f->store, "l", 300000, 2));
	assert_true(has_seed(f->store, "l", 300000, 2));
	assert_true(exists(f->store, "l"));
	list_one(f->store, name);
	assert_string_equal(name, "l");
	ok(store_upload_begin(f->store, 100000, STORE_UPLOAD_MD5, &upload));
	assert_int_equal(store_upload_digest(upload, &(struct store_digest){ 0 }),
			 STORE_INCOMPLETE);
	store_upload_abort(upload);
	assert_int_equal(store_read_open(f->store, &ref, &conditions, &info, &read),
			 STORE_NOT_MODIFIED);
	assert_int_equal(info.length, 300000);
	store_blob_info_clear(&info);
	ok(store_read_open(f->store, &ref, NULL, NULL, &read));
	/* a filter that sees bytes lets no file through */
	assert_int_equal(store_read_map(read, 0, 100, pieces, 4, &count), STORE_UNSUPPORTED);
	store_read_close(read);
	ok(delete_blob(f->store, "l"));
	assert_false(exists(f->store, "l"));
}

static void files_go_through_filters_that_need_no_bytes(void **state)
{
	struct fixture *f = *state;
	struct store_ref ref = ref_of("b");
	struct store_piece pieces[4];
	struct store_read *read;
	size_t count;

	ok(put_seed(f->store, "b", 300000, 2));
	put_filter(f, "stats");
	put_filter(f, "fault,change=lost");
	ok(store_read_open(f->store, &ref, NULL, NULL, &read));
	ok(store_read_map(read, 0, 300000, pieces, 4, &count));
	assert_int_equal(count, 1);
	assert_true(pieces[0].fd >= 0);
	store_read_close(read);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void delay_makes_a_verb_take_that_long(void **state)
{
	struct fixture *f = *state;
	unsigned char bytes[100];
	uint64_t start;

	put_filter(f, "delay,change=20ms,read=30ms");
	start = now_ns();
	ok(put_seed(f->store, "b", 100, 1));
	assert_true(now_ns() - start >= 20000000);
	start = now_ns();
	ok(read_all(f->store, "b", bytes, 100));
	assert_true(now_ns() - start >= 30000000);
}

static void error_fails_and_does_nothing(void **state)
{
	struct fixture *f = *state;
	unsigned char bytes[100];

	ok(put_seed(f->store, "b", 100, 1));
	put_filter(f, "error,change=no-space,every=2");
	ok(put_seed(f->store, "b", 100, 2));
	assert_int_equal(put_seed(f->store, "b", 100, 3), STORE_NO_SPACE);
	assert_true(has_seed(f->store, "b", 100, 2));
	ok(put_seed(f->store, "b", 100, 4));
	assert_int_equal(delete_blob(f->store, "b"), STORE_NO_SPACE);
	assert_true(has_seed(f->store, "b", 100, 4));
	put_filter(f, "error,read=corrupt,skip=1,count=2");
	ok(read_all(f->store, "b", bytes, 100));
	assert_int_equal(read_all(f->store, "b", bytes, 100), STORE_CORRUPT);
	assert_int_equal(read_all(f->store, "b", bytes, 100), STORE_CORRUPT);
	ok(read_all(f->store, "b", bytes, 100));
	put_filter(f, "error,open=io");
	assert_int_equal(read_all(f->store, "b", bytes, 100), STORE_IO);
	put_filter(f, "error,write=no-memory");
	assert_int_equal(put_seed(f->store, "b", 100, 5), STORE_NO_MEMORY);
	put_filter(f, "error,list=shutdown");
	assert_int_equal(store_blob_list(f->store,
					 &(struct store_ref){ .account = "a", .container = "c" },
					 &(struct store_list){ .max = 1 }, see_name, bytes,
					 &(char *){ NULL }),
			 STORE_SHUTDOWN);
}

static void a_rate_and_a_file_choose_the_calls(void **state)
{
	struct fixture *f = *state;
	char spec[160], file[100];
	unsigned char bytes[100];
	int failed = 0;

	ok(put_seed(f->store, "b", 100, 1));
	put_filter(f, "error,open=io,rate=25%");
	for (int i = 0; i < 1000; i++)
		failed += read_all(f->store, "b", bytes, 100) == STORE_IO;
	assert_in_range(failed, 150, 350);
	fixture_reopen(f);
	snprintf(file, sizeof(file), "%s/switch", f->dir);
	snprintf(spec, sizeof(spec), "error,open=io,if=%s", file);
	put_filter(f, spec);
	ok(read_all(f->store, "b", bytes, 100));
	close(open(file, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(read_all(f->store, "b", bytes, 100), STORE_IO);
	unlink(file);
	ok(read_all(f->store, "b", bytes, 100));
}

static void a_lost_answer_is_an_error_for_something_that_was_done(void **state)
{
	struct fixture *f = *state;

	put_filter(f, "fault,change=lost,count=2");
	assert_int_equal(put_seed(f->store, "b", 100000, 1), STORE_IO);
	assert_true(has_seed(f->store, "b", 100000, 1));
	assert_int_equal(delete_blob(f->store, "b"), STORE_IO);
	assert_false(exists(f->store, "b"));
	put_filter(f, "fault,write=lost,count=1");
	assert_int_equal(put_seed(f->store, "b", 100000, 1), STORE_IO);
	put_filter(f, "fault,open=lost,count=2");
	assert_false(has_seed(f->store, "b", 100000, 1));
	ok(put_seed(f->store, "b", 100000, 1));
}

static void flip_changes_one_bit_of_what_is_read(void **state)
{
	struct fixture *f = *state;
	static unsigned char want[100000], have[100000];
	int bits = 0;

	ok(put_seed(f->store, "b", sizeof(want), 1));
	ok(read_all(f->store, "b", want, sizeof(want)));
	put_filter(f, "fault,read=flip,count=1");
	ok(read_all(f->store, "b", have, sizeof(have)));
	for (size_t i = 0; i < sizeof(want); i++)
		bits += __builtin_popcount(want[i] ^ have[i]);
	assert_int_equal(bits, 1);
	ok(read_all(f->store, "b", have, sizeof(have)));
	assert_memory_equal(want, have, sizeof(want));
}

/* Runs a child that puts "b" behind this fault, and returns whether it was killed. */
static bool killed_by(struct fixture *f, const char *spec)
{
	int status;
	pid_t child;

	store_close(f->store);
	child = fork();
	if (!child) {
		f->store = fixture_open(f, "");
		put_filter(f, spec);
		_exit(put_seed(f->store, "b", 100000, 1));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	f->store = fixture_open(f, "");
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void kill_comes_before_or_after_the_change(void **state)
{
	struct fixture *f = *state;

	assert_true(killed_by(f, "fault,change=kill"));
	assert_false(exists(f->store, "b"));
	assert_true(killed_by(f, "fault,change=kill-after"));
	assert_true(has_seed(f->store, "b", 100000, 1));
}

/* The file that makes a call hang, which goes when the filter has looked for it so often. */
static struct {
	const char *file;
	struct store *behind;
	int looks;
	bool too_early;
} hang;

#define HANG_LOOKS 5

/* Instead of libc's, so that the test knows that a call is inside the filter and waits there. */
int access(const char *file, int mode)
{
	if (hang.file && !strcmp(file, hang.file) && ++hang.looks == HANG_LOOKS) {
		hang.too_early = exists(hang.behind, "b");
		unlink(file);
	}
	return faccessat(AT_FDCWD, file, mode, 0);
}

static void hang_lasts_as_long_as_the_file(void **state)
{
	struct fixture *f = *state;
	char spec[160], file[100];

	snprintf(file, sizeof(file), "%s/switch", f->dir);
	snprintf(spec, sizeof(spec), "fault,change=hang,if=%s", file);
	close(open(file, O_CREAT | O_WRONLY, 0600));
	hang.file = file;
	hang.behind = f->store;
	put_filter(f, spec);
	ok(put_seed(f->store, "b", 100, 1));
	assert_int_equal(hang.looks, HANG_LOOKS);
	assert_false(hang.too_early);
	ok(put_seed(f->store, "c", 100, 1));
	hang.file = NULL;
}

static void assert_shows(const struct azb_buf *buf, const char *line)
{
	if (!strstr(buf->data, line))
		fail_msg("no '%s' in:\n%s", line, buf->data);
}

static void stats_count_calls_bytes_and_failures(void **state)
{
	struct fixture *f = *state;
	struct azb_buf out = { 0 };
	unsigned char bytes[5000];
	const char *at;

	put_filter(f, "error,change=io,skip=2");
	put_filter(f, "stats,name=mine");
	put_filter(f, "stats");
	ok(put_seed(f->store, "b", 5000, 1));
	ok(put_seed(f->store, "b", 5000, 2));
	assert_int_equal(put_seed(f->store, "b", 5000, 2), STORE_IO);
	ok(read_all(f->store, "b", bytes, 5000));
	assert_false(exists(f->store, "none"));
	metrics_show(&out);
	assert_shows(&out, "azblob_store_seconds_count{name=\"mine\",verb=\"change\"} 3\n");
	assert_shows(&out, "azblob_store_seconds_count{name=\"store\",verb=\"open\"} 2\n");
	assert_shows(&out, "azblob_store_errors_total{name=\"mine\",verb=\"change\"} 1\n");
	assert_shows(&out, "azblob_store_errors_total{name=\"mine\",verb=\"open\"} 0\n");
	assert_shows(&out, "azblob_store_bytes_total{name=\"mine\",verb=\"read\"} 5000\n");
	assert_shows(&out,
		     "azblob_store_seconds_bucket{name=\"mine\",verb=\"change\",le=\"+Inf\"} 3");
	/* one head, though there are two of them */
	at = strstr(out.data, "# TYPE azblob_store_seconds histogram\n");
	assert_non_null(at);
	assert_null(strstr(at + 1, "# TYPE azblob_store_seconds histogram\n"));
	azb_buf_free(&out);
	fixture_reopen(f);
	metrics_show(&out);
	assert_true(!out.length || !strstr(out.data, "mine"));
	azb_buf_free(&out);
}

static void bad_options_get_one_clear_line(void **state)
{
	static const struct {
		const char *spec, *says;
	} cases[] = {
		{ "speed",
		  "unknown filter 'speed'; there are: cache, delay, error, fault, log, stats" },
		{ "", "unknown filter ''" },
		{ "delay", "what?" },
		{ "delay,read", "a time is accepted" },
		{ "delay,read=5", "read=5: a time is accepted" },
		{ "delay,read=2h", "a time is accepted" },
		{ "delay,read=9999999999s", "a time is accepted" },
		{ "delay,sleep=5ms", "unknown option 'sleep'" },
		{ "error", "what?" },
		{ "error,read=bad", "read=bad: io, no-space" },
		{ "error,read=io,rate=0%", "rate=0%: 0.1% to 100%" },
		{ "error,read=io,rate=50", "rate=50: 0.1% to 100%" },
		{ "error,read=io,every=0", "every=0: 1 to" },
		{ "error,read=io,count=x", "count=x: 1 to" },
		{ "error,read=io,if", "if= needs a file" },
		{ "error,when=now", "unknown option 'when'" },
		{ "fault,change=gone", "change=gone: lost, flip" },
		{ "fault,change=flip", "only read=flip" },
		{ "fault,change=hang", "hang needs if=FILE" },
		{ "fault,colour=red", "unknown option 'colour'" },
		{ "log,slow=fast", "slow=fast: a time" },
		{ "log,level=loud", "level=loud: error, warning" },
		{ "log,loud", "unknown option 'loud'" },
		{ "stats,name=A B", "name=A B: 1 to 31" },
		{ "stats,file=x", "unknown option 'file'" },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char error[400] = "";

		assert_null(filter_open(cases[i].spec, f->store, error, sizeof(error)));
		if (!strstr(error, cases[i].says))
			fail_msg("'%s': '%s' does not say '%s'", cases[i].spec, error,
				 cases[i].says);
		assert_null(strchr(error, '\n'));
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		T(filters_that_only_watch_change_nothing),
		T(files_go_through_filters_that_need_no_bytes),
		T(delay_makes_a_verb_take_that_long),
		T(error_fails_and_does_nothing),
		T(a_rate_and_a_file_choose_the_calls),
		T(a_lost_answer_is_an_error_for_something_that_was_done),
		T(flip_changes_one_bit_of_what_is_read),
		T(kill_comes_before_or_after_the_change),
		T(hang_lasts_as_long_as_the_file),
		T(stats_count_calls_bytes_and_failures),
		T(bad_options_get_one_clear_line),
	};

	return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
