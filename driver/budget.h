/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How many bytes of user memory may be pinned at a time, and whose turn it is.
 *
 * Nothing here locks or sleeps: all calls for one budget are serialised by its
 * owner (queue.lock).
 */
#ifndef AZB_BUDGET_H
#define AZB_BUDGET_H

#include <linux/hashtable.h>
#include <linux/list.h>
#include <linux/types.h>
#include <linux/uidgid.h>

#define AZB_USER_BITS 6

/**
 * struct azb_user - what one user has pinned on one device
 * @node: in azb_budget.users
 * @uid: whose
 * @used: bytes charged
 * @refs: tickets that wait or are charged; it is freed with the last one
 * @waiting: tickets in the order of their arrival
 * @turn: in azb_budget.turns while the first of @waiting is within the user's
 *	limit
 */
struct azb_user {
	struct hlist_node node;
	kuid_t uid;
	u64 used;
	u32 refs;
	struct list_head waiting;
	struct list_head turn;
};

/**
 * struct azb_ticket - a request's place in the budget
 * @node: in azb_user.waiting
 * @user: NULL when it neither waits nor is charged
 * @bytes: what it needs
 * @charged: it has them
 */
struct azb_ticket {
	struct list_head node;
	struct azb_user *user;
	u64 bytes;
	bool charged;
};

/**
 * struct azb_budget - the bytes of one device
 * @limit: for all users together
 * @user_limit: for each of them
 * @used: bytes charged
 * @max_used: the most there ever were
 * @nr_waiting: tickets that wait
 * @turns: users, in the order in which they are served
 * @users: all that wait or are charged, by uid
 */
struct azb_budget {
	u64 limit;
	u64 user_limit;
	u64 used;
	u64 max_used;
	u32 nr_waiting;
	struct list_head turns;
	DECLARE_HASHTABLE(users, AZB_USER_BITS);
};

void azb_budget_init(struct azb_budget *budget, u64 limit, u64 user_limit);
void azb_budget_set_limits(struct azb_budget *budget, u64 limit, u64 user_limit);
void azb_budget_join(struct azb_budget *budget, struct azb_ticket *ticket,
		     kuid_t uid, struct azb_user **spare);
struct azb_ticket *azb_budget_next(struct azb_budget *budget);
struct azb_ticket *azb_budget_any(struct azb_budget *budget);
void azb_budget_leave(struct azb_budget *budget, struct azb_ticket *ticket);

#endif /* AZB_BUDGET_H */
