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

mounted() { grep -qsF " $dir/$1/disk " /proc/self/mounts; }

# mount_disk NAME
mount_disk() {
	! mounted "$1" || return 0
	make_disk "$dir/$1" "$disk_megabytes" || die "$1 has its data on a file system of its own, and none can be mounted; next: be root, with the right to mount"
}

# make_disk FOLDER MEGABYTES: what is in the file already stays.
make_disk() {
	local PATH=$PATH:/usr/sbin:/sbin
	mkdir -p "$1/disk"
	if [[ ! -s $1/disk.ext4 ]]; then
		{ truncate -s "$2M" "$1/disk.ext4" && mkfs.ext4 -q -m 0 -F "$1/disk.ext4"; } || return
	fi
	mount -o loop "$1/disk.ext4" "$1/disk"
}

# unmount_disk NAME: nothing is left of it but the file. A server that was killed may keep it for a moment.
unmount_disk() {
	local tries=50
	while mounted "$1"; do
		! umount "$dir/$1/disk" 2>/dev/null || return 0
		((tries-- > 0)) || die "$dir/$1/disk cannot be unmounted: $(umount "$dir/$1/disk" 2>&1)"
		sleep 0.1
	done
}

command_mountable() {
	local trial=$dir/mountable why failed=0
	why=$(make_disk "$trial" 4 2>&1) || failed=1
	((failed)) || umount "$trial/disk"
	rm -f "$trial/disk.ext4"
	rmdir "$trial/disk" "$trial"
	((failed == 0)) || die "no file system can be mounted here: ${why:-mount says nothing}"
}
