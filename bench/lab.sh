# shellcheck shell=bash
# shellcheck disable=SC2034
# A lab of the benches' own: a manager, agents, libvirt. Sourced by run.sh.

export CHOROK_LAB=bench CHOROK_LAB_NET=10.80.0 CHOROK_LAB_DIR=$ROOT/build/lab/bench CHOROK_BIN=$BIN
lab() { timeout 120 "$ROOT/lab/lab" "$@"; }
c() { timeout 120 "$BIN/chorok" "$@"; }
get() { c api GET "$1"; }

lab_end() {
  trap '' INT TERM HUP
  lab down >/dev/null 2>&1 || true
}

# The hosts of a lab have half a core each, so that switching one off does not speed up the others. A bench gives them
# more: virsh runs outside the limit, an agent within it, and would wait for its next share after QEMU has used this one.
lab_begin() { # HOSTS
  export CHOROK_LAB_CORES=${BENCH_CORES:-1}
  [ "$(id -u)" = 0 ] || die "the lab needs root"
  say "Starting a lab of $1 hosts"
  trap lab_end EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  unset CHOROK_URL CHOROK_CA CHOROK_TOKEN
  lab up "$1" 2>/dev/null || die "the lab did not start"
  local url dir attempt token
  { read -r url && read -r dir; } < <(lab where)
  token=$(curl -sS --fail --max-time 20 --cacert "$dir/manager/state/pki/ca.pem" -H 'Content-Type: application/json' "$url/api/v1/login" \
    -d "$(jq -n --rawfile p "$dir/manager/admin-password" '{user: "admin", password: ($p | rtrimstr("\n"))}')" | jq -er .token)
  export CHOROK_URL=$url CHOROK_CA=$dir/manager/state/pki/ca.pem CHOROK_TOKEN=$token
  c -q datastore create shared --path /srv/chorok/shared --shared >/dev/null
  c -q network create lab --kind bridge --bridge br0 >/dev/null
  for ((attempt = 0; attempt < 150; attempt++)); do # 30 s
    [ "$(get '/hosts?limit=0' | jq '[.items[] | select(.link == "connected" and .inventory.memory > 0 and ([.datastores[], .networks[]] | length == 2 and all(.reachable)))] | length')" = "$1" ] && return 0
    sleep 0.2
  done
  die "the hosts did not connect"
}

# virsh on this machine, outside the host's limits as chorok is, straight on the host's socket.
peer() { # HOST VIRSH_ARG...
  local host=$1
  shift
  timeout 120 virsh -q -c "qemu:///system?socket=/proc/$(cat "/run/chorok-lab/$CHOROK_LAB/$host.pid")/root/run/libvirt/libvirt-sock" "$@" # tidy: allow (/proc/PID/root)
}

guest_flags() { # NAME MEMORY LOAD
  printf '%s\n' --memory "$2" --boot-datastore shared --kernel vmlinuz --initrd initrd --cmdline \
    "console=ttyS0 quiet no_timer_check chorok.name=$1 chorok.load=$3" --nic name=eth0,network=lab
}

# The domain that Chorok made of a VM, under another name: what virsh is given is the same machine.
twin_xml() { # DOMAIN NAME HOST
  peer "$3" dumpxml --inactive "$1" |
    sed -e "s/>$1</>$2</" -e '/<uuid>/d' -e "s/<mac address=.*/<mac address='52:54:00:$(printf '%s' "$2" | md5sum | sed 's/\(..\)\(..\)\(..\).*/\1:\2:\3/')'\/>/" \
      -e '/<metadata>/,/<\/metadata>/d' -e "s#/[^']*\.console#/tmp/$2.console#"
}

# us: how long a command takes, into TOOK_US; its output into a file
took() { # OUTPUT_FILE COMMAND [ARG...]
  local out=$1 from rc=0
  shift
  from=$(now_us)
  "$@" >"$out" 2>"$out.err" || rc=$?
  TOOK_US=$(($(now_us) - from))
  return $rc
}

# Every process of a host is in its PID namespace; the agent's number out here is found by that and its name.
agent_pid() { # HOST
  local init pid space
  init=$(cat "/run/chorok-lab/$CHOROK_LAB/$1.pid")
  space=$(readlink "/proc/$init/ns/pid")
  for pid in $(pgrep -x chorok-agent); do
    if [ "$(readlink "/proc/$pid/ns/pid" 2>/dev/null)" = "$space" ]; then
      echo "$pid"
      return 0
    fi
  done
  die "no agent in $1"
}
