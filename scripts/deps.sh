#!/usr/bin/env bash
# Installs Debian packages that a target needs and the machine lacks. Usage: scripts/deps.sh node|chromium|gcc|redis|java|maven|ip ...
# It says what it is about to install before it does, and does nothing where everything is there.
set -euo pipefail
node_major_min=18

missing=()
for need in "$@"; do
	case $need in
	node)
		if command -v node >/dev/null && command -v npm >/dev/null; then
			major=$(node -p 'process.versions.node.split(".")[0]')
			if [ "$major" -lt "$node_major_min" ]; then
				echo "deps: node $(node --version) is too old, $node_major_min or newer is needed; please install one" >&2
				exit 1
			fi
		else
			missing+=(nodejs npm)
		fi
		;;
	chromium)
		command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || missing+=(chromium)
		;;
	redis) # the board's baseline in make bench
		command -v redis-server >/dev/null || missing+=(redis-server)
		;;
	java) # Cassandra 5.0 runs on 17; scripts/cassandra.sh takes it also where the machine's own java is another
		compgen -G '/usr/lib/jvm/*17*/bin/java' >/dev/null ||
			java -version 2>&1 | grep -qE 'version "17[."]' || missing+=(openjdk-17-jre-headless)
		;;
	ip) # the trials' splits: network namespaces (Linux)
		[ "$(uname)" != Linux ] || command -v ip >/dev/null || missing+=(iproute2)
		;;
	maven) # fetches Cassandra's jars
		command -v mvn >/dev/null || missing+=(maven)
		;;
	gcc) # the race detector is linked with it
		command -v gcc >/dev/null || missing+=(gcc libc6-dev)
		;;
	*)
		echo "deps: unknown need: $need" >&2
		exit 2
		;;
	esac
done
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
	echo "deps: needed and not found: ${missing[*]}. This is no Debian or Ubuntu: please install them yourself." >&2
	exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
	command -v sudo >/dev/null || {
		echo "deps: needed and not found: ${missing[*]}. Please run as root: apt-get install ${missing[*]}" >&2
		exit 1
	}
	as_root=(sudo)
fi
echo "deps: this machine lacks ${missing[*]}: installing with apt-get now"
export DEBIAN_FRONTEND=noninteractive
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null || {
	echo "deps: apt-get could not install ${missing[*]}: please install them yourself" >&2
	exit 1
}
echo "deps: installed ${missing[*]}"
