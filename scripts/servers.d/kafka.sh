# shellcheck shell=bash disable=SC2154,SC2016,SC2034
# Kafka 4.3.1 in KRaft mode: one broker that is its own controller, or three that vote.

kafka_version=4.3.1

# choose_brokers COUNT|'': how many brokers a cluster has is laid down with its data.
choose_brokers() {
	local now
	now=$(brokers)
	case $1 in
	'') return ;;
	1 | 3) ;;
	*) die "--kafka-brokers is 1 or 3, not '$1'" ;;
	esac
	if kafka_has_data && [[ $now != "$1" ]]; then
		die "Kafka's data here are of $now broker(s); next: scripts/servers down --purge kafka kafka2 kafka3"
	fi
	echo "$1" >"$dir/kafka-brokers"
}

brokers() { cat "$dir/kafka-brokers" 2>/dev/null || echo 1; }

forget_brokers() { kafka_has_data || rm -f "$dir/kafka-brokers"; }

kafka_has_data() { compgen -G "$dir/kafka*/laid-out" >/dev/null; }

kafka_names() {
	echo kafka
	[[ $(brokers) == 1 ]] || printf '%s\n' kafka2 kafka3
}

# kafka_install: the jars, from Maven Central.
kafka_install() {
	local libs=$cache/kafka-$kafka_version
	(
		flock 8 # three brokers share them
		[[ ! -d $libs ]] || exit 0
		command -v mvn >/dev/null || die 'Kafka is fetched by Maven; next: apt-get install -y --no-install-recommends maven'
		say "fetching Kafka $kafka_version"
		rm -rf "$libs.part"
		mkdir -p "$libs.part"
		kafka_pom >"$libs.pom"
		mvn -B -q -f "$libs.pom" org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies \
			-DincludeScope=runtime -DoutputDirectory="$libs.part" >"$libs.log" 2>&1 </dev/null ||
			die "Kafka $kafka_version could not be fetched: $(tail -n 5 "$libs.log")"
		mv "$libs.part" "$libs"
	) 8>"$libs.lock"
}

kafka_pom() {
	local artifact
	echo '<project><modelVersion>4.0.0</modelVersion><groupId>local</groupId><artifactId>kafka</artifactId><version>1</version><dependencies>'
	for artifact in org.apache.kafka:kafka_2.13:$kafka_version org.apache.kafka:kafka-tools:$kafka_version org.slf4j:slf4j-simple:1.7.36; do
		awk -F : '{ printf "<dependency><groupId>%s</groupId><artifactId>%s</artifactId><version>%s</version></dependency>\n", $1, $2, $3 }' <<<"$artifact"
	done
	echo '</dependencies></project>'
}

# node_of NAME: 1, 2 or 3.
node_of() { case $1 in kafka) echo 1 ;; *) echo "${1#kafka}" ;; esac; }

# Clients of the listener FAULTS are told to go on to a port where no broker listens: whoever wants to stand between
# consumers and a broker listens there (scripts/faults does).
kafka_properties() {
	local port count name voters='' copies=1 in_sync=1 secure_listener='' secure_protocol=''
	port=$(port_of "$1")
	count=$(brokers)
	while read -r name; do
		voters+=,$(node_of "$name")@127.0.0.1:$(($(port_of "$name") + 1))
	done < <(kafka_names)
	((count == 1)) || { copies=3 in_sync=2; }
	if secured; then
		secure_listener=,SECURE://127.0.0.1:$(secure_port_of "$1")
		secure_protocol=,SECURE:SASL_SSL
	fi
	cat <<-PROPERTIES
		process.roles=broker,controller
		node.id=$(node_of "$1")
		controller.quorum.voters=${voters#,}
		listeners=PLAINTEXT://127.0.0.1:$port,CONTROLLER://127.0.0.1:$((port + 1)),FAULTS://127.0.0.1:$((port + 2))$secure_listener
		advertised.listeners=PLAINTEXT://127.0.0.1:$port,FAULTS://127.0.0.1:$((port + 3))$secure_listener
		listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,FAULTS:PLAINTEXT$secure_protocol
		inter.broker.listener.name=PLAINTEXT
		controller.listener.names=CONTROLLER
		log.dirs=$dir/$1/data
		log.cleaner.backoff.ms=500
		default.replication.factor=$copies
		min.insync.replicas=$in_sync
		offsets.topic.replication.factor=$copies
		transaction.state.log.replication.factor=$copies
		transaction.state.log.min.isr=$in_sync
		share.coordinator.state.topic.replication.factor=$copies
		share.coordinator.state.topic.min.isr=$in_sync
		group.initial.rebalance.delay.ms=0
		group.min.session.timeout.ms=1000
		auto.create.topics.enable=false
	PROPERTIES
	! secured || secure_kafka_properties
}

# kafka_java HEAP CLASS ARGUMENT...: sets the array "program". The log has warnings and errors.
kafka_java() {
	local heap=$1
	shift
	program=(java "-Xmx$heap" "-Xms$heap" -XX:+UseG1GC -XX:MaxGCPauseMillis=20 -Djava.awt.headless=true
		-Dorg.slf4j.simpleLogger.defaultLogLevel=warn -Dorg.slf4j.simpleLogger.showDateTime=true
		"-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS" -cp "$cache/kafka-$kafka_version/*" "$@")
}

# Any id will do for the cluster, as long as all of its brokers have the same.
kafka_lay_out() {
	local program
	kafka_properties "$1" >"$dir/$1/server.properties"
	kafka_java 256m kafka.tools.StorageTool format -t b3JkZXItY29uc3VtZXItMQ -c "$dir/$1/server.properties"
	"${program[@]}"
}

kafka_start() {
	local program heap=1g
	(($(brokers) == 1)) || heap=512m
	kafka_properties "$1" >"$dir/$1/server.properties"
	kafka_java "$heap" kafka.Kafka "$dir/$1/server.properties"
	start_process "$1" "${program[@]}"
}

# kafka_answers NAME: a metadata request, version 1, about no topic at all; the answer begins with its length, the
# number of the request, and the count of brokers in the cluster. A broker that is not yet admitted counts none.
kafka_answers() {
	local answer
	answer=$(timeout 3 bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$0" || exit
		printf "\0\0\0\016\0\003\0\001\0\0\0\001\377\377\0\0\0\0" >&3
		head -c 12 <&3 | od -An -v -tu1' "$(port_of "$1")" 2>/dev/null) || return 1
	[[ $answer =~ ([0-9]+)[[:space:]]*$ ]] && ((BASH_REMATCH[1] == $(brokers)))
}
