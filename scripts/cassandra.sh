#!/usr/bin/env bash
# A real Apache Cassandra 5.0 on loopback addresses, for the tests and for trying things out. Its jars come from Maven
# Central (scripts/cassandra/pom.xml) into bin/cassandra/lib, once; nothing is installed on the machine but Java and
# Maven where they are absent.
#
# Usage: scripts/cassandra.sh start    starts what does not run yet of NODES nodes and waits until all answer CQL
#        scripts/cassandra.sh stop     stops exactly those nodes, by pid; their data stays (stop -9: at once)
#        scripts/cassandra.sh kill N   SIGKILL for node N;   scripts/cassandra.sh start N brings it back
#        scripts/cassandra.sh pause N   SIGSTOP for node N: it holds its connections and answers nothing;   resume N lets it go on
#        scripts/cassandra.sh nodetool N ARGUMENTS…   Cassandra's own nodetool on node N, where CASSANDRA_JMX_PORT was set at its start
#        scripts/cassandra.sh hosts    prints address:port of the nodes, as PACELINE_CQL_HOSTS takes them
#        scripts/cassandra.sh get      only fetches the jars
#        scripts/cassandra.sh clean    removes the data of a ring that is stopped
#
# Settings, by the environment; a private ring needs a folder and a net of its own:
#   NODES=1                   nodes of the ring, on the addresses CASSANDRA_NET.1, .2, …
#   CASSANDRA_DIR             folder of the ring (bin/cassandra/ring-$NODES)
#   CASSANDRA_NET=127.0.0     first three numbers of the addresses
#   CASSANDRA_PORT=9042       CQL;   CASSANDRA_STORAGE_PORT=7000 between the nodes
#   CASSANDRA_JMX_PORT        for nodetool: on 127.0.0.1, and the next ports for the next nodes (unset: none is opened)
#   CASSANDRA_HEAP=1g         of each node (768m with more than one)
#   CASSANDRA_SYNC=batch      commit log: batch, group (10 ms) or periodic (which is not durable)
#   CASSANDRA_AUTH=           password: asks for user and password (cassandra, cassandra)
#   CASSANDRA_WITH=PID        the ring ends with that process, also if it is killed
#   CASSANDRA_WAIT=180        seconds until it gives up
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
command=${1:-}
nodes=${NODES:-1}
[[ $nodes =~ ^[1-9]$ ]] || {
	echo "cassandra: NODES=$nodes: a number from 1 to 9 is needed" >&2
	exit 2
}
ring=${CASSANDRA_DIR:-$root/bin/cassandra/ring-$nodes}
net=${CASSANDRA_NET:-127.0.0}
port=${CASSANDRA_PORT:-9042}
storage_port=${CASSANDRA_STORAGE_PORT:-7000}
heap=${CASSANDRA_HEAP:-$([ "$nodes" -gt 1 ] && echo 768m || echo 1g)}
wait_s=${CASSANDRA_WAIT:-180}
lib=$root/bin/cassandra/lib
[[ $net =~ ^127\.[0-9]+\.[0-9]+$ ]] || {
	echo "cassandra: CASSANDRA_NET=$net: a loopback net such as 127.0.0 is needed, nothing is served beyond this machine" >&2
	exit 2
}
[[ $ring = /* ]] || ring=$PWD/$ring

fail() {
	echo "cassandra: $1" >&2
	exit 1
}

# say is silent for whoever starts a ring in the background.
say() { [ -n "${CASSANDRA_QUIET:-}" ] || echo "cassandra: $1"; }

# Java 17 is what Cassandra 5.0 runs on; the machine's own java may be another.
find_java() {
	local java
	for java in "${JAVA_HOME:-/nonexistent}/bin/java" "$(command -v java || true)" /usr/lib/jvm/*17*/bin/java; do
		[ -x "$java" ] && "$java" -version 2>&1 | grep -qE 'version "17[."]' && {
			echo "$java"
			return
		}
	done
	return 1
}

get() {
	local want
	want=$(sha256sum <scripts/cassandra/pom.xml)
	[ "$(cat "$lib/.pom" 2>/dev/null)" = "$want" ] && return
	scripts/deps.sh java maven
	mkdir -p bin/cassandra
	# One fetches, the others wait for it; what was half fetched is never taken for whole.
	exec 9>bin/cassandra/.lock
	flock 9
	if [ "$(cat "$lib/.pom" 2>/dev/null)" != "$want" ]; then
		say "fetching its jars from Maven Central into bin/cassandra/lib (66 MB, once)"
		rm -rf "$lib" "$lib.part"
		mvn -q -B -f scripts/cassandra/pom.xml dependency:copy-dependencies \
			-DincludeScope=runtime -DoutputDirectory="$lib.part" >bin/cassandra/maven.log 2>&1 ||
			fail "Maven could not fetch it: $(grep -m1 ERROR bin/cassandra/maven.log || echo "see bin/cassandra/maven.log")"
		printf '%s\n' "$want" >"$lib.part/.pom"
		mv "$lib.part" "$lib"
	fi
	exec 9>&-
}

address() { echo "$net.$1"; }

# runs is false for a zombie too: it has no arguments any more.
runs() {
	if [ -d /proc/self ]; then [ -n "$(tr -d '\0' 2>/dev/null <"/proc/$1/cmdline")" ]; else kill -0 "$1"; fi 2>/dev/null
}

# pid_of prints the pid of node N if it runs; a pid that is by now somebody else's does not count.
pid_of() {
	local pid
	pid=$(cat "$ring/$1/pid" 2>/dev/null) && [ -n "$pid" ] || return 1
	if [ -r "/proc/$pid/cmdline" ]; then
		tr '\0' ' ' <"/proc/$pid/cmdline"
	else
		ps -ww -o args= -p "$pid" 2>/dev/null
	fi | grep -qF -- "-Dpaceline.cassandra=$ring/$1 " && echo "$pid"
}

listens() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }

# answers: an OPTIONS frame of CQL version 4 is answered with a frame of version 4.
answers() {
	local first
	first=$(
		exec 2>/dev/null 3<>"/dev/tcp/$1/$2" || exit
		printf '\x04\x00\x00\x01\x05\x00\x00\x00\x00' >&3
		timeout 5 head -c 1 <&3 | od -An -tx1
	)
	[ "${first// /}" = 84 ]
}

seeds() {
	local n list=
	for n in $(seq "$nodes"); do list+=${list:+,}$(address "$n"):$storage_port; done
	echo "$list"
}

# token spreads the nodes evenly over the ring, which goes from -2^63 to 2^63-1.
token() { echo $((-9223372036854775807 + (9223372036854775807 / nodes) * 2 * ($1 - 1))); }

configure() {
	local n=$1 folder=$ring/$1 sync auth=AllowAllAuthenticator authorizer=AllowAllAuthorizer
	case ${CASSANDRA_SYNC:-batch} in
	batch) sync='commitlog_sync: batch' ;;
	group) sync=$'commitlog_sync: group\\\ncommitlog_sync_group_window: 10ms' ;;
	periodic) sync=$'commitlog_sync: periodic\\\ncommitlog_sync_period: 10000ms' ;;
	*) fail "CASSANDRA_SYNC=$CASSANDRA_SYNC: batch, group or periodic" ;;
	esac
	[ "${CASSANDRA_AUTH:-}" = password ] && auth=PasswordAuthenticator authorizer=CassandraAuthorizer
	mkdir -p "$folder/conf"
	sed -e "s|@TOKEN@|$(token "$n")|; s|@SEEDS@|$(seeds)|; s|@ADDRESS@|$(address "$n")|; s|@PORT@|$port|" \
		-e "s|@STORAGE_PORT@|$storage_port|; s|@FOLDER@|$folder|; s|@SYNC@|$sync|" \
		-e "s|@AUTHENTICATOR@|$auth|; s|@AUTHORIZER@|$authorizer|" \
		scripts/cassandra/cassandra.yaml >"$folder/conf/cassandra.yaml"
}

# launch starts node N in the background, in a session of its own: what interrupts the caller does not reach it.
launch() {
	local n=$1 folder=$ring/$1 p until=$((SECONDS + 5))
	for p in "$port" "$storage_port"; do
		# A node that was just killed holds its port for a moment.
		while listens "$(address "$n")" "$p" && [ -e "$folder/pid" ] && [ $SECONDS -lt $until ]; do sleep 0.2; done
		listens "$(address "$n")" "$p" &&
			fail "$(address "$n"):$p is taken by another program: stop it (make cassandra-stop, if it is a ring of other size), or set CASSANDRA_NET or CASSANDRA_PORT"
	done
	configure "$n"
	[ ! -e "$folder/system.log" ] || mv "$folder/system.log" "$folder/system.before.log"
	local jmx=()
	[ -z "${CASSANDRA_JMX_PORT:-}" ] || jmx=(-Dcassandra.jmx.local.port=$((CASSANDRA_JMX_PORT + n - 1)))
	setsid "$java" -Xms"$heap" -Xmx"$heap" "@scripts/cassandra/jvm.options" "${jmx[@]}" \
		-Dpaceline.cassandra="$folder" -Dcassandra.config="file://$folder/conf/cassandra.yaml" \
		-Dcassandra.storagedir="$folder" -Dcassandra-foreground=yes \
		-Dlogback.configurationFile="$root/scripts/cassandra/logback.xml" -Djava.io.tmpdir="$folder/conf" \
		-cp "$lib/*" org.apache.cassandra.service.CassandraDaemon >"$folder/stdout.log" 2>&1 </dev/null 9>&- &
	echo $! >"$folder/pid"
}

# ready waits until node N answers CQL and sees the other nodes that run.
ready() {
	local n=$1 folder=$ring/$1 until=$((SECONDS + wait_s)) other
	until answers "$(address "$n")" "$port"; do
		pid_of "$n" >/dev/null || fail "node $n ended while it started: $(reason "$folder")"
		[ $SECONDS -lt $until ] || fail "node $n does not answer CQL at $(address "$n"):$port after $wait_s s, see $folder/system.log"
		sleep 0.3
	done
	for other in $(seq "$nodes"); do
		[ "$other" -eq "$n" ] || ! pid_of "$other" >/dev/null && continue
		until grep -qE "$(address "$other" | sed 's/\./\\./g')(:$storage_port)? is now UP" "$folder/system.log"; do
			[ $SECONDS -lt $until ] || fail "node $n does not see node $other after $wait_s s, see $folder/system.log"
			sleep 0.3
		done
	done
}

reason() { # the last line in which a node says what is wrong
	grep -hE '^ERROR|Exception|Error' "$1/stdout.log" "$1/system.log" 2>/dev/null | tail -1 | cut -c1-300 | grep . || echo "see $1/stdout.log"
}

# guard stops the ring when the process that wanted it is gone; it leaves when the ring's folder is gone.
guard() {
	local with=$1
	[ "$(cat "$ring/guard" 2>/dev/null)" != "$with" ] || return 0
	echo "$with" >"$ring/guard"
	setsid bash -c 'while [ -d "$3" ] && kill -0 "$1" 2>/dev/null; do sleep 1; done; [ ! -d "$3" ] || NODES=$2 CASSANDRA_DIR=$3 scripts/cassandra.sh stop -9' \
		guard "$with" "$nodes" "$ring" >/dev/null 2>&1 </dev/null &
}

start() {
	local which=("$@") n running=0 began=$SECONDS started=()
	[ ${#which[@]} -gt 0 ] || mapfile -t which < <(seq "$nodes")
	java=$(find_java) || {
		scripts/deps.sh java
		java=$(find_java) || fail "Java 17 is needed and not found; set JAVA_HOME to one"
	}
	get
	mkdir -p "$ring"
	for n in "${which[@]}"; do
		pid_of "$n" >/dev/null && {
			running=$((running + 1))
			continue
		}
		launch "$n"
		started+=("$n")
	done
	[ -z "${CASSANDRA_WITH:-}" ] || [ ${#started[@]} -eq 0 ] || guard "$CASSANDRA_WITH"
	for n in "${which[@]}"; do ready "$n"; done
	if [ ${#started[@]} -eq 0 ]; then
		say "runs already: $(hosts)"
	else
		say "answers at $(hosts) after $((SECONDS - began)) s, pid $(for n in "${which[@]}"; do printf '%s ' "$(pid_of "$n")"; done)"
	fi
}

hosts() {
	local n list=
	for n in $(seq "$nodes"); do list+=${list:+,}$(address "$n"):$port; done
	echo "$list"
}

# each_ring does something for the ring that was named, or for every ring of bin/cassandra.
rings() {
	if [ -n "${CASSANDRA_DIR:-}" ] || [ -n "${NODES:-}" ]; then
		echo "$ring"
	else
		ls -d bin/cassandra/ring-* 2>/dev/null | sed "s|^|$root/|"
	fi
}

stop() {
	local folder n pid until stopped=0
	while read -r ring; do
		local pids=()
		for folder in "$ring"/[1-9]; do
			pid=$(pid_of "$(basename "$folder")") || continue
			kill "${1:--15}" "$pid" 2>/dev/null && pids+=("$pid")
		done
		until=$((SECONDS + 20))
		for pid in "${pids[@]}"; do
			while runs "$pid"; do
				[ $SECONDS -lt $until ] || kill -9 "$pid" 2>/dev/null || true
				sleep 0.1
			done
		done
		stopped=$((stopped + ${#pids[@]}))
	done < <(rings)
	say "$stopped nodes stopped"
}

kill_node() {
	local pid
	pid=$(pid_of "$1") || fail "node $1 does not run"
	kill -9 "$pid"
	while runs "$pid"; do sleep 0.05; done
}

# signal_node sends a signal to node N.
signal_node() {
	local pid
	pid=$(pid_of "$2") || fail "node $2 does not run"
	kill "$1" "$pid"
}

nodetool() {
	local n=$1 java
	shift
	[ -n "${CASSANDRA_JMX_PORT:-}" ] || fail "nodetool needs CASSANDRA_JMX_PORT, the same as when the ring was started"
	java=$(find_java) || fail "Java 17 is needed and not found; set JAVA_HOME to one"
	# Its options are a server's (what it opens of Java), its heap is a tool's.
	"$java" -Xmx128m "@scripts/cassandra/jvm.options" -Dcassandra.storagedir="$ring/$n" -Dpaceline.cassandra="$ring/$n/nodetool" \
		-Dlogback.configurationFile="$root/scripts/cassandra/logback.xml" -cp "$lib/*" \
		org.apache.cassandra.tools.NodeTool -h 127.0.0.1 -p $((CASSANDRA_JMX_PORT + n - 1)) "$@"
}

clean() {
	local n
	while read -r ring; do
		for folder in "$ring"/[1-9]; do
			n=$(basename "$folder")
			! pid_of "$n" >/dev/null || fail "node $n still runs: stop it first"
		done
		rm -rf "$ring"
	done < <(rings)
}

case $command in
start) start "${@:2}" ;;
stop) stop "${2:--15}" ;;
kill) kill_node "${2:?which node?}" ;;
pause) signal_node -STOP "${2:?which node?}" ;;
resume) signal_node -CONT "${2:?which node?}" ;;
nodetool) nodetool "${@:2}" ;;
hosts) hosts ;;
get) get ;;
clean) clean ;;
*)
	sed -n '2,/^set /p' "$0" | sed '$d; s/^# \{0,1\}//' >&2
	exit 2
	;;
esac
