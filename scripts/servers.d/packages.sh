# shellcheck shell=bash disable=SC2154,SC2034 # cache comes from the script that reads this
# Packages: Debian's, unpacked beside the system and run with their own libraries by their own loader, so that
# nothing is installed and no system service is touched; the versions are the same on every machine.
# Redis 7 and MariaDB 10.11 are those of Debian 12, MySQL 9.7 is in no release yet: it comes from unstable (sid).

# prepare_packages NAME...: what has to be there before servers come up side by side.
prepare_packages() {
	local name
	for name in "$@"; do
		case $(kind_of "$name") in
		kafka) command -v java >/dev/null || die 'Kafka needs Java 17 or newer; next: apt-get install -y --no-install-recommends default-jre-headless' ;;
		mysql) [[ -d $cache/mysql-9 ]] || need_mmdebstrap ;;
		*) [[ -d $cache/debian-12 ]] || need_mmdebstrap ;;
		esac
	done
}

need_mmdebstrap() {
	local log=$cache/mmdebstrap.log
	! command -v mmdebstrap >/dev/null || return 0
	((EUID == 0)) || die 'mmdebstrap is missing; next: sudo apt-get install -y --no-install-recommends mmdebstrap'
	say 'installing mmdebstrap'
	# A package list may be missing or older than the mirror: only then is it worth the time to fetch it.
	if ! apt-get install -y --no-install-recommends mmdebstrap >"$log" 2>&1; then
		{ apt-get update && apt-get install -y --no-install-recommends mmdebstrap; } >>"$log" 2>&1 ||
			die "mmdebstrap could not be installed: $(tail -n 3 "$log")"
	fi
}

# debian_mirror: the one that this machine's own apt uses for its own release, from either form of apt's sources.
debian_mirror() {
	local release mirror
	if [[ -n ${ORDER_DEBIAN_MIRROR:-} ]]; then
		echo "$ORDER_DEBIAN_MIRROR"
		return
	fi
	# shellcheck source=/dev/null
	release=$(. /etc/os-release && [[ $ID == debian ]] && echo "${VERSION_CODENAME:-sid}") ||
		die 'this is no Debian, so its apt sources have no MySQL 9; next: set ORDER_DEBIAN_MIRROR, or docker compose up'
	mirror=$(
		cat /etc/apt/sources.list.d/*.sources 2>/dev/null | awk -v release="$release" '
			function close_entry() {
				if (uri && suites ~ " " release " " && components ~ / main / && enabled) print uri
				uri = ""; suites = components = " "; enabled = 1
			}
			BEGIN { close_entry() }
			/^[[:space:]]*$/ { close_entry() }
			$1 == "URIs:" { uri = $2 }
			$1 == "Suites:" { suites = $0 " " }
			$1 == "Components:" { components = $0 " " }
			$1 == "Enabled:" && $2 == "no" { enabled = 0 }
			END { close_entry() }'
		cat /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null | awk -v release="$release" '
			$1 == "deb" {
				sub(/\[[^]]*\]/, "")
				if ($3 == release && $0 " " ~ / main /) print $2
			}'
	)
	[[ -n $mirror ]] || die "no apt source for Debian $release main was found; next: set ORDER_DEBIAN_MIRROR"
	echo "${mirror%%$'\n'*}"
}

# unpack_packages TREE SUITE PACKAGES: into the cache, whole or not at all.
unpack_packages() {
	local tree=$cache/$1 mirror
	(
		flock 8 # two servers may want the same tree
		[[ ! -d $tree ]] || exit 0
		say "unpacking $3 from Debian $2"
		mirror=$(debian_mirror)
		rm -rf "$tree.part"
		mkdir -p "$tree.part"
		# Nothing is configured, so nothing has to run inside the tree: this takes neither root nor a namespace.
		mmdebstrap --mode=chrootless --variant=extract --include="$3" --aptopt='Acquire::Check-Valid-Until "false"' \
			"$2" - "deb $mirror $2 main" 2>"$tree.log" |
			tar -x --no-same-owner --exclude='./dev/*' --exclude='./usr/share/doc/*' --exclude='./usr/share/man/*' -C "$tree.part" ||
			die "Debian $2 could not be unpacked: $(tail -n 5 "$tree.log")"
		mv "$tree.part" "$tree"
	) 8>"$tree.lock"
}

# program TREE PATH: sets the array "program" to what runs a program of an unpacked tree.
program() {
	local tree=$cache/$1 folder file loader libraries
	libraries=$tree/usr/lib/mysql/private
	for folder in "$tree"/lib/*-linux-gnu "$tree"/usr/lib/*-linux-gnu; do # /lib is a folder, a link, or absent
		[[ -d $folder ]] || continue
		libraries+=:$folder
		for file in "$folder"/ld-linux-*.so.*; do
			[[ ! -x $file ]] || loader=$file
		done
	done
	program=("$loader" --argv0 "${2##*/}" --library-path "$libraries" "$tree/$2")
}
