#!/usr/bin/env bash
# Runs the benchmarks, each beside its bare baseline. Usage: [BENCH=regexp] scripts/bench.sh
set -euo pipefail
cd "$(dirname "$0")/.."
mapfile -t packages < <(git ls-files -co --exclude-standard '*_test.go' | xargs -r grep -lE '^func Benchmark' | xargs -r -n1 dirname | sort -u | sed 's|^|./|')
[ ${#packages[@]} -gt 0 ] || {
	echo "bench: there is no benchmark" >&2
	exit 1
}
echo "bench: $(go version), $(nproc) cores, load $(cut -d' ' -f1 /proc/loadavg 2>/dev/null || echo unknown)"
# -p 1: two benchmarks at once would measure each other.
go test -p 1 -run '^$' -bench "${BENCH:-.}" -benchmem "${packages[@]}"
