# shellcheck shell=bash
# simulate.*: the data centre in virtual time, Chorok's planner at every tick. Sourced by run.sh.

bench_simulate() {
  local hosts vms ticks line
  while read -r hosts vms ticks; do
    say "$hosts hosts, $vms VMs, $ticks ticks"
    line=$("$BIN/bench_policy" simulate "$hosts" "$vms" "$ticks" "${BENCH_SEED:-1}" | tee "$SAMPLES/$hosts.log")
    row "simulate.$hosts" "ticks a second, $vms VMs, $ticks ticks, $(field migrations <<<"$line") migrations, $(field rss_mib <<<"$line") MiB" \
      "$(field ticks_per_s <<<"$line")" - - ''
  done <<<"1000 10000 ${BENCH_TICKS:-288}
10000 100000 ${BENCH_TICKS_LARGE:-24}"
  say "10000 hosts, 100000 VMs, HA, and ten faults of each kind a host and year"
  line=$("$BIN/bench_policy" simulate 10000 100000 "${BENCH_TICKS_LARGE:-24}" "${BENCH_SEED:-1}" 10 | tee "$SAMPLES/faults.log")
  row simulate.faults "ticks a second with HA and $(field faults <<<"$line") faults: $(field lost <<<"$line") VMs lost, $(field restarted <<<"$line") restarted" \
    "$(field ticks_per_s <<<"$line")" - - ''
  row simulate.doubles "VMs that were started while they ran" "$(field doubles <<<"$line")" - '<=' 0
}
