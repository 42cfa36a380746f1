/* SPDX-License-Identifier: MIT */
/*
 * The writer thread.  Jobs that come while a commit is under way wait together and
 * share the next one; each is a savepoint, so that one that fails undoes itself
 * only.  Nobody else writes to the database or checkpoints its log.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "base/waiting.h"
#include "store/local/local.h"

#define BATCH_MAX 256
/* Frames of the log (4 KiB each) after which it is checkpointed, or waited for. */
#define CHECKPOINT_FRAMES 8192
#define CHECKPOINT_MUST 32768
#define IDLE_MS 200
/* 100 ns units: the stored tick may lag so far behind the ones given out. */
#define TICK_LAG 10000000
#define FORGETS_MAX 65536

int64_t writer_tick(struct local *local)
{
	struct writer *w = &local->writer;
	struct timespec ts;
	int64_t now;

	clock_gettime(CLOCK_REALTIME, &ts);
	now = (int64_t)ts.tv_sec * 10000000 + ts.tv_nsec / 100;
	w->tick = now > w->tick ? now : w->tick + 1;
	return w->tick;
}

enum store_error writer_garbage(struct local *local, enum garbage_kind kind, int64_t what)
{
	struct db *db = &local->writer.db;

	local->writer.made_garbage = true;
	return db_run(db, db_bind(DB_SQL(db, "INSERT INTO garbage(kind, what) VALUES (?1, ?2)"),
				  "ii", (int64_t)kind, what));
}

static enum store_error load_tick(struct writer *w)
{
	sqlite3_stmt *s = DB_SQL(&w->db, "SELECT tick FROM store");
	enum store_error error;
	bool row;

	error = db_row(&w->db, s, &row);
	if (error || !row)
		return error ? error : STORE_CORRUPT;
	w->tick_stored = sqlite3_column_int64(s, 0);
	/* after a crash some beyond the stored one may have been given out */
	w->tick = w->tick_stored + (w->tick_stored ? TICK_LAG : 0);
	db_reset(s);
	return STORE_OK;
}

static enum store_error store_tick(struct writer *w)
{
	enum store_error error;

	if (w->tick <= w->tick_stored + TICK_LAG)
		return STORE_OK;
	error = db_run(&w->db, db_bind(DB_SQL(&w->db, "UPDATE store SET tick = ?1"), "i", w->tick));
	if (!error)
		w->tick_stored = w->tick;
	return error;
}

/* Two statements, each by the key: with an OR SQLite looks at all of the session. */
static enum store_error forget_one(struct db *db, const struct forget *f)
{
	enum store_error error =
		db_run(db, db_bind(DB_SQL(db, "DELETE FROM effects WHERE session = ?1"
					      " AND request = ?2"),
				   "bi", f->session, sizeof(f->session), (int64_t)f->request));

	if (error || f->request >= STORE_EFFECT_PARTED)
		return error;
	return db_run(db, db_bind(DB_SQL(db, "DELETE FROM effects WHERE session = ?1"
					     " AND request BETWEEN ?2 AND ?3"),
				  "bii", f->session, sizeof(f->session),
				  (int64_t)store_effect_part(f->request, STORE_EFFECT_PARTS - 1),
				  (int64_t)store_effect_part(f->request, 0)));
}

static enum store_error do_forgets(struct writer *w, const struct forget *forgets, size_t count)
{
	enum store_error error = STORE_OK;
	struct db *db = &w->db;

	for (size_t i = 0; !error && i < count; i++) {
		const struct forget *f = &forgets[i];

		if (f->request) {
			error = forget_one(db, f);
		} else {
			error = db_run(db,
				       db_bind(DB_SQL(db, "DELETE FROM effects WHERE session = ?1"),
					       "b", f->session, sizeof(f->session)));
		}
	}
	return error;
}

static int log_grew(void *context, sqlite3 *handle, const char *name, int frames)
{
	struct writer *w = context;

	(void)handle;
	(void)name;
	w->wal_frames = frames;
	if (frames < w->checkpointed) /* the log began anew */
		w->checkpointed = 0;
	return SQLITE_OK;
}

static void checkpoint(struct writer *w)
{
	int mode = w->wal_frames > CHECKPOINT_MUST ? SQLITE_CHECKPOINT_RESTART
						   : SQLITE_CHECKPOINT_PASSIVE;
	int code = sqlite3_wal_checkpoint_v2(w->db.handle, NULL, mode, NULL, NULL);

	/* busy: readers were in the way; the next commit tries again */
	if (code != SQLITE_OK && code != SQLITE_BUSY)
		db_error(&w->db, "checkpoint");
	w->checkpointed = w->wal_frames;
}

/* Runs one job; false: SQLite has rolled back the whole transaction. */
static bool run_job(struct local *local, struct job *job)
{
	struct db *db = &local->writer.db;

	job->result = db_run(db, DB_SQL(db, "SAVEPOINT job"));
	if (!job->result) {
		job->result = job->run(local, job->context);
		if (sqlite3_get_autocommit(db->handle))
			return false;
		if (job->result && db_run(db, DB_SQL(db, "ROLLBACK TO job")))
			return false;
		if (db_run(db, DB_SQL(db, "RELEASE job")))
			return false;
	}
	return !sqlite3_get_autocommit(db->handle);
}

static void run_batch(struct local *local, struct job *jobs, const struct forget *forgets,
		      size_t forget_count)
{
	struct writer *w = &local->writer;
	enum store_error error = w->broken ? STORE_IO : STORE_OK;
	bool wanted = forget_count;
	unsigned int changes = 0;

	w->made_garbage = false;
	if (!error)
		error = db_run(&w->db, DB_SQL(&w->db, "BEGIN IMMEDIATE"));
	for (struct job *job = jobs; job && !error; job = job->next) {
		if (!run_job(local, job))
			error = job->result ? job->result : STORE_IO;
		wanted |= !job->result;
		changes += !job->result;
	}
	if (!error)
		error = do_forgets(w, forgets, forget_count);
	if (!error && wanted)
		error = store_tick(w);
	if (!error && wanted) {
		error = db_run(&w->db, DB_SQL(&w->db, "COMMIT"));
		/* after a failed fsync nobody knows what is on the disk */
		if (error == STORE_IO || error == STORE_CORRUPT) {
			azb_log(AZB_LOG_ERROR, "store: %s: a commit failed; no changes any more",
				local->path);
			w->broken = true;
		}
	}
	if (!sqlite3_get_autocommit(w->db.handle))
		db_run(&w->db, DB_SQL(&w->db, "ROLLBACK"));
	if (!error && w->made_garbage)
		collector_wake(local);
	if (!error && wanted) {
		atomic_fetch_add_explicit(&local->numbers.commits, 1, memory_order_relaxed);
		atomic_fetch_add_explicit(&local->numbers.changes, changes, memory_order_relaxed);
	}
	while (jobs) {
		struct job *next = jobs->next;

		if (error && (!jobs->result || w->broken))
			jobs->result = error;
		sem_post(&jobs->done);
		jobs = next;
	}
	if (w->wal_frames - w->checkpointed > CHECKPOINT_FRAMES)
		checkpoint(w);
}

/* Waits for something to do; false: nothing came for a while. */
static bool wait_for_work(struct writer *w)
{
	struct timespec until;
	bool timed = false;

	while (!w->first && !w->stop) {
		/* with nothing to clean up there is no reason to wake up */
		if (!w->forget_count && w->wal_frames == w->checkpointed) {
			pthread_cond_wait(&w->wake, &w->lock);
			continue;
		}
		if (!timed) {
			clock_gettime(CLOCK_MONOTONIC, &until);
			until.tv_nsec += IDLE_MS * 1000000L;
			until.tv_sec += until.tv_nsec / 1000000000L;
			until.tv_nsec %= 1000000000L;
			timed = true;
		}
		if (pthread_cond_timedwait(&w->wake, &w->lock, &until) == ETIMEDOUT)
			return false;
	}
	return true;
}

static void *writer_main(void *context)
{
	struct local *local = context;
	struct writer *w = &local->writer;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		struct job *jobs, **cut, *rest;
		struct forget *forgets;
		size_t forget_count;
		bool busy = wait_for_work(w);

		jobs = w->first;
		cut = &w->first;
		for (int i = 0; i < BATCH_MAX && *cut; i++)
			cut = &(*cut)->next;
		rest = *cut;
		*cut = NULL;
		w->first = rest;
		if (!rest)
			w->last = &w->first;
		forgets = w->forgets;
		forget_count = w->forget_count;
		w->forgets = NULL;
		w->forget_count = w->forget_room = 0;
		if (!jobs && !forget_count && w->stop)
			break;
		pthread_mutex_unlock(&w->lock);
		if (jobs || forget_count)
			run_batch(local, jobs, forgets, forget_count);
		if (!busy && w->wal_frames != w->checkpointed)
			checkpoint(w);
		free(forgets);
		pthread_mutex_lock(&w->lock);
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

enum store_error writer_do(struct local *local, job_fn *run, void *context)
{
	struct writer *w = &local->writer;
	struct job job = { .run = run, .context = context };

	sem_init(&job.done, 0, 0);
	pthread_mutex_lock(&w->lock);
	if (w->stop) {
		pthread_mutex_unlock(&w->lock);
		sem_destroy(&job.done);
		return STORE_SHUTDOWN;
	}
	*w->last = &job;
	w->last = &job.next;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	azb_waiting_begin();
	while (sem_wait(&job.done) && errno == EINTR)
		;
	azb_waiting_end();
	sem_destroy(&job.done);
	return job.result;
}

void writer_forget(struct local *local, const uint8_t session[16], uint64_t request)
{
	struct writer *w = &local->writer;

	pthread_mutex_lock(&w->lock);
	if (w->forget_count == w->forget_room && w->forget_room < FORGETS_MAX) {
		size_t room = w->forget_room ? w->forget_room * 2 : 64;
		struct forget *forgets = realloc(w->forgets, room * sizeof(*forgets));

		if (forgets) {
			w->forgets = forgets;
			w->forget_room = room;
		}
	}
	/* without room it is kept longer than needed, which does no harm */
	if (w->forget_count < w->forget_room) {
		struct forget *f = &w->forgets[w->forget_count++];

		memcpy(f->session, session, sizeof(f->session));
		f->request = request;
		/* the writer may be asleep without a time limit */
		if (w->forget_count == 1)
			pthread_cond_signal(&w->wake);
	}
	pthread_mutex_unlock(&w->lock);
}

enum store_error writer_start(struct local *local)
{
	struct writer *w = &local->writer;
	pthread_condattr_t attributes;
	enum store_error error = load_tick(w);

	if (error)
		return error;
	w->effect_bytes = malloc(STORE_MAX_EFFECT);
	if (!w->effect_bytes)
		return STORE_NO_MEMORY;
	sqlite3_wal_hook(w->db.handle, log_grew, w);
	w->last = &w->first;
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&w->wake, &attributes);
	pthread_condattr_destroy(&attributes);
	if (pthread_create(&w->thread, NULL, writer_main, local)) {
		free(w->effect_bytes);
		return STORE_NO_MEMORY;
	}
	w->running = true;
	return STORE_OK;
}

void writer_stop(struct local *local)
{
	struct writer *w = &local->writer;

	if (!w->running)
		return;
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	w->running = false;
	free(w->effect_bytes);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
}
