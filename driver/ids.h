/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Transaction ids: which request a completion belongs to.
 *
 * An id is never used twice in the life of a device: it is a slot and how often
 * the slot was used.  A completion that comes twice, late, or out of nowhere is
 * therefore recognised and never taken for another request's.
 *
 * Plain data, no locking: the owner of the table serialises all calls.
 */
#ifndef AZB_IDS_H
#define AZB_IDS_H

#include <linux/types.h>

/* Never an id: VMBus uses 0 for packets that nobody asked for. */
#define AZB_ID_NONE 0ull

struct azb_id_slot {
	void *owner;		/* NULL: the slot is free */
	u32 generation;		/* of the id in use, or of the last one */
	u32 next_free;
};

/**
 * struct azb_ids - the table
 * @slots: @size of them, owned by the caller
 * @size: number of ids that can be in use at once
 * @used: ids in use
 * @free: first free slot, @size when there is none
 */
struct azb_ids {
	struct azb_id_slot *slots;
	u32 size;
	u32 used;
	u32 free;
};

/* What is known of an id that is not in use. */
enum azb_id_state {
	AZB_ID_LIVE,
	AZB_ID_STALE,	/* was in use once */
	AZB_ID_UNKNOWN,	/* never was */
};

void azb_ids_init(struct azb_ids *ids, struct azb_id_slot *slots, u32 size);
u64 azb_ids_get(struct azb_ids *ids, void *owner);
/* [extra */
void *azb_ids_find(const struct azb_ids *ids, u64 id);
/* extra] */
enum azb_id_state azb_ids_put(struct azb_ids *ids, u64 id, void **owner);

#endif /* AZB_IDS_H */
