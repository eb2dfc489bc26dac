# shellcheck shell=bash
# place.*: a batch placed on a running cluster, and the check that any one host may fail. Sourced by run.sh.

bench_place() {
  local seed line
  for ((seed = 1; seed <= ${PAIRS:-20}; seed++)); do
    "$BIN/bench_policy" place 1000 20000 100 "$seed" | tee -a "$SAMPLES/place.log" | awk '{ print $2 * 1000 }' >>"$SAMPLES/place.ms"
    "$BIN/bench_policy" nplus1 1000 20000 "$seed" | tee -a "$SAMPLES/nplus1.log" | awk '{ print $2 }' >>"$SAMPLES/nplus1.s"
  done
  "$BIN/bench_policy" nplus1 1000 20000 1 2 >"$SAMPLES/nplus2.log"
  line=$(awk '{ p += $4; of += $6 } END { print p " of " of }' "$SAMPLES/place.log")
  row place.batch "ms median, 100 VMs onto 1000 hosts with 20000 VMs, $line placed" "$(median "$SAMPLES/place.ms")" - - ''
  row place.batch_p99 "ms p99 of the same" "$(percentile 99 "$SAMPLES/place.ms")" - - ''
  row place.nplus1 "s, the most of ${PAIRS:-20}: any of 1000 hosts with 20000 VMs may fail" "$(percentile 100 "$SAMPLES/nplus1.s")" - '<=' 1
  row place.nplus2 "s, two of 1000 hosts with 20000 VMs may fail: $(field cases <"$SAMPLES/nplus2.log") sets, not all" "$(field seconds <"$SAMPLES/nplus2.log")" - - ''
}
