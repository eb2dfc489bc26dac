# shellcheck shell=bash
# ./dev bench: measures both sides in one run, prints a table, writes build/bench/NAME.json and the raw samples beside it.
# Sourced by ./dev, which defines ROOT, say, die, deps and build.

BENCHES=(start migrate rest api compat)

verb_bench() { # [NAME...]: measure start, migrate, rest, api, compat (BENCH_PAIRS, BENCH_SECONDS: how much)
  local name
  [ $# -gt 0 ] || set -- "${BENCHES[@]}"
  for name in "$@"; do
    [[ " ${BENCHES[*]} " == *" $name "* ]] || die "no bench '$name'; there are: ${BENCHES[*]}"
  done
  for name in "$@"; do
    deps build
    [ "$name" = compat ] || deps lab
    case $name in
      compat) build release chorok >&2 ;;
      api) build release chorok-sim bench_api >&2 ;;
      *) build release chorok chorok-manager chorok-agent >&2 ;;
    esac
    "$ROOT/bench/run.sh" "$name"
  done
}
