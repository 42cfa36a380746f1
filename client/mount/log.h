/* SPDX-License-Identifier: MIT */
/* One line at a time: on standard error in the foreground, else to syslog. */
#ifndef MNT_LOG_H
#define MNT_LOG_H

#include <stdbool.h>

enum mnt_log_level {
	MNT_LOG_ERROR,
	MNT_LOG_NOTE,
	MNT_LOG_DEBUG, /* only after mnt_log_debug() */
};

void mnt_log(enum mnt_log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/* Before there are threads. */
void mnt_log_debug(void);
void mnt_log_to_syslog(void);

#endif /* MNT_LOG_H */
