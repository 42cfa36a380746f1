/* SPDX-License-Identifier: MIT */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_int shown = AZB_LOG_INFO;

void azb_log_set_level(enum azb_log_level level)
{
	atomic_store(&shown, (int)level);
}

void azb_log(enum azb_log_level level, const char *format, ...)
{
	/* syslog's priorities, which a journal reads from <N> */
	static const struct {
		int priority;
		const char *word;
	} levels[] = { { 3, "error: " }, { 4, "warning: " }, { 6, "" }, { 7, "debug: " } };
	char line[1024];
	int saved = errno;
	size_t length = 0;
	va_list args;
	int n;

	if ((int)level > atomic_load(&shown))
		return;
	if (getenv("JOURNAL_STREAM"))
		length = (size_t)snprintf(line, sizeof(line), "<%d>", levels[level].priority);
	length += (size_t)snprintf(line + length, sizeof(line) - length, "%s: %s",
				   program_invocation_short_name, levels[level].word);
	if (length > sizeof(line) / 2)
		length = sizeof(line) / 2;
	va_start(args, format);
	n = vsnprintf(line + length, sizeof(line) - length, format, args);
	va_end(args);
	if (n > 0)
		length += (size_t)n;
	if (length > sizeof(line) - 1)
		length = sizeof(line) - 1;
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)line[i] < ' ' || line[i] == 0x7f)
			line[i] = '?';
	line[length++] = '\n';
	/* nothing to be done about a log that can't be written */
	while (write(STDERR_FILENO, line, length) < 0 && errno == EINTR)
		;
	errno = saved;
}
