/* SPDX-License-Identifier: MIT */
/*
 * Lease Blob and Lease Container: the table of states and actions of the reference.  Time comes
 * from store_now_ns(), so that nothing here has to wait.
 */
#include <string.h>

#include "store/local/local.h"

#define SECOND INT64_C(1000000000)

struct step {
	const struct store_lease_change *change;
	enum store_lease_state state;
	bool same; /* the id given is the lease's */
	int64_t now;
};

static enum store_error acquire(const struct step *step, struct store_lease *lease)
{
	if (step->state == STORE_LEASE_BREAKING)
		return step->same ? STORE_LEASE_BREAKING_ACQUIRE : STORE_LEASE_PRESENT;
	if (step->state == STORE_LEASE_LEASED && !step->same)
		return STORE_LEASE_PRESENT;
	*lease = (struct store_lease){ .duration_s = step->change->duration_s };
	memcpy(lease->id, step->change->id, sizeof(lease->id));
	if (lease->duration_s != STORE_LEASE_INFINITE)
		lease->expires_ns = step->now + lease->duration_s * SECOND;
	return STORE_OK;
}

static enum store_error renew(const struct step *step, struct store_lease *lease)
{
	if (!step->same)
		return STORE_LEASE_OP_MISMATCH;
	if (step->state == STORE_LEASE_BREAKING || step->state == STORE_LEASE_BROKEN)
		return STORE_LEASE_BROKEN_RENEW;
	if (lease->duration_s != STORE_LEASE_INFINITE)
		lease->expires_ns = step->now + lease->duration_s * SECOND;
	return STORE_OK;
}

static enum store_error change_id(const struct step *step, struct store_lease *lease)
{
	switch (step->state) {
	case STORE_LEASE_AVAILABLE:
	case STORE_LEASE_EXPIRED:
	case STORE_LEASE_BROKEN:
		return STORE_LEASE_OP_NOT_PRESENT;
	case STORE_LEASE_BREAKING:
		return step->same ? STORE_LEASE_BREAKING_CHANGE : STORE_LEASE_OP_MISMATCH;
	case STORE_LEASE_LEASED:
		break;
	}
	/* sent again after it was done: the new id is there already */
	if (!step->same && memcmp(lease->id, step->change->proposed, sizeof(lease->id)) != 0)
		return STORE_LEASE_OP_MISMATCH;
	memcpy(lease->id, step->change->proposed, sizeof(lease->id));
	return STORE_OK;
}

static enum store_error release(const struct step *step, struct store_lease *lease)
{
	if (!step->same)
		return STORE_LEASE_OP_MISMATCH;
	*lease = (struct store_lease){ 0 };
	return STORE_OK;
}

/* @left: seconds until it is broken, rounded up. */
static enum store_error break_it(const struct step *step, struct store_lease *lease, uint32_t *left)
{
	int64_t end = step->now, wanted;

	switch (step->state) {
	case STORE_LEASE_AVAILABLE:
		return STORE_LEASE_OP_NOT_PRESENT;
	case STORE_LEASE_LEASED:
		/* a lease without end breaks at once unless a time is given */
		if (lease->duration_s != STORE_LEASE_INFINITE)
			end = lease->expires_ns;
		else if (step->change->break_s > 0)
			end += step->change->break_s * SECOND;
		break;
	case STORE_LEASE_BREAKING:
		end = lease->break_ns;
		break;
	case STORE_LEASE_EXPIRED:
		break;
	case STORE_LEASE_BROKEN:
		*left = 0;
		return STORE_OK;
	}
	wanted = step->now + step->change->break_s * SECOND;
	if (step->change->break_s >= 0 && wanted < end)
		end = wanted;
	lease->break_ns = end;
	*left = (uint32_t)((end - step->now + SECOND - 1) / SECOND);
	return STORE_OK;
}

static enum store_error do_step(const struct store_lease_change *change, struct store_lease *lease,
				uint32_t *left)
{
	struct step step = { .change = change, .now = store_now_ns() };

	step.state = store_lease_state(lease, step.now);
	step.same = step.state != STORE_LEASE_AVAILABLE &&
		    !memcmp(lease->id, change->id, sizeof(lease->id));
	switch (change->action) {
	case STORE_ACQUIRE:
		return acquire(&step, lease);
	case STORE_RENEW:
		return renew(&step, lease);
	case STORE_CHANGE_LEASE:
		return change_id(&step, lease);
	case STORE_RELEASE:
		return release(&step, lease);
	case STORE_BREAK:
		return break_it(&step, lease, left);
	}
	return STORE_UNSUPPORTED;
}

static enum store_error lease_container(struct local *local, struct change_job *job,
					struct store_lease *lease)
{
	struct db *db = &local->writer.db;
	sqlite3_stmt *s = db_bind(DB_SQL(db, "SELECT lease, etag, modified FROM containers"
					     " WHERE id = ?1"),
				  "i", job->container);
	enum store_error error;
	bool row;

	error = db_row(db, s, &row);
	if (error || !row)
		return error ? error : STORE_CORRUPT;
	guard_lease_of_row(s, 0, lease);
	job->result.etag = (uint64_t)sqlite3_column_int64(s, 1);
	job->result.modified_ns = sqlite3_column_int64(s, 2);
	db_reset(s);
	error = store_conditions_check(job->change->conditions, STORE_WRITE, true, job->result.etag,
				       job->result.modified_ns);
	return error == STORE_BLOB_EXISTS ? STORE_CONDITION_NOT_MET : error;
}

enum store_error change_lease(struct local *local, void *context)
{
	struct change_job *job = context;
	const struct store_change *change = job->change;
	struct db *db = &local->writer.db;
	uint8_t bytes[LEASE_BYTES];
	struct store_lease lease;
	struct blob_row old;
	enum store_error error;
	bool none;

	if (change->ref.blob) {
		error = change_begin(local, job, &old);
		lease = old.lease;
		job->result.etag = old.etag;
		job->result.modified_ns = old.modified_ns;
	} else {
		error = change_find_container(local, job);
		if (!error)
			error = lease_container(local, job, &lease);
	}
	if (!error)
		error = do_step(&change->lease, &lease, &job->result.lease_left_s);
	if (error)
		return error;
	job->tick = writer_tick(local);
	memcpy(job->result.lease_id, lease.id, sizeof(lease.id));
	none = !lease.duration_s;
	guard_lease_pack(&lease, bytes);
	if (change->ref.blob)
		return db_run(db, db_bind(DB_SQL(db, "UPDATE blobs SET lease = ?3"
						     " WHERE container = ?1 AND name = ?2"),
					  "itb", job->container, change->ref.blob,
					  none ? NULL : bytes, none ? (size_t)0 : sizeof(bytes)));
	return db_run(db, db_bind(DB_SQL(db, "UPDATE containers SET lease = ?2 WHERE id = ?1"),
				  "ib", job->container, none ? NULL : bytes,
				  none ? (size_t)0 : sizeof(bytes)));
}
