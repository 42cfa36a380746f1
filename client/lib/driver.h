/* SPDX-License-Identifier: MIT */
/* The driver's transport in pieces, for requests that nobody waits for. */
#ifndef AZC_DRIVER_H
#define AZC_DRIVER_H

#include "transport.h"
#include "uapi/misc/hv_azure_blob.h"

/**
 * struct azc_flight - one try of one request on its way to the host and back
 * @wire: what the ioctl or command is given; the addresses are plain ones.  Its response is for
 *	whoever carries it to fill.
 * @head, @response: buffers of the pool, @text too: room for a body that is wanted as text.
 * @unsent: by whoever carries it: -ECANCELED means that the host never got it.  Without that such
 *	a request may still be written to.
 */
struct azc_flight {
	struct az_blob_request wire;
	void *head;
	size_t head_room;
	void *response;
	size_t response_room;
	void *text;
	bool unsent;
};

/* NULL when the connection's transport is another. */
struct azc_device *azc_driver_device(const azblob_conn *conn);

/* A guid for the logs of both sides. */
void azc_driver_guid(const azblob_conn *conn, uint8_t guid[16]);

/*
 * The request as the host wants it, with buffers for the way.  After a success exactly one
 * azc_flight_end() or azc_flight_drop() follows.  @request has to stay.
 */
int azc_flight_begin(const azblob_conn *conn, const struct azc_request *request,
		     unsigned int timeout_ms, struct azc_flight *flight,
		     struct azblob_error *error);
/*
 * The end of it: what the ioctl or command returned, 0 or -errno, with the wire's response. Returns
 * what a transport's exchange does.
 */
int azc_flight_end(const azblob_conn *conn, const struct azc_request *request,
		   struct azc_flight *flight, int result, struct azc_answer *answer,
		   enum azc_failure *failure, struct azblob_error *error);
/*
 * One try of a request with a time-out of its own, without what azc_perform() does around it: as a
 * transport's exchange.
 */
int azc_driver_exchange(const azblob_conn *conn, const struct azc_request *request,
			unsigned int timeout_ms, struct azc_answer *answer,
			enum azc_failure *failure, struct azblob_error *error);
/* It was never sent. */
void azc_flight_drop(const azblob_conn *conn, struct azc_flight *flight);

/*
 * Sends and waits: 0 or -errno.  Data in a buffer that is registered with the driver goes as such.
 */
int azc_driver_submit(const azblob_conn *conn, struct az_blob_request *wire);

/* What came of an attempt to end a request early. */
enum azc_reach {
	AZC_REACH_UNSENT, /* it ends with ECANCELED, and the host never got it */
	AZC_REACH_TOLD,   /* the host knows, and ends it */
	AZC_REACH_ABSENT, /* the driver has no such request: not yet, or not any more */
	AZC_REACH_LATER,  /* memory was short */
	AZC_REACH_NEVER,  /* driver or host can't do that */
};
enum azc_reach azc_driver_cancel(const azblob_conn *conn, const uint8_t guid[16]);

/* ---- raw requests (raw.c) ---- */

/* Checks the caller's struct, copies it and makes the wire's; @timeout_ms: of the connection. */
int azc_raw_begin(const azblob_conn *conn, const struct azblob_raw_request *given,
		  struct az_blob_request *wire, struct azblob_error *error);
/* Sends and waits, so that the operation can be cancelled: 0 or -errno, ECANCELED: not sent. */
int azc_raw_submit(struct azc_op *op, struct az_blob_request *wire);
/*
 * What came of it; fills @result (not NULL).  @unsent: an ECANCELED means that the host never got
 * it;
 * @cancelled: somebody wanted it to end.
 */
int azc_raw_end(const struct az_blob_request *wire, int sys_result, bool unsent, bool cancelled,
		struct azblob_raw_result *result, struct azblob_error *error);

/* What an HRESULT means. */
const char *azc_link_text(uint32_t status, enum azc_failure *failure);

#endif /* AZC_DRIVER_H */
