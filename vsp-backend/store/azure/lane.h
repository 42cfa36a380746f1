/* SPDX-License-Identifier: MIT */
/* Inside upstream.c and lane.c: a connection and the exchange that it is used for. */
#ifndef AZB_AZURE_LANE_H
#define AZB_AZURE_LANE_H

#include <pthread.h>

#include "upstream.h"

/* Bytes of an answer's head; Azure's metadata has at most 8 KiB. */
#define UP_MAX_HEAD (64u * 1024u)
/* What libcurl reads and sends at a time. */
#define UP_BUFFER (128L * 1024)

struct up_lane {
	struct up_pool *pool;
	struct up_lane *next; /* in the list of free ones */
	CURLM *multi;
	CURL *easy;
};

/**
 * struct up_pool
 * @lock: protects all below, but not @share_lock.
 * @room: a lane became free, or a loan was made.
 * @used: lanes that exist, free ones included.
 * @loans: calls whose lane may be taken; the one lent first is first.
 * @share, @share_lock: names and TLS sessions of all lanes.
 */
struct up_pool {
	char *ca_file;
	char *proxy;
	unsigned int lanes;
	unsigned int connect_ms;
	unsigned int idle_ms;
	bool plain;
	pthread_mutex_t lock;
	pthread_cond_t room;
	struct up_lane *idle;
	unsigned int used;
	struct up_loan *loans, *last_loan;
	CURLSH *share;
	pthread_mutex_t share_lock[CURL_LOCK_DATA_LAST];
};

/**
 * struct up_call
 * @from, @to: the caller's memory that bytes are taken from or put into now.
 * @body_left: bytes of the body that libcurl was not given yet.
 * @stash, @stash_at: received bytes that did not fit the caller's memory.
 * @moved: changes whenever something does.
 * @sent: libcurl was allowed to send the request.  @again: it wanted to do so once more.
 * @timed_out: it is given up; @stopped: because nobody wants it.
 * @done, @result: libcurl has ended it.
 */
struct up_call {
	struct up_lane *lane;
	struct curl_slist *lines;
	const struct iovec *from, *to;
	int from_count, to_count;
	size_t from_done, to_done, received;
	uint64_t body_left;
	uint64_t crc;
	struct azb_buf stash;
	size_t stash_at;
	bool send_paused, receive_paused;

	unsigned int moved;
	bool sent, again, timed_out, stopped, done;
	CURLcode result;
	char error[CURL_ERROR_SIZE];

	unsigned int status;
	bool head_done, head_bad;
	struct azb_buf headers;
	int64_t content_length;
};

/* libcurl's callbacks, in upstream.c; data is the call. */
size_t up_on_header(char *line, size_t size, size_t count, void *data);
size_t up_on_body(char *bytes, size_t size, size_t count, void *data);
size_t up_on_send(char *bytes, size_t size, size_t count, void *data);
int up_on_request(void *data, char *ip, char *local_ip, int port, int local_port);

#endif
