#!/usr/bin/env bash
# Builds bin/paceline: the page first, because the binary carries it.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/web.sh build
echo "build: bin/paceline"
go build -trimpath -o bin/paceline ./cmd/node
