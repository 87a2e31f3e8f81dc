#!/usr/bin/env bash
# Nodes on loopback that are one cluster, for a developer. What they keep is in a keyspace of their own on the CQL
# servers that PACELINE_CQL_HOSTS names; if it names none, on the Cassandra of `make cassandra`, which stays.
#
# Usage: scripts/cluster.sh start   starts what does not run yet of NODES nodes (3) and waits until all are ready
#        scripts/cluster.sh stop    asks exactly those nodes to leave, by pid, and waits; keys and data stay
#        scripts/cluster.sh clean   removes folder and keys of a cluster that is stopped; the keyspace stays
#
# Settings: NODES=3, CLUSTER_DIR (bin/cluster), CLUSTER_PORT=8080 (HTTP; the next nodes take the next ports),
#           PACELINE_BINARY (bin/paceline). More flags for all nodes: ARGS='--log-level=debug'
set -euo pipefail
cd "$(dirname "$0")/.."
nodes=${NODES:-3}
[[ $nodes =~ ^[1-9]$ ]] || {
	echo "cluster: NODES=$nodes: a number from 1 to 9 is needed" >&2
	exit 2
}
dir=${CLUSTER_DIR:-bin/cluster}
port=${CLUSTER_PORT:-8080}
binary=${PACELINE_BINARY:-bin/paceline}

fail() {
	echo "cluster: $1" >&2
	exit 1
}

# pid_of prints the pid of node N if it runs; a pid that is by now somebody else's does not count.
pid_of() {
	local pid
	pid=$(cat "$dir/$1/pid" 2>/dev/null) && [ -n "$pid" ] || return 1
	if [ -r "/proc/$pid/cmdline" ]; then
		tr '\0' ' ' <"/proc/$pid/cmdline"
	else
		ps -ww -o args= -p "$pid" 2>/dev/null
	fi | grep -qF -- "--data-dir=$dir/$1 " && echo "$pid"
}

url() { echo "http://127.0.0.1:$((port + $1 - 1))"; }
gossip() { echo "127.0.0.1:$((port + 100 + $1 - 1))"; }
ready() { curl -fs -o /dev/null --max-time 2 "$(url "$1")/readyz"; }

launch() {
	local n=$1 i seeds=
	for i in $(seq "$nodes"); do [ "$i" -eq "$n" ] || seeds+=${seeds:+,}$(gossip "$i"); done
	mkdir -p "$dir/$n"
	# shellcheck disable=SC2086 # ARGS is a list of flags
	setsid "$binary" run --data-dir="$dir/$n" --keys-dir="$dir/keys" --store=cql --cql-keyspace="$keyspace" \
		--listen="127.0.0.1:$((port + n - 1))" --gossip-listen="$(gossip "$n")" --seeds="$seeds" \
		--gossip-key-file="$dir/certs/gossip.key" --node-ca="$dir/certs/ca.pem" \
		--node-cert="$dir/certs/node-$n.pem" --node-key="$dir/certs/node-$n.key" \
		${ARGS:-} >>"$dir/$n/log" 2>&1 </dev/null &
	echo $! >"$dir/$n/pid"
}

await() {
	local n=$1 until=$((SECONDS + 90))
	until ready "$n"; do
		pid_of "$n" >/dev/null || fail "node $n has ended: $(tail -1 "$dir/$n/log")"
		[ $SECONDS -lt $until ] || fail "node $n is not ready after 90 s, see $dir/$n/log"
		sleep 0.2
	done
}

start() {
	local n names=()
	[ -x "$binary" ] || fail "$binary is not there: make build"
	if [ -z "${PACELINE_CQL_HOSTS:-}" ]; then
		env -u NODES scripts/cassandra.sh start
		PACELINE_CQL_HOSTS=$(env -u NODES scripts/cassandra.sh hosts)
		export PACELINE_CQL_HOSTS
	fi
	mkdir -p "$dir"
	# Keys and keyspace belong together: what is sealed with lost keys can never be read again.
	[ -s "$dir/keyspace" ] || echo "cluster_$(date +%Y%m%d_%H%M%S)_$$" >"$dir/keyspace"
	keyspace=$(cat "$dir/keyspace")
	"$binary" migrate --cql-keyspace="$keyspace" --cql-replication="${PACELINE_CQL_REPLICATION:-1}" >"$dir/migrate.log" ||
		fail "the keyspace $keyspace cannot be made: $(tail -1 "$dir/migrate.log")"
	for n in $(seq "$nodes"); do [ -e "$dir/certs/node-$n.pem" ] || names+=("node-$n"); done
	[ ${#names[@]} -eq 0 ] || "$binary" certs --dir="$dir/certs" "${names[@]}" >/dev/null
	for n in $(seq "$nodes"); do
		pid_of "$n" >/dev/null || launch "$n"
		# The first one makes the keys that all share.
		[ "$n" -ne 1 ] || await 1
	done
	for n in $(seq "$nodes"); do await "$n"; done
	for n in $(seq "$nodes"); do echo "cluster: node $n serves on $(url "$n"), pid $(pid_of "$n"), log $dir/$n/log"; done
	echo "cluster: keys in $dir/keys, keyspace $keyspace on $PACELINE_CQL_HOSTS"
}

stop() {
	local folder n pid pids=() until=$((SECONDS + 30))
	for folder in "$dir"/[1-9]; do
		n=$(basename "$folder")
		pid=$(pid_of "$n") || continue
		kill -TERM "$pid" && pids+=("$pid")
	done
	for pid in "${pids[@]}"; do
		while kill -0 "$pid" 2>/dev/null && [ "$(ps -o stat= -p "$pid" | cut -c1)" != Z ]; do
			[ $SECONDS -lt $until ] || kill -9 "$pid" 2>/dev/null || true
			sleep 0.1
		done
	done
	echo "cluster: ${#pids[@]} nodes stopped"
}

clean() {
	local folder
	for folder in "$dir"/[1-9]; do
		! pid_of "$(basename "$folder")" >/dev/null || fail "node $(basename "$folder") still runs: stop it first"
	done
	rm -rf "$dir"
}

case ${1:-} in
start | stop | clean) "$1" ;;
*)
	sed -n '2,/^set /p' "$0" | sed '$d; s/^# \{0,1\}//' >&2
	exit 2
	;;
esac
