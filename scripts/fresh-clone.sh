#!/usr/bin/env bash
# Shows that what is committed is enough: clones the repository to a folder of its own and runs the two
# commands of the README there. Usage: scripts/fresh-clone.sh [test] [demo]   (both, if none is named)
# KEEP=1 keeps the clone. What is not committed here is not in it.
set -euo pipefail
cd "$(dirname "$0")/.."
source=$PWD
recordings=${PACELINE_DATA:-$source/../shared/data}
clone=$(mktemp -d "${TMPDIR:-/tmp}/paceline-clone.XXXXXX")
[ -n "${KEEP:-}" ] || trap 'chmod -R u+w "$clone"; rm -rf "$clone"' EXIT

changed=$(git status --porcelain | wc -l)
[ "$changed" -eq 0 ] || echo "fresh-clone: $changed files here are not committed and not in the clone"
git clone -q --no-hardlinks "$source" "$clone/paceline"
cd "$clone/paceline"
echo "fresh-clone: $(git log -1 --format='%h %s') in $PWD"
# The recordings lie beside the repository, not in it.
[ -d "$recordings" ] && PACELINE_DATA=$(cd "$recordings" && pwd) && export PACELINE_DATA

what=("$@")
[ ${#what[@]} -gt 0 ] || what=(test demo)
for target in "${what[@]}"; do
	from=$SECONDS
	case $target in
	test) make test ;;
	demo) make demo ONCE=1 PORT=0 ;;
	*)
		echo "fresh-clone: unknown target $target" >&2
		exit 2
		;;
	esac
	echo "fresh-clone: make $target: ok, $((SECONDS - from)) s"
done
left=$(git status --porcelain)
[ -z "$left" ] || {
	printf 'fresh-clone: the run left files that are neither committed nor ignored:\n%s\n' "$left"
	exit 1
}
