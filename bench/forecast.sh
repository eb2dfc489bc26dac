# shellcheck shell=bash
# forecast.*: Chorok's forecast against the last value and the mean of the last hour. Sourced by run.sh.

bench_forecast() {
  local data=${BENCH_DATA:-$ROOT/../shared/data} day
  if ! compgen -G "$data/planetlab/*.tar.xz" >/dev/null; then
    say "SKIPPED, NOT MEASURED: no traces in $data/planetlab (BENCH_DATA names another folder)"
    exit 0
  fi
  for day in "$data"/planetlab/*.tar.xz; do "$BIN/bench_policy" forecast "$day" >>"$SAMPLES/days"; done
  local ours
  ours=$(awk '{ s += $2 } END { print s / NR }' "$SAMPLES/days")
  row forecast.last "mean error, % of a VM, ten minutes ahead; peer: the last value" "$ours" "$(awk '{ s += $4 } END { print s / NR }' "$SAMPLES/days")" 'ratio<=' 1
  row forecast.average "the same; peer: the mean of the last hour" "$ours" "$(awk '{ s += $6 } END { print s / NR }' "$SAMPLES/days")" 'ratio<=' 1
  row forecast.upper "share of samples above the 99 % quantile" "$(awk '{ s += $8 } END { print s / NR }' "$SAMPLES/days")" - '<=' 0.01
  row forecast.bytes "of one VM and resource" "$(awk 'NR == 1 { print $10 }' "$SAMPLES/days")" - - ''
}
