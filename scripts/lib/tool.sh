# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# Programs that Debian 12 lacks, out of the packages of a later Debian: they run from
# the cache with the C library that they want, and nothing is installed.  Sourced after
# apt.sh; needs $cache.

tool_runs() { # FOLDER of a tool: it is there, and starts
	[ -x "$1/run" ] && "$1/run" --version >/dev/null 2>&1
}

# take_tool SUITE NAME PROGRAM PACKAGE...: prints the path of NAME, which is PROGRAM in
# one of the packages, first among them its own; the others are where its libraries are.
take_tool() {
	local suite=$1 name=$2 program=$3 tool=$cache/tools/$2 work lib deb file
	shift 3

	if tool_runs "$tool"; then
		echo "$tool/run"
		return
	fi
	mkdir -p "$cache/tools"
	exec 9>"$cache/tools/.lock"
	flock 9
	# Whoever had the lock may have made it, and may be running it by now.
	if tool_runs "$tool"; then
		exec 9>&-
		echo "$tool/run"
		return
	fi
	work=$(mktemp -d "$cache/tools/.new.XXXXXX")
	# shellcheck disable=SC2064 # this folder, now
	trap "rm -rf '$work'" EXIT
	echo "$name: taking it out of a package of $suite" >&2
	private_apt_setup "$suite"
	mkdir "$work/tree" "$work/new"
	(
		cd "$work"
		private_apt apt-get -qq download "$@"
		for deb in ./*.deb; do
			dpkg-deb -x "$deb" tree
		done
	)
	lib=$work/tree/usr/lib/x86_64-linux-gnu
	cp "$work/tree/$program" "$work/new/program"
	cp -L "$lib/ld-linux-x86-64.so.2" "$work/new/"
	"$lib/ld-linux-x86-64.so.2" --library-path "$lib" --list "$work/new/program" |
		sed -n "s|.* => $lib/\([^ /]*\) .*|\1|p" | while read -r file; do
		cp -L "$lib/$file" "$work/new/"
	done
	cat >"$work/new/run" <<-'END'
		#!/bin/sh
		dir=$(dirname "$(readlink -f "$0")")
		exec "$dir/ld-linux-x86-64.so.2" --library-path "$dir" "$dir/program" "$@"
	END
	chmod +x "$work/new/run"
	"$work/new/run" --version >/dev/null || {
		echo "$name: it does not run here" >&2
		return 1
	}
	rm -rf "$tool"
	mv -T "$work/new" "$tool"
	echo "$tool/run"
}
