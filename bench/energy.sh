# shellcheck shell=bash
# energy.*: Chorok's own policy on the five PlanetLab days, one default setting for all, against LR-MMT run in the same
# mode of the same engine (which is CloudSim's LR-MMT to the migration: see compat) and the lower bounds. Sourced by run.sh.

energy_run() { # EXPERIMENT DAY POLICY
  local out=$SAMPLES/$1.$2.$3.json
  [ -s "$out" ] || "$BIN/chorok" sim run "$1" --traces "$data/planetlab/$2.tar.xz" --policy "$3" -o json >"$out"
}
energy_sum() { jq -s "[.[] | $2] | add" "$SAMPLES"/$1; } # FILES EXPRESSION
energy_max() { jq -s "[.[] | $2] | max" "$SAMPLES"/$1; }

bench_energy() {
  local data=${BENCH_DATA:-$ROOT/../shared/data} day
  if ! compgen -G "$data/planetlab/*.tar.xz" >/dev/null; then
    say "SKIPPED, NOT MEASURED: no traces in $data/planetlab (BENCH_DATA names another folder)"
    exit 0
  fi
  for day in "$data"/planetlab/*.tar.xz; do
    day=$(basename "$day" .tar.xz)
    say "$day"
    energy_run planetlab-compat "$day" lr-mmt-1.2
    energy_run planetlab-compat "$day" chorok
    energy_run planetlab-honest "$day" chorok
    row "energy.compat.$day.kwh" "kWh, $(jq .migrations "$SAMPLES/planetlab-compat.$day.chorok.json") migrations, $(jq '.true_overload * 1e5 | round / 1e3' "$SAMPLES/planetlab-compat.$day.chorok.json") % overload; peer: LR-MMT, $(jq .migrations "$SAMPLES/planetlab-compat.$day.lr-mmt-1.2.json") migrations" \
      "$(jq .energy_kwh "$SAMPLES/planetlab-compat.$day.chorok.json")" "$(jq .energy_kwh "$SAMPLES/planetlab-compat.$day.lr-mmt-1.2.json")" - ''
  done
  row energy.compat.total "kWh, all days; peer: LB0" "$(energy_sum 'planetlab-compat.*.chorok.json' .energy_kwh)" \
    "$(energy_sum 'planetlab-compat.*.chorok.json' .lb0_kwh)" 'ratio<=' 1.40
  if [ -f "$SAMPLES/planetlab-compat.20110303.chorok.json" ]; then
    row energy.compat.20110303 "kWh; peer: LR-MMT" "$(jq .energy_kwh "$SAMPLES/planetlab-compat.20110303.chorok.json")" \
      "$(jq .energy_kwh "$SAMPLES/planetlab-compat.20110303.lr-mmt-1.2.json")" '<=' 130
    row energy.compat.migrations "on 20110303; peer: LR-MMT" "$(jq .migrations "$SAMPLES/planetlab-compat.20110303.chorok.json")" \
      "$(jq .migrations "$SAMPLES/planetlab-compat.20110303.lr-mmt-1.2.json")" '<=' 2500
  fi
  row energy.compat.overload "most of any day: share of host time with demand above capacity; peer: LR-MMT" \
    "$(energy_max 'planetlab-compat.*.chorok.json' .true_overload)" "$(energy_max 'planetlab-compat.*.lr-mmt-1.2.json' .true_overload)" '<=' 0.001
  row energy.honest.total "kWh, all days; peer: LB2" "$(energy_sum 'planetlab-honest.*.chorok.json' .energy_kwh)" \
    "$(energy_sum 'planetlab-honest.*.chorok.json' .lb2_kwh)" 'ratio<=' 1.05
  row energy.honest.unmet "most of any day: share of demand not given" "$(energy_max 'planetlab-honest.*.chorok.json' .unmet_demand)" - '<=' 0.001
}
