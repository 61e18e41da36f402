# shellcheck shell=bash disable=SC2154,SC2034
# MySQL 9.7 and MariaDB 10.11, both as they are in production: a commit is on disk, and in the binary log, before it
# is answered. Figures measured without that are worth nothing.

mysql_install() { unpack_packages mysql-9 sid mysql-server-core,mysql-client-core,tzdata; }

mariadb_install() { redis_install; } # the same tree

# mysql_command NAME: sets the array "program" to mysqld with what it needs to run outside its usual place.
mysql_command() {
	local share=$cache/mysql-9/usr/share/mysql
	program mysql-9 usr/sbin/mysqld
	program+=(--no-defaults --basedir="$cache/mysql-9/usr" --lc-messages-dir="$share"
		--character-sets-dir="$share/charsets" --plugin-dir="$cache/mysql-9/usr/lib/mysql/plugin"
		--secure-file-priv=NULL --mysqlx=OFF --datadir="$(data_of "$1")" --log-error-verbosity=2)
	((EUID != 0)) || program+=(--user=root)
}

mariadb_command() {
	local share=$cache/debian-12/usr/share/mysql
	program debian-12 usr/sbin/mariadbd
	program+=(--no-defaults --basedir="$cache/debian-12/usr" --lc-messages-dir="$share"
		--character-sets-dir="$share/charsets" --plugin-dir="$cache/debian-12/usr/lib/mysql/plugin"
		--datadir="$(data_of "$1")" --character-set-server=utf8mb4)
	((EUID != 0)) || program+=(--user=root)
}

mysql_lay_out() {
	local program
	mysql_command "$1"
	"${program[@]}" --initialize-insecure
}

# What mariadb-install-db does, without a client and without its test database.
mariadb_lay_out() {
	local program share=$cache/debian-12/usr/share/mysql
	mkdir "$(data_of "$1")"
	mariadb_command "$1"
	{
		printf '%s;\n' 'CREATE DATABASE mysql' 'USE mysql' 'SET @auth_root_socket = NULL' # a line each, or they do not parse
		cat "$share"/{mysql_system_tables,mysql_performance_tables,mysql_system_tables_data,fill_help_tables}.sql \
			"$share"/{maria_add_gis_sp_bootstrap,mysql_sys_schema}.sql
	} | "${program[@]}" --bootstrap --log-warnings=0 --enforce-storage-engine= --max-allowed-packet=8M
	printf 10.11 >"$(data_of "$1")/mysql_upgrade_info"
}

# sql_start NAME: run at every start, the statements find or make the database and user of docker-compose.yml; tests
# make databases of their own, so the user may do everything.
sql_start() {
	local more
	mapfile -t more < <(secure_sql_arguments && own_disk_arguments "$1")
	cat >"$dir/$1/init.sql" <<-'SQL'
		CREATE DATABASE IF NOT EXISTS orders;
		CREATE USER IF NOT EXISTS 'orders'@'%' IDENTIFIED BY 'orders';
		GRANT ALL PRIVILEGES ON *.* TO 'orders'@'%' WITH GRANT OPTION;
	SQL
	secure_sql_users >>"$dir/$1/init.sql"
	# The socket is named from the data folder: a whole path may be longer than a socket's name can be.
	start_process "$1" "${program[@]}" --bind-address=127.0.0.1 --port="$(port_of "$1")" \
		--socket="$1.sock" --pid-file="$1.pid" --init-file="$dir/$1/init.sql" --skip-name-resolve --server-id=1 \
		--log-bin=binlog --sync-binlog=1 --innodb-flush-log-at-trx-commit=1 \
		--innodb-buffer-pool-size=512M --max-connections=300 "${more[@]}"
}

mysql_start() {
	local program
	mysql_command "$1"
	sql_start "$1"
}

mariadb_start() {
	local program
	mariadb_command "$1"
	sql_start "$1"
}

# sql_answers NAME TREE CLIENT
sql_answers() {
	local program
	program "$2" "usr/bin/$3"
	MYSQL_PWD=orders timeout 5 "${program[@]}" --no-defaults --protocol=tcp --connect-timeout=2 \
		--host=127.0.0.1 --port="$(port_of "$1")" --user=orders --execute='SELECT 1' orders >/dev/null 2>&1
}

mysql_answers() { sql_answers "$1" mysql-9 mysql; }

mariadb_answers() { sql_answers "$1" debian-12 mariadb; }
