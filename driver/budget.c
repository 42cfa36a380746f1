// SPDX-License-Identifier: GPL-2.0-only
/*
 * The byte budget: in what order requests may pin memory.
 *
 * Users take turns, each with the first of its own line, so that one who asks for
 * more than its share makes only itself wait.  Whoever has the turn keeps it until
 * there is enough for it on the device: small requests of others cannot keep a
 * large one waiting for ever.
 */
#include <linux/minmax.h>
#include <linux/slab.h>

#include "budget.h"

/* Something larger than the limit goes when it has the place to itself. */
static bool azb_budget_fits(u64 used, u64 limit, u64 bytes)
{
	return !used || (used <= limit && bytes <= limit - used);
}

static struct azb_ticket *azb_user_first(struct azb_user *user)
{
	return list_first_entry_or_null(&user->waiting, struct azb_ticket, node);
}

/* Puts @user in line for a turn, or takes it out. */
static void azb_user_update(struct azb_budget *budget, struct azb_user *user)
{
	struct azb_ticket *first = azb_user_first(user);
	bool may = first && azb_budget_fits(user->used, budget->user_limit, first->bytes);

	if (may && list_empty(&user->turn))
		list_add_tail(&user->turn, &budget->turns);
	else if (!may)
		list_del_init(&user->turn);
}

static struct azb_user *azb_user_find(struct azb_budget *budget, kuid_t uid)
{
	struct azb_user *user;

	hash_for_each_possible(budget->users, user, node, __kuid_val(uid))
		if (uid_eq(user->uid, uid))
			return user;
	return NULL;
}

/**
 * azb_budget_init() - an empty budget
 * @budget: zeroed
 * @limit: bytes for all
 * @user_limit: bytes for each user
 */
void azb_budget_init(struct azb_budget *budget, u64 limit, u64 user_limit)
{
	budget->limit = limit;
	budget->user_limit = user_limit;
	INIT_LIST_HEAD(&budget->turns);
	hash_init(budget->users);
}

/**
 * azb_budget_set_limits() - change the limits
 * @budget: the budget
 * @limit: bytes for all
 * @user_limit: bytes for each user
 *
 * What is charged stays so; azb_budget_next() may have something afterwards.
 */
void azb_budget_set_limits(struct azb_budget *budget, u64 limit, u64 user_limit)
{
	struct azb_user *user;
	unsigned int i;

	budget->limit = limit;
	budget->user_limit = user_limit;
	hash_for_each(budget->users, i, user, node)
		azb_user_update(budget, user);
}

/**
 * azb_budget_join() - get in line
 * @budget: the budget
 * @ticket: its @bytes are set; the rest is filled
 * @uid: who asks
 * @spare: memory of a struct azb_user, allocated with kmalloc(); NULL afterwards
 *	when it was needed, which is when @uid is new here
 *
 * Only azb_budget_next() hands out bytes.
 */
void azb_budget_join(struct azb_budget *budget, struct azb_ticket *ticket,
		     kuid_t uid, struct azb_user **spare)
{
	struct azb_user *user = azb_user_find(budget, uid);

	if (!user) {
		user = *spare;
		*spare = NULL;
		memset(user, 0, sizeof(*user));
		user->uid = uid;
		INIT_LIST_HEAD(&user->waiting);
		INIT_LIST_HEAD(&user->turn);
		hash_add(budget->users, &user->node, __kuid_val(uid));
	}
	user->refs++;
	ticket->user = user;
	ticket->charged = false;
	list_add_tail(&ticket->node, &user->waiting);
	budget->nr_waiting++;
	azb_user_update(budget, user);
}

/**
 * azb_budget_next() - who may go now
 * @budget: the budget
 *
 * Return: a ticket that waited and is charged now, or NULL when nobody may go.
 */
struct azb_ticket *azb_budget_next(struct azb_budget *budget)
{
	struct azb_user *user;
	struct azb_ticket *ticket;

	user = list_first_entry_or_null(&budget->turns, struct azb_user, turn);
	if (!user)
		return NULL;
	ticket = azb_user_first(user);
	if (!azb_budget_fits(budget->used, budget->limit, ticket->bytes))
		return NULL;

	list_del_init(&ticket->node);
	budget->nr_waiting--;
	ticket->charged = true;
	budget->used += ticket->bytes;
	budget->max_used = max(budget->max_used, budget->used);
	user->used += ticket->bytes;
	/* To the end of the line, if there is more. */
	list_del_init(&user->turn);
	azb_user_update(budget, user);
	return ticket;
}

/**
 * azb_budget_any() - somebody who waits
 * @budget: the budget
 *
 * Return: a ticket that waits still, or NULL when none does.
 */
struct azb_ticket *azb_budget_any(struct azb_budget *budget)
{
	struct azb_user *user;
	unsigned int i;

	hash_for_each(budget->users, i, user, node)
		if (!list_empty(&user->waiting))
			return azb_user_first(user);
	return NULL;
}

/**
 * azb_budget_leave() - give bytes back, or get out of line
 * @budget: the budget
 * @ticket: which; nothing happens when it is neither waiting nor charged
 *
 * azb_budget_next() may have something afterwards.
 */
void azb_budget_leave(struct azb_budget *budget, struct azb_ticket *ticket)
{
	struct azb_user *user = ticket->user;

	if (!user)
		return;
	if (ticket->charged) {
		budget->used -= ticket->bytes;
		user->used -= ticket->bytes;
	} else {
		list_del_init(&ticket->node);
		budget->nr_waiting--;
	}
	ticket->user = NULL;
	ticket->charged = false;
	azb_user_update(budget, user);
	if (!--user->refs) {
		hash_del(&user->node);
		kfree(user);
	}
}
