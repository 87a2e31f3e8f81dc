#!/usr/bin/env bash
# Measures the hot paths, each beside its bare baseline of the same run, and prints ratios beside the bars of
# docs/performance.md. Usage: [ROUNDS=5] scripts/bench.sh, or BENCH=regexp scripts/bench.sh for any benchmarks as
# go test prints them. It fails only if a benchmark finds something lost or wrong, never on time.
# A Redis for the board's baseline is installed if it is absent, started on a socket of its own, and stopped; so is a
# Cassandra on a loopback address of its own, unless PACELINE_CQL_HOSTS names servers.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -n "${BENCH:-}" ]; then
	mapfile -t packages < <(git ls-files -co --exclude-standard '*_test.go' | xargs -r grep -lE '^func Benchmark' | xargs -r -n1 dirname | sort -u | sed 's|^|./|')
	# -p 1: two benchmarks at once would measure each other.
	exec go test -p 1 -run '^$' -bench "$BENCH" -benchmem "${packages[@]}"
fi

rounds=${ROUNDS:-5}
scripts/deps.sh redis java maven
work=$(mktemp -d)
redis=
cassandra=
finish() {
	[ -z "$cassandra" ] || scripts/cassandra.sh stop -9 >/dev/null || true
	[ -z "$redis" ] || { kill "$redis" 2>/dev/null && wait "$redis" 2>/dev/null || true; }
	rm -rf "$work"
}
trap finish EXIT
redis-server --port 0 --unixsocket "$work/redis" --save '' --appendonly no --daemonize no --dir "$work" >"$work/redis.log" 2>&1 &
redis=$!
for _ in $(seq 100); do
	[ -S "$work/redis" ] && break
	kill -0 "$redis" || { cat "$work/redis.log" >&2; exit 1; }
	sleep 0.1
done
export PACELINE_BENCH_REDIS=$work/redis
if [ -z "${PACELINE_CQL_HOSTS:-}" ]; then
	export NODES=1 CASSANDRA_NET=127.201.$(($$ % 200 + 10)) CASSANDRA_DIR=$work/cassandra CASSANDRA_PORT=9042 CASSANDRA_WITH=$$
	cassandra=started
	scripts/cassandra.sh start
	PACELINE_CQL_HOSTS=$(scripts/cassandra.sh hosts)
	export PACELINE_CQL_HOSTS
fi

out=bin/bench
mkdir -p "$out"
raw=$out/raw.txt
load() { cut -d' ' -f1 /proc/loadavg 2>/dev/null || echo unknown; }
{
	echo "revision: $(git rev-parse --short HEAD 2>/dev/null || echo unknown)$(git diff --quiet HEAD -- 2>/dev/null || echo ' with changes')"
	echo "machine: $(go version | cut -d' ' -f3-), $(uname -sr), $(nproc) cores, load $(load), $(redis-server --version | cut -d' ' -f1-3)"
	echo "rounds: $rounds, $(date -u +%Y-%m-%dT%H:%MZ)"
} | tee "$raw"

# package, what to run, how long each
suite=(
	"gateway/wire ^BenchmarkDecode(Bare)?\$/^paceline.v1.(proto|json)\$/^(5|512)\$ 100ms"
	"actors/device ^BenchmarkAccept(Bare)?\$ 100ms"
	"actors/device/devicegrain ^BenchmarkFrame(Bare)?\$ 100ms"
	"persistence/embedded ^Benchmark(Block|Append)(Bare)?\$/^p(16|128)\$ 200ms"
	"persistence/embedded ^BenchmarkStored\$ 12800x"
	"cmd/node ^BenchmarkRecovery\$ 200ms"
	"persistence/cql ^Benchmark(Block|Append)\$/^p(32|16)\$ 1600x"
	"domain/rank ^BenchmarkUpdateRank(Redis)?\$/^any\$ 200ms"
	"gateway/ws ^BenchmarkBroadcast\$/.*/^1000\$ 120x"
)
# Node processes, which take minutes: once, with rounds of their own.
once=(
	"simulations/trial ^Benchmark(FrameAcross|ThreeNodes|TenThousandGrains)\$ 1x"
)
for line in "${suite[@]}" "${once[@]}"; do
	read -r package _ <<<"$line"
	echo "bench: building $package"
	go test -c -o "$work/$(echo "$package" | tr / -).test" "./$package"
done
measure() { # LINE...
	local line package what long
	for line in "$@"; do
		read -r package what long <<<"$line"
		(cd "$package" && "$work/$(echo "$package" | tr / -).test" -test.run '^$' -test.bench "$what" -test.benchtime "$long" -test.benchmem) >>"$raw" || {
			tail -40 "$raw" >&2
			echo "bench: $package: a benchmark has found something wrong" >&2
			exit 1
		}
	done
}
# One round after the other, ours and bare side by side in each: a machine that drifts drifts for both.
for round in $(seq "$rounds"); do
	echo "bench: round $round of $rounds, load $(load)"
	measure "${suite[@]}"
done
echo "bench: node processes, load $(load)"
measure "${once[@]}"
echo
(cd tools && go run ./benchreport) <"$raw" | tee "$out/report.txt"
echo "bench: load $(load) at the end; every figure is in $raw"
