#!/usr/bin/env bash
# Builds bin/paceline: the page first, because the binary carries it.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/web.sh build
echo "build: bin/paceline"
# Without -trimpath: so it shares the build cache with the tests.
go build -o bin/paceline ./cmd/node
