/* SPDX-License-Identifier: MIT */
/* One line for each event on stderr, for a person or a journal. */
#ifndef AZB_LOG_H
#define AZB_LOG_H

enum azb_log_level {
	AZB_LOG_ERROR,   /* something a person should look at */
	AZB_LOG_WARNING, /* unusual, handled */
	AZB_LOG_INFO,    /* starts, stops, settings */
	AZB_LOG_DEBUG,   /* for developers */
};

/* What is logged; the start is AZB_LOG_INFO.  Any thread. */
void azb_log_set_level(enum azb_log_level level);

/**
 * azb_log - write one line: "azblob-vspd: warning: text" (with systemd's <N> prefix under a
 * journal)
 *
 * The line is written by one write(2), cut at 1 KiB; control characters, which may
 * come from a guest, are shown as '?'.  Keeps errno.  Any thread.
 */
void azb_log(enum azb_log_level level, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
