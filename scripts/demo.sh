#!/usr/bin/env bash
# Runs the demo. DATA=folder of recordings, SPEED=times real time, ONCE=1 ends when the result is verified,
# KILL=1 kills the node in the middle and starts it again on the same folder, PORT=of the page.
set -euo pipefail
cd "$(dirname "$0")/.."
flags=()
[ -n "${DATA:-}" ] && flags+=("--data=$DATA")
[ -n "${SPEED:-}" ] && flags+=("--speed=$SPEED")
[ -n "${PORT:-}" ] && flags+=("--port=$PORT")
case "${ONCE:-}" in '' | 0) ;; *) flags+=(--once) ;; esac
case "${KILL:-}" in '' | 0) ;; *) flags+=(--kill) ;; esac
exec bin/paceline demo "${flags[@]}"
