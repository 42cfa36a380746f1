#!/bin/sh
# SPDX-License-Identifier: MIT
#
# /init of the guests of this project (busybox).  The kernel command line says
# what to do:
#   azblob.mode=shell|agent   a shell on the console, or the tests' agent
#   azblob.ip=ADDR/BITS       static address of the first Ethernet device
#   azblob.gateway=ADDR       its default route
#   azblob.driver=no          leave hv_azure_blob.ko alone
#   azblob.host=fs|image      what is mounted on /host: the virtiofs tag "host", or the
#                             virtio-blk disk with the serial "host", read-only
#   azblob.root=disk          go on in the Debian on the disk with the serial "root", with a disk
#                             "sdk", if there is one, on /opt/sdk; both stay as they are
PATH=/usr/bin:/bin
HOME=/root
export PATH HOME

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount -t tmpfs -o mode=1777,size=90% tmpfs /tmp
mount -t debugfs debugfs /sys/kernel/debug 2>/dev/null

mode=shell ip='' gateway='' driver=yes host='' root=''
for word in $(cat /proc/cmdline); do
	case $word in
	azblob.mode=*) mode=${word#*=} ;;
	azblob.ip=*) ip=${word#*=} ;;
	azblob.gateway=*) gateway=${word#*=} ;;
	azblob.driver=*) driver=${word#*=} ;;
	azblob.host=*) host=${word#*=} ;;
	azblob.root=*) root=${word#*=} ;;
	esac
done

# Waits for a condition that a device's arrival makes true.
wait_for() {
	tries=0
	until eval "$1"; do
		tries=$((tries + 1))
		if [ $tries -gt 3000 ]; then
			echo "init: $1 did not come true"
			return 1
		fi
		usleep 10000
	done
}

while read -r module; do
	insmod "$module" || echo "init: $module was not loaded"
done </lib/modules/order
# A kernel that finds data races is idle until it is told; what it looks at is the driver.
[ ! -e /sys/kernel/debug/kcsan ] || echo on >/sys/kernel/debug/kcsan
[ "$driver" = no ] || [ ! -e /lib/modules/hv_azure_blob.ko ] ||
	insmod /lib/modules/hv_azure_blob.ko || echo "init: hv_azure_blob was not loaded"

ip link set lo up
if [ -n "$ip" ] && wait_for '[ -e /sys/class/net/eth0 ]'; then
	ip addr add "$ip" dev eth0
	ip link set eth0 up
	[ -z "$gateway" ] || ip route add default via "$gateway"
fi

# The disk with a serial number, by its name in /dev.
disk() {
	for d in /sys/block/vd*; do
		if [ "$(cat "$d/serial" 2>/dev/null)" = "$1" ]; then
			echo "/dev/${d##*/}"
			return 0
		fi
	done
	return 1
}

case $host in
fs) mount -t virtiofs host /host || echo "init: the host's folder was not mounted" ;;
image)
	wait_for 'disk host >/dev/null' &&
		mount -t ext4 -o ro,noload "$(disk host)" /host ||
		echo "init: the host's folder was not mounted"
	;;
esac

# What is written in that Debian goes to memory.  Our programs, and the files meant for it, come from
# here; of their libraries only those that it has not got.
enter_debian() {
	mkdir -p /lower /upper /debian /newroot
	wait_for 'disk root >/dev/null' && mount -t ext4 -o ro,noload "$(disk root)" /lower &&
		mount -t tmpfs -o size=90% tmpfs /upper && mkdir /upper/data /upper/work &&
		mount -t overlay -o lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work root /newroot ||
		return 1
	cp -a /usr/bin/* /newroot/usr/local/bin/
	while read -r library; do
		[ -e "/newroot$library" ] || { mkdir -p "/newroot${library%/*}" && cp -a "$library" "/newroot$library"; }
	done </lib/libraries
	cp -a /debian/. /newroot/
	! disk sdk >/dev/null || mount -t ext4 -o ro,noload "$(disk sdk)" /newroot/opt/sdk || return 1
	for place in dev proc sys tmp; do
		mount --move /$place /newroot/$place
	done
	[ -z "$host" ] || mount --move /host /newroot/host
}

if [ "$root" = disk ]; then
	enter_debian || echo "init: there is no Debian on a disk to go on with"
	PATH=/usr/local/bin:/usr/bin:/usr/sbin
	if [ "$mode" = agent ]; then
		exec switch_root /newroot /usr/local/bin/agent
	fi
	exec switch_root /newroot /usr/local/lib/azblob/console
fi

case $mode in
agent)
	# From here on the agent is process 1.
	exec agent
	;;
*)
	# The host's daemon, as the CLI finds it without options.
	[ ! -e /etc/profile ] || . /etc/profile
	[ "$driver" = no ] || wait_for '[ -e /dev/azure_blob ]'
	cat /etc/motd 2>/dev/null
	# A session of its own, or there is no job control.
	setsid cttyhack sh -l
	poweroff -f
	;;
esac
