# shellcheck shell=bash
# compat.*: `chorok sim run planetlab-compat` on 20110303 against CloudSim 3.0.3. The CloudSim side is not run here: it is
# the reference recorded on 2026-11-21 (Java 17; 2 shared vCPUs), energy to two digits. Sourced by run.sh.

bench_compat() {
  local data=${BENCH_DATA:-$ROOT/../shared/data} day=20110303 policy name kwh migrations i
  local traces=$data/planetlab/$day.tar.xz
  if [ ! -f "$traces" ]; then
    say "SKIPPED, NOT MEASURED: no $traces (BENCH_DATA names another folder with planetlab/$day.tar.xz)"
    exit 0
  fi
  while read -r name policy kwh migrations; do
    "$BIN/chorok" sim run planetlab-compat --traces "$traces" --policy "$policy" -o json >"$SAMPLES/$name.json"
    row "compat.$name.energy" "kWh, $policy on $day; peer: CloudSim 3.0.3 as recorded, goal within 1 %" \
      "$(jq .energy_kwh "$SAMPLES/$name.json")" "$kwh" "within" 0.01
    row "compat.$name.migrations" "migrations, $policy on $day; peer: CloudSim 3.0.3 as recorded, goal within 3 %" \
      "$(jq .migrations "$SAMPLES/$name.json")" "$migrations" "within" 0.03
  done <<'END'
npa npa 2410.80 0
dvfs dvfs 802.75 0
thr thr-mmt-0.8 192.62 26711
iqr iqr-mmt-1.5 189.98 26282
mad mad-mmt-2.5 185.79 26556
lr lr-mmt-1.2 163.48 27859
END
  # CPU seconds of the whole command, reading and bounds included, so that others on the machine do not count. The second
  # line of `times` is what the children took: 0m0.071s 0m0.005s.
  for ((i = 0; i < ${PAIRS:-15}; i++)); do
    ("$BIN/chorok" sim run planetlab-compat --traces "$traces" --policy lr-mmt-1.2 -o json >/dev/null && times) |
      awk -F'[ms ]+' 'NR == 2 { print $1 * 60 + $2 + $3 * 60 + $4 }' >>"$SAMPLES/lr.cpu_s"
  done
  row compat.lr.time "CPU s of one LR-MMT day, median of ${PAIRS:-15}; peer: CloudSim 3.0.3 as recorded (user)" \
    "$(median "$SAMPLES/lr.cpu_s")" 19.97 "<=" 0.1
  row compat.lr.rss "MiB at most; peer: CloudSim 3.0.3 as recorded" "$(jq .peak_rss_mib "$SAMPLES/lr.json")" 2159 -
}
