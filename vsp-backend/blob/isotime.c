// SPDX-License-Identifier: MIT
#include "isotime.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NS_PER_S INT64_C(1000000000)

/* Exactly @count digits at *@at, which moves behind them. */
static bool digits(const char **at, int count, int *value)
{
	*value = 0;
	for (int i = 0; i < count; i++, (*at)++) {
		if (**at < '0' || **at > '9')
			return false;
		*value = *value * 10 + (**at - '0');
	}
	return true;
}

static bool take(const char **at, char c)
{
	if (**at != c)
		return false;
	(*at)++;
	return true;
}

/* ".f": nanoseconds. */
static bool fraction(const char **at, int64_t *ns)
{
	int64_t unit = NS_PER_S / 10;
	int count = 0;

	for (; **at >= '0' && **at <= '9'; (*at)++, count++) {
		*ns += unit * (**at - '0');
		unit /= 10;
	}
	return count >= 1 && count <= 7;
}

/* "Z", "+hh:mm", "-hh:mm" or nothing: seconds to take off. */
static bool offset(const char **at, int64_t *seconds)
{
	int sign, hours, minutes;

	*seconds = 0;
	if (!**at || take(at, 'Z'))
		return true;
	sign = **at == '-' ? -1 : 1;
	if (!take(at, '+') && !take(at, '-'))
		return false;
	if (!digits(at, 2, &hours) || !take(at, ':') || !digits(at, 2, &minutes))
		return false;
	*seconds = sign * (hours * 3600 + minutes * 60);
	return hours < 24 && minutes < 60;
}

static bool day_exists(const struct tm *tm)
{
	static const int days[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int year = tm->tm_year + 1900;
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	if (tm->tm_mon < 0 || tm->tm_mon > 11 || tm->tm_mday < 1)
		return false;
	return tm->tm_mday <= days[tm->tm_mon] + (tm->tm_mon == 1 && leap);
}

bool isotime_parse(const char *text, int64_t *ns)
{
	struct tm tm = { 0 };
	int64_t part = 0, off = 0, seconds;
	const char *at = text;

	if (!digits(&at, 4, &tm.tm_year) || !take(&at, '-') || !digits(&at, 2, &tm.tm_mon) ||
	    !take(&at, '-') || !digits(&at, 2, &tm.tm_mday))
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	if (*at) {
		if (!take(&at, 'T') || !digits(&at, 2, &tm.tm_hour) || !take(&at, ':') ||
		    !digits(&at, 2, &tm.tm_min))
			return false;
		if (take(&at, ':') &&
		    (!digits(&at, 2, &tm.tm_sec) || (take(&at, '.') && !fraction(&at, &part))))
			return false;
		if (!offset(&at, &off))
			return false;
	}
	if (*at || !day_exists(&tm) || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 59)
		return false;
	seconds = (int64_t)timegm(&tm) - off;
	/* what nanoseconds can't count is as good as never, one way or the other */
	if (seconds > INT64_MAX / NS_PER_S - 1)
		*ns = INT64_MAX;
	else if (seconds < INT64_MIN / NS_PER_S + 1)
		*ns = INT64_MIN;
	else
		*ns = seconds * NS_PER_S + part;
	return true;
}

void isotime_format(char out[ISOTIME_ROOM], int64_t ns)
{
	time_t seconds = (time_t)(ns / NS_PER_S);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	strftime(out, ISOTIME_ROOM, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

int64_t isotime_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}
