/* SPDX-License-Identifier: MIT */
/* Leases in rows, and what they and other guards allow. */
#include <string.h>

#include "store/local/local.h"

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
