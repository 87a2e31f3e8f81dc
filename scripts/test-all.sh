#!/usr/bin/env bash
# make test, then what takes too long for every day: the loss of a replica, the trials, outages, a backup of a keyspace, more seeds, fuzzing,
# the linters. Usage: [ROUNDS=20] [SEEDS=5000] [FUZZTIME=30s] scripts/test-all.sh
set -uo pipefail
cd "$(dirname "$0")/.."
failed=()
scripts/test.sh || failed+=("make test")
echo "== loss of a replica: ${ROUNDS:=20} rounds on a ring of three (the matrix is also in bin/test/replica.txt)"
scripts/deps.sh java maven && PACELINE_REPLICA_ROUNDS=$ROUNDS go test -count=1 -timeout 90m -v ./simulations/trial/replica \
	-run '^(TestThreeReplicas|TestTheTrialCanFail)$' | tee bin/test/replica.txt || failed+=("loss of a replica")
echo "== races on three nodes to which things happen (the table is also in bin/test/trials.txt)"
scripts/trials.sh || failed+=("trials")
echo "== ${SEEDS:=5000} seeds"
PACELINE_SEEDS=$SEEDS go test -count=1 -timeout 60m ./simulations/world || failed+=("seeds")
PACELINE_LONG=1 go test -count=1 -run Long ./persistence || failed+=("what takes much memory")
echo "== the store is away for longer than a grain is patient"
PACELINE_LONG_OUTAGE=30s go test -count=1 -timeout 5m ./cmd/node -run '^TestTheStoreIsAwayForAWhile$' || failed+=("long outage")
echo "== a race over a Cassandra that is slow, stopped, killed and back; memory meanwhile"
scripts/deps.sh java maven && PACELINE_LONG_OUTAGE=15s go test -count=1 -timeout 20m -v ./cmd/node -run '^(TestCassandraIsSlowStoppedAndKilled|TestMemoryWhileTheStoreIsAway)$' \
	| tee bin/test/cassandra-outage.txt || failed+=("a race over a Cassandra that is away")
echo "== a keyspace is backed up, its ring destroyed, and restored on another"
PACELINE_LONG_BACKUP=1 go test -count=1 -timeout 20m -v ./cmd/node -run '^TestCQLBackupAndRestore$' || failed+=("backup of a keyspace")
scripts/fuzz.sh || failed+=("fuzz")
scripts/lint.sh || failed+=("lint")
if [ ${#failed[@]} -gt 0 ]; then
	printf 'FAILED: %s\n' "${failed[@]}"
	exit 1
fi
echo "test-all: ok"
