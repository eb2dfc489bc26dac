#!/usr/bin/env bash
# The lab's BMCs against the tools people use: ipmitool, fence_ipmilan, fence_redfish, curl. A host that is switched off
# loses its guest and its agent; switched on, its agent joins again; watts follow the load and are wrong as meters are. One
# goes by its agent and comes by a magic packet (to a simulated card), with its BMC as a witness that Chorok does not ask. With
# the project's programs built also the adapters' contracts, on these BMCs. Prints "ok NAME" or "not ok NAME" and
# "N passed, N failed". Uses a lab of its own.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
ROOT=${CHOROK_ROOT:-$(dirname "$here")}
export CHOROK_LAB=bmctest CHOROK_LAB_NET=10.76.0 CHOROK_LAB_DIR=$ROOT/build/lab/bmctest CHOROK_BIN=${CHOROK_BIN:-$ROOT/build/release/bin}
export CHOROK_LAB_WEIGHT=20 CHOROK_LAB_OWNER=$$ # hosts have their half cores though the machine is busy
# shellcheck source=checks.sh
. "$here/checks.sh"

needs bmc openssl ipmi_sim ipmitool fence_ipmilan fence_redfish

check() { # NAME COMMAND [ARG...]
  local name=$1 output rc
  shift
  set +e # so that -e holds inside the check
  output=$(set -e; "$@" 2>&1)
  rc=$?
  set -e
  if [ $rc = 0 ]; then
    echo "ok $name${output:+ # $(tail -n 1 <<<"$output" | cut -c1-160)}"
    passed=$((passed + 1))
  else
    echo "not ok $name"
    tail -n 50 <<<"$output" | while read -r line; do echo "  # $line"; done
    failed=$((failed + 1))
  fi
}

bmc() { mapfile -t BMC < <(lab bmc "$1"); } # HOST: address, user, password file, cipher suite, fingerprint
redfish() { # PATH [CURL-ARG...]: host2's
  local path=$1
  shift
  bmc host2
  curl -sS --max-time 20 --cacert "$CHOROK_LAB_DIR/bmc/host2/redfish.crt" -u "${BMC[1]}:$(cat "${BMC[2]}")" "$@" \
    "https://${BMC[0]}/redfish/v1$path"
}
fence() { # HOST AGENT ACTION [OPTION...]: options on its standard input, as a cluster would give them
  bmc "$1"
  local agent=$2 action=$3
  shift 3
  printf '%s\n' "ip=${BMC[0]}" "username=${BMC[1]}" "password=$(cat "${BMC[2]}")" "action=$action" "$@" |
    timeout 60 "$agent" 2>/dev/null
}
power() { lab ipmi "$1" power status | grep "is $2" >/dev/null; } # HOST on|off
virsh_lists() { lab virsh "$1" list --name | grep -x "$2" >/dev/null; }
link() { # HOST connected|lost, as the manager sees it
  "$CHOROK_BIN/chorok" api GET '/hosts?limit=0' | jq -e --arg h "$1" --arg l "$2" \
    '[.items[] | select(.meta.name == $h and .link == $l)] | length == 1'
}
said_watts() { lab ipmi "$1" dcmi power reading | sed -n 's/.*Instantaneous power reading: *\([0-9]*\) Watts/\1/p'; } # HOST
boot_id() { lab exec "$1" cat /proc/sys/kernel/random/boot_id; }

login() {
  local url dir token
  { read -r url && read -r dir; } < <(lab where)
  export CHOROK_URL=$url CHOROK_CA=$dir/manager/state/pki/ca.pem
  CHOROK_TOKEN=$(curl -sS --fail --cacert "$CHOROK_CA" -H 'Content-Type: application/json' "$url/api/v1/login" \
    -d "$(jq -n --arg p "$(cat "$dir/manager/admin-password")" '{user: "admin", password: $p}')" | jq -r .token)
  export CHOROK_TOKEN
}

# --- checks ------------------------------------------------------------------------------------------------------------

comes_up() {
  lab up 2
  login
  eventually 60 link host1 connected
  eventually 60 link host2 connected
  "$here/guest/domain.sh" g1 dhcp 128 auto:1 >"$CHOROK_LAB_DIR/shared/g1.xml"
  lab virsh host1 create /srv/chorok/shared/g1.xml
  virsh_lists host1 g1
}

ipmi_switches() {
  local before after
  power host1 on
  before=$(boot_id host1)
  lab ipmi host1 power off
  power host1 off
  lab status | grep -E '^host1 .* off .* 0$' || why "something of host1 still runs"
  ! pgrep -f 'guest=g1,' || why "its guest outlived it"
  eventually 30 link host1 lost
  lab ipmi host1 power off # again: nothing
  lab ipmi host1 power on
  power host1 on
  eventually 60 link host1 connected
  after=$(boot_id host1)
  [ "$before" != "$after" ] || why "the same boot"
  ! virsh_lists host1 g1 || why "a transient guest came back from the dead"
}

soft_off_asks() {
  lab virsh host1 create /srv/chorok/shared/g1.xml
  lab ipmi host1 power soft
  eventually 30 power host1 off
  tail -n 5 "$CHOROK_LAB_DIR/host1/var-log-chorok/agent.log" | grep -iE 'stop|leav|signal|end' || true
  lab ipmi host1 power on
  eventually 60 link host1 connected
}

fence_says() { # HOST AGENT ON|OFF OPTION...: an agent ends with 2 when the host is off
  local said
  said=$(fence "$1" "$2" status "${@:4}" || true)
  [[ $said == *"Status: $3"* ]] || why "$2 says '$said', not $3"
}
fence_agent_switches() { # HOST AGENT OPTION...
  local host=$1 agent=$2
  shift 2
  fence_says "$host" "$agent" ON "$@"
  fence "$host" "$agent" off "$@"
  fence_says "$host" "$agent" OFF "$@"
  power "$host" off
  fence "$host" "$agent" on "$@"
  fence_says "$host" "$agent" ON "$@"
  eventually 60 link "$host" connected
}

watts_follow_load() {
  local idle busy off error
  eventually 40 says_watts host1 80 145 # the meter looks once a second, and says the mean of that second
  idle=$(cat "$CHOROK_LAB_DIR/watts")
  lab exec host1 timeout 20 sh -c 'while :; do :; done' &
  eventually 15 says_watts host1 $((idle * 2)) 1000
  busy=$(cat "$CHOROK_LAB_DIR/watts")
  lab ipmi host1 power off
  wait || true
  eventually 10 says_watts host1 9 11
  off=$(cat "$CHOROK_LAB_DIR/watts")
  lab ipmi host1 power on
  eventually 60 link host1 connected
  # truth and what is said: within 5 %, and not the same
  error=$(lab watts host1 | awk '{ e = $4 / $2 - 1; printf "%.2f %%", e * 100; exit !(e < 0.05 && e > -0.05 && e != 0) }') ||
    why "the meter's error over all is $error"
  echo "idle $idle W, busy $busy W, off $off W; the meter is wrong by $error"
}
says_watts() { # HOST FROM TO: between them, which is kept
  local watts
  watts=$(said_watts "$1")
  echo "$watts" >"$CHOROK_LAB_DIR/watts"
  { [ "$watts" -ge "$2" ] && [ "$watts" -le "$3" ]; } || why "it says $watts W, not $2 to $3"
}

redfish_answers() {
  redfish /Systems/1 | jq -e '.PowerState == "On" and (.Actions["#ComputerSystem.Reset"]["ResetType@Redfish.AllowableValues"] | index("ForceOff"))'
  [ "$(redfish /Systems/1 -o /dev/null -w '%{http_code}' -u admin:wrong)" = 401 ] || why "a wrong password was taken"
  local watts said
  watts=$(redfish /Chassis/1/Power | jq -e '.PowerControl[0].PowerConsumedWatts')
  said=$(redfish /Chassis/1/EnvironmentMetrics | jq -e '.PowerWatts.Reading')
  echo "$watts W, $said W"
  [ "$watts" -gt 50 ] && [ "$said" -gt 50 ]
}

redfish_has_quirks() {
  lab quirk host2 resets=On,ForceOff watts=3
  local answer
  answer=$(redfish /Systems/1/Actions/ComputerSystem.Reset -H 'Content-Type: application/json' -d '{"ResetType": "GracefulShutdown"}' |
    jq -r '.error["@Message.ExtendedInfo"][0].MessageId')
  [[ $answer == *ActionParameterNotSupported ]] || why "$answer"
  sleep 2.2
  [ "$(redfish /Chassis/1/Power | jq '.PowerControl[0].PowerConsumedWatts')" -gt 300 ] || why "it does not lie"
  lab quirk host2 stuck_on
  ! fence host2 fence_redfish off ssl_insecure=1 power_timeout=3 || why "fence_redfish takes a stuck host for off"
  power host2 on
  lab quirk host2 wake_fails
  lab ipmi host2 power off
  lab ipmi host2 power on
  sleep 2
  power host2 on
  eventually 30 link host2 lost
  lab quirk host2
  lab ipmi host2 power reset
  eventually 60 link host2 connected
}

bmc_outlives_its_host() {
  lab bmc host1 stop
  ! timeout 8 "$here/lab" ipmi host1 -N 1 -R 1 power status || why "a stopped BMC answers"
  link host1 connected
  lab bmc host1 start
  eventually 10 power host1 on
}

shout() { # MAC: a magic packet from this machine
  python3 -c 'import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
s.sendto(b"\xff" * 6 + bytes.fromhex(sys.argv[1].replace(":", "")) * 16, (sys.argv[2], 9))' "$1" "$CHOROK_LAB_NET.255"
}
heard() { lab card host1 log | grep "$1" >/dev/null; } # WORDS
refused() { # WORDS COMMAND [ARG...]
  local words=$1 said
  shift
  ! said=$("$@" 2>&1) || why "it was not refused"
  [[ $said == *"$words"* ]] || why "$said"
}
sleeps_and_wakes_without_a_bmc() { # no VM there: the wake test of a host that only its agent and a packet can switch
  local c=$CHOROK_BIN/chorok before after turns test record
  refused /bmc/mac "$c" host bmc host1 --driver wol
  refused /bmc/address "$c" host bmc host1 --driver wol --mac "$(lab card host1)" --address 10.0.0.9
  "$c" -q host bmc host1 --driver wol --mac "$(lab card host1)" --broadcast "$CHOROK_LAB_NET.255"
  before=$(boot_id host1)
  turns=$(lab bmc host1 turns)
  timeout 240 "$c" host wake-test host1 >"$CHOROK_LAB_DIR/wake-test" 2>&1 &
  test=$!
  eventually 60 power host1 off
  [ "$(lab bmc host1 turns)" = "$turns" ] || why "its BMC was told to switch it off"
  shout 02:00:00:00:00:77
  eventually 10 heard 'wake nobody'
  power host1 off
  wait $test || why "$(cat "$CHOROK_LAB_DIR/wake-test")"
  heard 'host1 is woken by' || why "no packet woke it"
  after=$(boot_id host1)
  [ "$before" != "$after" ] || why "the same boot"
  record=$("$c" api GET '/hosts?limit=0' | jq -c '.items[] | select(.meta.name == "host1") | .watch')
  jq -e '.test.standing == "passed" and (.bmc_proven | not)' <<<"$record" || why "$record"
  tail -n 1 "$CHOROK_LAB_DIR/wake-test"
}

# Whose agent has come is awake: switched off by somebody else a moment later, it is not woken again.
what_is_awake_is_not_woken() {
  local heard nobody
  nobody=$(lab card host1 log | grep -c 'wake nobody')
  shout 02:00:00:00:00:77 # what was sent before it has been heard when this one is
  eventually 20 heard_nobody_since "$nobody"
  heard=$(lab card host1 log | grep -c 'host1 is')
  lab ipmi host1 power off
  sleep 12 # packets were sent every five seconds
  power host1 off
  [ "$(lab card host1 log | grep -c 'host1 is')" = "$heard" ] || why "$(lab card host1 log | tail -n 3)"
  lab ipmi host1 power on
  eventually 60 link host1 connected
}

heard_nobody_since() { [ "$(lab card host1 log | grep -c 'wake nobody')" -gt "$1" ]; } # COUNT

adapters_pass() { # PROGRAM: the contracts of ports/ on these BMCs
  local log=$CHOROK_LAB_DIR/$1
  CHOROK_LAB_BMC="$here/lab" timeout 300 "$CHOROK_BIN/$1" --gtest_brief=1 --gtest_filter='Lab*' --gtest_output="json:$log.json" \
    >"$log.log" 2>&1 && return
  sed -n 1,12p "$log.log"
  jq -r '.testsuites[].testsuite[] | select(.failures) | "began \(.timestamp), took \(.time): \(.name)"' "$log.json" || true
  echo "what BMCs and cards were told:" # a command that is not here never came
  tail -n 8 "$CHOROK_LAB_DIR"/bmc/{host1/chassis,host2/chassis,cards/wake}.log || true
  return 1
}

trap 'lab down >/dev/null 2>&1 || true' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP
check comes_up comes_up
login
check ipmitool_switches_and_the_agent_joins_again ipmi_switches
check soft_off_asks soft_off_asks
check fence_ipmilan fence_agent_switches host1 fence_ipmilan lanplus=1 cipher=3
check fence_redfish fence_agent_switches host2 fence_redfish ssl_insecure=1
check watts_follow_load watts_follow_load
check redfish_answers redfish_answers
check redfish_has_quirks redfish_has_quirks
check bmc_outlives_its_host bmc_outlives_its_host
check sleeps_and_wakes_without_a_bmc sleeps_and_wakes_without_a_bmc
check what_is_awake_is_not_woken what_is_awake_is_not_woken
for program in adapters_power_test adapters_redfish_test; do
  if [ -x "$CHOROK_BIN/$program" ]; then check "$program" adapters_pass "$program"; else echo "skip $program: it is not built"; fi
done
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
