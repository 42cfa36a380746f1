/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints: the life of a request, and a device that goes.
 *
 * A request is followed by its @guid, which the host logs too.  It has an @id only
 * from hv_azure_blob_sent on, which is what its completion on the ring names.
 * Devices are numbered like their nodes: 0 is azure_blob, 1 is azure_blob1.
 * All but hv_azure_blob_rescind are recorded under queue.lock, in the order in
 * which things happened.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM hv_azure_blob

#if !defined(AZB_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define AZB_TRACE_H

#include <linux/jiffies.h>
#include <linux/tracepoint.h>

#include "azb.h"

/* A request was accepted and stands in line. */
TRACE_EVENT(hv_azure_blob_submit,
	    TP_PROTO(const struct azb_device *azb, const struct azb_request *req),
	    TP_ARGS(azb, req),
	    TP_STRUCT__entry(__field(int, number)
			     __array(u8, guid, 16)
			     __field(u32, timeout_ms)
			     __field(u32, request_len)
			     __field(u32, response_len)
			     __field(u32, data_len)
			     __field(u32, data_valid)
			     __field(u32, pages)
	    ),
	    TP_fast_assign(__entry->number = azb->number;
			   memcpy(__entry->guid, req->wire.transaction_guid, 16);
			   __entry->timeout_ms = req->timeout_ms;
			   __entry->request_len = req->layout.buf[AZB_REQUEST].len;
			   __entry->response_len = req->layout.buf[AZB_RESPONSE].len;
			   __entry->data_len = req->layout.buf[AZB_DATA].len;
			   __entry->data_valid = req->layout.data_valid;
			   __entry->pages = req->layout.pages;
	    ),
	    TP_printk("device=%d guid=%pUl timeout_ms=%u request=%u response=%u data=%u valid=%u pages=%u",
		      __entry->number, __entry->guid, __entry->timeout_ms,
		      __entry->request_len, __entry->response_len,
		      __entry->data_len, __entry->data_valid, __entry->pages)
);

/* A request was put on the ring: the host owns its pages. */
TRACE_EVENT(hv_azure_blob_sent,
	    TP_PROTO(const struct azb_device *azb, const struct azb_request *req,
		     u32 outstanding),
	    TP_ARGS(azb, req, outstanding),
	    TP_STRUCT__entry(__field(int, number)
			     __array(u8, guid, 16)
			     __field(u64, id)
			     __field(u32, outstanding)
	    ),
	    TP_fast_assign(__entry->number = azb->number;
			   memcpy(__entry->guid, req->wire.transaction_guid, 16);
			   __entry->id = req->id;
			   __entry->outstanding = outstanding;
	    ),
	    TP_printk("device=%d guid=%pUl id=%#llx outstanding=%u", __entry->number,
		      __entry->guid, __entry->id, __entry->outstanding)
);

/*
 * The host has completed a request.  error is 0 when status and response_len are
 * the host's answer, else what the program gets instead of them; late when there is
 * no program any more.
 */
TRACE_EVENT(hv_azure_blob_complete,
	    TP_PROTO(const struct azb_device *azb, const struct azb_request *req,
		     int error),
	    TP_ARGS(azb, req, error),
	    TP_STRUCT__entry(__field(int, number)
			     __array(u8, guid, 16)
			     __field(u64, id)
			     __field(u32, status)
			     __field(u32, response_len)
			     __field(int, error)
			     __field(bool, late)
			     __field(unsigned int, ms)
	    ),
	    TP_fast_assign(__entry->number = azb->number;
			   memcpy(__entry->guid, req->wire.transaction_guid, 16);
			   __entry->id = req->id;
			   __entry->status = req->answer.status;
			   __entry->response_len = req->answer.response_len;
			   __entry->error = error;
			   __entry->late = req->abandoned;
			   __entry->ms = jiffies_to_msecs(jiffies - req->since);
	    ),
	    TP_printk("device=%d guid=%pUl id=%#llx status=%#x response_len=%u error=%d late=%d ms=%u",
		      __entry->number, __entry->guid, __entry->id, __entry->status,
		      __entry->response_len, __entry->error, __entry->late,
		      __entry->ms)
);

DECLARE_EVENT_CLASS(hv_azure_blob_left,
		    TP_PROTO(const struct azb_device *azb, const struct azb_request *req),
		    TP_ARGS(azb, req),
		    TP_STRUCT__entry(__field(int, number)
				     __array(u8, guid, 16)
				     __field(bool, was_sent)
				     __field(u64, id)
				     __field(u32, timeout_ms)
				     __field(unsigned int, ms)
		    ),
		    TP_fast_assign(__entry->number = azb->number;
				   memcpy(__entry->guid, req->wire.transaction_guid, 16);
				   __entry->was_sent = req->was_sent;
				   __entry->id = req->id;
				   __entry->timeout_ms = req->timeout_ms;
				   __entry->ms = jiffies_to_msecs(jiffies - req->since);
		    ),
		    TP_printk("device=%d guid=%pUl sent=%d id=%#llx timeout_ms=%u ms=%u",
			      __entry->number, __entry->guid, __entry->was_sent, __entry->id,
			      __entry->timeout_ms, __entry->ms)
);

/* The watchdog's time has passed without a word from the host. */
DEFINE_EVENT(hv_azure_blob_left, hv_azure_blob_timeout,
	     TP_PROTO(const struct azb_device *azb, const struct azb_request *req),
	     TP_ARGS(azb, req)
);

/* Nobody waits for the request any more; the host has its pages still. */
DEFINE_EVENT(hv_azure_blob_left, hv_azure_blob_abandon,
	     TP_PROTO(const struct azb_device *azb, const struct azb_request *req),
	     TP_ARGS(azb, req)
);

/* The device goes because the host took it back; outstanding: not answered yet. */
TRACE_EVENT(hv_azure_blob_rescind,
	    TP_PROTO(const struct azb_device *azb, u32 outstanding),
	    TP_ARGS(azb, outstanding),
	    TP_STRUCT__entry(__field(int, number)
			     __field(u32, outstanding)
	    ),
	    TP_fast_assign(__entry->number = azb->number;
			   __entry->outstanding = outstanding;
	    ),
	    TP_printk("device=%d outstanding=%u", __entry->number,
		      __entry->outstanding)
);

#endif /* AZB_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
