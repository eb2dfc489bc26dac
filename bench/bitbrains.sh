# shellcheck shell=bash
# bitbrains.*: 250 VMs of a business data centre over a week, honest mode, two-socket hosts of 2023: Chorok's own policy
# with memory as used and as sold, against the same hosts never switched off and against DVFS alone (VMs packed by their
# sizes, power by load). All four are run here. Sourced by run.sh.

bench_bitbrains() {
  local data=${BENCH_DATA:-$ROOT/../shared/data} policy
  if [ ! -f "$data/bitbrains/vms.csv" ]; then
    say "SKIPPED, NOT MEASURED: no $data/bitbrains (BENCH_DATA names another folder)"
    exit 0
  fi
  for policy in always-on dvfs chorok chorok-provisioned; do
    say "$policy"
    "$BIN/chorok" sim run bitbrains --traces "$data/bitbrains" --policy "$policy" -o json >"$SAMPLES/$policy.json"
  done
  kwh() { jq .energy_kwh "$SAMPLES/$1.json"; }
  row bitbrains.real "kWh, memory as used; peer: never switching off" "$(kwh chorok)" "$(kwh always-on)" -
  row bitbrains.real_dvfs "the same; peer: DVFS alone" "$(kwh chorok)" "$(kwh dvfs)" -
  row bitbrains.provisioned "kWh, memory as sold; peer: never switching off" "$(kwh chorok-provisioned)" "$(kwh always-on)" -
  row bitbrains.provisioned_dvfs "the same; peer: DVFS alone" "$(kwh chorok-provisioned)" "$(kwh dvfs)" -
  row bitbrains.real_unmet "share of demand not given, memory as used" "$(jq .unmet_demand "$SAMPLES/chorok.json")" - -
  row bitbrains.provisioned_unmet "share of demand not given, memory as sold" "$(jq .unmet_demand "$SAMPLES/chorok-provisioned.json")" - -
}
