// SPDX-License-Identifier: GPL-2.0-only
/*
 * Buffers that a program registers once, so that its requests neither pin nor name
 * pages: protocol 2.
 *
 * A buffer belongs to the open file that registered it.  It has users: the file, as
 * long as it is registered, and each request in it, abandoned ones included.  When
 * the last of them goes the host is told, and then it is unpinned; on the workqueue,
 * as that can take as long as the host likes.  When the host forgets by itself
 * (rescind, closed channel) it is not told, and every buffer goes as soon as its
 * requests have.
 */
#include <linux/capability.h>
#include <linux/completion.h>
#include <linux/cred.h>
#include <linux/freezer.h>
#include <linux/fs.h>
#include <linux/hyperv.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/sched/user.h>
#include <linux/slab.h>
#include <uapi/misc/hv_azure_blob.h>

#include "azb.h"

/* Pages named in one packet: 8 KiB of the ring. */
#define AZB_CHUNK_PAGES 1024u

/**
 * struct azb_buffer - a registered buffer
 * @azb: its device, with a reference
 * @owner: the file; only compared, never followed
 * @id: the host's name for it
 * @epoch: of the host's memory of it, see struct azb_buffers
 * @read_only: the host does not write to it
 * @dead: not to be used by further requests; under buffers.lock
 * @users: under buffers.lock
 * @pages: pinned
 * @nr_pages: how many are
 * @addr: of the program's
 * @length: bytes
 * @cred: whose user is charged for @nr_charged pages, or NULL
 * @nr_charged: see @cred
 * @refs: the teardown, and who waits for it
 * @gone: completed when it is unpinned
 * @work: the teardown
 */
struct azb_buffer {
	struct azb_device *azb;
	const struct file *owner;
	u32 id;
	u32 epoch;
	bool read_only;
	bool dead;
	u32 users;
	struct page **pages;
	u32 nr_pages;
	u64 addr;
	u64 length;
	const struct cred *cred;
	u32 nr_charged;
	refcount_t refs;
	struct completion gone;
	struct work_struct work;
};

static struct workqueue_struct *azb_buffer_wq;

static int azb_buffer_charge(struct azb_buffer *buf, u32 pages)
{
	unsigned long limit = rlimit(RLIMIT_MEMLOCK) >> PAGE_SHIFT;
	atomic_long_t *locked = &current_user()->locked_vm;
	long now = atomic_long_read(locked);

	if (capable(CAP_IPC_LOCK))
		return 0;
	do {
		if (now + pages > limit)
			return -ENOMEM;
	} while (!atomic_long_try_cmpxchg(locked, &now, now + pages));
	/* The user is there as long as these, whether or not the process is. */
	buf->cred = get_current_cred();
	buf->nr_charged = pages;
	return 0;
}

static int azb_buffer_pin(struct azb_buffer *buf, u32 pages)
{
	unsigned int flags = FOLL_LONGTERM | (buf->read_only ? 0 : FOLL_WRITE);
	unsigned long start = buf->addr & PAGE_MASK;
	int ret;

	buf->pages = kvmalloc_array(pages, sizeof(*buf->pages), GFP_KERNEL_ACCOUNT);
	if (!buf->pages)
		return -ENOMEM;
	while (buf->nr_pages < pages) {
		if (fatal_signal_pending(current))
			return -EINTR;
		ret = pin_user_pages_fast(start + (unsigned long)buf->nr_pages * PAGE_SIZE,
					  pages - buf->nr_pages, flags,
					  buf->pages + buf->nr_pages);
		if (ret <= 0)
			return ret == -EINTR || ret == -ENOMEM ? ret : -EFAULT;
		buf->nr_pages += ret;
		cond_resched();
	}
	return 0;
}

static void azb_buffer_drop(struct azb_buffer *buf)
{
	if (refcount_dec_and_test(&buf->refs)) {
		azb_device_put(buf->azb);
		kfree(buf);
	}
}

/**
 * azb_buffer_epoch() - which of its lives the host was in when it learned of a buffer
 * @buf: from azb_buffer_get()
 *
 * Return: what a request in the buffer has to have in its own epoch.
 */
u32 azb_buffer_epoch(const struct azb_buffer *buf)
{
	return buf->epoch;
}

/* Gives everything back but the structure. */
static void azb_buffer_unpin(struct azb_buffer *buf)
{
	if (buf->nr_pages)
		unpin_user_pages_dirty_lock(buf->pages, buf->nr_pages, !buf->read_only);
	kvfree(buf->pages);
	if (buf->cred) {
		atomic_long_sub(buf->nr_charged, &buf->cred->user->locked_vm);
		put_cred(buf->cred);
	}
}

/* Sends a packet about @buf and waits for the answer. */
static int azb_buffer_send(struct azb_buffer *buf, struct azb_request *req,
			   u32 *status)
{
	struct azb_answer answer;
	int ret;

	req->epoch = buf->epoch;
	ret = azb_queue_submit(buf->azb, req, false);
	if (ret) {
		azb_queue_forget(buf->azb, req);
		return ret;
	}
	ret = azb_queue_wait(buf->azb, req, &answer);
	if (!ret)
		*status = answer.status;
	return ret;
}

static u32 azb_buffer_host_pages(const struct azb_buffer *buf)
{
	return buf->length / AZ_BLOB_PAGE_SIZE;
}

/* Names the pages from @first on; returns how many, or a negative errno. */
static int azb_buffer_name(struct azb_buffer *buf, u32 first)
{
	u32 total = azb_buffer_host_pages(buf);
	const struct azb_buf whole = { .addr = buf->addr, .pages = total };
	u32 count = min(total - first, AZB_CHUNK_PAGES);
	u32 status, i, run, page, sub;
	struct azb_request *req;
	u64 *pfn;
	int ret;

	req = azb_control_create(VSP_WIRE_OP_REGISTER_BUFFER, GFP_KERNEL);
	if (!req)
		return -ENOMEM;
	req->desc = kvmalloc(azb_wire_desc_size(count), GFP_KERNEL);
	if (!req->desc) {
		azb_request_free(req);
		return -ENOMEM;
	}
	req->layout.pages = count;
	azb_wire_pack_desc(req->desc, count);
	pfn = req->desc->range.pfn_array;
	for (i = 0; i < count; i += run) {
		run = min(azb_buf_run(&whole, first + i, PAGE_SHIFT, &page, &sub), count - i);
		pfn = azb_list_run(pfn, page_to_hvpfn(buf->pages[page]) + sub, run);
	}
	req->control.buffer_id = cpu_to_le32(buf->id);
	req->control.first_page = cpu_to_le32(first);
	req->control.page_count = cpu_to_le32(total);
	req->control.flags = cpu_to_le32(buf->read_only ? VSP_WIRE_BUFFER_READ_ONLY : 0);
	ret = azb_buffer_send(buf, req, &status);
	if (ret)
		return ret;
	if (status == VSP_WIRE_STATUS_NO_RESOURCES)
		return -ENOSPC;
	return status ? -EIO : count;
}

/* The host forgets it, if it knows it. */
static void azb_buffer_unname(struct azb_buffer *buf)
{
	struct azb_request *req;
	u32 status;

	req = azb_control_create(VSP_WIRE_OP_DEREGISTER_BUFFER, GFP_KERNEL | __GFP_NOFAIL);
	req->control.buffer_id = cpu_to_le32(buf->id);
	/*
	 * No request is in the buffer any more, so that the host touches none of its
	 * pages even when this fails: because the channel is closing, or given up, or
	 * because the answer made no sense.  A host that still has the buffer refuses
	 * the next one of that name, whose own end makes it forget both.
	 */
	azb_buffer_send(buf, req, &status);
}

/* Not worth a packet any more; azb_queue_submit() looks once more. */
static bool azb_buffer_is_forgotten(struct azb_buffer *buf)
{
	struct azb_buffers *buffers = &buf->azb->buffers;
	bool forgotten;

	mutex_lock(&buffers->lock);
	forgotten = buf->epoch != buffers->epoch;
	mutex_unlock(&buffers->lock);
	return forgotten;
}

static void azb_buffer_teardown(struct work_struct *work)
{
	struct azb_buffer *buf = container_of(work, struct azb_buffer, work);
	struct azb_buffers *buffers = &buf->azb->buffers;

	if (!azb_buffer_is_forgotten(buf))
		azb_buffer_unname(buf);
	azb_buffer_unpin(buf);
	/* Not before the host has forgotten it may its name be used again. */
	mutex_lock(&buffers->lock);
	idr_remove(&buffers->idr, buf->id);
	mutex_unlock(&buffers->lock);
	complete_all(&buf->gone);
	azb_buffer_drop(buf);
}

static void azb_buffer_unuse(struct azb_buffer *buf)
{
	lockdep_assert_held(&buf->azb->buffers.lock);
	if (!--buf->users)
		queue_work(azb_buffer_wq, &buf->work);
}

/* Its file lets go of it. */
static void azb_buffer_kill(struct azb_buffer *buf)
{
	if (buf->dead)
		return;
	buf->dead = true;
	azb_buffer_unuse(buf);
}

/**
 * azb_buffer_put() - a request in a buffer is at its end
 * @buf: from azb_buffer_get()
 *
 * Context: may sleep.
 */
void azb_buffer_put(struct azb_buffer *buf)
{
	struct azb_buffers *buffers = &buf->azb->buffers;

	mutex_lock(&buffers->lock);
	azb_buffer_unuse(buf);
	mutex_unlock(&buffers->lock);
}

static struct azb_buffer *azb_buffer_find(struct azb_device *azb,
					  const struct file *owner, u32 id)
{
	struct azb_buffer *buf = idr_find(&azb->buffers.idr, id);

	return buf && buf->owner == owner && !buf->dead ? buf : NULL;
}

/**
 * azb_buffer_get() - use a buffer for a request
 * @azb: the device
 * @owner: the file that the request came through
 * @layout: the request, some of whose buffers are in the registered one
 *
 * Return: the buffer, which stays until azb_buffer_put(); or an ERR_PTR: -ENOENT
 * when there is none, -EFAULT when the request reaches beyond it, or would have the
 * host write to one that it only reads.
 *
 * Context: may sleep.
 */
struct azb_buffer *azb_buffer_get(struct azb_device *azb, const struct file *owner,
				  const struct azb_layout *layout)
{
	struct azb_buffer *buf;
	unsigned int i;

	mutex_lock(&azb->buffers.lock);
	buf = azb_buffer_find(azb, owner, layout->buffer_id);
	if (!buf) {
		buf = ERR_PTR(-ENOENT);
		goto out;
	}
	for (i = 0; i < AZB_NR_BUFS; i++) {
		const struct azb_buf *part = &layout->buf[i];

		if (!part->registered)
			continue;
		if (part->at > buf->length || part->len > buf->length - part->at ||
		    (buf->read_only && azb_layout_host_writes(layout, i))) {
			buf = ERR_PTR(-EFAULT);
			goto out;
		}
	}
	buf->users++;
out:
	mutex_unlock(&azb->buffers.lock);
	return buf;
}

/* From here on its file can use it. */
static int azb_buffer_publish(struct azb_buffer *buf)
{
	struct azb_buffers *buffers = &buf->azb->buffers;
	int ret = 0;

	mutex_lock(&buffers->lock);
	if (buffers->closed || buffers->epoch != buf->epoch)
		ret = -ENODEV;
	else
		idr_replace(&buffers->idr, buf, buf->id);
	mutex_unlock(&buffers->lock);
	return ret;
}

/* Takes an id, for a buffer that nobody finds yet. */
static int azb_buffer_reserve(struct azb_buffer *buf)
{
	struct azb_device *azb = buf->azb;
	struct azb_buffers *buffers = &azb->buffers;
	int ret;

	mutex_lock(&buffers->lock);
	if (buffers->closed)
		ret = -ENODEV;
	else
		ret = idr_alloc(&buffers->idr, NULL, 1, azb->host.max_buffers + 1,
				GFP_KERNEL);
	buf->epoch = buffers->epoch;
	mutex_unlock(&buffers->lock);
	if (ret < 0)
		return ret;
	buf->id = ret;
	return 0;
}

static int azb_buffer_introduce(struct azb_buffer *buf)
{
	u32 first = 0;
	int ret;

	while (first < azb_buffer_host_pages(buf)) {
		if (azb_buffer_is_forgotten(buf))
			return -ENODEV;
		ret = azb_buffer_name(buf, first);
		if (ret < 0)
			return ret;
		first += ret;
	}
	return azb_buffer_publish(buf);
}

static int azb_buffer_check(struct azb_device *azb, const struct az_blob_register *in)
{
	if (in->flags & ~AZ_BLOB_BUFFER_READ_ONLY || in->buffer_id || in->reserved)
		return -EINVAL;
	if (!(azb->host.features & VSP_WIRE_FEATURE_BUFFERS))
		return -EOPNOTSUPP;
	if (!in->length || in->length % AZ_BLOB_PAGE_SIZE ||
	    in->address % AZ_BLOB_PAGE_SIZE)
		return -EINVAL;
	if (in->length > azb->host.max_buffer_bytes)
		return -EMSGSIZE;
	if (in->address > ULONG_MAX || in->length - 1 > ULONG_MAX - (unsigned long)in->address)
		return -EFAULT;
	return 0;
}

/**
 * azb_buffer_register() - register a buffer of the calling process
 * @azb: the device
 * @owner: the file
 * @in: as user space gave it
 * @id: filled
 *
 * Return: 0 or a negative errno as the uapi header lists them.
 *
 * Context: may sleep, killable.
 */
int azb_buffer_register(struct azb_device *azb, const struct file *owner,
			const struct az_blob_register *in, u32 *id)
{
	struct azb_buffer *buf;
	u32 pages;
	int ret;

	ret = azb_buffer_check(azb, in);
	if (ret)
		return ret;
	buf = kzalloc_obj(*buf, GFP_KERNEL_ACCOUNT);
	if (!buf)
		return -ENOMEM;
	buf->azb = azb;
	get_device(&azb->dev);
	buf->owner = owner;
	buf->read_only = in->flags & AZ_BLOB_BUFFER_READ_ONLY;
	buf->addr = in->address;
	buf->length = in->length;
	buf->users = 1;
	refcount_set(&buf->refs, 1);
	init_completion(&buf->gone);
	INIT_WORK(&buf->work, azb_buffer_teardown);

	pages = ((buf->addr & ~PAGE_MASK) + buf->length + PAGE_SIZE - 1) >> PAGE_SHIFT;
	ret = azb_buffer_charge(buf, pages);
	if (!ret)
		ret = azb_buffer_pin(buf, pages);
	if (!ret)
		ret = azb_buffer_reserve(buf);
	if (ret) {
		azb_buffer_unpin(buf);
		azb_buffer_drop(buf);
		return ret;
	}
	*id = buf->id;
	ret = azb_buffer_introduce(buf);
	if (ret) {
		/* The host may know some of it. */
		mutex_lock(&azb->buffers.lock);
		azb_buffer_kill(buf);
		mutex_unlock(&azb->buffers.lock);
	}
	return ret;
}

/**
 * azb_buffer_deregister() - end a buffer, and wait until it is unpinned
 * @azb: the device
 * @owner: the file
 * @id: of the buffer
 *
 * Return: 0; -ENOENT; -EINTR when the thread is being killed meanwhile: the buffer
 * ends all the same.
 *
 * Context: may sleep, killable.
 */
int azb_buffer_deregister(struct azb_device *azb, const struct file *owner, u32 id)
{
	struct azb_buffer *buf;
	int ret;

	mutex_lock(&azb->buffers.lock);
	buf = azb_buffer_find(azb, owner, id);
	if (buf) {
		refcount_inc(&buf->refs);
		azb_buffer_kill(buf);
	}
	mutex_unlock(&azb->buffers.lock);
	if (!buf)
		return -ENOENT;
	ret = azb_compat_wait_freezable(&buf->gone) ? -EINTR : 0;
	azb_buffer_drop(buf);
	return ret;
}

/**
 * azb_buffers_release() - a file is closed
 * @azb: the device
 * @owner: the file
 *
 * Its buffers go when the last of their requests has.
 */
void azb_buffers_release(struct azb_device *azb, const struct file *owner)
{
	struct azb_buffer *buf;
	int id;

	mutex_lock(&azb->buffers.lock);
	idr_for_each_entry(&azb->buffers.idr, buf, id)
		if (buf->owner == owner)
			azb_buffer_kill(buf);
	mutex_unlock(&azb->buffers.lock);
}

/**
 * azb_buffers_forget() - the host forgets all buffers
 * @azb: the device, whose channel is being closed or has gone
 *
 * They go when the last of their requests has; no further ones are registered until
 * azb_buffers_open().
 */
void azb_buffers_forget(struct azb_device *azb)
{
	struct azb_buffer *buf;
	int id;

	mutex_lock(&azb->buffers.lock);
	azb->buffers.closed = true;
	spin_lock_bh(&azb->queue.lock);
	azb->buffers.epoch++;
	spin_unlock_bh(&azb->queue.lock);
	idr_for_each_entry(&azb->buffers.idr, buf, id)
		azb_buffer_kill(buf);
	mutex_unlock(&azb->buffers.lock);
}

/**
 * azb_buffers_open() - buffers can be registered
 * @azb: the device, whose channel is open
 */
void azb_buffers_open(struct azb_device *azb)
{
	mutex_lock(&azb->buffers.lock);
	azb->buffers.closed = false;
	mutex_unlock(&azb->buffers.lock);
}

/**
 * azb_buffers_init() - no buffers, and none accepted yet
 * @azb: zeroed
 */
void azb_buffers_init(struct azb_device *azb)
{
	mutex_init(&azb->buffers.lock);
	idr_init(&azb->buffers.idr);
	azb->buffers.closed = true;
}

/**
 * azb_buffers_destroy() - free what azb_buffers_init() made
 * @azb: with no buffer: each has a reference to it
 */
void azb_buffers_destroy(struct azb_device *azb)
{
	idr_destroy(&azb->buffers.idr);
}

/**
 * azb_buffer_module_init() - before the first device
 *
 * Return: 0 or -ENOMEM.
 */
int azb_buffer_module_init(void)
{
	azb_buffer_wq = alloc_workqueue("hv_azure_blob", WQ_UNBOUND, 0);
	return azb_buffer_wq ? 0 : -ENOMEM;
}

/**
 * azb_buffer_module_exit() - after the last device; waits for teardowns
 */
void azb_buffer_module_exit(void)
{
	destroy_workqueue(azb_buffer_wq);
}
