#!/usr/bin/env bash
# Runs the demo. DATA=folder of recordings, SPEED=times real time, ONCE=1 ends when the result is verified,
# KILL=1 kills the node in the middle and starts it again on what it has stored, PORT=of the page, STORE=cql keeps
# everything on the CQL servers that PACELINE_CQL_HOSTS names; if it names none, on a Cassandra of this run.
# NODES=3 STORE=cql holds the race on three nodes of one cluster; KILL=1 then kills the one that the race lives on, for good.
set -euo pipefail
cd "$(dirname "$0")/.."
flags=()
case "${NODES:=1}" in
[1-9]) ;;
*)
	echo "demo: NODES=$NODES: want a number from 1 to 9" >&2
	exit 2
	;;
esac
case "${STORE:-}" in
'' | embedded)
	[ "$NODES" = 1 ] || {
		echo "demo: $NODES nodes need a store that they share: make demo NODES=$NODES STORE=cql" >&2
		exit 2
	}
	;;
cql) ;;
*)
	echo "demo: STORE=$STORE: want embedded or cql" >&2
	exit 2
	;;
esac
[ "$NODES" = 1 ] || flags+=("--nodes=$NODES")
[ -n "${DATA:-}" ] && flags+=("--data=$DATA")
[ -n "${SPEED:-}" ] && flags+=("--speed=$SPEED")
[ -n "${PORT:-}" ] && flags+=("--port=$PORT")
[ -n "${STORE:-}" ] && flags+=("--store=$STORE")
case "${ONCE:-}" in '' | 0) ;; *) flags+=(--once) ;; esac
case "${KILL:-}" in '' | 0) ;; *) flags+=(--kill) ;; esac
if [ "${STORE:-}" != cql ] || [ -n "${PACELINE_CQL_HOSTS:-}" ]; then
	exec bin/paceline demo "${flags[@]}"
fi

# A Cassandra of this run: on addresses of its own, ended and removed whatever happens.
mkdir -p bin/cassandra
CASSANDRA_DIR=$PWD/$(mktemp -d bin/cassandra/demo-XXXXXX)
CASSANDRA_NET=127.$((1 + RANDOM % 254)).$((RANDOM % 255))
CASSANDRA_WITH=$$
NODES=1
export CASSANDRA_DIR CASSANDRA_NET CASSANDRA_WITH NODES
ended() {
	scripts/cassandra.sh stop
	rm -rf "$CASSANDRA_DIR"
}
trap ended EXIT
scripts/cassandra.sh start
PACELINE_CQL_HOSTS=$(scripts/cassandra.sh hosts)
export PACELINE_CQL_HOSTS
bin/paceline demo "${flags[@]}" &
demo=$!
trap : INT TERM # ends the wait below
code=0
wait "$demo" || code=$?
if kill -0 "$demo" 2>/dev/null; then # the node leaves in order before its store goes
	kill -TERM "$demo"
	code=0
	wait "$demo" || code=$?
fi
exit "$code"
