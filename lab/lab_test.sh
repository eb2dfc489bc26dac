#!/usr/bin/env bash
# Proves the lab: hosts start, guests boot, move while they run and keep their connections, a power cut is one, and down
# leaves nothing. Prints "ok NAME" or "not ok NAME" and "N passed, N failed". Uses a lab of its own.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
ROOT=${CHOROK_ROOT:-$(dirname "$here")}
export CHOROK_LAB=labtest CHOROK_LAB_NET=10.78.0 CHOROK_LAB_DIR=$ROOT/build/lab/labtest CHOROK_LAB_TEST_CERTS=1
export CHOROK_LAB_WEIGHT=20 CHOROK_LAB_OWNER=$$ # hosts have their half cores though the machine is busy
export CHOROK_BIN=/nonexistent # no manager, no agent: this is about the hosts alone
shared=$CHOROK_LAB_DIR/shared
passed=0 failed=0

skip() { echo "skip lab: $*"; echo "0 passed, 0 failed"; exit 0; }
[ "$(id -u)" = 0 ] || skip "needs root"
for tool in ip nsenter libvirtd virsh qemu-system-x86_64 qemu-img dnsmasq clang-19 cpio zstd openssl; do
  command -v "$tool" >/dev/null || skip "needs $tool"
done
[ -e /dev/net/tun ] || skip "needs /dev/net/tun"

lab() { timeout 90 "$here/lab" "$@"; }
v() { local host=$1; shift; lab virsh "$host" "$@"; } # HOST ARG...: virsh

check() { # NAME COMMAND [ARG...]
  local name=$1 output
  shift
  if output=$("$@" 2>&1); then
    echo "ok $name${output:+ # $(tail -n 1 <<<"$output")}"
    passed=$((passed + 1))
  else
    echo "not ok $name"
    sed 's/^/  # /' <<<"$output"
    failed=$((failed + 1))
  fi
}

eventually() { # SECONDS COMMAND [ARG...]: what a guest does tells a shell nothing when it is done
  local attempt limit=$(($1 * 10))
  shift
  for ((attempt = 0; attempt < limit; attempt++)); do
    "$@" >/dev/null 2>&1 && return 0
    sleep 0.1
  done
  echo "waited in vain for: $*"
  return 1
}

# What a lab could leave on the machine. Other labs may run beside this one.
traces() {
  ip netns 2>/dev/null | awk '{ print "netns", $1 }' | grep -F labtest || true
  ip -o link | awk -F': ' '{ print "link", $2 }' | grep -F labtest || true
  grep -F labtest /proc/self/mounts || true
  find /sys/fs/cgroup -type d -name '*labtest*' || true
  find /run/chorok-lab/labtest "$CHOROK_LAB_DIR" 2>/dev/null || true
  find /srv /etc/libvirt /var/lib/libvirt /etc/chorok /var/lib/chorok /etc/pki -newer "$start_mark" 2>/dev/null || true
  local file
  for file in /proc/[0-9]*/cmdline; do
    [ "${file%/cmdline}" != "/proc/$$" ] || continue
    { tr '\0' ' ' <"$file"; } 2>/dev/null | grep -E 'labtest' | grep -vE 'lab_test|grep' || true
  done
}
no_traces() { local left; left=$(traces); [ -z "$left" ] || { echo "$left"; return 1; }; }

guest() { # NAME ADDRESS [DISK]: its XML into the shared datastore
  "$here/guest/domain.sh" "$1" "$2" 256 cpu:20,mem:32,dirty:4 "${3:-}" >"$shared/$1.xml"
}
ticking() { # NAME: writes new lines
  local before after
  before=$(wc -l <"$shared/$1.ticks")
  sleep 0.5
  after=$(wc -l <"$shared/$1.ticks")
  [ "$after" -gt "$before" ]
}
tick_gap_below() { # NAME MILLISECONDS: between two lines, by the guest's own clock
  awk -v most="$2" '/tick/ { n = $(NF-1); if (p && n - p > m) m = n - p; p = n }
    END { print "longest gap " m " ms"; exit !(m > 0 && m < most) }' "$shared/$1.ticks"
}

tour() { # TRANSPORT [FLAG...]: g1 host1 -> host2 -> host3 -> host1, live, and back where it was
  local transport=$1 from=1 to probe result
  shift
  "$ROOT/build/lab-tools/guestprobe" 10.78.0.201 50 >"$shared/probe" &
  probe=$!
  for to in 2 3 1; do
    v host$from migrate --live --p2p --unsafe "$@" g1 "qemu+$transport://10.78.0.1$to/system" \
      --migrateuri "tcp://10.78.0.1$to" || { kill $probe; return 1; }
    from=$to
  done
  sleep 0.5
  kill $probe
  wait $probe
  result=$(cat "$shared/probe")
  echo "$result"
  [[ $result == *'"connection":"open"'*'"backwards":0,"lost":0'* ]]
}

soak() { # COUNT: that many moves in a row, TLS
  local from=1 to i probe
  "$ROOT/build/lab-tools/guestprobe" 10.78.0.201 3600 >"$shared/probe" &
  probe=$!
  for ((i = 0; i < $1; i++)); do
    to=$((from % 3 + 1))
    v host$from migrate --live --p2p --unsafe --tls g1 "qemu+tls://10.78.0.1$to/system" \
      --migrateuri "tcp://10.78.0.1$to" || { kill $probe; return 1; }
    from=$to
  done
  [ $from = 1 ] || v host$from migrate --live --p2p --unsafe g1 qemu+tcp://10.78.0.11/system --migrateuri tcp://10.78.0.11
  sleep 0.5
  kill $probe
  wait $probe
  cat "$shared/probe"
  grep -F '"connection":"open"' "$shared/probe" | grep -F '"backwards":0,"lost":0'
}

second_start_is_refused() { # the disk of g1 is open on host1
  sed "s/g1</g1copy</" "$shared/g1.xml" >"$shared/g1copy.xml"
  local said
  if said=$(v host2 create /srv/chorok/shared/g1copy.xml 2>&1); then
    echo "host2 opened a disk that host1 writes"
    return 1
  fi
  grep -iE 'lock' <<<"$said"
}

within_limits() { # every QEMU of host1 is below the host's cgroup, and that has its quota
  local pid found=0
  for pid in $(lab exec host1 cat /run/libvirt/qemu/g1.pid >/dev/null && cat /sys/fs/cgroup/cpu*/chorok-lab-labtest/host1/machine/*/emulator/cgroup.procs 2>/dev/null | sort -u); do
    grep -F "chorok-lab-labtest/host1/" "/proc/$pid/cgroup" >/dev/null || return 1
    found=1
  done
  [ $found = 1 ]
}

same_cpu_for_all() { # 2 s of a guest at 100 % on host1 use about half a core
  exec 4<>/dev/tcp/10.78.0.201/7777
  echo "cpu 100" >&4
  read -r -t 5 _ <&4
  local path=/sys/fs/cgroup/cpuacct/chorok-lab-labtest/host1/cpuacct.usage before after began took share
  [ -e "$path" ] || path=$(find /sys/fs/cgroup -path '*cpuacct*/chorok-lab-labtest/host1/cpuacct.usage' | sed -n 1p)
  [ -n "$path" ] || return 0 # version 2: trust cpu.max
  sleep 0.3
  before=$(cat "$path") began=${EPOCHREALTIME/./}
  sleep 2
  after=$(cat "$path") took=$((${EPOCHREALTIME/./} - began))
  share=$(((after - before) / 10 / took)) # ns in us: per cent
  echo "cpu 20" >&4
  read -r -t 5 _ <&4
  exec 4>&-
  echo "used $share % of a core"
  [ $share -lt 58 ] && [ $share -gt 35 ]
}

daemon_restart_keeps_guest() {
  lab service host1 kill libvirtd
  eventually 10 v host1 domstate g1
  ticking g1
}

killed_host_kills_guest() {
  lab kill host1
  ! ticking g1 && ! lab exec host1 true 2>/dev/null && lab exec host2 true
}

start_brings_back() {
  local machine=$1 boot=$2
  lab start host1
  [ "$(lab exec host1 cat /etc/machine-id)" = "$machine" ] || { echo "another machine"; return 1; }
  [ "$(lab exec host1 cat /proc/sys/kernel/random/boot_id)" != "$boot" ] || { echo "the same boot"; return 1; }
  [ "$(lab exec host1 cat /srv/chorok/local/kept)" = kept ] || { echo "its disk is lost"; return 1; }
  lab exec host1 test ! -e /run/lost || { echo "/run was kept"; return 1; }
  v host1 dominfo g2 >/dev/null
}

starts_elsewhere() { # g1's lock went with host1
  v host2 create /srv/chorok/shared/g1.xml && eventually 15 ticking g1
}

power_button() {
  v host2 shutdown g1
  eventually 15 absent host2 g1
}
absent() { ! v "$1" domstate "$2"; }

lease() {
  v host1 start g2
  eventually 20 has_address host1 g2
}
has_address() { v "$1" domifaddr "$2" --source agent | grep -E '10\.78\.0\.1[0-9][0-9]/'; }

reachable() { (exec 3<>"/dev/tcp/10.78.0.1$1/16509") 2>/dev/null; }
cut_and_heal() {
  local way
  for way in "" --silent; do
    # shellcheck disable=SC2086
    lab cut host3 $way
    ! timeout 1 "$0" --reachable 3 || { echo "host3 answers with its cable pulled"; return 1; }
    lab heal host3
    eventually 10 timeout 1 "$0" --reachable 3
  done
}

up_again_after_a_crash() { # the state is lost, hosts and guests run: the next up finds and removes them
  local old
  old=$(cat /run/chorok-lab/labtest/host1.pid)
  rm -rf /run/chorok-lab/labtest
  lab up 2
  ! kill -0 "$old" 2>/dev/null || [[ $(cat "/proc/$old/stat" 2>/dev/null) == *" Z "* ]]
}

if [ "${1:-}" = --reachable ]; then
  reachable "$2"
  exit
fi

start_mark=$(mktemp)
# With "long", fifty moves in a row.
trap 'lab down >/dev/null 2>&1 || true; rm -f "$start_mark"' EXIT
lab down
check "up" lab up 3
check "every host answers" lab exec host3 virsh -q -c qemu:///system uri
qemu-img create -q -f qcow2 "$shared/g1.qcow2" 256M
guest g1 10.78.0.201 /srv/chorok/shared/g1.qcow2
guest g2 dhcp
check "a guest starts" v host1 create /srv/chorok/shared/g1.xml
check "it boots" eventually 20 ticking g1
check "its port answers" lab probe 10.78.0.201 1
check "it stays within its host's limits" within_limits
check "a host has half a core" same_cpu_for_all
check "the disk it writes opens nowhere else" second_start_is_refused
check "it moves round three hosts, plain" tour tcp
check "it moves round three hosts, TLS" tour tls --tls
[ "${1:-}" != long ] || check "it moves fifty times under load" soak 50
check "no gap of a second by its own clock" tick_gap_below g1 1000
check "it outlives its libvirtd" daemon_restart_keeps_guest
lab virsh host1 define /srv/chorok/shared/g2.xml >/dev/null
lab exec host1 sh -c 'echo kept >/srv/chorok/local/kept; : >/run/lost'
machine=$(lab exec host1 cat /etc/machine-id) boot=$(lab exec host1 cat /proc/sys/kernel/random/boot_id)
check "a power cut ends host and guest" killed_host_kills_guest
check "the guest starts on another host" starts_elsewhere
check "the host comes back with its disk" start_brings_back "$machine" "$boot"
check "the power button shuts a guest down" power_button
check "a guest gets a lease" lease
check "cables can be pulled and put back" cut_and_heal
check "up cleans what a crash left" up_again_after_a_crash
check "down" lab down
check "nothing is left" no_traces
check "down twice" lab down
echo "$passed passed, $failed failed"
[ $failed = 0 ]
