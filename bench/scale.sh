# shellcheck shell=bash
# scale.*: what it costs to look after many. The manager: BENCH_HOSTS (1000) simulated hosts with BENCH_VMS (20000) running VMs
# (chorok-sim), telemetry every ten seconds, DRS and DPM on: a round, memory, CPU over BENCH_SECONDS (180) in which nobody asks for
# anything, then lists. Hosts and their agents are a process of their own that dials over TLS, so that the manager's process is the
# manager; its records and its history are files, as in production. The agent: one real host of the lab with BENCH_GUESTS (20) guests
# of 64 MiB that stand still at their first instruction, where there is no KVM: what it costs to watch them, not what they do. With
# BENCH_FOREIGN more that virsh starts, which admission does not count. Sourced by run.sh.

api() { # METHOD PATH [BODY]
  curl -sS --fail-with-body --max-time 60 --cacert "$state/pki/ca.pem" -H "Authorization: Bearer $token" -H 'Content-Type: application/json' \
    -X "$1" "https://127.0.0.1:$port/api/v1$2" ${3:+-d "$3"}
}

cpu_ticks() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"; }

scale_manager() {
  local hosts=${BENCH_HOSTS:-1000} vms=${BENCH_VMS:-20000} port=${BENCH_PORT:-18543} seconds=${BENCH_SECONDS:-180}
  local state token='' sim peers attempt on=0 before began took ticks peers_ticks
  state=$(mktemp -d)
  "$BIN/chorok-sim" --hosts "$hosts" --vms "$vms" --apart --disk --listen "127.0.0.1:$port" --state "$state" \
    --admin-password bench-password >"$SAMPLES/sim.log" 2>&1 &
  sim=$!
  # shellcheck disable=SC2064
  trap "kill $sim 2>/dev/null || true; wait $sim 2>/dev/null || true; rm -rf '$state'" EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  say "Creating and starting $vms VMs on $hosts hosts"
  for ((attempt = 0; attempt < 1800; attempt++)); do # half an hour
    kill -0 $sim 2>/dev/null || die "chorok-sim ended: $(tail -n 3 "$SAMPLES/sim.log")"
    if [ -z "$token" ]; then
      token=$(curl -sS --fail --max-time 10 --cacert "$state/pki/ca.pem" -H 'Content-Type: application/json' \
        "https://127.0.0.1:$port/api/v1/login" -d '{"user":"admin","password":"bench-password"}' 2>/dev/null | jq -er .token) || token=
    else
      on=$(api GET /status | jq .vms_on)
      [ "$on" != "$vms" ] || break
    fi
    sleep 1
  done
  [ "$on" = "$vms" ] || die "$on VMs run, not $vms"
  say "$vms VMs run after $SECONDS s; DRS and DPM on"
  api PATCH /clusters/default '{"settings":{"balance":{"automation":"full"},"power":{"automation":"full"}}}' >/dev/null
  sleep "${BENCH_SETTLE:-150}"
  say "$seconds seconds of rest"
  peers=$(tr -d ' ' <"/proc/$sim/task/$sim/children") # the hosts' process
  before=$(cpu_ticks $sim) peers_ticks=$(cpu_ticks "$peers") began=$(now_us)
  sleep "$seconds"
  ticks=$(($(cpu_ticks $sim) - before)) peers_ticks=$(($(cpu_ticks "$peers") - peers_ticks)) took=$(($(now_us) - began))
  awk '/^VmRSS|^VmHWM/' "/proc/$sim/status" >"$SAMPLES/memory"
  awk '/^VmRSS|^VmHWM/' "/proc/$peers/status" >"$SAMPLES/memory.hosts"
  for ((attempt = 0; attempt < 5; attempt++)); do # a round a minute
    api GET /clusters/default/plan | jq '{round, took, actions: (.plan.actions | length)}' >>"$SAMPLES/rounds.json"
    [ $attempt = 4 ] || sleep 61
  done
  row scale.round "s, the longest of five rounds of DRS and DPM" "$(jq -s 'map(.took) | max' "$SAMPLES/rounds.json")" - "<=" 1
  row scale.cpu "of a core: the manager, $seconds s of rest" "$(jq -n "$ticks / $(getconf CLK_TCK) / ($took / 1000000)")" - "<=" 0.25
  row scale.rss "MiB of the manager" "$(awk '/^VmRSS/ { print $2 / 1024 }' "$SAMPLES/memory")" - "<=" 300
  row scale.hosts_cpu "of a core: $hosts simulated hosts and their agents" \
    "$(jq -n "$peers_ticks / $(getconf CLK_TCK) / ($took / 1000000)")" - -
  row scale.hosts_rss "MiB of those" "$(awk '/^VmRSS/ { print $2 / 1024 }' "$SAMPLES/memory.hosts")" - -
  scale_list
  kill $sim 2>/dev/null
  wait $sim 2>/dev/null || true
  rm -rf "$state"
}

# Ten lists a second, each timed from when it was due, while a change of settings calls for a round every six seconds. Locals are
# those of scale_manager.
scale_list() {
  local list="/api/v1/vms?limit=0&fields=meta/id,meta/name,status/state,status/host_name,spec/vcpus,spec/memory" lister level=3
  local first
  say "Lists while rounds are taken"
  first=$(api GET /clusters/default/plan | jq .round)
  "$BIN/bench_api" 127.0.0.1 "$port" "$state/pki/ca.pem" "$token" paced "${PAIRS:-600}" 100 "$list" >"$SAMPLES/list.us" &
  lister=$!
  while kill -0 $lister 2>/dev/null; do
    level=$((7 - level)) # 3 and 4
    api PATCH /clusters/default '{"settings":{"balance":{"level":'$level'}}}' >/dev/null
    sleep 6
  done
  wait $lister
  row scale.list "ms p99 of a list of $vms VMs, ten a second" "$(jq -n "$(percentile 99 "$SAMPLES/list.us") / 1000")" - "<=" 100
  row scale.list_max "ms, the longest of them" "$(jq -n "$(percentile 100 "$SAMPLES/list.us") / 1000")" - -
  row scale.list_rounds "rounds taken meanwhile" "$(($(api GET /clusters/default/plan | jq .round) - first))" - -
}

# CPU of the agent's whole process tree, children that have ended included.
tree_ticks() { # PID
  local pid sum=0
  for pid in "$1" $(cat "/proc/$1/task/"*/children 2>/dev/null); do
    sum=$((sum + $(awk '{ sub(/.*\) /, ""); print $12 + $13 + $14 + $15 }' "/proc/$pid/stat")))
  done
  echo $sum
}

scale_agent() {
  local guests=${BENCH_GUESTS:-20} foreign=${BENCH_FOREIGN:-0} seconds=${BENCH_SECONDS:-180} i pid before began ticks took flags
  export CHOROK_LAB_MEMORY_MIB=${CHOROK_LAB_MEMORY_MIB:-4096}
  lab_begin 1
  say "Creating $guests guests"
  for ((i = 1; i <= guests; i++)); do
    mapfile -t flags < <(guest_flags "still$i" 64M 0)
    c -q vm create "still$i" "${flags[@]}" >"$SAMPLES/create$i" 2>&1 || die "guest $i: $(tail -n 1 "$SAMPLES/create$i")"
    c -q vm start "still$i" --paused >"$SAMPLES/start$i" 2>&1 || die "guest $i: $(tail -n 1 "$SAMPLES/start$i")"
  done
  for ((i = 1; i <= foreign; i++)); do
    twin_xml still1 "twin$i" host1 >"$SAMPLES/twin$i.xml"
    peer host1 create --paused "$SAMPLES/twin$i.xml" >/dev/null || die "twin $i was not started"
  done
  guests=$((guests + foreign))
  pid=$(agent_pid host1)
  sleep "${BENCH_SETTLE:-30}"
  [ "$(peer host1 list --name | grep -c .)" = $guests ] || die "not all guests are there any more"
  say "$seconds seconds beside $guests guests"
  before=$(tree_ticks "$pid") began=$(now_us)
  sleep "$seconds"
  ticks=$(($(tree_ticks "$pid") - before)) took=$(($(now_us) - began))
  row scale.agent "% of a core: the agent's process tree beside $guests guests that stand still, $seconds s" \
    "$(jq -n "100 * $ticks / $(getconf CLK_TCK) / ($took / 1000000)")" - "<=" 1
  lab_end
}

bench_scale() {
  [ "${BENCH_PART:-agent}" != agent ] || scale_agent
  [ "${BENCH_PART:-manager}" != manager ] || scale_manager
}
