#!/usr/bin/env bash
# Races on three node processes to which things happen, on a Cassandra of this run unless PACELINE_CQL_HOSTS names servers.
# The table is also in bin/test/trials.txt. Usage: [TRIAL=regexp] [SIZE=300x100] scripts/trials.sh
# SIZE is devices and viewers. The splits need root, for network namespaces; without it they are skipped, and say so.
set -uo pipefail
cd "$(dirname "$0")/.."
mkdir -p bin/test
scripts/deps.sh ip || exit 1
if [ -z "${PACELINE_CQL_HOSTS:-}" ]; then
	scripts/deps.sh java maven || exit 1
	mkdir -p bin/cassandra
	CASSANDRA_DIR=$PWD/$(mktemp -d bin/cassandra/trials-XXXXXX)
	CASSANDRA_NET=127.$((1 + RANDOM % 254)).$((RANDOM % 255))
	export CASSANDRA_DIR CASSANDRA_NET CASSANDRA_WITH=$$ NODES=1
	ended() {
		scripts/cassandra.sh stop -9
		rm -rf "$CASSANDRA_DIR"
	}
	trap ended EXIT
	trap 'exit 130' INT
	trap 'exit 143' TERM
	scripts/cassandra.sh start || exit 1
	PACELINE_CQL_HOSTS=$(scripts/cassandra.sh hosts)
	export PACELINE_CQL_HOSTS
fi
code=0
PACELINE_TRIALS=${TRIAL:-.} PACELINE_TRIALS_SIZE=${SIZE:-} go test -count=1 -timeout 60m -v ./simulations/trial -run '^TestTrials$' | tee bin/test/trials.txt || code=1
if [ -z "${TRIAL:-}" ]; then # all of them: then also nodes without a fence, which must be found, and a node that leaves with thousands of grains
	PACELINE_TRIALS=. go test -count=1 -timeout 10m -v ./simulations/trial -run '^TestTheTrialCanFail$' >bin/test/trials-can-fail.txt || {
		cat bin/test/trials-can-fail.txt
		code=1
	}
	PACELINE_DRAIN_GRAINS=8000 go test -count=1 -timeout 20m -v ./simulations/trial -run '^TestAFullNodeLeaves$' | tee -a bin/test/trials.txt || code=1
fi
exit $code
