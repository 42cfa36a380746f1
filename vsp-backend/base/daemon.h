/* SPDX-License-Identifier: MIT */
/* What our daemons have in common towards whoever starts them. */
#ifndef AZB_DAEMON_H
#define AZB_DAEMON_H

/* systemd's Type=notify: one datagram, "READY=1" say; nothing where nobody asked for it. */
void azb_daemon_notify(const char *state);

/* A connection is a descriptor, an extent file too: takes what the administrator allows. */
void azb_daemon_raise_limits(void);

#endif
