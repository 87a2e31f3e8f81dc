#!/usr/bin/env bash
# Runs one seed of the simulated world, as CI printed it. Usage: SEED=1234 scripts/sim.sh [go test flags]
set -euo pipefail
cd "$(dirname "$0")/.."
: "${SEED:?which one? make sim SEED=1234}"
PACELINE_SEED=$SEED exec go test -count=1 ./simulations/world -run '^TestSeed$' -v "$@"
