# shellcheck shell=bash disable=SC2154 # dir and here come from the script that reads this
# Secure: next to its plain port every server gets one where TLS is spoken and a password is asked for. Both lead to
# the same data, so that tests of what a user may do can be prepared through the plain one.

secure_user=orders
secure_password=canary-orders # tests look for this word in everything that is written

# secured: servers were started with --secure in this folder.
secured() { [[ -e $dir/secure/ca.pem ]]; }

# secure_up: certificates, made by the project itself.
secure_up() {
	local name
	secured && return
	for name in "${servers[@]}"; do
		! alive "$name" || die "$name runs without TLS; next: scripts/servers down, and this command again"
	done
	mkdir -p "$dir/secure"
	(cd "$here/.." && go run ./scripts/servers.d/certify "$dir/secure.part") || die 'no certificates could be made'
	printf '%s\n' "$secure_password" >"$dir/secure.part/password"
	chmod 600 "$dir/secure.part/password"
	rm -rf "$dir/secure"
	mv "$dir/secure.part" "$dir/secure"
}

# forget_secure: when nothing is left that was started with it.
forget_secure() { compgen -G "$dir/*/laid-out" >/dev/null || rm -rf "$dir/secure"; }

# secure_port_of NAME
secure_port_of() {
	case $(kind_of "$1") in
	kafka) echo $(($(port_of "$1") + 4)) ;; # its controller is one higher, a fault proxy has two and three
	redis) echo $(($(port_of "$1") + 10)) ;; # redis2 and redis3 are one and two higher
	*) port_of "$1" ;; # the same port speaks both
	esac
}

secure_kafka_properties() {
	cat <<-PROPERTIES
		listener.name.secure.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512
		listener.name.secure.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_$secure_user="$secure_password";
		listener.name.secure.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
		listener.name.secure.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
		listener.name.secure.ssl.client.auth=requested
		ssl.keystore.type=PEM
		ssl.keystore.location=$dir/secure/server.pem
		ssl.truststore.type=PEM
		ssl.truststore.location=$dir/secure/ca.pem
		authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
		super.users=User:ANONYMOUS;User:$secure_user
	PROPERTIES
}

# Whoever comes through the plain port is User:ANONYMOUS.
secure_print_env() {
	local at
	secured || return 0
	echo "export SECURE_FOLDER=$dir/secure SECURE_USER=$secure_user SECURE_PASSWORD_FILE=$dir/secure/password"
	at=$(secure_addresses_of kafka)
	[[ -z $at ]] || echo "export SECURE_KAFKA_BROKERS=$at"
	at=$(secure_addresses_of redis)
	[[ -z $at ]] || echo "export SECURE_REDIS_URL=$(sed -E "s#([^,]+)#rediss://$secure_user@\1/0#g" <<<"$at")"
	at=$(secure_addresses_of mysql)
	[[ -z $at ]] || echo "export SECURE_DATABASE_URL=mysql://secure@$at/orders"
	at=$(secure_addresses_of mariadb)
	[[ -z $at ]] || echo "export SECURE_MARIADB_URL=mysql://secure@$at/orders"
}

# secure_addresses_of KIND: host:port of every started server of the kind, separated by commas.
secure_addresses_of() {
	local name all=
	for name in "${servers[@]}"; do
		if [[ $(kind_of "$name") == "$1" ]] && recorded "$name" && ! has_own_disk "$name"; then
			all+=,127.0.0.1:$(secure_port_of "$name")
		fi
	done
	echo "${all#,}"
}

# Each prints the arguments of its server, a line each; nothing without --secure.

secure_redis_arguments() {
	secured || return 0
	printf '%s\n' --tls-port "$(secure_port_of "$1")" --tls-cert-file "$dir/secure/server-crt.pem" \
		--tls-key-file "$dir/secure/server-key.pem" --tls-ca-cert-file "$dir/secure/ca.pem" --tls-auth-clients optional \
		--user "$secure_user" on ">$secure_password" '~*' '&*' +@all
}

secure_sql_arguments() {
	secured || return 0
	printf '%s\n' "--ssl-ca=$dir/secure/ca.pem" "--ssl-cert=$dir/secure/server-crt.pem" "--ssl-key=$dir/secure/server-key.pem"
}

secure_sql_users() {
	secured || return 0
	cat <<-SQL
		CREATE USER IF NOT EXISTS 'secure'@'%' IDENTIFIED BY '$secure_password' REQUIRE SSL;
		GRANT ALL PRIVILEGES ON *.* TO 'secure'@'%' WITH GRANT OPTION;
	SQL
}
