#!/usr/bin/env bash
# chorok advise on what others record: libvirt's test driver behind Debian's libvirt exporter, scraped by a real Prometheus.
# Prints "ok NAME" or "not ok NAME" and "N passed, N failed". All on loopback.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
ROOT=${CHOROK_ROOT:-$(dirname "$here")}
CHOROK=${CHOROK_BIN:-$ROOT/build/release/bin}/chorok
EXPORTER=127.0.0.1:19177 PROMETHEUS=127.0.0.1:19090
skip() { echo "skip advise: $*"; echo "0 passed, 0 failed"; exit 0; }
for tool in prometheus prometheus-libvirt-exporter virsh jq curl; do
  command -v "$tool" >/dev/null || skip "needs $tool"
done
[ -x "$CHOROK" ] || skip "needs chorok, built (./dev build)"

work=$(mktemp -d) started=()
trap 'for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; done; rm -rf "$work"' EXIT
passed=0 failed=0
check() { # NAME COMMAND [ARG...]
  local name=$1 output
  shift
  if output=$("$@" 2>&1); then
    echo "ok $name"
    passed=$((passed + 1))
  else
    echo "not ok $name"
    sed 's/^/  # /' <<<"$output"
    failed=$((failed + 1))
  fi
}

prometheus-libvirt-exporter --libvirt.uri test:///default --web.listen-address $EXPORTER >"$work/exporter.log" 2>&1 &
started+=($!)
printf 'global: {scrape_interval: 1s}\nscrape_configs: [{job_name: libvirt, static_configs: [{targets: ["%s"]}]}]\n' $EXPORTER >"$work/prometheus.yml"
prometheus --config.file "$work/prometheus.yml" --storage.tsdb.path "$work/data" --web.listen-address $PROMETHEUS >"$work/prometheus.log" 2>&1 &
started+=($!)

# The exporter's VM, for as long as two intervals and the rate's window need.
has_samples() { curl -fs "http://$PROMETHEUS/api/v1/query" --data-urlencode 'query=count_over_time(libvirt_domain_info_virtual_cpus[1h])' | jq -e '.data.result[0].value[1] // "0" | tonumber >= 35' >/dev/null; }
limit=$((SECONDS + 120))
until has_samples; do
  [ $SECONDS -lt $limit ] || { cat "$work"/*.log; echo "not ok prometheus_scrapes"; echo "0 passed, 1 failed"; exit 1; }
  sleep 1
done

from_prometheus() {
  "$CHOROK" advise --from "prometheus:http://$PROMETHEUS" --since 1h --step 10s --hosts spec-median-2017:2 -o json >"$work/advice.json"
  # The test driver's VM has 2 vCPUs and 8 GiB.
  jq -e '.clusters[0] | .vms == 1 and .hosts == 2 and .always_on.energy_kwh > 0' "$work/advice.json"
}
report_is_written() {
  "$CHOROK" advise --from "prometheus:http://$PROMETHEUS" --since 1h --step 10s --report "$work/advice.html" >/dev/null
  grep '</html>' "$work/advice.html"
}
says_what_is_missing() {
  local said
  ! said=$("$CHOROK" advise --from prometheus:http://127.0.0.1:1 2>&1)
  [[ $said == *"Prometheus at http://127.0.0.1:1"* && $said != *"manager"* ]]
}
# The test driver runs a VM and does not say what CPU it takes: the look goes through, and nothing is made up.
looks_at_libvirt() {
  local said
  ! said=$("$CHOROK" advise --from libvirt:test:///default --watch 30s --step 10s 2>&1)
  [[ $said == *"no VM runs on libvirt:test:///default"* ]]
}
check from_prometheus from_prometheus
check report_is_written report_is_written
check says_what_is_missing says_what_is_missing
check looks_at_libvirt looks_at_libvirt
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
