/* SPDX-License-Identifier: MIT */
/* Leases in rows, and what they and other guards allow. */
#include <string.h>

#include "store/local/local.h"
#include "store/tagexpr.h"

/*
 * How long a rehydration takes here.  Azure takes hours; clients only need to see the
 * state in between.
 */
#define REHYDRATE_STANDARD_NS (INT64_C(60) * 1000000000)
#define REHYDRATE_HIGH_NS (INT64_C(10) * 1000000000)

/*
 * The lease column: the id, then duration, expiry and break time, least significant
 * byte first.  Part of the format.
 */
static void put_number(uint8_t **at, uint64_t value, int bytes)
{
	while (bytes--) {
		*(*at)++ = (uint8_t)value;
		value >>= 8;
	}
}

static uint64_t get_number(const uint8_t **at, int bytes)
{
	uint64_t value = 0;

	for (int i = 0; i < bytes; i++)
		value |= (uint64_t) * (*at)++ << (8 * i);
	return value;
}

void guard_lease_pack(const struct store_lease *lease, uint8_t bytes[LEASE_BYTES])
{
	memcpy(bytes, lease->id, sizeof(lease->id));
	bytes += sizeof(lease->id);
	put_number(&bytes, (uint32_t)lease->duration_s, 4);
	put_number(&bytes, (uint64_t)lease->expires_ns, 8);
	put_number(&bytes, (uint64_t)lease->break_ns, 8);
}

void guard_lease_of_row(sqlite3_stmt *row, int column, struct store_lease *lease)
{
	const uint8_t *bytes = sqlite3_column_blob(row, column);

	*lease = (struct store_lease){ 0 };
	if (!bytes || sqlite3_column_bytes(row, column) != LEASE_BYTES)
		return;
	memcpy(lease->id, bytes, sizeof(lease->id));
	bytes += sizeof(lease->id);
	lease->duration_s = (int32_t)get_number(&bytes, 4);
	lease->expires_ns = (int64_t)get_number(&bytes, 8);
	lease->break_ns = (int64_t)get_number(&bytes, 8);
}

bool guard_lease_keep(const struct store_lease *lease, uint8_t bytes[LEASE_BYTES])
{
	switch (store_lease_state(lease, store_now_ns())) {
	case STORE_LEASE_LEASED:
	case STORE_LEASE_BREAKING:
		guard_lease_pack(lease, bytes);
		return true;
	default:
		return false;
	}
}

void guard_tier(enum store_tier *tier, int *rehydrate, int64_t *changed_ns)
{
	int64_t due = *changed_ns;

	if (!*rehydrate)
		return;
	due += *rehydrate & REHYDRATE_HIGH ? REHYDRATE_HIGH_NS : REHYDRATE_STANDARD_NS;
	if (store_now_ns() < due)
		return;
	*tier = (enum store_tier)(*rehydrate & ~REHYDRATE_HIGH);
	*changed_ns = due;
	*rehydrate = 0;
}

/* Operations that need not name the lease, but must not name a wrong one. */
static enum store_access access_of(enum store_change_kind kind)
{
	switch (kind) {
	case STORE_SET_TIER:
	case STORE_PROTECT:
	case STORE_BLOB_SNAPSHOT:
		return STORE_READ;
	default:
		return STORE_WRITE;
	}
}

enum store_error guard_change(const struct change_job *job, const struct blob_row *row)
{
	const struct store_change *change = job->change;
	const struct store_conditions *c = change->conditions;

	if (row->exists && !row->tags_fit)
		return STORE_CONDITION_NOT_MET;
	if (change->kind == STORE_LEASE)
		return STORE_OK;
	return store_lease_check(c ? c->lease : NULL, access_of(change->kind), row->exists,
				 &row->lease, store_now_ns());
}

enum store_error guard_immutable(const struct blob_row *row)
{
	if (row->hold)
		return STORE_BLOB_HELD;
	if (row->immutability != STORE_MUTABLE && store_now_ns() < row->immutable_until_ns)
		return STORE_BLOB_IMMUTABLE;
	return STORE_OK;
}

enum store_error guard_past(sqlite3_stmt *s, int first)
{
	struct blob_row row = {
		.immutability = (enum store_immutability)sqlite3_column_int(s, first),
		.immutable_until_ns = sqlite3_column_int64(s, first + 1),
		.hold = sqlite3_column_int(s, first + 2),
	};

	return guard_immutable(&row);
}
