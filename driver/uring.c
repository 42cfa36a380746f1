// SPDX-License-Identifier: GPL-2.0-only
/*
 * io_uring commands: requests that no thread waits for.
 *
 * A command is never blocked in a worker of io_uring: what has to wait stands in
 * the driver's lines, and everything that needs the caller's memory runs in the
 * caller's own context, when it submits or as task work.
 *
 *   issue ---- bytes there -----> pin, submit ... the host ... end
 *     \                             ^                           ^
 *      in line ... granted, task work     ended, task work ----/
 */
#ifdef AZB_COMPAT_URING
#include <linux/bits.h>
#include <linux/build_bug.h>
#include <linux/errno.h>
#include <linux/fs.h>
#ifndef AZB_COMPAT_URING_NO_CMD_H
#include <linux/io_uring/cmd.h>
#endif
#include <linux/io_uring.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/stddef.h>
#include <linux/uio.h>
#include <uapi/misc/hv_azure_blob.h>

#include "azb.h"

/* It has to fit a large submission entry, whose first 48 bytes are io_uring's. */
static_assert(sizeof(struct az_blob_request) == 128 - 48);
static_assert(sizeof(struct az_blob_request) % sizeof(u64) == 0);

/* The upper bits of a command's flags are io_uring's own. */
#define AZB_URING_USER_FLAGS GENMASK(23, 0)

/**
 * struct azb_uring - what the driver keeps inside a command
 * @req: its request; NULL when the queue has taken it, or it was freed; under
 *	queue.lock once it has been admitted
 * @error: when there is no @req any more
 * @fixed: the data buffer is part of one registered with io_uring
 */
struct azb_uring {
	struct azb_request *req;
	s32 error;
	bool fixed;
};

static struct azb_uring *azb_uring_of(struct io_uring_cmd *cmd)
{
	BUILD_BUG_ON(sizeof(struct azb_uring) > sizeof(cmd->pdu));
	return (struct azb_uring *)cmd->pdu;
}

static struct azb_device *azb_uring_device(struct io_uring_cmd *cmd)
{
	return cmd->file->private_data;
}

/*
 * The end of a command: posts its completion.  The request is freed first, so that
 * the caller finds its buffers unpinned; and it is out of reach for a cancel
 * before that.
 */
static void azb_uring_end(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	struct azb_device *azb = azb_uring_device(cmd);
	struct azb_uring *uring = azb_uring_of(cmd);
	struct azb_answer answer = { 0 };
	struct azb_request *req;
	int error;

	spin_lock_bh(&azb->queue.lock);
	req = uring->req;
	uring->req = NULL;
	error = uring->error;
	spin_unlock_bh(&azb->queue.lock);

	if (req) {
		error = req->error;
		if (!error)
			answer = req->answer;
		azb_queue_forget(azb, req);
	}
	azb_compat_uring_done(cmd, error,
			      (u64)answer.response_len << 32 | answer.status,
			      issue_flags);
}

azb_compat_uring_tw(azb_uring_end);

/* The command ends with an error and nothing has been sent. */
static void azb_uring_fail(struct io_uring_cmd *cmd, int error,
			   unsigned int issue_flags)
{
	struct azb_device *azb = azb_uring_device(cmd);
	struct azb_uring *uring = azb_uring_of(cmd);
	struct azb_request *req;

	spin_lock_bh(&azb->queue.lock);
	req = uring->req;
	uring->req = NULL;
	spin_unlock_bh(&azb->queue.lock);
	azb_queue_forget(azb, req);
	azb_compat_uring_done(cmd, error, 0, issue_flags);
}

/*
 * A buffer that the kernel has registered, such as that of a block request which ublk
 * lends to its server, goes back to its owner when the command ends: the owner uses
 * the pages for something else, while a host that is late writes to them still.  Such
 * a buffer is addressed from 0 on; one of a program's never begins there.
 */
static int azb_uring_import(struct io_uring_cmd *cmd, const struct azb_buf *data, int rw,
			    struct iov_iter *iter, unsigned int issue_flags)
{
	struct iov_iter trial;
	int ret;

	/* First this one: the command has the buffer from then on, and no other. */
	ret = azb_compat_uring_import(data->addr, data->len, rw, iter, cmd, issue_flags);
	if (!ret && !azb_compat_uring_import(0, 1, rw, &trial, cmd, issue_flags))
		ret = -EOPNOTSUPP;
	return ret;
}

/* The request has its bytes: pin it and get it into the line for the ring. */
static void azb_uring_start(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	struct azb_device *azb = azb_uring_device(cmd);
	struct azb_uring *uring = azb_uring_of(cmd);
	struct azb_request *req = uring->req;
	const struct azb_buf *data = &req->layout.buf[AZB_DATA];
	int rw = req->layout.host_writes_data ? READ : WRITE;
	struct iov_iter iter;
	int ret = 0;

	/* Task work of a program that has gone runs elsewhere: not its memory. */
	if (current->flags & (PF_EXITING | PF_KTHREAD)) {
		azb_uring_fail(cmd, -ECANCELED, issue_flags);
		return;
	}
	if (uring->fixed)
		ret = azb_uring_import(cmd, data, rw, &iter, issue_flags);
	if (!ret)
		ret = azb_request_pin(req, uring->fixed ? &iter : NULL);
	if (!ret)
		ret = azb_queue_submit(azb, req, false);
	/* Otherwise the request may be at its end already. */
	if (ret)
		azb_uring_fail(cmd, ret, issue_flags);
}

azb_compat_uring_tw(azb_uring_start);

static void azb_uring_granted(struct azb_request *req)
{
	io_uring_cmd_complete_in_task(req->owner, AZB_COMPAT_URING_TW(azb_uring_start));
}

static void azb_uring_ended(struct azb_request *req)
{
	io_uring_cmd_complete_in_task(req->owner, AZB_COMPAT_URING_TW(azb_uring_end));
}

static void azb_uring_detached(struct azb_request *req, int error)
{
	struct azb_uring *uring = azb_uring_of(req->owner);

	uring->req = NULL;
	uring->error = error;
	azb_uring_ended(req);
	req->owner = NULL;
}

static const struct azb_request_ops azb_uring_ops = {
	.granted = azb_uring_granted,
	.ended = azb_uring_ended,
	.detached = azb_uring_detached,
};

/**
 * azb_uring_take_pages() - the pages of a buffer that io_uring has pinned
 * @iter: where they are
 * @buf: the buffer, in the caller's addresses
 * @pages: filled, with a reference to each: io_uring may let go of its own when the
 *	command ends, which can be before the host is done
 * @have: how many were filled, also on failure
 *
 * Return: 0 or -EINVAL when the buffer is not made of whole pages.
 */
int azb_uring_take_pages(struct iov_iter *iter, const struct azb_buf *buf,
			 struct page **pages, u32 *have)
{
	u32 want = azb_buf_kernel_pages(buf, PAGE_SHIFT);
	size_t expected = buf->addr & ~PAGE_MASK;
	size_t start;
	ssize_t got;
	u32 n;

	while (iov_iter_count(iter)) {
		if (*have == want)
			return -EINVAL;
		got = iov_iter_get_pages2(iter, pages + *have, iov_iter_count(iter),
					  want - *have, &start);
		if (got <= 0)
			return got ? got : -EFAULT;
		n = DIV_ROUND_UP(start + got, PAGE_SIZE);
		*have += n;
		/* The packet can have no holes. */
		if (start != expected ||
		    (iov_iter_count(iter) && (start + got) % PAGE_SIZE))
			return -EINVAL;
		expected = 0;
	}
	return *have == want ? 0 : -EINVAL;
}

/* A copy: the entry is shared with the program, which may change it. */
static void azb_uring_copy(struct az_blob_request *in, struct io_uring_cmd *cmd)
{
	const u64 *from = azb_compat_uring_payload(cmd, u64);
	u64 *to = (u64 *)in;
	size_t i;

	for (i = 0; i < sizeof(*in) / sizeof(u64); i++)
		to[i] = READ_ONCE(from[i]);
}

/*
 * IO_URING_F_NONBLOCK makes no difference: page faults are all that a worker would
 * take off the program's hands, and the worker would have to be the program's as well.
 */
static int azb_uring_issue(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	const unsigned int large = IO_URING_F_SQE128 | IO_URING_F_CQE32;
	struct azb_device *azb = azb_uring_device(cmd);
	struct azb_uring *uring = azb_uring_of(cmd);
	u32 flags = READ_ONCE(cmd->flags);
	struct azb_layout layout;
	struct azb_request *req;
	struct az_blob_request in;
	int ret;

	/* In a small ring half of the request is another entry. */
	if ((issue_flags & large) != large)
		return -EOPNOTSUPP;
	if (cmd->cmd_op != IOCTL_AZ_BLOB_REQUEST)
		return -ENOTTY;
	if (flags & AZB_URING_USER_FLAGS & ~IORING_URING_CMD_FIXED)
		return -EINVAL;

	azb_uring_copy(&in, cmd);
	ret = azb_layout_init_request(&layout, &in);
	if (ret)
		return ret;
	uring->fixed = flags & IORING_URING_CMD_FIXED;
	if (uring->fixed && !in.data_len)
		return -EINVAL;
	/* [extra */
	/* Registered with io_uring or with us, but not with both. */
	if (uring->fixed && layout.buf[AZB_DATA].registered)
		return -EINVAL;
	/* extra] */
	if (azb_queue_is_gone(&azb->queue))
		return -ENODEV;

	req = azb_request_create(&layout, in.timeout, in.guid);
	if (!req)
		return -ENOMEM;
	/* [extra */
	ret = azb_request_attach(req, azb, cmd->file);
	if (ret) {
		azb_request_free(req);
		return ret;
	}
	/* extra] */
	req->ops = &azb_uring_ops;
	req->owner = cmd;
	uring->req = req;
	uring->error = 0;
	/* From here on it has to end with a completion of its own. */
	azb_compat_uring_mark_cancelable(cmd, issue_flags);

	ret = azb_queue_admit(azb, req, false);
	if (!ret)
		azb_uring_start(cmd, issue_flags);
	else if (ret < 0)
		azb_uring_fail(cmd, ret, issue_flags);
	return -EIOCBQUEUED;
}

/**
 * azb_uring_cmd() - a command on an open node
 * @cmd: the command
 * @issue_flags: io_uring's
 *
 * Return: a negative errno that is the result; -EIOCBQUEUED when the result comes
 * later.  Never -EAGAIN, which would move the command to a worker.
 */
int azb_uring_cmd(struct io_uring_cmd *cmd, unsigned int issue_flags)
{
	if (azb_compat_uring_is_cancel(issue_flags)) {
		azb_queue_cancel(azb_uring_device(cmd), &azb_uring_of(cmd)->req,
				 -ECANCELED);
		return 0;
	}
	return azb_uring_issue(cmd, issue_flags);
}

/**
 * azb_uring_features() - what commands can do on this kernel
 *
 * Return: AZ_BLOB_FEATURE bits.
 */
u64 azb_uring_features(void)
{
	return AZ_BLOB_FEATURE_URING | AZ_BLOB_FEATURE_URING_FIXED |
	       AZB_COMPAT_URING_CANCEL_FEATURE;
}

#endif /* AZB_COMPAT_URING */
