/* SPDX-License-Identifier: MIT */
/* What our daemons have in common towards whoever starts them. */
#ifndef AZB_DAEMON_H
#define AZB_DAEMON_H

/* systemd's Type=notify: one datagram, "READY=1" say; nothing where nobody asked for it. */
void azb_daemon_notify(const char *state);

struct azb_buf;

/*
 * All is served: tells systemd, and @line with an end to whoever waits at --ready-fd (-1: nobody),
 * which is closed.
 */
void azb_daemon_ready(int *fd, struct azb_buf *line);

/* A connection is a descriptor, an extent file too: takes what the administrator allows. */
void azb_daemon_raise_limits(void);

#endif
