# SPDX-License-Identifier: MIT
# Completion of azblob(1) for bash, as _azblob is for zsh.  The command itself knows its words.
_azblob() {
	local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
	local commands command='' word words=''

	COMPREPLY=()
	commands=$(azblob --complete '' 2>/dev/null) || return
	for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		if grep -qxF -e "$word" <<<"$commands"; then
			command=$word
			break
		fi
	done
	case $previous in
	--transport) words='auto driver http' ;;
	--tier) words='Hot Cool Cold Archive' ;;
	--compare) words='time size hash' ;;
	--test) words='read write both' ;;
	--device | --ca-file) ;;
	*)
		case $current in
		-*) words=$(azblob --complete "$command" 2>/dev/null) ;;
		*)
			case $command:$previous in
			:*) words=$commands ;;
			container:container) words='create rm ls' ;;
			lease:lease) words='acquire renew change release break' ;;
			esac
			;;
		esac
		;;
	esac
	if [ -n "$words" ]; then
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
	else
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
	fi
}
complete -F _azblob azblob
