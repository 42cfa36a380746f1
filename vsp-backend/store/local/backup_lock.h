/* SPDX-License-Identifier: MIT */
/*
 * Between a backup and the collector of another process: a lock on a byte of DIR/lock.
 * While a backup holds it no space of chunks is given back.
 */
#ifndef AZB_LOCAL_BACKUP_LOCK_H
#define AZB_LOCAL_BACKUP_LOCK_H

#include <stdbool.h>

/* False: a backup is under way.  @lock_fd: DIR/lock, open for writing. */
bool backup_lock_collector(int lock_fd);
void backup_unlock_collector(int lock_fd);

#endif
