#!/usr/bin/env bash
# Everything that can be said about the code without running it. All of it runs, also after a failure.
set -uo pipefail
cd "$(dirname "$0")/.."
failed=()
step() {
	echo "== $1"
	"${@:2}" || failed+=("$1")
}

formatted() {
	local bad
	bad=$(git ls-files -co --exclude-standard '*.go' | grep -v '^api/gen/' | xargs -r gofmt -l)
	[ -z "$bad" ] || {
		printf 'not gofmt-ed:\n%s\n' "$bad"
		return 1
	}
}

tidy() {
	go mod tidy -diff >/dev/null || {
		echo "go.mod or go.sum is not what go mod tidy gives: run it"
		return 1
	}
}

scripts/tools.sh gen lint || exit 1
step "gofmt" formatted
step "go mod tidy" tidy
step "go vet" go vet ./...
step "house rules" go test -count=1 ./internal/archtest
step "golangci-lint" bin/tools/golangci-lint run ./...
step "buf lint" tools/node_modules/.bin/buf lint
if git rev-parse -q --verify "${BREAKING_AGAINST:-main}:api/proto" >/dev/null 2>&1; then
	step "buf breaking" tools/node_modules/.bin/buf breaking --against ".git#branch=${BREAKING_AGAINST:-main}"
else
	echo "== buf breaking: there is no branch ${BREAKING_AGAINST:-main} with api/proto to compare with, not run"
fi
step "generated code" scripts/gen.sh --check

if [ ${#failed[@]} -gt 0 ]; then
	printf 'FAILED: %s\n' "${failed[@]}"
	exit 1
fi
echo "lint: ok"
