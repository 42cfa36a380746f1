// SPDX-License-Identifier: GPL-2.0-only
/*
 * Transaction ids: which request a completion belongs to.
 *
 * An id holds the slot's number plus one in its lower half (so that it is never
 * 0) and the slot's generation in its upper half.
 */
#include <linux/kernel.h>

#include "ids.h"

/**
 * azb_ids_init() - an empty table
 * @ids: the table
 * @slots: zeroed; stays owned by the caller
 * @size: number of slots, 1 or more
 */
void azb_ids_init(struct azb_ids *ids, struct azb_id_slot *slots, u32 size)
{
	u32 i;

	for (i = 0; i < size; i++)
		slots[i].next_free = i + 1;
	ids->slots = slots;
	ids->size = size;
	ids->used = 0;
	ids->free = 0;
}

/**
 * azb_ids_get() - take an id
 * @ids: the table
 * @owner: what azb_ids_put() gives back, not NULL
 *
 * Return: the id, or AZB_ID_NONE when all are in use.
 */
u64 azb_ids_get(struct azb_ids *ids, void *owner)
{
	struct azb_id_slot *slot;
	u32 i = ids->free;

	if (i == ids->size)
		return AZB_ID_NONE;
	slot = &ids->slots[i];
	ids->free = slot->next_free;
	ids->used++;
	slot->owner = owner;
	/* 0 is kept for slots that were never used. */
	if (!++slot->generation)
		slot->generation = 1;
	return (u64)slot->generation << 32 | (i + 1);
}

/* [extra */
/**
 * azb_ids_find() - whose an id is
 * @ids: the table
 * @id: any number
 *
 * Return: its owner, or NULL when it is not in use.
 */
void *azb_ids_find(const struct azb_ids *ids, u64 id)
{
	u32 i = lower_32_bits(id);

	if (!i || i > ids->size || ids->slots[i - 1].generation != upper_32_bits(id))
		return NULL;
	return ids->slots[i - 1].owner;
}

/* extra] */
/**
 * azb_ids_put() - give an id back
 * @ids: the table
 * @id: any number, for instance one that the host sent
 * @owner: filled with the owner when the id was in use, else with NULL
 *
 * Return: AZB_ID_LIVE when it was in use and is free now; otherwise nothing has
 * changed, and the result says why.
 */
enum azb_id_state azb_ids_put(struct azb_ids *ids, u64 id, void **owner)
{
	u32 i = lower_32_bits(id);
	u32 generation = upper_32_bits(id);
	struct azb_id_slot *slot;

	*owner = NULL;
	if (!i || i > ids->size)
		return AZB_ID_UNKNOWN;
	i--;
	slot = &ids->slots[i];
	/*
	 * The difference as a signed number, so that it is still right after a
	 * slot has been used four thousand million times.
	 */
	if ((s32)(generation - slot->generation) > 0 || !generation)
		return AZB_ID_UNKNOWN;
	if (generation != slot->generation || !slot->owner)
		return AZB_ID_STALE;

	*owner = slot->owner;
	slot->owner = NULL;
	slot->next_free = ids->free;
	ids->free = i;
	ids->used--;
	return AZB_ID_LIVE;
}
