// SPDX-License-Identifier: MIT
#include "log.h"

#include <stdarg.h>
#include <stdio.h>
#include <syslog.h>

static bool debug;
static bool to_syslog;

void mnt_log_debug(void)
{
	debug = true;
}

void mnt_log_to_syslog(void)
{
	openlog("azblob-mount", LOG_PID, LOG_DAEMON);
	to_syslog = true;
}

void mnt_log(enum mnt_log_level level, const char *format, ...)
{
	static const int priority[] = { LOG_ERR, LOG_NOTICE, LOG_DEBUG };
	char text[1024];
	va_list list;

	if (level == MNT_LOG_DEBUG && !debug)
		return;
	va_start(list, format);
	vsnprintf(text, sizeof(text), format, list);
	va_end(list);
	/* Names of blobs may hold anything. */
	for (char *at = text; *at; at++)
		if ((unsigned char)*at < 0x20 || *at == 0x7f)
			*at = '?';
	if (to_syslog)
		syslog(priority[level], "%s", text);
	else
		fprintf(stderr, "azblob-mount: %s\n", text);
}
