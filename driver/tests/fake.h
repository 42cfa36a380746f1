/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A device whose ring is an array and whose requests have no pages.
 */
#ifndef AZB_FAKE_H
#define AZB_FAKE_H

#include <kunit/test.h>

#include "../azb.h"

/* Of one test: every request that there can be, and a cancel for each. */
#define FAKE_MAX_SENT (2 * VSP_WIRE_MAX_OUTSTANDING + 8)

/* What the module does for real in other files. */
struct fake {
	struct azb_device azb;
	u32 room;		/* bytes free on the ring */
	u32 wanted;		/* last wish for room */
	u32 room_at_wish;	/* what there is once it is out, if not 0 */
	int send_error;		/* what sending returns instead of taking it */
	u32 nr_sent;
	u64 sent_ids[FAKE_MAX_SENT];
	u32 sent_tags[FAKE_MAX_SENT];
	atomic_t freed;
	/* [extra */
	u32 sent_first_page[FAKE_MAX_SENT];
	atomic_t refs;		/* to the device, taken and not put back */
	/* A host that answers at once, from a work item of its own. */
	bool answers;
	struct work_struct answer;
	u32 nr_answered;	/* of those sent; under queue.lock */
	u32 refuse_from;	/* which and later ones get refuse_with, if not 0 */
	u32 refuse_with;
	/* extra] */
};

static inline struct fake *fake_of(struct azb_device *azb)
{
	return container_of(azb, struct fake, azb);
}

/* The one of the test that runs. */
extern struct fake *the_fake;

int azb_fake_init(struct kunit *test);
void azb_fake_exit(struct kunit *test);
struct azb_request *azb_fake_request(struct kunit *test, u32 tag, u32 pages,
				     u32 timeout_ms);
void azb_fake_complete(struct fake *fake, u64 id, u32 status, u32 response_len);
/* [extra */
struct device *azb_fake_device_get(struct device *dev);
/* extra] */
u64 azb_fake_count(struct fake *fake, enum azb_counter counter);

#endif /* AZB_FAKE_H */
