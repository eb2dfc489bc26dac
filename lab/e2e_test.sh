#!/usr/bin/env bash
# End to end: the real manager, agents, libvirt and QEMU in a lab of its own, driven by the CLI and curl. Prints
# "ok NAME", "not ok NAME: why" or "skip NAME: why", and "N passed, N failed". Every check makes the VMs it needs, so the
# failure of one does not stop the others. With arguments, only the checks whose names match one of them.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
ROOT=${CHOROK_ROOT:-$(dirname "$here")}
export CHOROK_LAB=e2e CHOROK_LAB_NET=10.79.0 CHOROK_LAB_DIR=$ROOT/build/lab/e2e CHOROK_BIN=${CHOROK_BIN:-$ROOT/build/release/bin}
export CHOROK_LAB_WEIGHT=20 CHOROK_LAB_OWNER=$$ # hosts have their half cores though the machine is busy
# shellcheck source=checks.sh
. "$here/checks.sh"
only=("$@")

needs e2e qemu-img cpio zstd

work=$(mktemp -d)
clean() {
  trap '' INT TERM HUP
  if [ -n "${E2E_KEEP:-}" ]; then echo "# the lab is kept: CHOROK_LAB=e2e CHOROK_LAB_NET=$CHOROK_LAB_NET lab/lab down"; return; fi
  lab down >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# --- helpers -----------------------------------------------------------------------------------------------------------

wanted() { # NAME
  local pattern
  [ ${#only[@]} -gt 0 ] || return 0
  for pattern in "${only[@]}"; do [[ $1 == *"$pattern"* ]] && return 0; done
  return 1
}

check() { # NAME FUNCTION [ARG...]
  local name=$1 output rc began=${EPOCHREALTIME/./} ms
  shift
  wanted "$name" || return 0
  set +e # so that -e holds inside the check
  output=$(set -e; "$@" 2>&1)
  rc=$?
  set -e
  ms=$(((${EPOCHREALTIME/./} - began) / 1000))
  if [ $rc = 0 ]; then
    echo "ok $name # $ms ms${output:+, $(tail -n 1 <<<"$output" | cut -c1-160)}"
    passed=$((passed + 1))
  else
    echo "not ok $name: $(grep . <<<"$output" | tail -n 1 | cut -c1-300)"
    sed 's/^/  # /' <<<"$output" | cut -c1-400 | tail -n 25
    failed=$((failed + 1))
  fi
}

field() { get "/vms/$1" | jq -r "$2"; }

# Runs a command of the CLI that makes a task, waits, prints the task. Fails if the task does.
job() {
  local rc=0
  c -o json "$@" >"$work/job" 2>"$work/job.err" || rc=$?
  if [ $rc = 0 ]; then cat "$work/job"; return 0; fi
  local task
  task=$(sed -n 's/^The work goes on.*task wait //p' "$work/job.err" | sed -n 1p)
  if [ -n "$task" ]; then # it gave up waiting: one check at the end is about that
    echo "chorok ${*:1:3}: $(grep '^error' "$work/job.err" || true)" >>"$work/gave-up"
    eventually 60 ended "$task"
    get "/tasks/$task" | tee "$work/job"
    [ "$(jq -r .state "$work/job")" != succeeded ] || return 0
  fi
  why "chorok ${*:1:3} ended with $rc: $(jq -r '.error.message? // .problems?[0].message? // empty' "$work/job" 2>/dev/null) $(
    grep -vE '^$|^hint' "$work/job.err" | tr '\n' ' ' | cut -c1-300)"
}
begin() { c -o json --no-wait "$@" | jq -er .id; } # prints the task's id

ended() { get "/tasks/$1" | jq -e '.state | IN("succeeded", "failed", "cancelled")' >/dev/null; } # TASK
end_of() { # TASK SECONDS: waits, prints state and what it says; an end without words is no answer
  local task
  eventually "$2" ended "$1"
  task=$(get "/tasks/$1")
  jq -e '(.error.message // .message) | length > 0' <<<"$task" >/dev/null || why "task $1 ended without a word"
  jq -r '"\(.state): \(.error.message // .message)"' <<<"$task"
}

vm() { # NAME [FLAG...]: a small guest
  local name=$1
  shift
  job vm create "$name" --memory 96M --boot-datastore shared --kernel vmlinuz --initrd initrd \
    --cmdline "console=ttyS0 quiet no_timer_check chorok.name=$name chorok.load=cpu:5,mem:8" \
    --nic name=eth0,network=lab "$@" >/dev/null
}
gone() { c -q vm delete "$@" --hard --yes >/dev/null; } # NAME...

is() { [ "$(field "$1" .status.state)" = "$2" ] || why "$1 is $(field "$1" .status.state), not $2"; } # VM STATE
sits() { [ "$(field "$1" .status.host_name)" = "$2" ] || why "$1 is on $(field "$1" .status.host_name), not $2"; } # VM HOST
address() { field "$1" '[.status.ips[]? | select(test("^[0-9.]+$"))][0] // empty' | grep .; } # VM

# The processes themselves, whatever manager and libvirt believe.
qemus() { # VM: HOST PID lines
  local host domain
  domain=$(field "$1" .domain)
  for host in host1 host2 host3; do
    lab exec "$host" pgrep -f -- "^[^ ]*qemu-system[^ ]* .*guest=$domain," 2>/dev/null | sed "s/^/$host /" || true
  done
}
runs_once() { # VM: one process, on the host that Chorok says
  local found
  found=$(qemus "$1")
  [ "$(grep -c . <<<"$found")" = 1 ] || why "$1 has these processes: $(tr '\n' ';' <<<"$found")"
  [ "${found% *}" = "$(field "$1" .status.host_name)" ] || why "$1 runs on ${found% *}; Chorok says $(field "$1" .status.host_name)"
}
qemu_pid() { lab exec "$2" cat "/run/libvirt/qemu/$(field "$1" .domain).pid"; } # VM HOST: in the host's numbers

hosts_are() { # COUNT CONDITION
  local count
  count=$(get '/hosts?limit=0' | jq "[.items[] | select($2)] | length")
  [ "$count" = "$1" ] || why "$count hosts are: $2"
}
host_is() { [ "$(get "/hosts/$1" | jq -r "$2")" = "$3" ] || why "$1: $2 is $(get "/hosts/$1" | jq -r "$2"), not $3"; }
problem_of() { # METHOD PATH BODY: the answer's status and body
  curl -sS --max-time 10 --cacert "$CHOROK_CA" -H "Authorization: Bearer $CHOROK_TOKEN" \
    -H 'Content-Type: application/json' -X "$1" "$CHOROK_URL/api/v1$2" -d "$3" -w '\n%{http_code}'
}

# Where a disk of the host-wide shared datastore lies; a path that nobody gave is made from the VM's id.
disk_path() { # VM DISK
  get "/vms/$1" | jq -er --arg d "$2" '.meta.id as $id | .spec.disks[] | select(.name == $d) |
    if (.path // "") == "" then "vms/\($id)/\(.name).\(.format // "qcow2")" else .path end'
}

# --- the start ---------------------------------------------------------------------------------------------------------

login() {
  local url dir token
  { read -r url && read -r dir; } < <(lab where)
  token=$(curl -sS --fail --max-time 10 --cacert "$dir/manager/state/pki/ca.pem" -H 'Content-Type: application/json' \
    "$url/api/v1/login" -d "$(jq -n --rawfile p "$dir/manager/admin-password" '{user: "admin", password: ($p | rtrimstr("\n"))}')" |
    jq -er .token)
  export CHOROK_URL=$url CHOROK_CA=$dir/manager/state/pki/ca.pem CHOROK_TOKEN=$token
}

hosts_connect() {
  eventually 30 hosts_are 3 '.link == "connected" and .inventory.memory == 3072 and .inventory.accelerator == "tcg"
    and .inventory.simulated and .inventory.cpu.capacity > 0 and (.inventory.libvirt_version | length) > 0
    and (.inventory.qemu_version | length) > 0 and (.inventory.accelerator_reason | length) > 0'
}

places_are_reached() {
  c -q datastore create shared --path /srv/chorok/shared --shared >/dev/null
  c -q datastore create local --path /srv/chorok/local >/dev/null
  c -q network create lab --kind bridge --bridge br0 >/dev/null
  eventually 30 hosts_are 3 '([.datastores[], .networks[]] | length == 3 and all(.reachable)) and all(.datastores[]; .capacity > 0)'
}

unreached_places_say_why() {
  c -q datastore create nostore --path /srv/nothing-here >/dev/null
  c -q network create nonet --kind bridge --bridge br99 >/dev/null
  eventually 15 hosts_are 3 '[.datastores[], .networks[] | select(.reachable | not) | .message | select(length > 0)] | length == 2'
  local said
  said=$(c -o json vm create nowhere --memory 96M --disk name=d,size=8M,datastore=nostore --nic network=nonet --dry-run 2>&1) && why "it would be created"
  [[ $said == *nostore* && $said == *nonet* ]] || why "not every reason is listed: $(jq -c .problems <<<"$said")"
}

# --- what is used ------------------------------------------------------------------------------------------------------

used() { get /usage | jq -e --arg vm "$1" "[.vms[] | select(.name == \$vm)][0] | $2"; } # VM CONDITION
jiffies() { lab exec "$2" awk '{ print $14 + $15 }' "/proc/$1/stat"; }                  # PID HOST

# The CPU time of a guest's process over half a minute, by the kernel and by the manager's history.
in_force() { # VM: its CPU weight that its host has been told, once it is in force
  get '/clusters/default/use?vms=true' |
    jq -e --arg n "$1" '[.rows[] | select(.kind == "vm" and .name == $n) | .enforced | select(.in_force and .problem == "") | .shares][0] // empty'
}
weight() { lab virsh host1 schedinfo "$(field "$1" .domain)" | sed -n 's/^cpu_shares *: *//p'; }
weighs() { # VM: 1000 is the kernel's 1024, or its 100 where cgroups are of version 2
  local told real
  told=$(in_force "$1") real=$(weight "$1")
  [ "$real" = $((told * 1024 / 1000)) ] || [ "$real" = $((told / 10)) ]
}
pools_are_in_force() {
  local heavy light
  vm heavy --host host1 --start --cpu shares=3000
  vm light --host host1 --start --cpu shares=1000
  for guest in heavy light; do
    eventually 60 weighs $guest ||
      why "$guest: libvirt has '$(weight $guest)', told: $(get '/clusters/default/use?vms=true' | jq -c --arg n $guest '[.rows[] | select(.name == $n) | .enforced]')"
  done
  heavy=$(weight heavy) light=$(weight light)
  [ "$heavy" -gt "$light" ] || why "3000 shares weigh $heavy, 1000 weigh $light"
  gone heavy
  gone light
  echo "3000 shares weigh $heavy, 1000 weigh $light"
}
telemetry_is_right() {
  local pid begin before end after mhz counted kernel
  vm measured --host host1 --start
  pid=$(qemu_pid measured host1)
  eventually 40 used measured '.cpu_mhz > 0 and .consumed > 0 and .memory == 96' >/dev/null
  begin=$(used measured .at | tr -d '"') before=$(jiffies "$pid" host1)
  eventually 60 used measured "(.at | .[:19] + \"Z\" | fromdate) > ($(date -u +%s) + 25)" >/dev/null
  end=$(used measured .at | tr -d '"') after=$(jiffies "$pid" host1)
  mhz=$(get /hosts/host1 | jq .inventory.cpu.mhz)
  eventually 10 recorded measured "$begin" "$end"
  counted=$(get "/vms/measured/stats?from=$begin&to=$end&step=10" | jq ".cpu_mhz_hours * 3600 / $mhz")
  kernel=$(awk -v a="$before" -v b="$after" -v hz="$(getconf CLK_TCK)" 'BEGIN { print (b - a) / hz }')
  # A sample and a look at /proc are up to a second apart.
  awk -v c="$counted" -v k="$kernel" 'BEGIN { exit !(c > 0 && c > k * 0.7 - 0.7 && c < k * 1.3 + 0.7) }' ||
    why "the history has $counted s of CPU, the kernel $kernel s"
  get /usage | jq -e '[.hosts[] | select(.name == "host1")][0] | .cpu_known and .cpu_mhz >= .guests_mhz and .vms > 0' >/dev/null ||
    why "host1: $(get /usage | jq -c .hosts)"
  c vm stats measured | grep "MHz hours" >/dev/null || why "no table of statistics"
  c vm dirty-rate measured --window 2s -o json | jq -e '.mib_s >= 0 and .window == 2 and .host_name == "host1"' >/dev/null ||
    why "no dirty rate: $(c vm dirty-rate measured 2>&1)"
  curl -sS --max-time 10 --cacert "$CHOROK_CA" -H "Authorization: Bearer $CHOROK_TOKEN" "$CHOROK_URL/metrics" |
    grep "^chorok_vm_cpu_mhz{vm=\"measured\"" >/dev/null || why "no metrics of it"
  gone measured
  echo "$counted s in the history, $kernel s by the kernel"
}
recorded() { get "/vms/$1/stats?from=$2&to=$3&step=1" | jq -e '.measured >= 20' >/dev/null; } # VM FROM TO

# --- a VM's life -------------------------------------------------------------------------------------------------------

create_from_flags() {
  vm life --host host1 --label app=e2e --start
  is life on
  sits life host1
  runs_once life
}

create_from_file() {
  c -o json vm create --file - --dry-run >"$work/dry" <<<'{"meta":{"name":"filed"},"spec":{"memory":96,"disks":[{"name":"root","datastore":"shared","size":16}]}}'
  jq -e .ok "$work/dry" >/dev/null
  ! get /vms/filed >/dev/null 2>&1 || why "a dry run made it"
  job vm create --file - <<<'{"meta":{"name":"filed"},"spec":{"memory":96,"disks":[{"name":"root","datastore":"shared","size":16}]}}' >/dev/null
  is filed off
  gone filed
}

gets_address() { eventually 30 address life; address life | tee "$work/ip"; }
booted() { (exec 3<>"/dev/tcp/$(cat "$work/ip")/7777") 2>/dev/null || why "life does not answer"; } # it keeps its lease

console_speaks() {
  local said
  { printf '\necho con$((40+2))\n'; eventually 20 console_said con42 || true; printf '\035'; } |
    timeout 30 "$CHOROK_BIN/chorok" vm console life >"$work/console" 2>&1 || true
  said=$(tr -dc '[:print:]' <"$work/console" | cut -c1-200)
  [[ $said == *con42* ]] || why "the console said: $said"
}
console_said() { grep -a "$1" "$work/console" >/dev/null; }

tour() {
  local ip probe host task result
  ip=$(cat "$work/ip")
  eventually 20 booted
  "$ROOT/build/lab-tools/guestprobe" "$ip" 60 >"$work/probe" 2>/dev/null &
  probe=$!
  for host in host2 host3; do
    task=$(job vm migrate life $host) || { kill $probe; why "the migration to $host failed"; }
    jq -e '.result.migration | .downtime > 0 and .transferred > 1000000 and .rounds > 0 and .tls and .total > .downtime' <<<"$task" >/dev/null ||
      { kill $probe; why "the result lacks something: $(jq -c .result <<<"$task")"; }
    jq -r '"downtime \(.result.migration.downtime) s, \(.result.migration.transferred) bytes"' <<<"$task"
    sits life $host
  done
  sleep 0.5
  kill $probe
  wait $probe || true
  result=$(cat "$work/probe")
  echo "$result"
  jq -e '.connection == "open" and .backwards == 0 and .lost == 0 and .gap_ms_max < 3000' "$work/probe" >/dev/null ||
    why "the guest's user saw: $result"
  runs_once life
  [ "$(field life .status.last_migration.to)" = host3 ]
}

stop_and_start() {
  eventually 20 booted
  job vm stop life --timeout 30s >/dev/null
  is life off
  [ -z "$(qemus life)" ] || why "its process still runs"
  job vm start life >/dev/null
  is life on
  runs_once life
}

suspend_and_resume() {
  job vm suspend life >/dev/null
  is life paused
  job vm resume life >/dev/null
  is life on
}

save_and_restore() {
  local ip before after
  eventually 20 booted
  ip=$(cat "$work/ip")
  before=$(lab probe "$ip" 1 | jq .last)
  job vm save life >/dev/null
  is life saved
  [ -z "$(qemus life)" ] || why "its process still runs"
  job vm start life >/dev/null
  is life on
  sleep 0.5
  after=$(lab probe "$ip" 1 | jq .last)
  [ "$after" -gt "$before" ] || why "its counter was $before and is $after: it did not keep its memory"
}

resize_says_which() {
  local task
  task=$(job vm resize life --memory 80M)
  jq -e '.result.live == ["memory"]' <<<"$task" >/dev/null || why "memory: $(jq -c .result <<<"$task")"
  task=$(job vm resize life --vcpus 2)
  jq -e '.result.next_boot == ["vcpus"]' <<<"$task" >/dev/null || why "vcpus: $(jq -c .result <<<"$task")"
  [[ $(field life '.status.pending[]') == *vcpus* ]] || why "what is pending is not shown"
}

power_off_hard() { job vm stop life --hard >/dev/null; is life off; }

# --- disks -------------------------------------------------------------------------------------------------------------

snapshot_and_revert() {
  vm disky --host host1 --disk name=root,size=64M,datastore=shared --start
  job vm snapshot disky before >/dev/null
  field disky '.status.snapshots[].name' | grep -x before >/dev/null || why "the snapshot is not listed"
  job vm stop disky --hard >/dev/null
  job vm revert disky before >/dev/null
  eventually 5 is disky on
  job vm snapshot-delete disky before >/dev/null
  eventually 5 no_snapshots disky
}
no_snapshots() { [ "$(field "$1" '.status.snapshots | length')" = 0 ]; }

# Output first, search then: a pipe into grep -q fails when grep has seen enough before the writer is done.
has_source() { # VM TEXT: a disk of the running guest on host1, as libvirt has it
  local disks
  disks=$(lab virsh host1 domblklist "$(field "$1" .domain)")
  [[ $disks == *"$2"* ]] || why "no disk of $1 is at $2: $(tr -s ' \n' ' ' <<<"$disks")"
}

attach_and_detach() {
  local path
  eventually 20 address disky
  job vm attach-disk disky --disk name=data,size=16M,datastore=shared | jq -e '.result.live == ["disks"]' >/dev/null
  path=$CHOROK_LAB_DIR/shared/$(disk_path disky data)
  [ -f "$path" ] || why "no file $path"
  has_source disky data
  job vm detach disky data >/dev/null
  ! [ -f "$path" ] || why "the file stayed"
  job vm attach-nic disky --nic name=eth1,network=lab >/dev/null
  job vm detach disky eth1 >/dev/null
}

storage_moves_while_it_runs() {
  local task
  task=$(job vm migrate disky --datastore local)
  jq -e '.result.migration.kind == "storage"' <<<"$task" >/dev/null || why "$(jq -c .result <<<"$task")"
  has_source disky /srv/chorok/local/
  sits disky host1
  is disky on
}

local_disk_moves_along() { # disky is on host1 and its disk is the host's own
  local task path
  path=$(disk_path disky root)
  task=$(job vm migrate disky host2)
  jq -e '.result.migration.kind == "live-storage"' <<<"$task" >/dev/null || why "$(jq -c .result <<<"$task")"
  runs_once disky
  ! lab exec host1 test -e "/srv/chorok/local/$path" || why "the source's disk is left behind"
  lab exec host2 test -e "/srv/chorok/local/$path" || why "the target has no disk"
}

cold_migration() {
  job vm stop disky --hard >/dev/null
  job vm migrate disky --datastore shared --cold >/dev/null || why "moving the disk of a stopped VM failed"
  job vm migrate disky host3 --cold >/dev/null
  job vm start disky --host host3 >/dev/null # without a host DRS places it
  sits disky host3
  runs_once disky
}

cold_firmware() { # DATASTORE: what lies beside the disks of a VM that is off goes with it, and what only its host has stays safe
  local datastore=$1 name=firm-$1 file tpm mark before after said
  mark="chorok was here on $datastore"
  job vm create "$name" --memory 128M --firmware uefi --tpm --disk "name=root,datastore=$datastore,size=64M" --host host1 --start >/dev/null
  job vm stop "$name" --hard >/dev/null
  file=/var/lib/libvirt/qemu/nvram/$(field "$name" .domain)_VARS.fd
  tpm=/var/lib/libvirt/swtpm/$(field "$name" .uuid)/tpm2/tpm2-00.permall
  # Something that only this guest's variables hold.
  lab exec host1 sh -c "printf '%s' '$mark' | dd of='$file' bs=1 seek=300000 conv=notrunc status=none"
  before=$(lab exec host1 stat -c %s "$tpm") || why "it has no TPM's state on host1"
  said=$(c vm start "$name" --host host2 2>&1) && why "it starts without its TPM's state"
  [[ $said == *"state of its TPM is on 'host1' alone"* || $said == *"is on local datastore"* ]] || why "$said"
  job vm migrate "$name" host2 --cold >"$work/cold"
  jq -e '.result.migration.kind == "cold"' "$work/cold" >/dev/null || why "$(jq -c .result "$work/cold")"
  sits "$name" host2
  is "$name" off
  [ -z "$(qemus "$name")" ] || why "it runs: $(qemus "$name")"
  [ "$(lab exec host2 dd "if=$file" bs=1 skip=300000 "count=${#mark}" status=none)" = "$mark" ] || why "its firmware has forgotten"
  after=$(lab exec host2 stat -c %s "$tpm") || why "its TPM's state did not come along"
  [ "$before" = "$after" ] || why "its TPM's state was $before bytes and is $after"
  job vm start "$name" --host host2 >/dev/null
  runs_once "$name"
  gone "$name"
}

delete_takes_disks() {
  local path
  path=$CHOROK_LAB_DIR/shared/$(disk_path disky root)
  [ -f "$path" ] || why "no file $path"
  gone disky
  ! [ -f "$path" ] || why "the disk stayed"
  ! get /vms/disky >/dev/null 2>&1 || why "it is still listed"
}

# --- rules -------------------------------------------------------------------------------------------------------------

dry_run_gives_reasons() {
  local said
  vm still --host host1 --start
  said=$(c -o json vm migrate still host1 --dry-run 2>/dev/null) && why "moving it to its own host would do"
  jq -e '(.ok | not) and (.problems[0] | .code and .message and .field)' <<<"$said" >/dev/null || why "$said"
  said=$(c -o json vm migrate still host99 --dry-run 2>/dev/null) && why "moving it to nowhere would do"
  jq -e '.problems[0].field == "/host"' <<<"$said" >/dev/null || why "$said"
  c -o json vm migrate still host2 --dry-run | jq -e '.ok and .problems == []' >/dev/null || why "a good move is refused"
  sits still host1
  said=$(c -o json vm create huge --memory 9G --start --dry-run 2>/dev/null) && why "9 GiB would fit in 3"
  [[ $said == *9216* ]] || why "$said"
}

maintenance_evacuates() {
  vm evac --host host2 --start
  job host maintenance host2 >/dev/null
  host_is host2 .admin maintenance
  is evac on
  [ "$(field evac .status.host_name)" != host2 ] || why "it stayed"
  runs_once evac
  c -o json vm migrate evac host2 --dry-run >/dev/null 2>&1 && why "a host in maintenance takes VMs"
  c -q host enable host2 >/dev/null
  eventually 5 host_is host2 .admin enabled
  gone evac
}

adopt_foreign() {
  local before uuid
  "$here/guest/domain.sh" stranger dhcp 96 >"$CHOROK_LAB_DIR/shared/stranger.xml"
  lab virsh host2 define /srv/chorok/shared/stranger.xml >/dev/null
  lab virsh host2 start stranger >/dev/null
  uuid=$(lab virsh host2 domuuid stranger | tr -d ' \n')
  before=$(lab exec host2 cat /run/libvirt/qemu/stranger.pid)
  eventually 20 hosts_are 1 ".meta.name == \"host2\" and any(.foreign[]; .uuid == \"$uuid\" and .state == \"on\")"
  job host adopt host2 "$uuid" >/dev/null
  eventually 5 is stranger on
  eventually 5 hosts_are 0 '.foreign | length > 0'
  [ "$(lab exec host2 cat /run/libvirt/qemu/stranger.pid)" = "$before" ] || why "it was restarted"
  [ "$(field stranger .adopted)" = true ]
  gone stranger
  ! lab virsh host2 dominfo stranger >/dev/null 2>&1 || why "its definition stayed"
}

bad_input() {
  local said
  said=$(problem_of POST /vms '{"meta":{"name":"x"},"spec":{"memry":5}}')
  [[ ${said##*$'\n'} == 4?? && $said == *"did you mean 'memory'"* && $said == *'/spec/memry'* ]] || why "unknown field: $said"
  said=$(problem_of POST /vms '{"meta":{"name":"x"},"spec":{"disks":[{"name":"a","size":"big"}]}}')
  [[ ${said##*$'\n'} == 4?? && $said == *'"/spec/disks/0/size"'* ]] || why "wrong type: $said"
  said=$(problem_of POST /vms '{"meta":')
  [[ ${said##*$'\n'} == 400 ]] || why "broken JSON: $said"
  said=$(problem_of POST /vms/still/fly '{}')
  [[ ${said##*$'\n'} == 404 ]] || why "unknown verb: $said"
  said=$(CHOROK_TOKEN=wrong problem_of GET /vms '')
  [[ ${said##*$'\n'} == 401 ]] || why "wrong token: $said"
}

events_and_audit() {
  get '/events?limit=0' >"$work/events"
  local kind
  for kind in vm.on host.connected vm.migrate.succeeded; do
    jq -e --arg k $kind 'any(.items[]; .kind == $k)' "$work/events" >/dev/null || why "no event $kind: $(jq -c '[.items[].kind] | unique' "$work/events")"
  done
  get '/audit?limit=0' | jq -e 'any(.items[]; .user == "admin" and .method == "POST" and (.path | endswith("/vms")) and .status == 202)' >/dev/null ||
    why "the audit does not have the creation of a VM"
}

# --- faults ------------------------------------------------------------------------------------------------------------

moving() { get "/tasks/$1" | jq -e '.state == "running" and .progress.transferred > 0' >/dev/null; } # TASK

# Leaves a migration of VM under way and prints its task: 60 MiB at 8 MiB/s give time to break something.
begin_move() { # VM HOST
  local task
  task=$(begin vm migrate "$1" "$2" --bandwidth 8)
  eventually 20 moving "$task"
  echo "$task"
}

manager_killed_in_migration() {
  local task
  vm mgr --host host1 --start
  task=$(begin_move mgr host2)
  lab manager kill
  sleep 0.5
  lab manager start
  end_of "$task" 60
  eventually 10 is mgr on
  eventually 10 runs_once mgr
  gone mgr
}

agent_killed_in_create() {
  local task
  task=$(begin vm create agt --memory 96M --boot-datastore shared --kernel vmlinuz --initrd initrd \
    --cmdline 'console=ttyS0 quiet no_timer_check' --disk name=root,size=64M,datastore=shared --host host1 --start)
  lab service host1 kill agent
  end_of "$task" 60
  eventually 20 host_is host1 .link connected
  if [ "$(get "/tasks/$task" | jq -r .state)" = succeeded ]; then
    eventually 10 is agt on
    runs_once agt
  else
    [ -z "$(qemus agt)" ] || why "the task failed and the VM runs"
  fi
  gone agt
  ! lab virsh host1 dominfo agt >/dev/null 2>&1 || why "its definition stayed"
}

agent_killed_in_migration() {
  local task
  vm agm --host host1 --start
  task=$(begin_move agm host3)
  lab service host1 kill agent
  end_of "$task" 60
  eventually 20 is agm on
  eventually 10 runs_once agm
  gone agm
}

libvirtd_killed_at_rest() {
  local before
  vm lvr --host host2 --start
  before=$(qemu_pid lvr host2)
  lab service host2 kill libvirtd
  eventually 20 lab virsh host2 uri
  eventually 20 is lvr on
  [ "$(qemu_pid lvr host2)" = "$before" ] || why "another process"
  job vm suspend lvr >/dev/null || why "the host does not work any more"
  gone lvr
}

libvirtd_killed_in_migration() {
  local task
  vm lvm --host host2 --start
  task=$(begin_move lvm host3)
  lab service host2 kill libvirtd
  end_of "$task" 90
  eventually 30 is lvm on
  eventually 10 runs_once lvm
  gone lvm
}

qemu_killed() {
  vm qk --host host2 --start
  lab exec host2 kill -9 "$(qemu_pid qk host2)"
  eventually 10 dead qk
  get '/events?limit=0' | jq -e 'any(.items[]; .subject_name == "qk" and (.kind | IN("vm.crashed", "vm.off")))' >/dev/null ||
    why "no event: $(get '/events?limit=0' | jq -c '[.items[] | select(.subject_name == "qk") | .kind]')"
  job vm start qk >/dev/null
  runs_once qk
  gone qk
}
dead() { field "$1" .status.state | grep -E '^(crashed|off)$' >/dev/null || why "$1 is $(field "$1" .status.state)"; }

power_cut() {
  vm cutoff --host host3 --start
  lab bmc host3 stop # whose power has gone too, so that nobody knows
  lab kill host3
  eventually 30 host_is host3 .link lost
  eventually 30 is cutoff unknown
  c -q vm start cutoff >/dev/null 2>&1 && why "a VM whose host is lost was started"
  lab bmc host3 start
  lab start host3
  eventually 30 host_is host3 .link connected
  eventually 30 dead cutoff
  job vm start cutoff >/dev/null
  eventually 10 is cutoff on
  runs_once cutoff
  gone cutoff
}

waits_to_the_end() {
  [ ! -s "$work/gave-up" ] || why "$(wc -l <"$work/gave-up") times not, first: $(head -n 1 "$work/gave-up")"
}

delete_all() {
  c -o json vm ls | jq -r 'if type == "array" then .[] else .items[] end | .meta.name' | while read -r name; do gone "$name"; done
  [ "$(get '/vms?limit=0' | jq '.items | length')" = 0 ] || why "VMs are left"
  local host
  for host in host1 host2 host3; do
    [ -z "$(lab virsh "$host" list --all --name | grep .)" ] || why "$host still has $(lab virsh "$host" list --all --name | xargs)"
  done
  [ -z "$(find "$CHOROK_LAB_DIR/shared/vms" -type f 2>/dev/null)" ] || why "files are left: $(find "$CHOROK_LAB_DIR/shared/vms" -type f | sed -n 1,3p | xargs)"
}

# --- energy ------------------------------------------------------------------------------------------------------------

bmc_of() { # HOST [DRIVER]: the manager learns how to reach it
  local at=() driver=${2:-ipmi}
  mapfile -t at < <(lab bmc "$1") # address, user, password file, cipher suite, fingerprint
  if [ "$driver" = redfish ]; then
    c -q host bmc "$1" --driver redfish --address "${at[0]}" --user "${at[1]}" --password-file "${at[2]}" --fingerprint "${at[4]}" >/dev/null
  else
    c -q host bmc "$1" --driver ipmi --address "${at[0]}" --user "${at[1]}" --password-file "${at[2]}" --cipher-suite "${at[3]}" >/dev/null
  fi
}
metered() { # METHODS
  local by
  by=$(get /energy | jq -r '[.hosts[] | select(.source == "measured") | .method] | sort | join(" ")')
  [ "$by" = "$1" ] || why "hosts are metered by: $by"
}

said_joules() { # what the BMCs' own meters have counted, wrong as they are
  local host
  for host in host1 host2 host3; do lab watts "$host"; done | awk '{ sum += $4 } END { printf "%.1f\n", sum }'
}
# The BMC says the mean of its last second, and is not asked every second: over two minutes of guests that start and stop
# that is worth a few percent, over the half hour of `./dev bench live` less than one.
energy_is_what_the_bmcs_say() {
  local host cluster from to began said ours sum
  vm energy --start
  for host in host1 host3; do bmc_of "$host"; done
  bmc_of host2 redfish
  eventually 100 metered "ipmi-dcmi ipmi-dcmi redfish"
  eventually 100 energy_of_vm
  cluster=$(get /hosts/host1 | jq -r '.cluster // ""')
  from=$(date -u +%Y-%m-%dT%H:%M:%S.%3NZ)
  began=$(said_joules)
  sleep 120
  to=$(date -u +%Y-%m-%dT%H:%M:%S.%3NZ)
  said=$(awk -v a="$began" -v b="$(said_joules)" 'BEGIN { print b - a }')
  c energy cluster "${cluster:-default}" --from "$from" --to "$to" -o json >"$work/energy"
  ours=$(jq -r .joules "$work/energy")
  awk -v a="$said" -v b="$ours" 'BEGIN { exit !(b > a * 0.94 && b < a * 1.06) }' || why "the BMCs say $said J, the manager $ours J"
  jq -e '.measured > 0.99 and .error > 0' "$work/energy" >/dev/null || why "measured: $(jq -c '[.measured, .error]' "$work/energy")"
  sum=$(get /energy | jq '[.hosts[] | ((.vms_watts + .unused_watts) / .watts - 1) | fabs] | max')
  awk -v s="$sum" 'BEGIN { exit !(s < 0.001) }' || why "VMs and unused miss the hosts by $sum"
  gone energy
  echo "the BMCs say $said J, the manager $ours J"
}
energy_of_vm() { get /energy | jq -e '[.vms[] | select(.name == "energy" and .watts > 0)] | length == 1' >/dev/null; }

# --- the run -----------------------------------------------------------------------------------------------------------

began=$SECONDS
if ! lab up 3 >"$work/up" 2>&1 || ! login >>"$work/up" 2>&1; then
  echo "not ok up: $(tail -n 1 "$work/up")"
  sed 's/^/  # /' "$work/up"
  echo "0 passed, 1 failed"
  exit 1
fi
all=("${only[@]}")
only=()
check "three hosts connect with their inventory" hosts_connect
check "datastores and networks are reached" places_are_reached
only=("${all[@]}")
check "what is not reached says why" unreached_places_say_why
only=()
check "create and start from flags" create_from_flags
only=("${all[@]}")
check "create from a file; a dry run makes nothing" create_from_file
check "the guest's address is shown" gets_address
check "the console speaks" console_speaks
check "live from host1 to host2 to host3" tour
check "stop and start" stop_and_start
check "suspend and resume" suspend_and_resume
check "save and restore" save_and_restore
check "resize says what is live" resize_says_which
check "hard power off" power_off_hard
check "disk: snapshot and revert" snapshot_and_revert
check "disk: attach and detach" attach_and_detach
check "disk: moves to another datastore while it runs" storage_moves_while_it_runs
check "disk: a local one moves along, live" local_disk_moves_along
check "disk: cold migration" cold_migration
check "disk: a cold move takes firmware and TPM along" cold_firmware shared
check "disk: a cold move with its disk takes them too" cold_firmware local
check "disk: delete takes it along" delete_takes_disks
check "telemetry: what is counted is what the kernel counts" telemetry_is_right
check "pools: weights are in force on real hosts" pools_are_in_force
check "energy: accounts are what the BMCs say" energy_is_what_the_bmcs_say
check "a dry run gives reasons" dry_run_gives_reasons
check "maintenance evacuates" maintenance_evacuates
check "a foreign guest is adopted as it runs" adopt_foreign
check "bad input is explained" bad_input
check "events and audit" events_and_audit
check "fault: manager killed in a migration" manager_killed_in_migration
check "fault: agent killed in a create" agent_killed_in_create
check "fault: agent killed in a migration" agent_killed_in_migration
check "fault: libvirtd killed" libvirtd_killed_at_rest
check "fault: libvirtd killed in a migration" libvirtd_killed_in_migration
check "fault: QEMU killed" qemu_killed
check "fault: a host loses power" power_cut
check "delete leaves nothing" delete_all
check "the CLI waits to the end" waits_to_the_end
echo "# $((SECONDS - began)) s, load $(cut -d' ' -f1 /proc/loadavg)"
echo "$passed passed, $failed failed"
[ $failed = 0 ]
