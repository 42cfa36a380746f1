/* SPDX-License-Identifier: MIT */
/* Listening on a path. */
#ifndef AZB_UNIXSOCK_H
#define AZB_UNIXSOCK_H

#include <sys/types.h>

/*
 * A non-blocking stream socket that listens at @path, with @mode (0: what the umask leaves).  What
 * is left there of somebody who listens no more is replaced; a socket in use and any other file are
 * not.  The descriptor, or -errno.  The caller unlinks the path at its end.
 */
int azb_unix_listen(const char *path, mode_t mode);
/* What such an -errno means, in one line for a person. */
const char *azb_unix_why(int error);

#endif
