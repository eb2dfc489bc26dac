# shellcheck shell=bash
# ./dev bench: measures both sides in one run, prints a table, writes build/bench/NAME.json and the raw samples beside it.
# Sourced by ./dev, which defines ROOT, say, die, deps and build.

BENCHES=(start migrate rest shares api compat energy bitbrains balance place forecast simulate snapshot live livefaults scale compile)

verb_bench() { # [NAME...]: measure start, migrate, rest, shares, api, compat, energy, bitbrains, balance, place, forecast, simulate, snapshot, live, livefaults, scale, compile (BENCH_PAIRS, BENCH_SECONDS: how much)
  local name
  [ $# -gt 0 ] || set -- "${BENCHES[@]}"
  for name in "$@"; do
    [[ " ${BENCHES[*]} " == *" $name "* ]] || die "no bench '$name'; there are: ${BENCHES[*]}"
  done
  for name in "$@"; do
    case $name in
      compat | energy | bitbrains) deps build && build release chorok >&2 ;;
      balance | place | forecast | simulate) deps build bench && build release bench_policy >&2 ;;
      snapshot) deps build bench && build release bench_snapshot >&2 ;;
      scale) deps build lab && build release chorok chorok-manager chorok-agent chorok-sim bench_api >&2 ;;
      compile) deps build && build release >&2 ;;
      api) deps build lab && build release chorok-sim bench_api >&2 ;;
      *) deps build lab && build release chorok chorok-manager chorok-agent >&2 ;;
    esac
    "$ROOT/bench/run.sh" "$name"
  done
}
