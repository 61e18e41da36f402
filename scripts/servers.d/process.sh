# shellcheck shell=bash disable=SC2154 # dir and wait_seconds come from the script that reads this
# Processes: a server is its pid and the moment that pid was started, so that a pid that the system has since given
# to somebody else is never signalled.

milliseconds() { echo $((${EPOCHREALTIME/[.,]/} / 1000)); }

# seconds_since MILLISECONDS
seconds_since() {
	local past=$(($(milliseconds) - $1))
	printf '%d.%d s' $((past / 1000)) $((past % 1000 / 100))
}

# stat_field PID N: the Nth field of /proc/PID/stat; the second, a name, may hold spaces and brackets.
stat_field() {
	local line fields
	line=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
	read -ra fields <<<"${line##*) }"
	echo "${fields[$2 - 3]}"
}

# recorded NAME: it was started and not taken down since; it may have died.
recorded() { [[ -s $dir/$1/pid ]]; }

pid_of() { cut -d ' ' -f 1 "$dir/$1/pid"; }

state_of_process() { stat_field "$(pid_of "$1")" 3; }

# alive NAME: the process that was started under the name still runs, frozen or not.
alive() {
	local pid began
	recorded "$1" || return 1
	read -r pid began <"$dir/$1/pid"
	[[ $(stat_field "$pid" 22) == "$began" && $(stat_field "$pid" 3) != [ZX] ]]
}

# close_inherited: a server outlives whoever started it, and would keep their locks and pipes open for as long.
close_inherited() {
	local fd
	for fd in /proc/"$BASHPID"/fd/*; do
		fd=${fd##*/}
		((fd <= 2)) || eval "exec $fd>&-"
	done
}

# start_process NAME COMMAND...: detached, in its own folder, its output in the log.
start_process() {
	local name=$1 port
	shift
	port=$(port_of "$name")
	(close_inherited && cd "$dir/$name" && exec setsid "$@") </dev/null >>"$dir/$name/log" 2>&1 &
	echo "$port" >"$dir/$name/port"
	echo "$! $(stat_field $! 22)" >"$dir/$name/pid"
}

# Enough for a database to flush what it holds. Not more: of three brokers the last waits for a majority that has
# gone, and all of these servers are made to survive a SIGKILL.
stop_seconds=15

# stop_process NAME: SIGTERM, and SIGKILL for what has not heard it in time.
stop_process() {
	local pid
	if alive "$1"; then
		pid=$(pid_of "$1")
		kill -TERM "$pid"
		kill -CONT "$pid" # a frozen process hears nothing before it thaws
		if ! wait_until_gone "$1"; then
			say "$1 did not stop in $stop_seconds s: killed"
			kill -KILL "$pid"
			wait_until_gone "$1"
		fi
	fi
}

# wait_until_gone NAME: fails when it takes too long.
wait_until_gone() {
	local deadline=$(($(milliseconds) + stop_seconds * 1000))
	while alive "$1"; do
		(($(milliseconds) < deadline)) || return 1
		sleep 0.05
	done
}

# wait_until_answers NAME: fails when it dies first, or takes too long.
wait_until_answers() {
	local deadline=$(($(milliseconds) + wait_seconds * 1000)) kind
	kind=$(kind_of "$1")
	until "${kind}_answers" "$1"; do
		alive "$1" || die "$1 ended while it was starting"
		(($(milliseconds) < deadline)) || die "$1 does not answer after $wait_seconds s (ORDER_SERVERS_WAIT)"
		sleep 0.2
	done
}

port_is_free() { ! (: </dev/tcp/127.0.0.1/"$(port_of "$1")") 2>/dev/null; }
