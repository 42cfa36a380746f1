/* SPDX-License-Identifier: MIT */
/*
 * A host for tests of the driver's transport: one blob in memory, bodies by handle and parts as in
 * docs/payload.md, faults on demand.  It also checks that requests are well formed.
 */
#ifndef CLIENT_HOST_H
#define CLIENT_HOST_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transport.h"

enum fault {
	NO_FAULT,
	FLIP_BYTE,   /* one byte of the data of an answer, after its checksum was taken */
	LINK_STATUS, /* the HRESULT in .value */
	ERRNO,       /* .value from the ioctl */
	HTTP_STATUS, /* .value with no body */
	RAW_ANSWER,  /* .text as the response buffer, or the data's length changed by it */
};

struct fake_host {
	pthread_mutex_t lock;
	char *blob;
	size_t blob_size;
	bool there;
	char *upload;
	size_t upload_size;
	size_t uploaded;
	bool open;
	/* the fault hits requests that start with .match, .times times */
	enum fault fault;
	const char *match;
	uint32_t value;
	const char *text;
	int times;
	const char *next_fault; /* the answer to whatever comes after that, once */
	/* what was seen */
	unsigned int requests, opens, parts, commits, drops;
	char last_head[4096];
	char last_open[4096];
	const char *probe; /* NULL: a good answer */
	size_t max_data;
};

extern struct fake_host host;

/* What azc_device_open() gives in a test. */
extern struct azc_device host_device;

void host_set_fault(enum fault fault, const char *match, int times, uint32_t value,
		    const char *text);

#endif
