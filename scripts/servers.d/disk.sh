# shellcheck shell=bash disable=SC2154
# Servers with a file system of their own, so that it can be full without anybody else's being so: an ext4 in a file,
# mounted where their data are.

# What a server takes that holds nothing yet is half of it.
disk_megabytes=400

has_own_disk() { [[ $1 == mysql2 || $1 == mariadb2 ]]; }

# data_of NAME: where a database has its data; behind a mount point there is more than that.
data_of() {
	if has_own_disk "$1"; then
		echo "$dir/$1/disk/data"
	else
		echo "$dir/$1/data"
	fi
}

# own_disk_arguments NAME: what such a server writes on the way has no other place either, a line each.
own_disk_arguments() {
	has_own_disk "$1" || return 0
	mkdir -p "$dir/$1/disk/tmp"
	printf '%s\n' "--tmpdir=$dir/$1/disk/tmp"
}

mounted() { mountpoint -q "$dir/$1/disk"; }

# mount_disk NAME
mount_disk() {
	local why
	! mounted "$1" || return 0
	why=$(make_disk "$dir/$1" "$disk_megabytes" 2>&1) ||
		die "$1 has its data on a file system of its own, and none can be mounted: $(one_line "$why")"
}

one_line() { echo "${1//$'\n'/; }"; }

# make_disk FOLDER MEGABYTES: what is in the file already stays. Says what is missing when it fails.
make_disk() {
	local PATH=$PATH:/usr/sbin:/sbin
	mkdir -p "$1/disk" || return
	if [[ ! -e $1/disk.ext4 ]]; then
		# Under its own name there is never a file without a file system, whenever this is interrupted.
		rm -f "$1/disk.part"
		if ! { truncate -s "$2M" "$1/disk.part" && mkfs.ext4 -q -m 0 -F "$1/disk.part" && mv "$1/disk.part" "$1/disk.ext4"; }; then
			say "next: mkfs.ext4 (Debian's package e2fsprogs) has to make a file system of $2 MB in $1"
			return 1
		fi
	fi
	mount -o loop "$1/disk.ext4" "$1/disk" && return
	if ((EUID != 0)); then
		say 'next: be root'
	else
		say 'next: let this machine mount: in a container that takes CAP_SYS_ADMIN and loop devices'
	fi
	return 1
}

# unmount_disk NAME: nothing is left of it but the file. A server that was killed may keep it for a moment.
unmount_disk() {
	local tries=50 why
	while mounted "$1"; do
		! why=$(umount "$dir/$1/disk" 2>&1) || continue
		((tries-- > 0)) || die "$dir/$1/disk cannot be unmounted: $(one_line "$why")"
		sleep 0.1
	done
}

# remove NAME: its folder with all that is in it, but never what is mounted there and may be somebody else's.
remove() {
	local at below=()
	while read -r _ _ _ _ at _; do
		printf -v at %b "$at" # the kernel writes a space as \040
		[[ $at/ != "$dir/$1"/* ]] || below+=("$at")
	done </proc/self/mountinfo
	((${#below[@]} == 0)) || die "$dir/$1 is not removed, something is mounted there; next: umount '${below[-1]}'"
	rm -rf "${dir:?}/$1"
}

# forget_trial: what mountable has tried out.
forget_trial() {
	unmount_disk mountable
	remove mountable
}

command_mountable() {
	local why
	forget_trial # that of one who was killed
	trap forget_trial EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	why=$(make_disk "$dir/mountable" 4 2>&1) || die "no file system can be mounted here: $(one_line "$why")"
}
