#!/usr/bin/env bash
# Builds the pinned tools into bin/tools. Usage: scripts/tools.sh [gen] [lint] [test]
#   gen   buf (npm, tools/package-lock.json) and the two Go generators (tools/go.mod)
#   lint  golangci-lint (tools/lint/go.mod)
#   test  the reader of go test's output (tools/testreport, no dependency)
# A tool that is already there in the pinned version is not built again.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p bin/tools

build_gen() {
	scripts/deps.sh node
	local stamp=bin/tools/.gen want
	want=$(cat tools/go.sum tools/package-lock.json | sha256sum)
	if [ "$(cat "$stamp" 2>/dev/null)" = "$want" ] && [ -x tools/node_modules/.bin/buf ]; then return; fi
	echo "tools: buf from npm, protoc-gen-go and protoc-gen-connect-go from tools/go.mod"
	# Not npm ci: the lock lists only the platforms that the last writer's registry had, ci insists on all. The
	# versions are exact either way.
	(cd tools && npm install --no-save --no-audit --no-fund --loglevel=error >/dev/null)
	(cd tools && go build -o ../bin/tools/ google.golang.org/protobuf/cmd/protoc-gen-go connectrpc.com/connect/cmd/protoc-gen-connect-go)
	printf '%s\n' "$want" >"$stamp"
}

build_lint() {
	local stamp=bin/tools/.lint want
	want=$(sha256sum <tools/lint/go.sum)
	if [ "$(cat "$stamp" 2>/dev/null)" = "$want" ] && [ -x bin/tools/golangci-lint ]; then return; fi
	echo "tools: golangci-lint from tools/lint/go.mod (several minutes, once)"
	(cd tools/lint && go build -o ../../bin/tools/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint)
	printf '%s\n' "$want" >"$stamp"
}

build_test() { (cd tools && go build -o ../bin/tools/testreport ./testreport); }

for what in "$@"; do
	case $what in
	gen) build_gen ;;
	lint) build_lint ;;
	test) build_test ;;
	*)
		echo "tools.sh: unknown tool set: $what" >&2
		exit 2
		;;
	esac
done
