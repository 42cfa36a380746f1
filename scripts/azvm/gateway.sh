#!/bin/sh
# SPDX-License-Identifier: MIT
#
# start-gateway in the Debian guest: runs azblob-gateway where SDKs expect the development storage,
# 127.0.0.1:10000, and returns when it serves.  More options for it may be given.
log=/var/log/azblob-gateway.log
ready=/run/azblob-gateway.ready

tries=0
until [ -c /dev/azure_blob ]; do
	tries=$((tries + 1))
	if [ $tries -gt 1200 ]; then
		echo "start-gateway: there is no /dev/azure_blob" >&2
		exit 1
	fi
	sleep 0.1
done
rm -f $ready
mkfifo $ready || exit 1
# What it keeps open of ours would hold up whoever waits for our output's end.
setsid azblob-gateway --ready-fd 3 "$@" 3>$ready </dev/null >>$log 2>&1 &
# Ends without a line when the gateway does.
read -r _ <$ready || {
	echo "start-gateway: azblob-gateway ended:" >&2
	tail -n 20 $log >&2
	exit 1
}
