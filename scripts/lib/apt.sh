# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# A private apt for scripts that only want to look at, or fetch, packages of some
# Debian suite: it works for any user and changes nothing of the system's apt, whose
# archives, proxy and keys it takes over.  Sourced; needs $cache.

# The archives of this machine's apt: $1 is debian or debian-security.
debian_archive() {
	local origin uri suite

	case $1 in
	debian) [ -z "${AZBLOB_DEBIAN:-}" ] || { echo "$AZBLOB_DEBIAN"; return; } ;;
	*) [ -z "${AZBLOB_DEBIAN_SECURITY:-}" ] || { echo "$AZBLOB_DEBIAN_SECURITY"; return; } ;;
	esac
	# Others publish for "bookworm" too; only what calls itself Debian is Debian.
	while read -r suite uri origin; do
		[ "$origin" = Debian ] || continue
		case $1:$suite in
		debian:*-security | debian:*/updates) ;;
		debian:bookworm* | debian-security:*-security)
			echo "${uri%/}"
			return
			;;
		esac
	done < <(apt-get indextargets --format '$(CODENAME) $(REPO_URI) $(ORIGIN)' 'Created-By: Packages' | sort -u)
	[ "$1" = debian-security ] || return 1
	# A machine set up without it: archives keep the two side by side.
	uri=$(debian_archive debian) && echo "${uri%/debian}/debian-security"
}

# Prepares $cache/apt/SUITE and reads the indexes.  bullseye, bookworm and trixie
# come with their -security; a -backports suite comes with what it builds on.
# With "source" as a second argument these are the indexes of source packages.
private_apt_setup() {
	local suite=$1 base=${1%-backports} kind=deb main security
	local keyring=/usr/share/keyrings/debian-archive-keyring.gpg

	private_apt_dir=$cache/apt/$suite${2:+-$2}
	[ "${2:-}" != source ] || kind=deb-src
	main=$(debian_archive debian) || {
		echo "apt: this machine's apt knows no archive of Debian 12: run apt-get update, or set AZBLOB_DEBIAN" >&2
		return 1
	}
	security=$(debian_archive debian-security)
	[ -e "$keyring" ] || {
		echo "apt: no $keyring; install debian-archive-keyring" >&2
		return 1
	}
	mkdir -p "$private_apt_dir"/{state/lists/partial,cache/archives/partial,empty}
	{
		echo "$kind [signed-by=$keyring] $main $base main"
		echo "$kind [signed-by=$keyring] $security $base-security main"
		[ "$suite" = "$base" ] || echo "$kind [signed-by=$keyring] $main $suite main"
	} >"$private_apt_dir/sources.list"
	{
		# Proxies and the like, but no hooks, which may want root.
		apt-config dump | grep -E '^Acquire::(http|https|ftp|Check|Retries)' || true
		cat <<-END
		Dir::State "$private_apt_dir/state";
		Dir::State::status "$private_apt_dir/status";
		Dir::Cache "$private_apt_dir/cache";
		Dir::Etc::sourcelist "$private_apt_dir/sources.list";
		Dir::Etc::sourceparts "$private_apt_dir/empty";
		Dir::Etc::parts "$private_apt_dir/empty";
		Dir::Etc::main "$private_apt_dir/empty/none";
		Dir::Etc::preferencesparts "$private_apt_dir/empty";
		APT::Sandbox::User "root";
		APT::Architecture "amd64";
		APT::Architectures { "amd64"; };
		Acquire::Languages "none";
		Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
		Acquire::Retries "3";
		// A suite in the making is not signed anew while nobody touches it.
		$([ "$base" != forky ] || echo 'Acquire::Check-Valid-Until "false";')
		END
	} >"$private_apt_dir/apt.conf"
	: >"$private_apt_dir/status"
	(
		flock 8
		private_apt apt-get -qq update >"$private_apt_dir/update.log" 2>&1
	) 8>"$private_apt_dir/lock" || {
		cat "$private_apt_dir/update.log" >&2
		return 1
	}
}

# Runs an apt tool on the suite that was prepared last.
private_apt() {
	APT_CONFIG=$private_apt_dir/apt.conf "$@"
}
