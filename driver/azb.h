/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * hv_azure_blob: what its files share.
 *
 *   main.c     VMBus driver: probe, remove, shutdown, suspend, resume
 *   dev.c      device node, lifetime of struct azb_device
 *   ioctl.c    user space's structures in and out
 *   uring.c    io_uring commands
 *   layout.c   validation and page arithmetic             (pure)
 *   wire.c     packets                                    (pure)
 *   ids.c      transaction ids                            (pure)
 *   budget.c   bytes and turns                            (pure)
 *   buffer.c   registered buffers (protocol 2)
 *   cancel.c   requests cancelled by name (protocol 2)
 *   request.c  one request: pinned pages and its packet
 *   admit.c    the line for bytes
 *   queue.c    from submission to completion, in fair order
 *   wait.c     threads that wait
 * [uring
 *              and the watchdog of what no thread waits for
 * uring]
 *   ring.c     the VMBus channel
 *   stats.c    the numbers of a device and their names
 *   sysfs.c    statistics and limits, one value a file
 *   debugfs.c  all counters in one file
 *   trace.h    tracepoints
 *
 * Locks
 *
 *   lock          protects                               taken in
 *   ------------  -------------------------------------  ------------------------
 *   azb.rx_lock   the read side of the inbound ring:     the channel's callback
 *                 one reader at a time                   (softirq); remove, after
 *                                                        a rescind (process)
 *   queue.lock    everything in struct azb_queue, and    process; the channel's
 *                 in struct azb_request what is marked   callback (softirq)
 *                 so; the write side of the outbound
 *                 ring (the bus's own ring_lock nests
 *                 inside)
 *
 *   Order: rx_lock, queue.lock, then the bus's locks.  Nothing runs in hard
 *   interrupt context (the channel is read in batched mode, from a tasklet), so
 *   both are taken with the _bh calls, from everywhere, and never with irqsave.
 *   Neither is held over anything that sleeps, and no page is unpinned under one.
 * [uring
 *   io_uring's uring_lock may be held when queue.lock is taken; task work is
 *   queued under queue.lock, which takes locks of the scheduler and of eventfds.
 * uring]
 *
 * Lifetimes
 *
 *   struct azb_device: one for each probe, never reused.  Its struct device
 *   counts the references: one from probe to remove, one for each open file.
 *   What lives only from probe to remove is the channel; whoever wants it holds
 *   queue.lock and looks at queue.state first.
 *
 *   struct azb_request: belongs to the thread that waits for it.
 * [uring
 *   Or to the io_uring command that it came with.
 * uring]
 *   When its owner gives up while the host still owns the pages, the request
 *   becomes the queue's, until the host's completion, the rescind or the closed
 *   channel says that the host writes no more.
 *   Then a work item unpins it.  Remove waits for requests, never for files
 *   or programs.  The bytes of a request stay charged until it is freed, whoever
 *   has it then, and whether or not its process lives.
 */
/* [extra */
/*
 * Locks of protocol 2, both mutexes, and outside of the two spin locks
 *
 *   lock              protects                                taken in
 *   ----------------  --------------------------------------  --------
 *   buffers.lock      everything in struct azb_buffers, and   process
 *                     in struct azb_buffer what is marked so
 *   queue.cancelling  one walk over queue.named at a time     process
 *
 *   Nothing takes one of them inside the other.
 */
/* extra] */
#ifndef AZB_H
#define AZB_H

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/hyperv.h>
/* [extra */
#include <linux/hashtable.h>
#include <linux/idr.h>
/* extra] */
#include <linux/list.h>
#include <linux/lockdep.h>
/* [extra */
#include <linux/mutex.h>
/* extra] */
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include "budget.h"
#include "ids.h"
#include "layout.h"
#include "wire.h"

/* [extra */
struct az_blob_register;
struct azb_buffer;
/* extra] */
struct dentry;
/* [uring */
struct io_uring_cmd;
struct iov_iter;
/* uring] */

enum azb_request_state {
	AZB_REQ_NEW,	/* nobody but its owner knows it */
	AZB_REQ_ASKING,	/* in line for bytes, in queue.budget */
	AZB_REQ_GRANTED, /* has its bytes; its owner pins its pages */
	AZB_REQ_QUEUED,	/* on queue.waiting */
	AZB_REQ_SENT,	/* on queue.sent: the host owns its pages */
	AZB_REQ_DONE,	/* on no list, or on queue.reap when abandoned */
};

/* [uring */
struct azb_request;

/**
 * struct azb_request_ops - what happens to a request that no thread waits for
 * @granted: it has its bytes: pin its pages and submit it, somewhere else
 * @ended: it is DONE; its owner frees it
 * @detached: its owner goes on without it, with @error; the request is the
 *	queue's from now on
 *
 * All are called with queue.lock held, perhaps in a softirq.
 */
struct azb_request_ops {
	void (*granted)(struct azb_request *req);
	void (*ended)(struct azb_request *req);
	void (*detached)(struct azb_request *req, int error);
};

/* uring] */
/**
 * struct azb_request - one request and the user pages it needs
 * @layout: its buffers
 * @wire: the payload of its packet
 * [extra
 * @wire_len: bytes of that
 * @is_control: a packet of the driver's own, with no buffers
 * extra]
 * @timeout_ms: what the host was given; 0 is for ever
 * @pages: kernel pages, data first, then request, then response
 * @nr_pages: how many of @pages are held for each buffer
 * [uring
 * @fixed_data: the data pages are held by references, not by pins: they are
 *	part of a buffer that io_uring has pinned
 * uring]
 * @desc: the descriptor of its packet, azb_wire_desc_size() bytes
 * @ticket: its bytes; under queue.lock
 * @node: in the list that @state names; under queue.lock
 * [uring
 * @watch: in queue.watched; under queue.lock
 * uring]
 * @state: under queue.lock; whoever waits looks at it without, see
 *	azb_request_set_state()
 * @was_sent: it reached the ring, so that the host may have written to its
 *	pages; under queue.lock until DONE
 * @abandoned: its owner has gone; under queue.lock
 * [uring
 * @given_up: 0, or the negative errno that it is to end with before it is sent; under
 *	queue.lock
 * uring]
 * @since: jiffies when it got in line or, once SENT, sent; under queue.lock
 * @id: transaction id while SENT; under queue.lock
 * @error: 0, or a negative errno that stands for @answer; set before DONE
 * @answer: the host's; set before DONE
 * @wake: for the thread that waits; woken under queue.lock
 * [uring
 * @ops: NULL when a thread waits
 * @owner: of @ops, the command; under queue.lock
 * uring]
 */
struct azb_request {
	struct azb_layout layout;
	/* [extra, else: struct vsp_wire_request wire; */
	union {
		struct vsp_wire_request wire;
		struct vsp_wire_request_2 wire_2;
		struct vsp_wire_control control; /* when is_control */
	};
	u32 wire_len;
	bool is_control;
	struct azb_buffer *buffer; /* a registered one that it uses, or NULL */
	const struct file *file; /* it came through; only compared, never followed */
	struct hlist_node named; /* in queue.named; under queue.lock */
	bool told; /* the host knows that it is cancelled, or is about to; under queue.lock */
	u32 epoch; /* of what it says about a buffer, see struct azb_buffers */
	/* extra] */
	u32 timeout_ms;
	struct page **pages;
	u32 nr_pages[AZB_NR_BUFS];
	/* [uring */
	bool fixed_data;
	/* uring] */
	struct vmbus_packet_mpb_array *desc;

	struct azb_ticket ticket;
	struct list_head node;
	/* [uring */
	struct list_head watch;
	/* uring] */
	enum azb_request_state state;
	bool was_sent;
	bool abandoned;
	/* [uring */
	int given_up;
	/* uring] */
	unsigned long since;
	u64 id;

	int error;
	struct azb_answer answer;
	wait_queue_head_t wake;
	/* [uring */
	const struct azb_request_ops *ops;
	void *owner;
	/* uring] */
};

/* Events counted since probe; stats.c names them. */
enum azb_counter {
	AZB_CNT_SUBMITTED,		/* requests accepted */
	AZB_CNT_COMPLETED,		/* answered by the host */
	AZB_CNT_WOULD_BLOCK,		/* refused with EAGAIN */
	AZB_CNT_KILLED,			/* given up by a killed thread */
	/* [uring */
	AZB_CNT_CANCELLED,		/* given up by a command's end */
	/* uring] */
	AZB_CNT_TIMED_OUT,		/* given up by the watchdog */
	AZB_CNT_CUT_OFF,		/* ended with ENODEV */
	AZB_CNT_LATE,			/* completions of requests given up */
	AZB_CNT_OVER_BUDGET,		/* had to wait for bytes */
	AZB_CNT_RING_FULL,		/* times that the head found no room */
	AZB_CNT_IDS_FULL,		/* times that the head found no id */
	AZB_CNT_SEND_ERROR,		/* the bus refused to send */
	AZB_CNT_BAD_PACKET,		/* not a completion, or malformed */
	AZB_CNT_BAD_ID_UNKNOWN,		/* completion of what never was */
	AZB_CNT_BAD_ID_STALE,		/* completion that came a second time */
	AZB_CNT_BAD_SHORT,		/* completion too short */
	AZB_CNT_BAD_LENGTH,		/* completion's own length impossible */
	AZB_CNT_BAD_RESPONSE_LEN,	/* more response than there is room */
	AZB_NR_COUNTERS,
	/* Those in which the host is at fault. */
	AZB_CNT_BAD_FIRST = AZB_CNT_BAD_PACKET,
	AZB_CNT_BAD_LAST = AZB_CNT_BAD_RESPONSE_LEN,
};

/* What there is right now, and the most there ever was; stats.c names them. */
enum azb_gauge {
	AZB_GAUGE_QUEUED,
	AZB_GAUGE_OUTSTANDING,
	AZB_GAUGE_ABANDONED,
	AZB_GAUGE_MAX_QUEUED,
	AZB_GAUGE_MAX_OUTSTANDING,
	AZB_GAUGE_QUEUED_FOR_BYTES,
	AZB_GAUGE_BYTES,
	AZB_GAUGE_MAX_BYTES,
	AZB_NR_GAUGES
};

/**
 * struct azb_stats - the numbers of a device at one moment
 * @gauges: by enum azb_gauge
 * @counters: by enum azb_counter
 */
struct azb_stats {
	u64 gauges[AZB_NR_GAUGES];
	u64 counters[AZB_NR_COUNTERS];
};

/* [extra */
#define AZB_NAME_BITS 8

/*
 * Transaction ids that requests leave to the driver's own packets without pages: a
 * cancel is sent, and read by a host that takes as many packets as there are ids, also
 * when everything else is stuck.
 */
#define AZB_IDS_KEPT 16u

/* extra] */
enum azb_queue_state {
	AZB_QUEUE_PAUSED,	/* accepts requests, sends none */
	AZB_QUEUE_RUNNING,
	AZB_QUEUE_GONE,		/* for good: submitters get ENODEV */
};

/**
 * struct azb_queue - one fair line for bytes, ring space and transaction ids
 * @lock: see the table above; protects all of this
 * @state: whether requests are accepted and sent
 * @budget: bytes that requests may have pinned; those that wait for them
 * @waiting: in the order of their arrival; only the head is ever sent, so that
 *	a large request cannot be overtaken for ever by small ones
 * @nr_waiting: how many
 * @sent: requests that the host owns
 * @nr_sent: how many, abandoned ones included
 * @nr_abandoned: those of them whose thread has gone
 * @max_waiting: the most there ever were
 * @max_sent: the most there ever were
 * @armed: the host was asked for an interrupt when there is room again
 * @ids: transaction ids in use
 * @counters: since probe
 * @drained: woken when @nr_sent becomes 0
 * @reap: abandoned requests that the host is done with
 * @reap_work: unpins them, which can sleep
 * [uring
 * @watched: commands whose time-out is watched, from admission on
 * @watchdog: lets go of overdue requests that no thread waits for
 * @watchdog_at: jiffies when it is due
 * @watchdog_on: it is
 * uring]
 */
struct azb_queue {
	spinlock_t lock; /* all of this; see the table above */
	enum azb_queue_state state;
	struct azb_budget budget;
	struct list_head waiting;
	u32 nr_waiting;
	struct list_head sent;
	u32 nr_sent;
	u32 nr_abandoned;
	u32 max_waiting;
	u32 max_sent;
	bool armed;
	struct azb_ids ids;
	u64 counters[AZB_NR_COUNTERS];
	wait_queue_head_t drained;
	struct list_head reap;
	struct work_struct reap_work;
	/* [uring */
	struct list_head watched;
	struct delayed_work watchdog;
	unsigned long watchdog_at;
	bool watchdog_on;
	/* uring] */
	/* [extra */
	/* Requests by guid, from admission on until they are DONE or abandoned. */
	DECLARE_HASHTABLE(named, AZB_NAME_BITS);
	struct mutex cancelling; /* outside of @lock; one walk over @named at a time */
	/* extra] */
};

/* [extra */
/**
 * struct azb_buffers - the registered buffers of a device
 * @lock: protects all of this, and in struct azb_buffer what is marked so; taken in
 *	process context, never under queue.lock
 * @idr: by id; NULL for one that is still being registered
 * @epoch: grows when the host forgets all buffers; under @lock and queue.lock, so that
 *	either is enough to read it
 * @closed: no further ones
 */
struct azb_buffers {
	struct mutex lock; /* all of this */
	struct idr idr;
	u32 epoch;
	bool closed;
};

/* extra] */
/**
 * struct azb_device - one offer of the host, from probe to the last close
 * @dev: the device of the node; counts the references
 * @cdev: the node
 * @number: 0 is azure_blob, 1 is azure_blob1
 * @channel: valid as long as queue.state is not AZB_QUEUE_GONE, and in remove
 * @rx_lock: see the table above
 * @rx_on: the inbound ring can be read: it is open, and has not been found
 *	corrupt; under @rx_lock
 * @rx_nonsense: packets since the last one that completed a request; under @rx_lock
 * @queue: requests
 * @debugfs: directory of this device
 */
struct azb_device {
	struct device dev;
	struct cdev cdev;
	int number;
	struct vmbus_channel *channel;
	spinlock_t rx_lock; /* the read side; see the table above */
	bool rx_on;
	u32 rx_nonsense;
	struct azb_queue queue;
	/* [extra */
	/* What the host speaks; changed only while the channel is closed. */
	struct azb_host host;
	struct azb_buffers buffers;
	/* extra] */
	struct dentry *debugfs;
};

static inline struct azb_device *azb_of(struct azb_queue *queue)
{
	return container_of(queue, struct azb_device, queue);
}

/* [extra */
/* Requests that the host is given at a time. */
static inline u32 azb_max_requests(const struct azb_device *azb)
{
	if (azb->host.features)
		return VSP_WIRE_MAX_OUTSTANDING - AZB_IDS_KEPT;
	return VSP_WIRE_MAX_OUTSTANDING;
}

/* extra] */
/* dev.c */
int azb_class_register(void);
void azb_class_unregister(void);
struct azb_device *azb_device_create(struct hv_device *hdev);
int azb_device_publish(struct azb_device *azb);
void azb_device_withdraw(struct azb_device *azb);
void azb_device_put(struct azb_device *azb);

/* ioctl.c */
long azb_ioctl(struct file *file, unsigned int cmd, unsigned long arg);

/* [uring */
/* uring.c */
#ifdef AZB_COMPAT_URING
int azb_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags);
int azb_uring_take_pages(struct iov_iter *iter, const struct azb_buf *buf,
			 struct page **pages, u32 *have);
u64 azb_uring_features(void);
#else
static inline int azb_uring_take_pages(struct iov_iter *iter,
				       const struct azb_buf *buf,
				       struct page **pages, u32 *have)
{
	return -EOPNOTSUPP;
}

static inline u64 azb_uring_features(void)
{
	return 0;
}
#endif

/* uring] */
/* request.c */
struct azb_request *azb_request_create(const struct azb_layout *layout,
				       u32 timeout_ms, const u8 *guid);
/* [uring, else: int azb_request_pin(struct azb_request *req); */
int azb_request_pin(struct azb_request *req, struct iov_iter *fixed);
/* uring] */
void azb_request_free(struct azb_request *req);

static inline u32 azb_request_ring_bytes(const struct azb_request *req)
{
	return azb_wire_packet_bytes(req->layout.pages, req->wire_len);
}

/* [extra */
int azb_request_attach(struct azb_request *req, struct azb_device *azb,
		       const struct file *file);
struct azb_request *azb_control_create(u32 operation, gfp_t gfp);

/* buffer.c */
int azb_buffer_register(struct azb_device *azb, const struct file *owner,
			const struct az_blob_register *in, u32 *id);
int azb_buffer_deregister(struct azb_device *azb, const struct file *owner, u32 id);
struct azb_buffer *azb_buffer_get(struct azb_device *azb, const struct file *owner,
				  const struct azb_layout *layout);
void azb_buffer_put(struct azb_buffer *buf);
u32 azb_buffer_epoch(const struct azb_buffer *buf);
void azb_buffers_release(struct azb_device *azb, const struct file *owner);
void azb_buffers_forget(struct azb_device *azb);
void azb_buffers_open(struct azb_device *azb);
void azb_buffers_init(struct azb_device *azb);
void azb_buffers_destroy(struct azb_device *azb);
int azb_buffer_module_init(void);
void azb_buffer_module_exit(void);

/* cancel.c */
void azb_cancel_name(struct azb_queue *queue, struct azb_request *req);
int azb_cancel_tell(struct azb_queue *queue, struct azb_request *req);
int azb_cancel_by_name(struct azb_device *azb, const struct file *file, const u8 *guid,
		       u32 *ended, u32 *told);
/* extra] */

/* admit.c */
/* The least that a limit of bytes can be: one largest request. */
#define AZB_BYTES_MIN ((u64)VSP_WIRE_MAX_PAGES * VSP_WIRE_PAGE_SIZE)
void azb_admit_init(struct azb_budget *budget);
int azb_queue_admit(struct azb_device *azb, struct azb_request *req, bool nonblock);
void azb_queue_forget(struct azb_device *azb, struct azb_request *req);
void azb_queue_grant(struct azb_queue *queue);
void azb_queue_refuse_all(struct azb_queue *queue);
void azb_queue_set_limits(struct azb_device *azb, const u64 *limit,
			  const u64 *user_limit);
void azb_queue_get_limits(struct azb_device *azb, u64 *limit, u64 *user_limit);

/* queue.c */
int azb_queue_init(struct azb_queue *queue);
void azb_queue_destroy(struct azb_queue *queue);
bool azb_queue_is_gone(struct azb_queue *queue);
int azb_queue_submit(struct azb_device *azb, struct azb_request *req,
		     bool nonblock);
void azb_queue_finish(struct azb_queue *queue, struct azb_request *req, int error);
void azb_queue_leave(struct azb_queue *queue, struct azb_request *req);
void azb_queue_pump(struct azb_device *azb);
void azb_queue_abandon(struct azb_queue *queue, struct azb_request *req);
bool azb_queue_complete(struct azb_device *azb, u64 id, const void *payload,
			u32 len);
void azb_queue_bad_packet(struct azb_device *azb, const char *what, u32 value);
void azb_queue_kick(struct azb_device *azb);
u32 azb_queue_nr_sent(struct azb_queue *queue);
bool azb_queue_is_idle(struct azb_queue *queue);
u32 azb_queue_pause(struct azb_device *azb);
void azb_queue_resume(struct azb_device *azb);
void azb_queue_stop(struct azb_device *azb);
void azb_queue_cut_off(struct azb_device *azb);

/* A thread that waits reads it again and again, and holds the lock only for the last time. */
static inline void azb_request_set_state(struct azb_request *req,
					 enum azb_request_state state)
{
	WRITE_ONCE(req->state, state);
}

static inline void azb_queue_count(struct azb_queue *queue, enum azb_counter counter)
{
	lockdep_assert_held(&queue->lock);
	queue->counters[counter]++;
}

/* wait.c */
int azb_queue_wait(struct azb_device *azb, struct azb_request *req,
		   struct azb_answer *answer);
int azb_queue_wait_admitted(struct azb_device *azb, struct azb_request *req);
/* [uring */
void azb_queue_count_end(struct azb_queue *queue, const struct azb_request *req, int error);
void azb_queue_give_up(struct azb_queue *queue, struct azb_request *req, int error);
void azb_queue_walked(struct azb_queue *queue, u32 *seen);
void azb_queue_cancel(struct azb_device *azb, struct azb_request **slot, int error);
void azb_watchdog_watch(struct azb_queue *queue, struct azb_request *req);
void azb_watchdog_init(struct azb_queue *queue);
void azb_watchdog_stop(struct azb_queue *queue);
/* uring] */

/* ring.c */
int azb_ring_open(struct azb_device *azb);
void azb_ring_close(struct azb_device *azb);
int azb_ring_send(struct azb_device *azb, struct azb_request *req);
void azb_ring_want_room(struct azb_device *azb, u32 bytes);
bool azb_ring_has_room(struct azb_device *azb, u32 bytes);
void azb_ring_drain(struct azb_device *azb, unsigned int patience_ms);
u32 azb_ring_quiesce(struct azb_device *azb, unsigned int patience_ms);

/* stats.c */
extern const char *const azb_gauge_names[AZB_NR_GAUGES];
extern const char *const azb_counter_names[AZB_NR_COUNTERS];
void azb_stats_get(struct azb_queue *queue, struct azb_stats *stats);

/* sysfs.c */
extern const struct attribute_group *azb_sysfs_groups[];

/* debugfs.c */
#ifdef CONFIG_DEBUG_FS
void azb_debugfs_register(void);
void azb_debugfs_unregister(void);
void azb_debugfs_add(struct azb_device *azb);
void azb_debugfs_remove(struct azb_device *azb);
#else
static inline void azb_debugfs_register(void) { }
static inline void azb_debugfs_unregister(void) { }
static inline void azb_debugfs_add(struct azb_device *azb) { }
static inline void azb_debugfs_remove(struct azb_device *azb) { }
#endif

#endif /* AZB_H */
