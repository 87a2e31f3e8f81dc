#!/usr/bin/env bash
# Runs every native fuzz target for a while. Usage: [FUZZTIME=30s] scripts/fuzz.sh
set -euo pipefail
cd "$(dirname "$0")/.."
time_each=${FUZZTIME:-30s}
ran=0
while IFS=: read -r file name; do
	echo "fuzz: $(dirname "$file") $name for $time_each"
	go test "./$(dirname "$file")" -run '^$' -fuzz "^$name\$" -fuzztime "$time_each" -fuzzminimizetime 100x </dev/null
	ran=$((ran + 1))
done < <(git ls-files -co --exclude-standard '*_test.go' | xargs -r grep -oHE '^func Fuzz[A-Za-z0-9_]+' | sed 's/:func /:/')
echo "fuzz: $ran targets"
