// SPDX-License-Identifier: MIT
/* The connections: made when needed, kept, lent, and given to one exchange after the other. */
#include "lane.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../base/stop.h"
#include "../../base/waiting.h"

/* An idle connection that is older than this may have been closed by a firewall on the way. */
#define MAX_IDLE_S 90L
/* How often who waits for a lane looks whether it still should. */
#define WAIT_STEP_MS 200u

/* --------------------------------------------------------------------- pool */

static void share_lock(CURL *easy, curl_lock_data data, curl_lock_access access, void *context)
{
	struct up_pool *pool = context;

	(void)easy;
	(void)access;
	pthread_mutex_lock(&pool->share_lock[data]);
}

static void share_unlock(CURL *easy, curl_lock_data data, void *context)
{
	struct up_pool *pool = context;

	(void)easy;
	pthread_mutex_unlock(&pool->share_lock[data]);
}

static bool copy(char **to, const char *from)
{
	*to = from ? strdup(from) : NULL;
	return !from || *to;
}

struct up_pool *up_pool_new(const struct up_config *config)
{
	struct up_pool *pool = calloc(1, sizeof(*pool));
	pthread_condattr_t attr;

	if (!pool)
		return NULL;
	pool->lanes = config->lanes;
	pool->connect_ms = config->connect_ms;
	pool->idle_ms = config->idle_ms;
	pool->plain = config->plain;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&pool->room, &attr);
	pthread_condattr_destroy(&attr);
	for (size_t i = 0; i < CURL_LOCK_DATA_LAST; i++)
		pthread_mutex_init(&pool->share_lock[i], NULL);
	pool->share = curl_share_init();
	if (!pool->share || !copy(&pool->ca_file, config->ca_file) ||
	    !copy(&pool->proxy, config->proxy)) {
		up_pool_free(pool);
		return NULL;
	}
	curl_share_setopt(pool->share, CURLSHOPT_LOCKFUNC, share_lock);
	curl_share_setopt(pool->share, CURLSHOPT_UNLOCKFUNC, share_unlock);
	curl_share_setopt(pool->share, CURLSHOPT_USERDATA, pool);
	curl_share_setopt(pool->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_DNS);
	curl_share_setopt(pool->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
	return pool;
}

static void free_lane(struct up_lane *lane)
{
	if (lane->easy)
		curl_easy_cleanup(lane->easy);
	if (lane->multi)
		curl_multi_cleanup(lane->multi);
	free(lane);
}

void up_pool_free(struct up_pool *pool)
{
	if (!pool)
		return;
	while (pool->idle) {
		struct up_lane *lane = pool->idle;

		pool->idle = lane->next;
		free_lane(lane);
	}
	if (pool->share)
		curl_share_cleanup(pool->share);
	for (size_t i = 0; i < CURL_LOCK_DATA_LAST; i++)
		pthread_mutex_destroy(&pool->share_lock[i]);
	pthread_mutex_destroy(&pool->lock);
	pthread_cond_destroy(&pool->room);
	free(pool->ca_file);
	free(pool->proxy);
	free(pool);
}

static struct up_lane *new_lane(struct up_pool *pool)
{
	struct up_lane *lane = calloc(1, sizeof(*lane));

	if (!lane)
		return NULL;
	lane->pool = pool;
	lane->multi = curl_multi_init();
	lane->easy = curl_easy_init();
	if (!lane->multi || !lane->easy) {
		free_lane(lane);
		return NULL;
	}
	curl_multi_setopt(lane->multi, CURLMOPT_MAXCONNECTS, 1L);
	return lane;
}

/* ------------------------------------------------------------------- lending */

static void unlink_loan(struct up_pool *pool, struct up_loan *loan)
{
	*(loan->previous ? &loan->previous->next : &pool->loans) = loan->next;
	*(loan->next ? &loan->next->previous : &pool->last_loan) = loan->previous;
	loan->lent = false;
}

void up_lend(struct up_pool *pool, struct up_loan *loan, struct up_call *call)
{
	pthread_mutex_lock(&pool->lock);
	*loan = (struct up_loan){ .previous = pool->last_loan, .call = call, .lent = true };
	*(pool->last_loan ? &pool->last_loan->next : &pool->loans) = loan;
	pool->last_loan = loan;
	pthread_cond_signal(&pool->room);
	pthread_mutex_unlock(&pool->lock);
}

bool up_reclaim(struct up_pool *pool, struct up_loan *loan)
{
	bool mine;

	pthread_mutex_lock(&pool->lock);
	mine = loan->lent;
	if (mine)
		unlink_loan(pool, loan);
	pthread_mutex_unlock(&pool->lock);
	return mine;
}

static struct timespec after_ms(unsigned int ms)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += ms / 1000;
	at.tv_nsec += (long)(ms % 1000) * 1000000;
	if (at.tv_nsec >= 1000000000) {
		at.tv_sec++;
		at.tv_nsec -= 1000000000;
	}
	return at;
}

static bool is_over(const struct timespec *at)
{
	struct timespec now = after_ms(0);

	return now.tv_sec > at->tv_sec || (now.tv_sec == at->tv_sec && now.tv_nsec >= at->tv_nsec);
}

/* Waits for a lane.  NULL: the time is up, or memory is short (*@error). */
static struct up_lane *take_lane(struct up_pool *pool, unsigned int wait_ms, int *error)
{
	struct up_lane *lane = NULL;
	struct timespec until = after_ms(wait_ms);
	bool make = false;

	*error = 0;
	pthread_mutex_lock(&pool->lock);
	for (;;) {
		struct timespec step = after_ms(WAIT_STEP_MS);
		struct up_call *lent = NULL;

		lane = pool->idle;
		if (lane) {
			pool->idle = lane->next;
			break;
		}
		make = pool->used < pool->lanes;
		if (make) {
			pool->used++;
			break;
		}
		if (pool->loans) {
			lent = pool->loans->call;
			unlink_loan(pool, pool->loans);
			pthread_mutex_unlock(&pool->lock);
			up_end(lent); /* puts its lane in the list */
			pthread_mutex_lock(&pool->lock);
			continue;
		}
		if (is_over(&until) || azb_stop_asked()) {
			*error = -EBUSY;
			break;
		}
		azb_waiting_begin();
		pthread_cond_timedwait(&pool->room, &pool->lock, &step);
		azb_waiting_end();
	}
	pthread_mutex_unlock(&pool->lock);
	if (!make)
		return lane;
	lane = new_lane(pool);
	if (!lane) {
		*error = -ENOMEM;
		pthread_mutex_lock(&pool->lock);
		pool->used--;
		pthread_cond_signal(&pool->room);
		pthread_mutex_unlock(&pool->lock);
	}
	return lane;
}

static void give_lane(struct up_lane *lane)
{
	struct up_pool *pool = lane->pool;

	pthread_mutex_lock(&pool->lock);
	/* the one used last first: the others grow old and close */
	lane->next = pool->idle;
	pool->idle = lane;
	pthread_cond_signal(&pool->room);
	pthread_mutex_unlock(&pool->lock);
}

/* -------------------------------------------------------------------- calls */

static void set_options(struct up_call *call, const struct up_request *request)
{
	const struct up_pool *pool = call->lane->pool;
	CURL *easy = call->lane->easy;

	curl_easy_reset(easy);
	curl_easy_setopt(easy, CURLOPT_SHARE, pool->share);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, pool->plain ? "http,https" : "https");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (pool->ca_file)
		curl_easy_setopt(easy, CURLOPT_CAINFO, pool->ca_file);
	if (pool->proxy && !*pool->proxy)
		curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	else if (pool->proxy) {
		curl_easy_setopt(easy, CURLOPT_PROXY, pool->proxy);
		curl_easy_setopt(easy, CURLOPT_NOPROXY, "");
	}
	/* the request line is ours, so a proxy must not be the one who reads it */
	curl_easy_setopt(easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
	curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)pool->connect_ms);
	curl_easy_setopt(easy, CURLOPT_MAXAGE_CONN, MAX_IDLE_S);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, UP_BUFFER);
	curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, UP_BUFFER);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->error);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, up_on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, up_on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
	curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, up_on_request);
	curl_easy_setopt(easy, CURLOPT_PREREQDATA, call);

	curl_easy_setopt(easy, CURLOPT_URL, request->url);
	curl_easy_setopt(easy, CURLOPT_REQUEST_TARGET, request->target);
	if (!strcmp(request->method, "HEAD")) {
		curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
	} else if (request->body_length > 0) {
		curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
		curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->body_length);
		curl_easy_setopt(easy, CURLOPT_READFUNCTION, up_on_send);
		curl_easy_setopt(easy, CURLOPT_READDATA, call);
	}
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, call->lines);
}

int up_start(struct up_pool *pool, const struct up_request *request, struct up_call **out)
{
	struct up_call *call = calloc(1, sizeof(*call));
	int error = -ENOMEM;

	*out = NULL;
	if (call) {
		call->content_length = -1;
		call->body_left = request->body_length > 0 ? (uint64_t)request->body_length : 0;
		call->lane = take_lane(pool, request->wait_ms, &error);
	}
	if (!call || !call->lane) {
		curl_slist_free_all(request->headers);
		free(call);
		return error;
	}
	call->lines = request->headers;
	if (request->body_length == 0) {
		struct curl_slist *more = curl_slist_append(call->lines, "Content-Length: 0");

		if (!more) {
			up_end(call);
			return -ENOMEM;
		}
		call->lines = more;
	}
	set_options(call, request);
	if (curl_multi_add_handle(call->lane->multi, call->lane->easy) != CURLM_OK) {
		up_end(call);
		return -ENOMEM;
	}
	*out = call;
	return 0;
}

void up_end(struct up_call *call)
{
	struct up_lane *lane;

	if (!call)
		return;
	lane = call->lane;
	/* libcurl closes the connection by itself where the exchange is not complete */
	curl_multi_remove_handle(lane->multi, lane->easy);
	curl_easy_reset(lane->easy);
	curl_slist_free_all(call->lines);
	azb_buf_free(&call->stash);
	azb_buf_free(&call->headers);
	free(call);
	give_lane(lane);
}
