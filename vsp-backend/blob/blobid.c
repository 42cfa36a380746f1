// SPDX-License-Identifier: MIT
#include "blobid.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define PER_SECOND 10000000

void blobid_format(char out[BLOBID_ROOM], int64_t at)
{
	time_t seconds = (time_t)(at / PER_SECOND);
	struct tm tm;

	gmtime_r(&seconds, &tm);
	snprintf(out, BLOBID_ROOM, "%04u-%02u-%02uT%02u:%02u:%02u.%07uZ",
		 (unsigned int)(tm.tm_year + 1900) % 10000, (unsigned int)(tm.tm_mon + 1) % 100,
		 (unsigned int)tm.tm_mday % 100, (unsigned int)tm.tm_hour % 100,
		 (unsigned int)tm.tm_min % 100, (unsigned int)tm.tm_sec % 100,
		 (unsigned int)(at % PER_SECOND) % PER_SECOND);
}

static bool digits(const char **text, int count, int *value)
{
	*value = 0;
	for (int i = 0; i < count; i++, (*text)++) {
		if (**text < '0' || **text > '9')
			return false;
		*value = *value * 10 + (**text - '0');
	}
	return true;
}

bool blobid_parse(const char *text, int64_t *at)
{
	static const char after[] = "--T::";
	int part[6], widths[] = { 4, 2, 2, 2, 2, 2 }, fraction = 0, unit = PER_SECOND / 10;
	struct tm tm = { 0 };

	for (int i = 0; i < 6; i++)
		if (!digits(&text, widths[i], &part[i]) || (i < 5 && *text++ != after[i]))
			return false;
	if (*text == '.')
		for (text++; *text >= '0' && *text <= '9' && unit; text++, unit /= 10)
			fraction += (*text - '0') * unit;
	if (strcmp(text, "Z") != 0 || part[0] < 1970 || part[1] < 1 || part[1] > 12 ||
	    part[2] < 1 || part[2] > 31 || part[3] > 23 || part[4] > 59 || part[5] > 59)
		return false;
	tm.tm_year = part[0] - 1900;
	tm.tm_mon = part[1] - 1;
	tm.tm_mday = part[2];
	tm.tm_hour = part[3];
	tm.tm_min = part[4];
	tm.tm_sec = part[5];
	*at = (int64_t)timegm(&tm) * PER_SECOND + fraction;
	return *at > 0;
}
