# shellcheck shell=bash disable=SC2154,SC2034,SC2016
# Redis 7: one server, or three that know nothing of each other, as the quorum lock needs them.

redis_install() { unpack_packages debian-12 bookworm redis-server,mariadb-server-core,mariadb-client-core; }

redis_lay_out() { mkdir "$dir/$1/data"; }

# A lock that is evicted is a lock that two hold: noeviction. Locks and cache outlive no restart: nothing is saved.
redis_start() {
	local secure
	program debian-12 usr/bin/redis-server
	mapfile -t secure < <(secure_redis_arguments "$1")
	start_process "$1" "${program[@]}" --bind 127.0.0.1 --port "$(port_of "$1")" --dir "$dir/$1/data" \
		--save '' --appendonly no --maxmemory-policy noeviction "${secure[@]}"
}

redis_answers() {
	[[ $(timeout 2 bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$0" && printf "PING\r\n" >&3 && head -c 5 <&3' \
		"$(port_of "$1")" 2>/dev/null) == +PONG ]]
}
