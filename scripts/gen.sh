#!/usr/bin/env bash
# Regenerates api/gen from api/proto. The output is committed, so that building, testing and the demo need
# neither buf nor Node. With --check it writes nothing and fails if the committed code differs.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/tools.sh gen
buf=tools/node_modules/.bin/buf

if [ "${1:-}" = --check ]; then
	fresh=$(mktemp -d)
	trap 'rm -rf "$fresh"' EXIT
	"$buf" generate --output "$fresh"
	diff -r "$fresh/api/gen" api/gen || {
		echo "gen: api/gen is not what api/proto gives: run make gen" >&2
		exit 1
	}
	echo "gen: api/gen is what api/proto gives"
	exit
fi

# Generated beside and copied over, so that a failing run leaves the old code where it was and a build that
# runs at the same time never meets an empty folder.
fresh=$(mktemp -d "${TMPDIR:-/tmp}/paceline-gen.XXXXXX")
trap 'rm -rf "$fresh"' EXIT
"$buf" generate --output "$fresh"
mkdir -p api/gen
cp -r "$fresh/api/gen/." api/gen/
chmod -R u+rwX,go+rX api/gen
(cd api/gen && find . -name '*.go') | while read -r file; do
	[ -e "$fresh/api/gen/$file" ] || rm -v "api/gen/$file"
done
find api/gen -name '*.go' | sort
