#!/usr/bin/env bash
# Builds the page (web/) into the folder that web/embed.go embeds. Usage: scripts/web.sh build|test
set -euo pipefail
cd "$(dirname "$0")/.."
[ -f web/package.json ] || {
	echo "web: there is no web/package.json, no page to ${1:-build}"
	exit 0
}
scripts/deps.sh node

install() {
	local stamp=web/node_modules/.paceline want
	want=$(cat web/package.json web/package-lock.json | sha256sum)
	[ "$(cat "$stamp" 2>/dev/null)" = "$want" ] && return
	echo "web: installing the page's packages (web/package-lock.json)"
	# Not npm ci: it insists on the lock naming every platform's binaries; versions are exact either way.
	(cd web && npm install --no-save --no-audit --no-fund --loglevel=error >/dev/null)
	printf '%s\n' "$want" >"$stamp"
}

has_script() { node -e 'process.exit(require("./web/package.json").scripts?.[process.argv[1]] ? 0 : 1)' "$1"; }

case "${1:-build}" in
build)
	install
	echo "web: building the page"
	(cd web && npm run --silent build)
	;;
test)
	install
	has_script test || {
		echo "web: web/package.json has no test script"
		exit 1
	}
	(cd web && npm test --silent)
	;;
*)
	echo "usage: web.sh build|test" >&2
	exit 2
	;;
esac
