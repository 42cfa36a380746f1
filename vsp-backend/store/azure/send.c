// SPDX-License-Identifier: MIT
/* Attempts: what an answer or its absence means, and whether there is another try. */
#include "azure.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "../../base/log.h"
#include "../../base/stop.h"
#include "../../base/waiting.h"

/* How often a pause looks whether it still has a reason. */
#define STEP_MS 200u

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void az_attempts_begin(struct az_attempts *attempts)
{
	*attempts = (struct az_attempts){ .began_ms = now_ms() };
}

/* False: nobody waits any more. */
static bool sleep_ms(uint64_t ms)
{
	uint64_t end = now_ms() + ms, now;

	while (!azb_stop_asked()) {
		struct timespec step = { 0 };

		now = now_ms();
		if (now >= end)
			return true;
		step.tv_nsec = (long)(end - now < STEP_MS ? end - now : STEP_MS) * 1000000;
		azb_waiting_begin();
		nanosleep(&step, NULL);
		azb_waiting_end();
	}
	return false;
}

/* Between half and one and a half, so that many that failed together don't come back so. */
static uint64_t jitter(uint64_t ms)
{
	uint16_t r = 0x8000;

	if (getrandom(&r, sizeof(r), GRND_NONBLOCK) != sizeof(r))
		r = 0x8000;
	return ms / 2 + ms * r / 0x10000;
}

static bool take_retry_tokens(struct az *az)
{
	int have = atomic_load(&az->retry_tokens);

	while (have >= AZ_RETRY_COST)
		if (atomic_compare_exchange_weak(&az->retry_tokens, &have, have - AZ_RETRY_COST))
			return true;
	return false;
}

static void give_retry_token(struct az *az)
{
	int have = atomic_load(&az->retry_tokens);

	while (have < AZ_RETRY_TOKENS &&
	       !atomic_compare_exchange_weak(&az->retry_tokens, &have, have + 1))
		;
}

bool az_attempts_pause(const struct az_plan *plan, struct az_attempts *attempts, long least_ms)
{
	const struct az_config *c = &plan->az->config;
	unsigned int before = attempts->count - 1;
	uint64_t pause = c->retry_ms;

	if (attempts->count > c->retries)
		return false;
	for (unsigned int i = 0; i < before && pause < c->retry_max_ms; i++)
		pause *= 2;
	if (pause > c->retry_max_ms)
		pause = c->retry_max_ms;
	pause = jitter(pause);
	if (least_ms > 0 && pause < (uint64_t)least_ms)
		pause = (uint64_t)least_ms;
	if (now_ms() - attempts->began_ms + pause > c->budget_ms || !take_retry_tokens(plan->az))
		return false;
	return sleep_ms(pause);
}

/* No status that client libraries repeat by themselves, as every one of 5xx is. */
void az_unknown(struct rest_error *error)
{
	az_error(error, 424, "OutcomeUnknown",
		 "The request was sent on, no answer came, and sending it again might do it twice. "
		 "It may have happened: look before you repeat it.");
}

void az_broken_off(const struct az_plan *plan, struct rest_error *error)
{
	if (plan->operation->repeat != AZ_SAFE)
		az_unknown(error);
	else
		az_error(error, 502, "UpstreamLost",
			 "The answer of the storage account broke off.");
}

void az_no_memory(const struct az_plan *plan, struct rest_error *error)
{
	if (plan->operation->repeat != AZ_SAFE)
		az_unknown(error);
	else
		az_error(error, 503, "ServerBusy", "The relay is out of memory.");
}

/* Not done this time; may it have been done before? */
static enum az_verdict give_up(const struct az_plan *plan, const struct az_attempts *attempts,
			       struct rest_error *error)
{
	if (attempts->maybe && plan->operation->repeat != AZ_SAFE)
		az_unknown(error);
	return AZ_FAIL;
}

static bool passes(unsigned int status)
{
	return status == 408 || status == 429 || status == 500 || status == 502 || status == 503 ||
	       status == 504;
}

static enum az_verdict judge_answer(const struct az_plan *plan, struct az_attempts *attempts,
				    struct up_call *call, bool whole, const char *token,
				    struct rest_error *error)
{
	unsigned int status = up_status(call);
	bool state = plan->operation->repeat != AZ_SAFE;

	if (status < 400)
		give_retry_token(plan->az);
	if (status >= 300 && status < 400 && status != 304) {
		az_error(error, 502, "UpstreamRedirect",
			 "The storage account answered with a redirect, which is not followed.");
		return give_up(plan, attempts, error);
	}
	if (status == 401 && token) {
		az_token_refused(plan->az->token, token);
		az_error(error, 503, "ServerBusy",
			 "The storage account refused the relay's token; nothing was done.");
		if (plan->repeats && whole && az_attempts_pause(plan, attempts, 0))
			return AZ_AGAIN;
		return give_up(plan, attempts, error);
	}
	if (passes(status) && plan->repeats && whole) {
		/* a refusal to begin is sure, all others may come after the deed */
		if (status != 503 && status != 429)
			attempts->maybe = true;
		if (az_attempts_pause(plan, attempts, up_retry_after_ms(call)))
			return AZ_AGAIN;
	}
	/* it fails perhaps because it was done before */
	if (attempts->maybe && state && status >= 400)
		return give_up(plan, attempts, error);
	return AZ_TAKE;
}

enum az_verdict az_judge(const struct az_plan *plan, struct az_attempts *attempts,
			 struct up_call *call, int start, bool whole, const char *token,
			 struct rest_error *error)
{
	attempts->count++;
	if (!call)
		return start == -EINVAL ? AZ_FAIL : give_up(plan, attempts, error);
	switch (up_progress(call)) {
	case UP_ANSWERED:
		return judge_answer(plan, attempts, call, whole, token, error);
	case UP_NOT_SENT:
		az_error(error, 502, "UpstreamUnreachable",
			 "The storage account can't be reached: %s", up_reason(call));
		break;
	case UP_INCOMPLETE:
		az_error(error, 503, "ServerBusy",
			 "The connection to the storage account was lost before the request was "
			 "complete; nothing has happened: %s",
			 up_reason(call));
		break;
	case UP_SENT:
		az_error(error, 502, "UpstreamLost", "The storage account gave no answer: %s",
			 up_reason(call));
		attempts->maybe = true;
		whole = whole && plan->repeats;
		break;
	}
	azb_log(AZB_LOG_DEBUG, "azure: %s, attempt %u: %s", plan->operation->name, attempts->count,
		up_reason(call));
	if (whole && az_attempts_pause(plan, attempts, -1))
		return AZ_AGAIN;
	return give_up(plan, attempts, error);
}

/* The page has to be shorter: in proportion, and a bit less. */
static unsigned int shorter_page(const struct az_plan *plan, const struct rest_answer *answer,
				 unsigned int results)
{
	uint64_t fit = (uint64_t)results * plan->body_room / (answer->body_length + 1) * 9 / 10;

	return fit ? (unsigned int)fit : 1;
}

static unsigned int page_of(const struct az_plan *plan)
{
	const char *at = strcasestr(plan->query, "maxresults=");
	unsigned long n = at ? strtoul(at + 11, NULL, 10) : 0;

	return n && n < 5000 ? (unsigned int)n : 5000;
}

struct rest_answer *az_send(struct az_plan *plan, const void *body, struct rest_error *error)
{
	struct iovec iov = { (void *)(uintptr_t)body, (size_t)plan->body_length };
	struct az_extra extra = { .range = NULL };
	unsigned int results = page_of(plan);
	struct rest_answer *answer = NULL;
	struct az_attempts attempts;
	char first[64];

	if (plan->later) {
		snprintf(first, sizeof(first), "bytes=%" PRIu64 "-%" PRIu64, plan->first,
			 plan->first);
		extra.range = first;
	}
	az_attempts_begin(&attempts);
	attempts.maybe = plan->resent;
	if (plan->resent && !plan->repeats) {
		az_unknown(error);
		az_plan_free(plan);
		return NULL;
	}
	for (;;) {
		enum az_verdict verdict;
		struct up_call *call;
		char *token;
		int start = az_plan_start(plan, &extra, &call, &token, error);

		/* an early answer ends it too; what happened is asked below */
		if (call && (plan->body_length <= 0 || !up_send(call, &iov, 1, NULL) ||
			     up_progress(call) == UP_ANSWERED))
			(void)up_wait_head(call);
		verdict = az_judge(plan, &attempts, call, start, true, token, error);
		free(token);
		if (verdict != AZ_TAKE) {
			up_end(call);
			if (verdict == AZ_AGAIN)
				continue;
			break;
		}
		error->status = 0;
		if (plan->later) {
			bool fits;

			answer = az_answer_later(plan, call, &fits, error);
			if (fits && !answer && !error->status) {
				az_broken_off(plan, error);
				if (az_attempts_pause(plan, &attempts, -1))
					continue;
			}
			if (fits)
				break;
			/* one byte too many of an empty blob, say: the request as it was made */
			plan->later = false;
			extra.range = NULL;
			if (up_status(call) == 416) {
				up_end(call);
				continue;
			}
		}
		answer = az_answer_make(plan, call, error);
		if (!answer && !error->status) {
			az_broken_off(plan, error);
			if (plan->operation->repeat == AZ_SAFE &&
			    az_attempts_pause(plan, &attempts, -1))
				continue;
		}
		if (answer && plan->is_list && plan->body_room && answer->status == 200 &&
		    answer->body_length > plan->body_room && results > 1) {
			results = shorter_page(plan, answer, results);
			extra.max_results = results;
			/* the plan is wanted once more, so it is not the answer's to free */
			answer->read = NULL;
			answer->close(answer);
			answer = NULL;
			az_attempts_begin(&attempts);
			continue;
		}
		break;
	}
	if (!answer || !answer->read)
		az_plan_free(plan);
	return answer;
}
