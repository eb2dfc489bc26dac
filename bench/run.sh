#!/usr/bin/env bash
# One bench (./dev bench NAME builds first). README.md says what is measured and how.
# What run.sh and the sourced parts set for each other looks unused to shellcheck.
# shellcheck disable=SC2034
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
ROOT=${CHOROK_ROOT:-$(dirname "$here")}
BIN=${CHOROK_BIN:-$ROOT/build/release/bin}
OUT=$ROOT/build/bench
NAME=${1:?the name of a bench, as in ./dev bench}
PAIRS=${BENCH_PAIRS:-}
ROWS=()
LOAD_BEFORE=$(cut -d' ' -f1-3 /proc/loadavg)

say() { printf '==> %s\n' "$*" >&2; }
die() { printf 'bench %s: %s\n' "$NAME" "$*" >&2; exit 1; }

now_us() { echo "${EPOCHREALTIME/./}"; }

# --- numbers -----------------------------------------------------------------------------------------------------------

percentile() { # PERCENT FILE: nearest rank; a file of one number a line
  sort -g "$2" | awk -v p="$1" '{ v[NR] = $1 } END { if (!NR) exit 1; i = int(NR * p / 100 + 0.999999); print v[i < 1 ? 1 : i] }'
}
median() { sort -g "$1" | awk '{ v[NR] = $1 } END { if (!NR) exit 1; m = int(NR / 2); print NR % 2 ? v[m + 1] : (v[m] + v[m + 1]) / 2 }'; }

field() { awk -v name="$1" '{ for (i = 1; i < NF; i++) if ($i == name) print $(i + 1) }'; } # NAME: the word behind it

row() { # ID WHAT OURS PEER|- GOAL_OP(<=|>=|ratio<=|within|-) GOAL; within: that share of the peer, both ways
  ROWS+=("$(jq -cn --arg id "$1" --arg what "$2" --argjson ours "$3" --argjson peer "${4/#-/null}" --arg op "$5" --argjson goal "${6:-null}" '
    (if $peer != null and $peer > 0 then $ours / $peer else null end) as $ratio
    | {id: $id, what: $what, ours: $ours, peer: $peer, ratio: $ratio, goal: (if $op == "-" then null else "\($op) \($goal)" end),
       met: (if $op == "<=" then $ours <= $goal elif $op == ">=" then $ours >= $goal
             elif $op == "ratio<=" then ($ratio != null and $ratio <= $goal)
             elif $op == "within" then ($peer != null and ($ours - $peer | fabs) <= $goal * $peer) else true end)}')")
}

finish() {
  local machine
  machine="$(nproc) x $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | sed -n 1p), $(awk '/^MemTotal/ { printf "%.0f GiB", $2 / 1048576 }' /proc/meminfo), Linux $(uname -r)"
  printf '%s\n' "${ROWS[@]}" | jq -s --arg name "$NAME" --arg machine "$machine" --arg date "$(date -u +%FT%TZ)" \
    --arg before "$LOAD_BEFORE" --arg after "$(cut -d' ' -f1-3 /proc/loadavg)" --arg commit "$(git -C "$ROOT" rev-parse --short HEAD 2>/dev/null || true)" \
    '{$name, $machine, $date, $commit, load: {$before, $after}, rows: .}' >"$OUT/$NAME.json.new"
  mv "$OUT/$NAME.json.new" "$OUT/$NAME.json"
  jq -r '"\(.name): \(.machine), \(.date), commit \(.commit), load \(.load.before) -> \(.load.after)"' "$OUT/$NAME.json"
  {
    printf 'ROW\tWHAT\tOURS\tPEER\tRATIO\tGOAL\tMET\n'
    jq -r 'def n: if . == null then "-" elif . >= 100 then round else . * 1000 | round / 1000 end;
      .rows[] | [.id, .what, (.ours | n), (.peer | n), (.ratio | n), (.goal // "-"), (if .met then "yes" else "NO" end)] | @tsv' "$OUT/$NAME.json"
  } | column -t -s $'\t'
  echo "written: build/bench/$NAME.json; samples: build/bench/$NAME.samples/"
}

# --- the run -----------------------------------------------------------------------------------------------------------

[ -f "$here/$NAME.sh" ] || die "there is no such bench"
SAMPLES=$OUT/$NAME.samples
rm -rf "$SAMPLES"
mkdir -p "$SAMPLES"
for tool in jq curl column awk; do command -v $tool >/dev/null || die "needs $tool"; done
case $NAME in
  start | migrate | rest | shares | live | livefaults | scale)
    # shellcheck source=lab.sh
    . "$here/lab.sh" ;;
esac
# shellcheck source=/dev/null
. "$here/$NAME.sh"
"bench_$NAME"
finish
