#!/usr/bin/env bash
# Every test of the project. Usage: scripts/test.sh
# It starts a Cassandra for the CQL driver's tests, unless PACELINE_CQL_HOSTS names servers, and stops it, whatever
# happens. The order is fastest answer first: vet, the house rules, Go under the race detector, Go without it, the page.
# Everything is run to its end, also when something before it failed; the last lines say what failed and what
# was skipped, with the reason. The raw output stays in bin/test/. See docs/testing.md.
set -uo pipefail
cd "$(dirname "$0")/.."
began=$SECONDS
mkdir -p bin/test
rm -f bin/test/*
failed=()

step() { # step NAME COMMAND...
	local name=$1 from=$SECONDS
	shift
	echo "== $name"
	if "$@"; then
		echo "== $name: ok, $((SECONDS - from)) s"
	else
		failed+=("$name")
		echo "== $name: FAILED, $((SECONDS - from)) s"
	fi
}

# go_tests NAME GO_TEST_ARGUMENTS...: the raw stream is kept, a reader prints it for people.
go_tests() {
	local log=bin/test/$1.json
	shift
	go test -json -timeout "${TEST_TIMEOUT:-25m}" "$@" | tee "$log" | bin/tools/testreport | tee "${log%.json}.txt"
	local codes=("${PIPESTATUS[@]}")
	[ "${codes[0]}" -eq 0 ] && [ "${codes[2]}" -eq 0 ]
}

# Whole nodes with Proto.Actor's remote and cluster run without the race detector: the library has known races
# of its own (docs/testing.md names them), which would drown ours. Everything else runs under it.
# The world is one thread on a virtual clock, the audit computes results one after the other: the detector could find
# nothing in them and would make 1,000 seeds and large fields ten times as slow.
whole_nodes='^paceline/(cluster|cmd|simulations/trial|simulations/swarm|simulations/world|simulations/audit)(/|$)'

# The Cassandra of this run, on addresses and in a folder of its own: it starts while the page and the packages are built.
cassandra=
start_cassandra() {
	local n
	for n in $(seq 1 200); do
		CASSANDRA_NET=127.200.$(((n + $$) % 200 + 10))
		(exec 3<>"/dev/tcp/$CASSANDRA_NET.1/9042") 2>/dev/null || break
	done
	CASSANDRA_DIR=$(mktemp -d "${TMPDIR:-/tmp}/paceline-cassandra.XXXXXX")
	export CASSANDRA_NET CASSANDRA_DIR CASSANDRA_WITH=$$ CASSANDRA_PORT=9042 NODES=1
	PACELINE_CQL_HOSTS=$(scripts/cassandra.sh hosts)
	export PACELINE_CQL_HOSTS
	scripts/cassandra.sh start >bin/test/cassandra.log 2>&1 &
	cassandra=$!
}
cassandra_answers() { # it was started in the background; here its answer is waited for
	[ -n "$cassandra" ] || {
		echo "PACELINE_CQL_HOSTS=$PACELINE_CQL_HOSTS"
		return
	}
	wait "$cassandra"
	local code=$?
	cat bin/test/cassandra.log
	return $code
}
stop_cassandra() {
	[ -n "$cassandra" ] || return 0
	kill "$cassandra" 2>/dev/null && wait "$cassandra" 2>/dev/null
	scripts/cassandra.sh stop -9 >/dev/null
	rm -rf "$CASSANDRA_DIR"
}
trap stop_cassandra EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

needs=(gcc java maven ip)
[ -f web/package.json ] && needs+=(node)
if grep -rqs --include='*_test.go' chromedp cmd gateway simulations web internal ||
	grep -qsE 'playwright|puppeteer' web/package.json; then
	needs+=(chromium)
fi
scripts/deps.sh "${needs[@]}" || exit 1
[ -n "${PACELINE_CQL_HOSTS:-}" ] || start_cassandra
scripts/tools.sh test || exit 1

# The page goes into the binary (web/embed.go), so it comes before everything that compiles it.
step "page build" scripts/web.sh build
mapfile -t all < <(go list ./... | grep -v '^paceline/api/gen/') # generated code has no tests of its own
mapfile -t raced < <(printf '%s\n' "${all[@]}" | grep -vE "$whole_nodes" | grep -v '^paceline/internal/archtest$')
mapfile -t unraced < <(printf '%s\n' "${all[@]}" | grep -E "$whole_nodes")

step "go vet" go vet ./...
step "house rules" go test -count=1 ./internal/archtest
step "tools" go -C tools test ./testreport
step "deploy" go -C tools/deploycheck test -count=1 ./...
step "Cassandra" cassandra_answers
[ ${#raced[@]} -gt 0 ] && step "go test -race" go_tests race -race -p 2 "${raced[@]}"
[ ${#unraced[@]} -gt 0 ] && step "go test (whole nodes, the world)" go_tests nodes -p 2 "${unraced[@]}"
[ -f web/package.json ] && step "page tests" scripts/web.sh test

echo
# One sum over both runs of go test, and what was skipped once more, where nobody can miss it.
grep -hs '^  SKIP ' bin/test/*.txt
cat bin/test/*.txt | awk '/^tests: / { p += $2; f += $4; s += $6 }
	END { printf "total: %d passed, %d failed, %d skipped\n", p, f, s }'
echo "make test: $((SECONDS - began)) s, $(nproc) cores"
if [ ${#failed[@]} -gt 0 ]; then
	printf 'FAILED: %s\n' "${failed[@]}"
	exit 1
fi
echo "PASSED"
