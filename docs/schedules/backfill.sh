#!/usr/bin/env bash
# Days that were missed, oldest first: `backfill.sh FILE FROM TO [FLAGS…]`, e.g. `backfill.sh shop.yaml 2026-01-01 2026-01-31 --store /srv/tuwen`.
# `{date}` in the file stands for the day (`root: /data/shop/{date}`). Results are named by content: nothing is made twice, and a day that
# is there already costs a look. The last day is current afterwards, so end with the newest. Codes that a second try can help with are tried again, the others end the backfill.
set -euo pipefail
program="${TUWEN_PROGRAM:-tuwen}"
tries="${BACKFILL_TRIES:-5}"
wait="${BACKFILL_WAIT:-600}"
file="$1" day="$(date -u -d "$2" +%F)" last="$(date -u -d "$3" +%F)"
shift 3
# Beside the file, where its relative paths start.
filled="$(mktemp "$(dirname "$file")/.backfill.XXXXXX.yaml")"
trap 'rm -f "$filled"' EXIT

while [[ ! "$day" > "$last" ]]; do
    sed "s/{date}/$day/g" "$file" >"$filled"
    for ((try = 1; ; try++)); do
        code=0
        "$program" run "$filled" --logical-date "$day" --run-id "backfill-$day" "$@" || code=$?
        case "$code" in
        0) break ;;
        69 | 73 | 74 | 75) ((try < tries)) || exit "$code" ;;
        *) exit "$code" ;;
        esac
        sleep "$wait"
    done
    day="$(date -u -d "$day + 1 day" +%F)"
done
