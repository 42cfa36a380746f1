#!/bin/bash
# SPDX-License-Identifier: MIT
#
# Process 1 of the Debian guest that has a person at its console.
. /etc/profile
mountpoint -q /opt/sdk || echo "console: no disk with SDKs"
case " $(cat /proc/cmdline) " in
*' azblob.driver=no '*) ;;
*) /usr/local/lib/azblob/start-gateway ;;
esac
cat /etc/motd
cd /root || cd /
# A session of its own, or there is no job control.
setsid --ctty --wait bash -l </dev/ttyS0 >/dev/ttyS0 2>&1
/usr/local/lib/azblob/busybox poweroff -f
