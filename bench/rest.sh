# shellcheck shell=bash
# rest.*: manager and agents with three hosts and no VM, over BENCH_SECONDS (60) after BENCH_SETTLE (30): resident memory of
# the whole process tree at the end, voluntary context switches of all its threads a second. Sourced by run.sh.

usage_of() { # PID: "RSS_KIB SWITCHES" of the process and its children
  local pid rss=0 switches=0
  for pid in "$1" $(cat "/proc/$1/task/"*/children 2>/dev/null); do
    rss=$((rss + $(awk '/^VmRSS/ { print $2 }' "/proc/$pid/status")))
    switches=$((switches + $(cat "/proc/$pid/task/"*/status | awk '/^voluntary_ctxt_switches/ { n += $2 } END { print n }')))
  done
  echo "$rss $switches"
}

bench_rest() {
  local seconds=${BENCH_SECONDS:-60} host pid began
  lab_begin 3
  declare -A pids=([manager]=$(cat "/run/chorok-lab/$CHOROK_LAB/manager.pid"))
  for host in host1 host2 host3; do pids[$host]=$(agent_pid $host); done
  sleep "${BENCH_SETTLE:-30}"
  say "$seconds seconds of rest"
  declare -A before=() after=()
  began=$(now_us)
  for host in "${!pids[@]}"; do before[$host]=$(usage_of "${pids[$host]}"); done
  sleep "$seconds"
  for host in "${!pids[@]}"; do
    pid=${pids[$host]}
    [ -d "/proc/$pid" ] || die "the process of $host ended"
    after[$host]=$(usage_of "$pid")
  done
  local took=$(($(now_us) - began)) rss switches
  for host in "${!pids[@]}"; do
    read -r rss switches <<<"${after[$host]}"
    printf '%s\t%s\t%s\n' "$host" "$rss" "$(jq -n "($switches - ${before[$host]#* }) / ($took / 1000000)")"
  done | sort >"$SAMPLES/usage.tsv"
  grep ^host "$SAMPLES/usage.tsv" >"$SAMPLES/agents.tsv"
  row rest.agent_rss "MiB, the largest of three agents" "$(sort -nk2 "$SAMPLES/agents.tsv" | tail -n 1 | awk '{ print $2 / 1024 }')" - "<=" 30
  row rest.agent_wakeups "a second, the most of three agents" "$(sort -gk3 "$SAMPLES/agents.tsv" | tail -n 1 | cut -f3)" - "<=" 1
  row rest.manager_rss "MiB, three hosts" "$(awk '/^manager/ { print $2 / 1024 }' "$SAMPLES/usage.tsv")" - "<=" 60
  row rest.manager_wakeups "a second, three hosts" "$(awk '/^manager/ { print $3 }' "$SAMPLES/usage.tsv")" - "<=" 2
}
