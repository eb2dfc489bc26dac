# shellcheck shell=bash
# livefaults.*: the load of live.sh, and BENCH_FAULTS (25) faults over it, one after the other. Afterwards everything is
# healed, and a minute later every VM must run, on one host; meanwhile none may run on two. Each fault must have left the
# event by which a person would learn of it. Sourced by run.sh.

# shellcheck source=live.sh disable=SC2154
. "$here/live.sh"

FAULTS=${BENCH_FAULTS:-25}
# What has struck least comes next. With wake_fails, stuck_off and bmc_silent all hosts are to run, and those that sleep do
# not come; while none sleeps that may be woken, another kind has its turn.
KINDS=(wake_fails bmc_silent stuck_off power_lost migration_fails manager_killed agent_killed)
declare -A TIMES=()

# What must be told of a fault, of the host or VM that it struck: kinds of events, and of alarms (docs/alarms.md).
declare -A TOLD=(
  [agent_killed]='host.agent_restarted|host.lost'
  [manager_killed]='manager.away'
  [bmc_silent]='host.bmc_failed|cluster.wake_failed'
  [migration_fails]='vm.migrate.failed'
  [power_lost]='cluster.host_failed'
  [wake_fails]='cluster.wake_failed'
  [stuck_off]='cluster.wake_failed|host.bmc_failed'
) ALARMED=(
  [agent_killed]='host.agent_restarted|host.lost'
  [manager_killed]='manager.away'
  [bmc_silent]='host.bmc|host.wake_failed'
  [migration_fails]='vm.move_failed'
  [power_lost]='host.failed'
  [wake_fails]='host.wake_failed'
  [stuck_off]='host.wake_failed|host.bmc'
)

hosts_that() { # POWERED(1|0): names
  local i
  for ((i = 1; i <= HOSTS; i++)); do
    if [ -s "/run/chorok-lab/$CHOROK_LAB/host$i.pid" ]; then [ "$1" = 0 ] || echo "host$i"; else [ "$1" = 1 ] || echo "host$i"; fi
  done
}
any_of() { shuf -n 1 --random-source=<(yes "$STRUCK"); } # of the lines that come: the same in every run

strike() { # KIND: what it struck stands in VICTIM; 1: there is nothing to strike now
  local to
  case $1 in
    agent_killed)
      VICTIM=$(hosts_that 1 | any_of)
      lab service "$VICTIM" kill agent
      ;;
    manager_killed)
      VICTIM=
      lab manager kill
      sleep 2
      until lab manager start; do sleep 1; done
      ;;
    migration_fails) # the target's libvirt dies under it
      VICTIM=$(get '/vms?limit=0' | jq -r '.items[] | select(.status.state == "on" and (.status.task // "") == "") | .meta.name' | any_of)
      to=$(get "/vms/$VICTIM" | jq -r .status.host_name)
      to=$(hosts_that 1 | grep -vx "$to" | any_of) || return 1
      c -q vm migrate "$VICTIM" "$to" --no-wait >/dev/null || return 1
      sleep 1.5
      lab service "$to" kill libvirtd
      ;;
    power_lost)
      VICTIM=$(get '/vms?limit=0' | jq -r '.items[].status.host_name' | sort -u | any_of)
      lab kill "$VICTIM"
      (sleep 40 && lab start "$VICTIM" 2>/dev/null) &
      ;;
    wake_fails | stuck_off | bmc_silent)
      sleepers | grep . >/dev/null || return 1
      for to in $(hosts_that 0); do
        if [ "$1" = bmc_silent ]; then lab bmc "$to" stop; else lab quirk "$to" "$1"; fi
      done
      VICTIM=
      c -q cluster edit default --set settings.power.hosts_on_min="$HOSTS" >/dev/null
      (sleep "${BENCH_FAULT_SECONDS:-50}" && heal_bmcs) &
      ;;
  esac
}
sleepers() { # hosts that a plan may switch on; one that did not come is left alone for a while
  get '/hosts?limit=0' | jq -r --arg now "$(date -u +%FT%TZ)" '.items[] | select(.power == "off" and (.watch.rest_until // "") < $now) | .meta.name'
}
heal_bmcs() {
  local i
  c -q cluster edit default --set settings.power.hosts_on_min=1 >/dev/null
  for ((i = 1; i <= HOSTS; i++)); do
    lab quirk "host$i"
    lab bmc "host$i" start
  done
}

# Names of VMs that run on more than one host at this moment. While one moves, QEMU executes on one side only.
doubles() {
  local host
  for host in $(hosts_that 1); do timeout 10 "$ROOT/lab/lab" virsh "$host" list --state-running --name 2>/dev/null || true; done |
    sed '/^$/d' | sort | uniq -d
}
watch_doubles() {
  while :; do
    doubles >"$SAMPLES/double.now"
    # Looked at host by host: only who is seen twice in a row on two hosts runs there.
    [ ! -s "$SAMPLES/double.now" ] || { doubles | comm -12 - "$SAMPLES/double.now" >>"$SAMPLES/doubles"; }
    echo >>"$SAMPLES/looks"
    sleep 5
  done
}

# Strikes what can be struck now: what has struck least often first. 1: nothing can be.
strike_one() {
  local kind when
  for kind in $(for kind in "${KINDS[@]}"; do echo "${TIMES[$kind]:-0} $kind"; done | sort -snk1,1 | cut -d' ' -f2); do
    VICTIM='' when=$(date -u +%FT%T.%3NZ)
    strike "$kind" 2>>"$SAMPLES/strikes.log" || continue
    STRUCK=$((STRUCK + 1)) TIMES[$kind]=$((${TIMES[$kind]:-0} + 1))
    say "fault $STRUCK: $kind $VICTIM"
    printf '%s\t%s\t%s\n' "$when" "$kind" "$VICTIM" >>"$SAMPLES/faults.tsv"
    return
  done
  return 1
}

live_meanwhile() { # START_US
  local gap=$((MINUTES * 60 / FAULTS)) doubler due
  STRUCK=0
  watch_doubles &
  doubler=$!
  while ((STRUCK < FAULTS && $(now_us) < $1 + MINUTES * 60000000)); do
    due=$(($1 + STRUCK * gap * 1000000 + gap * 500000))
    while (($(now_us) < due)); do sleep 0.5; done
    strike_one || sleep 2
  done
  sleep 60
  kill $doubler || die "nobody has looked to the end for VMs that run twice"
}

said() { # FROM UNTIL SUBJECT|"" KINDS FIELD events|alarms
  jq -e --arg from "$1" --arg until "$2" --arg victim "$3" --arg kinds "^($4)\$" --arg at "$5" \
    '[.items[] | select(.[$at] >= $from and .[$at] < $until and (.kind | test($kinds)) and ($victim == "" or .subject_name == $victim))] | length > 0' \
    "$SAMPLES/$6.json" >/dev/null
}
# When the same befell the same again, so that no fault is told of by another's event.
next_like() { # TIME KIND VICTIM
  awk -F'\t' -v t="$1" -v k="$2" -v v="$3" '$1 > t && $2 == k && $3 == v { print $1; found = 1; exit } END { if (!found) print "9999" }' "$SAMPLES/faults.tsv"
}

vms_lost() { # how many of the guests do not run anywhere
  local i running
  running=$(for i in $(hosts_that 1); do lab virsh "$i" list --state-running --name; done | grep . | sort -u | wc -l)
  echo $((GUESTS - running))
}
none_lost() { [ "$(vms_lost)" = 0 ]; }

live_rows() {
  local when kind victim unreported=0
  heal_bmcs
  wait_until 180 none_lost || true
  row livefaults.struck "faults of $(cut -f2 "$SAMPLES/faults.tsv" | sort -u | wc -l) of ${#KINDS[@]} kinds" \
    "$(wc -l <"$SAMPLES/faults.tsv")" - ">=" "$FAULTS"
  row livefaults.lost "VMs that do not run after $(wc -l <"$SAMPLES/faults.tsv") faults" "$(vms_lost)" - "<=" 0
  touch "$SAMPLES/doubles"
  row livefaults.doubled "VMs that ran on two hosts at once, of $(wc -l <"$SAMPLES/looks") looks" "$(sort -u "$SAMPLES/doubles" | wc -l)" - "<=" 0
  get '/events?limit=0' >"$SAMPLES/events.json"
  get '/alarms?limit=0' >"$SAMPLES/alarms.json"
  while IFS=$'\t' read -r when kind victim; do
    # An alarm that is up already is counted on; it says when it was seen last.
    if said "$when" "$(next_like "$when" "$kind" "$victim")" "$victim" "${TOLD[$kind]}" time events &&
      said "$when" 9999 "$victim" "${ALARMED[$kind]}" seen_at alarms; then continue; fi
    unreported=$((unreported + 1))
    printf '%s\t%s\t%s\n' "$when" "$kind" "$victim" >>"$SAMPLES/unreported.tsv"
  done <"$SAMPLES/faults.tsv"
  row livefaults.unreported "faults without an event or without an alarm" "$unreported" - "<=" 0
}

bench_livefaults() {
  export BENCH_HA=true BENCH_RECORD=
  bench_live
}
