/* SPDX-License-Identifier: MIT */
/* Inside answer.c: an answer whose body may still be on its way. */
#ifndef AZB_AZURE_ANSWER_H
#define AZB_AZURE_ANSWER_H

#include "azure.h"

/* Exchanges of one answer at once that are kept; further readers have one for each read. */
#define AZ_STREAMS 8u

/**
 * struct az_stream - an exchange that brings bytes of the body
 * @position: of the body, what comes next; @end: where the exchange ends.
 * @busy: somebody reads from it; otherwise its lane may be taken (@loan).
 * @used: order of last uses.
 */
struct az_stream {
	struct up_call *call;
	struct up_loan loan;
	uint64_t position, end;
	uint64_t used;
	bool busy;
};

struct az_range {
	uint64_t from, to;
};

/**
 * struct az_answer
 * @plan: of the request; owned with pub.read.
 * @lock: protects the streams' fields but not the exchanges of busy ones; without @ranged it is
 *	held while the one stream is read, and protects the spool too.
 * @base: where the body starts in the blob.
 */
struct az_answer {
	struct rest_answer pub;
	struct az_plan *plan;
	pthread_mutex_t lock;
	bool ranged;
	uint64_t base;
	char *etag;
	struct az_stream stream[AZ_STREAMS];
	uint64_t uses;
	int spool;
	struct az_range *spooled;
	size_t spooled_count;
};

#endif
