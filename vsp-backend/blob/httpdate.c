// SPDX-License-Identifier: MIT
#include "httpdate.h"

#include <string.h>

static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
				    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

static void digits(char *out, int value, int count)
{
	while (count--) {
		out[count] = (char)('0' + value % 10);
		value /= 10;
	}
}

void httpdate_format(char out[HTTPDATE_ROOM], time_t seconds)
{
	struct tm tm;

	gmtime_r(&seconds, &tm);
	memcpy(out, "Sun, 00 Jan 0000 00:00:00 GMT", HTTPDATE_ROOM);
	memcpy(out, days[tm.tm_wday], 3);
	digits(out + 5, tm.tm_mday, 2);
	memcpy(out + 8, months[tm.tm_mon], 3);
	digits(out + 12, tm.tm_year + 1900, 4);
	digits(out + 17, tm.tm_hour, 2);
	digits(out + 20, tm.tm_min, 2);
	digits(out + 23, tm.tm_sec, 2);
}

bool httpdate_parse(const char *text, size_t length, time_t *seconds)
{
	/* RFC 1123, RFC 850, asctime(); the locale is always "C" here */
	static const char *const forms[] = { "%a, %d %b %Y %H:%M:%S GMT",
					     "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %d %H:%M:%S %Y" };
	char copy[64];

	if (length >= sizeof(copy))
		return false;
	memcpy(copy, text, length);
	copy[length] = 0;
	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		struct tm tm = { 0 };
		const char *end = strptime(copy, forms[i], &tm);

		if (end && !*end) {
			*seconds = timegm(&tm);
			return true;
		}
	}
	return false;
}

time_t httpdate_seconds(int64_t ns)
{
	return (time_t)(ns >= 0 ? ns / 1000000000 : -((-ns + 999999999) / 1000000000));
}
