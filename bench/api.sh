# shellcheck shell=bash
# api.*: a manager with 1,000 simulated hosts and 20,000 VMs, asked over TLS 1.3 by api_bench.cc. Sourced by run.sh.

bench_api() {
  local hosts=${BENCH_HOSTS:-1000} vms=${BENCH_VMS:-20000} port=${BENCH_PORT:-18443} state attempt token sim kind what p50 p99 value
  [ -x "$BIN/bench_api" ] || die "bench_api is not built: ./dev bench api"
  state=$(mktemp -d)
  "$BIN/chorok-sim" --hosts "$hosts" --vms 0 --records "$vms" --listen "127.0.0.1:$port" --state "$state" \
    --admin-password bench-password >"$SAMPLES/sim.log" 2>&1 &
  sim=$!
  # shellcheck disable=SC2064
  trap "kill $sim 2>/dev/null; wait $sim 2>/dev/null; rm -rf '$state'" EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  say "Waiting for $hosts hosts and $vms VMs"
  for ((attempt = 0; attempt < 600; attempt++)); do # 2 minutes
    kill -0 $sim 2>/dev/null || die "chorok-sim ended: $(tail -n 3 "$SAMPLES/sim.log")"
    if [ -z "${token:-}" ]; then
      token=$(curl -sS --fail --max-time 10 --cacert "$state/pki/ca.pem" -H 'Content-Type: application/json' \
        "https://127.0.0.1:$port/api/v1/login" -d '{"user":"admin","password":"bench-password"}' 2>/dev/null | jq -er .token) || token=
    else
      value=$(curl -sS --max-time 10 --cacert "$state/pki/ca.pem" -H "Authorization: Bearer $token" \
        "https://127.0.0.1:$port/api/v1/vms?limit=1" | jq -r .total)
      [ "$value" != "$vms" ] || break
    fi
    sleep 0.2
  done
  [ "${value:-}" = "$vms" ] || die "there are ${value:-no} VMs, not $vms"
  sleep "${BENCH_SETTLE:-5}"
  local first rows
  first=$(curl -sS --cacert "$state/pki/ca.pem" -H "Authorization: Bearer $token" "https://127.0.0.1:$port/api/v1/vms?limit=1" | jq -r '.items[0].meta.id')
  say "Measuring"
  local list="/api/v1/vms?limit=0&fields=meta/id,meta/name,status/state,status/host_name,spec/vcpus,spec/memory"
  rows=$(curl -sS --cacert "$state/pki/ca.pem" -H "Authorization: Bearer $token" "https://127.0.0.1:$port$list" | jq '.items | length')
  [ "$rows" = "$vms" ] || die "a list has $rows rows, not $vms"
  "$BIN/bench_api" 127.0.0.1 "$port" "$state/pki/ca.pem" "$token" latency "${PAIRS:-50}" "$list" >"$SAMPLES/list.us"
  "$BIN/bench_api" 127.0.0.1 "$port" "$state/pki/ca.pem" "$token" latency "${BENCH_GETS:-5000}" "/api/v1/vms/$first" >"$SAMPLES/get.us"
  "$BIN/bench_api" 127.0.0.1 "$port" "$state/pki/ca.pem" "$token" rate 8 5 "/api/v1/vms/$first" >"$SAMPLES/rps"
  for kind in list:list20k:100 get:get:2; do
    IFS=: read -r kind what value <<<"$kind"
    p50=$(median "$SAMPLES/$kind.us") p99=$(percentile 99 "$SAMPLES/$kind.us")
    row "api.$what" "ms p99 to the last byte$([ "$kind" = list ] && echo " of $vms rows" || echo " of one VM")" "$(jq -n "$p99 / 1000")" - "<=" "$value"
    row "api.${what}_p50" "ms p50 of the same" "$(jq -n "$p50 / 1000")" - "<=" "$value"
  done
  row api.rps "requests a second for one VM, 8 connections" "$(cat "$SAMPLES/rps")" - -
  row api.rss "MiB of manager and simulated hosts" "$(awk '/^VmRSS/ { print $2 / 1024 }' "/proc/$sim/status")" - -
}
