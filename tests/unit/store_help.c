/* SPDX-License-Identifier: MIT */
#include "store_help.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "store/local/check.h"

void fixture_directory(struct fixture *f)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(f->dir, sizeof(f->dir), "%.40s/azb-store-XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/store", f->dir);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

void fixture_remove(struct fixture *f)
{
	nftw(f->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

struct store *fixture_open(const struct fixture *f, const char *options)
{
	char spec[160], error[256] = "";
	struct store *store;

	snprintf(spec, sizeof(spec), "local,path=%s%s", f->path, options);
	store = store_open(spec, error, sizeof(error));
	if (!store)
		fail_msg("%s", error);
	return store;
}

void fixture_reopen(struct fixture *f)
{
	store_close(f->store);
	f->store = fixture_open(f, "");
}

int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct store_change create = { .kind = STORE_CONTAINER_CREATE, .ref = ref_of(NULL) };

	fixture_directory(f);
	f->store = fixture_open(f, "");
	ok(store_change(f->store, &create, NULL));
	*state = f;
	return 0;
}

static void hear(void *context, bool problem, const char *line)
{
	(void)context;
	if (problem)
		print_error("check: %s\n", line);
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	struct check_result result;
	char error[400] = "";
	bool checked;

	store_close(f->store);
	checked = local_check(f->path, true, hear, NULL, &result, error, sizeof(error));
	if (!checked)
		print_error("check: %s\n", error);
	checked = f->damaged || (checked && !result.problems);
	fixture_remove(f);
	free(f);
	return checked ? 0 : -1;
}

int64_t fixture_now;

static int64_t test_clock(void)
{
	return fixture_now;
}

int fixture_setup_clock(void **state)
{
	fixture_now = INT64_C(1700000000) * SECOND;
	store_set_clock(test_clock);
	return fixture_setup(state);
}

int fixture_teardown_clock(void **state)
{
	int result = fixture_teardown(state);

	store_set_clock(NULL);
	return result;
}

void store_good(const struct fixture *f)
{
	struct check_result result;
	char error[400] = "";

	if (!local_check(f->path, true, hear, NULL, &result, error, sizeof(error)))
		fail_msg("%s", error);
	assert_int_equal(result.problems, 0);
}

struct store_ref ref_of(const char *name)
{
	return (struct store_ref){ .account = "a", .container = "c", .blob = name };
}

void fill_bytes(void *bytes, size_t length, uint32_t seed)
{
	unsigned char *p = bytes;
	uint64_t x = seed * UINT64_C(2654435761) + 1;

	for (size_t i = 0; i < length; i++) {
		if (i % 8 == 0) {
			x ^= x << 13;
			x ^= x >> 7;
			x ^= x << 17;
		}
		p[i] = (unsigned char)(x >> (i % 8 * 8));
	}
}

enum store_error put_bytes(struct store *store, const char *name, const void *bytes, size_t length,
			   const struct store_conditions *conditions, struct store_result *result)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = length };
	struct store_change put = { .kind = STORE_PUT_BLOB,
				    .ref = ref_of(name),
				    .conditions = conditions };
	enum store_error error = store_upload_begin(store, length, 0, &put.upload);

	if (error)
		return error;
	error = store_upload_write(put.upload, 0, &iov, 1, 0, NULL, NULL);
	if (!error)
		error = store_change(store, &put, result);
	if (error)
		store_upload_abort(put.upload);
	return error;
}

enum store_error put_seed(struct store *store, const char *name, size_t length, uint32_t seed)
{
	void *bytes = malloc(length + 1);
	enum store_error error;

	fill_bytes(bytes, length, seed);
	error = put_bytes(store, name, bytes, length, NULL, NULL);
	free(bytes);
	return error;
}

bool has_seed(struct store *store, const char *name, size_t length, uint32_t seed)
{
	struct store_ref ref = ref_of(name);
	struct store_read *read;
	unsigned char *have, *want;
	bool same = false;

	if (store_read_open(store, &ref, NULL, NULL, &read))
		return false;
	have = malloc(length + 1);
	want = malloc(length + 1);
	fill_bytes(want, length, seed);
	if (read->info.length == length && !store_read_at(read, 0, have, length))
		same = !memcmp(have, want, length);
	free(have);
	free(want);
	store_read_close(read);
	return same;
}

bool exists(struct store *store, const char *name)
{
	struct store_ref ref = ref_of(name);
	struct store_blob_info info;
	enum store_error error = store_blob_stat(store, &ref, NULL, &info);

	if (error == STORE_BLOB_NOT_FOUND)
		return false;
	ok(error);
	store_blob_info_clear(&info);
	return true;
}

enum store_error delete_blob(struct store *store, const char *name)
{
	struct store_change delete = { .kind = STORE_BLOB_DELETE, .ref = ref_of(name) };

	return store_change(store, &delete, NULL);
}

static struct store_block_id block_id(const char *text, size_t length)
{
	struct store_block_id id = { .length = (uint8_t)length };

	memcpy(id.bytes, text, length);
	return id;
}

enum store_error put_block(struct store *store, const char *name, const char *id, size_t length,
			   uint32_t seed)
{
	struct store_change put = { .kind = STORE_PUT_BLOCK,
				    .ref = ref_of(name),
				    .block = block_id(id, strlen(id)) };
	struct iovec iov = { .iov_base = malloc(length + 1), .iov_len = length };
	enum store_error error = store_upload_begin(store, length, 0, &put.upload);

	fill_bytes(iov.iov_base, length, seed);
	if (!error) {
		error = store_upload_write(put.upload, 0, &iov, 1, 0, NULL, NULL);
		if (!error)
			error = store_change(store, &put, NULL);
		if (error)
			store_upload_abort(put.upload);
	}
	free(iov.iov_base);
	return error;
}

enum store_error put_block_list(struct store *store, const char *name, const char *ids,
				struct store_result *result)
{
	struct store_block_ref *blocks = calloc(strlen(ids) + 1, sizeof(*blocks));
	struct store_change put = { .kind = STORE_PUT_BLOCK_LIST,
				    .ref = ref_of(name),
				    .blocks = blocks };
	enum store_error error;

	while (*ids) {
		size_t length = strcspn(ids, " ");

		blocks[put.block_count++] = (struct store_block_ref){
			.id = block_id(ids + 1, length - 1),
			.from = *ids == 'l'   ? STORE_BLOCK_LATEST
				: *ids == 'c' ? STORE_BLOCK_COMMITTED
					      : STORE_BLOCK_UNCOMMITTED,
		};
		ids += length + (ids[length] == ' ');
	}
	error = store_change(store, &put, result);
	free(blocks);
	return error;
}

void kill_in_child(const struct fixture *f, void (*work)(const struct fixture *f),
		   const atomic_uint *changes, unsigned int more, unsigned int us)
{
	unsigned int target = *changes + more;
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (!child) {
		work(f);
		_exit(1);
	}
	while (*changes < target) {
		assert_int_equal(waitpid(child, &status, WNOHANG), 0);
		nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
	}
	nanosleep(&(struct timespec){ .tv_nsec = us * 1000L }, NULL);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
}

/*
 * Bytes of a file that have a place on the disk, also where nothing was written yet.  By its map,
 * since st_blocks counts the blocks of the map too, and those stay when a fragmented file is
 * punched empty.  A file system without maps (tmpfs) has nothing but data to count.
 */
static uint64_t file_used(int fd)
{
	union {
		struct fiemap map;
		char room[sizeof(struct fiemap) + 64 * sizeof(struct fiemap_extent)];
	} u;
	uint64_t used = 0, at = 0;
	struct stat st;

	for (;;) {
		memset(&u.map, 0, sizeof(u.map));
		u.map.fm_start = at;
		u.map.fm_length = FIEMAP_MAX_OFFSET - at;
		u.map.fm_extent_count = 64;
		if (ioctl(fd, FS_IOC_FIEMAP, &u.map)) {
			assert_true(errno == EOPNOTSUPP || errno == ENOTTY);
			assert_int_equal(fstat(fd, &st), 0);
			return (uint64_t)st.st_blocks * 512;
		}
		for (uint32_t i = 0; i < u.map.fm_mapped_extents; i++) {
			const struct fiemap_extent *extent = &u.map.fm_extents[i];

			used += extent->fe_length;
			at = extent->fe_logical + extent->fe_length;
			if (extent->fe_flags & FIEMAP_EXTENT_LAST)
				return used;
		}
		if (!u.map.fm_mapped_extents)
			return used;
	}
}

uint64_t disk_used(const struct fixture *f)
{
	char path[128];
	struct dirent *entry;
	uint64_t used = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/extents", f->path);
	dir = opendir(path);
	assert_non_null(dir);
	while ((entry = readdir(dir))) {
		int fd = entry->d_name[0] == '.'
				 ? -1
				 : openat(dirfd(dir), entry->d_name, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			continue;
		used += file_used(fd);
		close(fd);
	}
	closedir(dir);
	return used;
}

int64_t query_number(const struct fixture *f, const char *sql)
{
	sqlite3_stmt *statement;
	char path[128];
	int64_t number;
	sqlite3 *db;

	snprintf(path, sizeof(path), "%s/metadata.db", f->path);
	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	/* we look at a store in use: never checkpoint */
	sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_busy_timeout(db, 5000);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	number = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	sqlite3_close(db);
	return number;
}

static void pause_shortly(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
}

/* Generous: only a failing test waits so long. */
#define TRIES 12000

bool wait_for_number(const struct fixture *f, const char *sql, int64_t want)
{
	for (int i = 0; i < TRIES; i++) {
		if (query_number(f, sql) == want)
			return true;
		pause_shortly();
	}
	return false;
}

bool wait_for_disk_below(const struct fixture *f, uint64_t limit)
{
	for (int i = 0; i < TRIES; i++) {
		if (disk_used(f) < limit)
			return true;
		pause_shortly();
	}
	return false;
}
