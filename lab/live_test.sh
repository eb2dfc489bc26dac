#!/usr/bin/env bash
# What Chorok is for, on real libvirt hosts with BMCs: load falls, VMs gather, a host is switched off through its BMC and
# the watts fall; load rises, it is woken and VMs spread, live, and nobody's connection breaks. Meanwhile the manager and an
# agent are killed. Witnesses that are not Chorok: ipmitool, libvirt, a connection to each guest, the BMCs' meters. Prints
# "ok NAME", "not ok NAME: why" or "skip NAME: why", and "N passed, N failed". One check goes on where the one before ended, so the first
# that fails is the last.
# LIVE_KEEP=1 keeps the lab and the folder of what was seen.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
ROOT=${CHOROK_ROOT:-$(dirname "$here")}
export CHOROK_LAB=live CHOROK_LAB_NET=10.75.0 CHOROK_LAB_DIR=$ROOT/build/lab/live CHOROK_BIN=${CHOROK_BIN:-$ROOT/build/release/bin}
# Hosts have their half cores though the machine is busy, and every round is kept, to be planned again.
export CHOROK_LAB_WEIGHT=20 CHOROK_LAB_RECORD=1 CHOROK_LAB_OWNER=$$
# shellcheck source=checks.sh
. "$here/checks.sh"

needs live cpio zstd ipmi_sim ipmitool

HOSTS=(host1 host2 host3) GUESTS=(g1 g2 g3 g4 g5 g6)
RATE_LOW=100 RATE_MAX=20000 # units of work a second that a guest is asked for; a host does some 20,000
work=$(mktemp -d)
probes=() # the processes that hold a connection to each guest
clean() {
  trap '' INT TERM HUP
  local pid
  for pid in "${probes[@]}"; do kill "$pid" 2>/dev/null || true; done
  if [ -n "${LIVE_KEEP:-}" ]; then echo "# kept: $work; CHOROK_LAB=live CHOROK_LAB_NET=$CHOROK_LAB_NET lab/lab down"; return; fi
  lab down >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# --- helpers -----------------------------------------------------------------------------------------------------------

# Checks run in this shell, so that one may leave something for the next. Without -e within: each step says `|| return 1`
# or ends the check.
check() { # NAME FUNCTION [ARG...]
  local name=$1 rc=0 began=${EPOCHREALTIME/./} ms
  shift
  if [ $failed != 0 ]; then echo "# not tried: $name"; return; fi
  "$@" >"$work/said" 2>&1 || rc=$?
  ms=$(((${EPOCHREALTIME/./} - began) / 1000))
  if [ $rc = 0 ]; then
    echo "ok $name # $ms ms$(sed -n '$s/^/, /p' "$work/said" | cut -c1-200)"
    passed=$((passed + 1))
  else
    echo "not ok $name: $(grep . "$work/said" | tail -n 1 | cut -c1-300)"
    sed 's/^/  # /' "$work/said" | cut -c1-400 | tail -n 25
    what_is >"$work/now" 2>&1 || true
    sed 's/^/  # /' "$work/now" | cut -c1-220
    failed=$((failed + 1))
  fi
}

what_is() { # beside a failure: the whole as Chorok and the BMCs see it
  local host
  c host ls -o wide
  c vm ls
  for host in "${HOSTS[@]}"; do lab ipmi "$host" power status; done
  c why host host3 --last 6
  c event ls --limit 12
  c alarm ls
}

sits() { get "/vms/$1" | jq -r .status.host_name; } # VM
hosts_are() { # COUNT CONDITION
  local count
  count=$(get '/hosts?limit=0' | jq "[.items[] | select($2)] | length")
  [ "$count" = "$1" ] || why "$count hosts are: $2"
}
vms_on() { get '/vms?limit=0' | jq -r --arg h "$1" '.items[] | select(.status.host_name == $h) | .meta.name'; } # HOST
power_is() { # HOST on|off: as ipmitool has it from the BMC
  local said
  said=$(lab ipmi "$1" power status) || return 1
  [ "$said" = "Chassis Power is $2" ] || why "$1: $said"
}
boot_id() { lab exec "$1" cat /proc/sys/kernel/random/boot_id; } # HOST
said_watts() { local host; for host in "${HOSTS[@]}"; do lab watts "$host"; done | awk '{ w += $3 } END { printf "%.0f\n", w }'; }
said_joules() { local host; for host in "${HOSTS[@]}"; do lab watts "$host"; done | awk '{ j += $4 } END { printf "%.0f\n", j }'; }

address() { get "/vms/$1" | jq -er '[.status.ips[]? | select(test("^[0-9.]+$"))][0] // empty'; } # VM
declare -A ADDRESS=()
ask() { # VM LINE: one question to a guest; it may be moving
  # shellcheck disable=SC2016
  timeout 8 bash -c 'exec 3<>"/dev/tcp/$1/7777" && printf "%s\n" "$2" >&3 && IFS= read -r answer <&3 && printf "%s\n" "$answer"' \
    - "${ADDRESS[$1]}" "$2" 2>/dev/null
}
answers() { ADDRESS[$1]=$(address "$1") && ask "$1" get >/dev/null; } # VM
# In this shell, which keeps the address.
eventually_answers() { # SECONDS VM
  local limit=$((SECONDS + $1))
  until answers "$2" 2>/dev/null; do
    [ $SECONDS -lt $limit ] || { why "$2 does not answer at '${ADDRESS[$2]:-}'"; return 1; }
    sleep 0.2
  done
}
all_at() { # RATE
  local guest
  for guest in "${GUESTS[@]}"; do eventually 60 ask "$guest" "rate $1" || return 1; done
}

# What Chorok did by itself since a moment; people's tasks bear their own names.
tasks() { get '/tasks?limit=0' | jq -c --arg since "$1" "[.items[] | select(.user == \"chorok\" and .created >= \$since and ($2))]"; } # SINCE CONDITION
now() { date -u +%Y-%m-%dT%H:%M:%S.%3NZ; }

# --- the start ---------------------------------------------------------------------------------------------------------

login() {
  local url dir token
  { read -r url && read -r dir; } < <(lab where)
  token=$(curl -sS --fail --max-time 20 --cacert "$dir/manager/state/pki/ca.pem" -H 'Content-Type: application/json' \
    "$url/api/v1/login" -d "$(jq -n --rawfile p "$dir/manager/admin-password" '{user: "admin", password: ($p | rtrimstr("\n"))}')" |
    jq -er .token)
  export CHOROK_URL=$url CHOROK_CA=$dir/manager/state/pki/ca.pem CHOROK_TOKEN=$token
}

guest() { # NAME HOST
  c -q vm create "$1" --memory 128M --boot-datastore shared --kernel vmlinuz --initrd initrd \
    --cmdline "console=ttyS0 quiet no_timer_check chorok.name=$1 chorok.load=rate:$RATE_LOW,mem:16" \
    --nic name=eth0,network=lab --host "$2" --start --no-wait >/dev/null
}

comes_up() { # no samples while guests boot: that takes as long at any scale, and would look like an hour of full load
  local host at=() curve
  curve=$(grep -v '^#' "$here/power_curve" | sed -n 1p)
  CHOROK_LAB_TIME_SCALE=20 CHOROK_LAB_SAMPLE_SECONDS=0 lab up 3 || return 1
  login || return 1
  c -q datastore create shared --path /srv/chorok/shared --shared >/dev/null || return 1
  c -q network create lab --kind bridge --bridge br0 >/dev/null || return 1
  eventually 90 hosts_are 3 '.link == "connected" and .inventory.memory > 0 and ([.datastores[], .networks[]] | length == 2 and all(.reachable))' || return 1
  for host in "${HOSTS[@]}"; do
    mapfile -t at < <(lab bmc "$host") # address, user, password file, cipher suite
    c -q host bmc "$host" --driver ipmi --address "${at[0]}" --user "${at[1]}" --password-file "${at[2]}" --cipher-suite "${at[3]}" >/dev/null || return 1
    # Else it would be taken for a machine of two cores until its meter has taught better, and little to be saved by it.
    c -q host edit "$host" --set power_model.watts="$curve" >/dev/null || return 1
  done
  for host in 1 2 3 4; do guest "g$host" "host$((host % 2 + 1))" || return 1; done
}

# --- checks ------------------------------------------------------------------------------------------------------------

wake_test_passes() {
  local before after test record
  before=$(boot_id host3)
  c host wake-test host3 >"$work/wake-test" 2>&1 &
  test=$!
  eventually 90 power_is host3 off || { kill $test 2>/dev/null; return 1; }
  eventually 120 hosts_are 1 '.meta.name == "host3" and (.watch.test.standing | IN("passed", "failed"))' || { kill $test 2>/dev/null; return 1; }
  wait $test || { why "$(tail -n 1 "$work/wake-test")"; return 1; }
  power_is host3 on || return 1
  after=$(boot_id host3)
  [ "$before" != "$after" ] || { why "the same boot"; return 1; }
  record=$(get /hosts/host3 | jq -c .watch)
  # What is off draws 10 W, by a meter that is wrong by up to 5 %.
  jq -e '.test | .standing == "passed" and .time_on > 0 and .time_off > 0 and .standby_watts > 8 and .standby_watts < 12' \
    <<<"$record" >/dev/null || { why "$record"; return 1; }
  c host ls -o wide | grep host3 | grep passed >/dev/null || { why "host ls does not say so: $(c host ls -o wide | grep host3)"; return 1; }
  jq -r '.test | "off in \(.time_off) s, on in \(.time_on) s, \(.standby_watts) W in standby"' <<<"$record"
}

guests_answer() {
  local guest
  guest g5 host3 && guest g6 host3 || return 1
  for guest in "${GUESTS[@]}"; do eventually_answers 120 "$guest" || return 1; done
  for guest in "${GUESTS[@]}"; do
    "$ROOT/build/lab-tools/guestprobe" "${ADDRESS[$guest]}" 1800 500 >"$work/probe.$guest" 2>"$work/probe.$guest.err" &
    probes+=($!)
  done
  # Measured is from here on, and what the policies take an hour for takes a minute.
  export CHOROK_LAB_TIME_SCALE=60 CHOROK_LAB_SAMPLE_SECONDS=2
  lab manager stop && lab manager start || return 1
  eventually 90 hosts_are 3 '.link == "connected"'
}

# Moves that make room for a host to be switched off, under way.
leaving_for_good() { tasks "$BEGUN" '.kind == "vm.migrate" and .state == "running" and (.reason | startswith("consolidate"))'; }
emptying() { [ "$(leaving_for_good)" != '[]' ]; }
load_falls() { # the manager is killed while VMs leave the host
  local moving
  WATTS_BEFORE=$(said_watts)
  BEGUN=$(now)
  # A move takes seconds, so that there is time to break something: minutes of the policies'. A host off for nine of their
  # hours (62 kJ) pays one and a half times for four moves (30 kJ), which is the most that host3 may have to be rid of.
  c -q cluster edit default --drs full --dpm full --set migration.bandwidth_mib_s=16 --set settings.power.judge_off_s=9h \
    --set settings.power.break_even_factor=1.5 --set settings.power.target=0.75 >/dev/null || return 1
  eventually 180 emptying || return 1
  moving=$(leaving_for_good | jq -r '[.[].target_name] | join(" ")')
  lab manager kill && lab manager start || return 1
  eventually 120 power_is host3 off || return 1
  get /clusters/default | jq -e '.settings | .balance.automation == "full" and .power.automation == "full"' >/dev/null ||
    { why "it has forgotten what it was set to: $(get /clusters/default | jq -c .settings)"; return 1; }
  echo "killed while '$moving' moved"
}

host_is_off() {
  local said watts guests
  power_is host3 off || return 1
  power_is host1 on && power_is host2 on || return 1
  eventually 30 hosts_are 1 '.meta.name == "host3" and .power == "off"' || return 1
  guests=$(for host in host1 host2; do lab virsh "$host" list --state-running --name; done | grep -c .)
  [ "$guests" = ${#GUESTS[@]} ] || { why "$guests guests run on the hosts that are on"; return 1; }
  eventually 30 fewer_watts || return 1
  said=$(c why host host3) || return 1
  [[ $said == *off* ]] || { why "$said"; return 1; }
  [[ $(c why host host1) == *"wake test is due"* ]] || { why "host1: $(c why host host1)"; return 1; }
  watts=$(said_watts)
  echo "$WATTS_BEFORE W before, $watts W now"
}
fewer_watts() { [ "$(said_watts)" -lt $((WATTS_BEFORE - 60)) ] || why "$(said_watts) W, $WATTS_BEFORE W before"; }

# A host that idles draws 120 W, one that is off 10. If what was saved were taken from what was drawn, that would be
# short by a third.
saved() { # SINCE
  get "/clusters/default/energy?from=$1" >"$work/energy"
  jq -e '.saved_joules > 2000 and .joules > 0' "$work/energy" >/dev/null || why "$(jq -c '{joules, saved_joules, saved_method}' "$work/energy")"
}
savings_are_apart() {
  local since before said ours
  since=$(now)
  before=$(said_joules)
  eventually 180 saved "$since" || return 1
  said=$(($(said_joules) - before))
  ours=$(jq '.joules | round' "$work/energy")
  awk -v a="$said" -v b="$ours" 'BEGIN { exit !(b > a * 0.85 && b < a * 1.15) }' || { why "the BMCs say $said J were drawn, the manager $ours J"; return 1; }
  [[ $(c energy cluster default --from "$since") == *[Ss]aved* ]] || { why "$(c energy cluster default --from "$since")"; return 1; }
  echo "drawn $ours J (the BMCs say $said J), saved $(jq '.saved_joules | round' "$work/energy") J"
}

load_rises() {
  local rate=2000 limit=$((SECONDS + 180)) boot
  BEGUN=$(now)
  until power_is host3 on 2>/dev/null; do
    [ $SECONDS -lt $limit ] || { why "nobody woke host3 at a rate of $rate"; return 1; }
    all_at $rate || return 1
    rate=$((rate * 5 / 4 > RATE_MAX ? RATE_MAX : rate * 5 / 4))
    sleep 1 # a step of the load
  done
  eventually 120 hosts_are 1 '.meta.name == "host3" and .link == "connected" and .power == "on"' || return 1
  boot=$(get /hosts/host3 | jq .watch.time_on)
  echo "woken at $rate units a guest, in $boot s"
}

spread() { [ -n "$(vms_on host3)" ] || why "host3 has no VM"; }
vms_spread() {
  all_at 8000 || return 1
  eventually 180 spread || return 1
  tasks "$BEGUN" '.kind == "vm.migrate" and .state == "succeeded"' | jq -e 'length > 0' >/dev/null ||
    { why "nothing moved live: $(tasks "$BEGUN" true)"; return 1; }
  echo "on host3: $(vms_on host3 | xargs)"
}

empty() { [ -z "$(vms_on "$1")" ] || why "$1 has $(vms_on "$1" | xargs)"; } # HOST
rests() { ! moving || why "VMs move"; }
moving() { get '/tasks?limit=0' | jq -e '[.items[] | select(.kind == "vm.migrate" and .state == "running")] | length > 0' >/dev/null; }
maintenance_empties() { # its agent is killed while VMs leave it
  local killed
  c -q host maintenance host1 --no-wait >/dev/null || return 1
  eventually 60 moving || return 1
  killed=$(vms_on host1 | xargs)
  lab service host1 kill agent || return 1
  eventually 180 empty host1 || return 1
  eventually 120 hosts_are 1 '.meta.name == "host1" and .admin == "maintenance" and .link == "connected"' || return 1
  echo "agent killed while it had '$killed'"
}
load_comes_back() {
  c -q host enable host1 >/dev/null || return 1
  eventually 180 filled host1 || return 1
  echo "on host1: $(vms_on host1 | xargs)"
}
filled() { [ -n "$(vms_on "$1")" ] || why "$1 has no VM"; } # HOST

nobody_was_restarted() {
  local guest pid result gap=0
  # Hosts are asked one after the other: who moves meanwhile would be seen nowhere.
  c -q cluster edit default --drs off --dpm off >/dev/null || return 1
  eventually 60 rests || return 1
  for pid in "${probes[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${probes[@]}"; do wait "$pid" || true; done
  probes=()
  for guest in "${GUESTS[@]}"; do
    result=$(cat "$work/probe.$guest")
    jq -e '.connection == "open" and .answers > 10 and .backwards == 0 and .lost == 0' <<<"$result" >/dev/null ||
      { why "$guest's user saw: $result"; return 1; }
    gap=$(jq --argjson g "$gap" '[.gap_ms_max, $g] | max' <<<"$result")
  done
  [ "$(for host in "${HOSTS[@]}"; do lab virsh "$host" list --state-running --name; done | grep . | sort | uniq | wc -l)" = ${#GUESTS[@]} ] ||
    { why "not every guest runs on one host"; return 1; }
  get '/events?limit=0' | jq -c '[.items[] | select(.kind | IN("vm.crashed", "vm.off", "vm.lost", "vm.restarted"))]' >"$work/ends"
  [ "$(cat "$work/ends")" = '[]' ] || { why "$(cut -c1-300 "$work/ends")"; return 1; }
  echo "the longest silence of a guest was $gap ms"
}

rounds_replay() { # every plan, made again from what the round saw
  local snapshot all=0 differs=()
  lab manager stop || return 1 # none is being written
  for snapshot in "$CHOROK_LAB_DIR"/manager/rounds/*.snapshot.json; do
    all=$((all + 1))
    cmp -s <(c plan all -f "$snapshot" -o json | jq .) <(jq . "${snapshot%.snapshot.json}.plan.json") ||
      differs+=("$(basename "$snapshot")")
  done
  [ $all -gt 20 ] || { why "only $all rounds were recorded"; return 1; }
  [ ${#differs[@]} = 0 ] || { why "${#differs[@]} of $all differ: ${differs[*]:0:5}"; return 1; }
  echo "$all rounds"
}

# --- the run -----------------------------------------------------------------------------------------------------------

began=$SECONDS
check "three hosts with BMCs" comes_up
check "wake test: host3 goes to standby and comes back" wake_test_passes
check "six guests answer" guests_answer
check "load falls: a host is emptied and switched off, though the manager is killed meanwhile" load_falls
check "it is off, the watts fall, and why is said" host_is_off
check "savings are counted apart" savings_are_apart
check "load rises: it is woken" load_rises
check "VMs spread to it" vms_spread
check "maintenance empties a host, though its agent is killed meanwhile" maintenance_empties
check "load comes back to it" load_comes_back
check "nobody was restarted or went back" nobody_was_restarted
check "every round is planned again alike" rounds_replay
echo "# $((SECONDS - began)) s, load $(cut -d' ' -f1 /proc/loadavg)"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
