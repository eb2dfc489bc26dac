# shellcheck shell=bash
# One BMC a host: OpenIPMI's ipmi_sim speaks IPMI 2.0 (RMCP+) on an address of its own on the lab's bridge, its power
# commands come here (cmd_chassis), and its meter is tools/bmcmeter.c. The one of host2 speaks Redfish too. A BMC lives in
# the cgroup of the lab's services: its host's power is not its own. Sourced by lab/lab.

BMC_USER=admin
BMC_CIPHER=3 # ipmi_sim knows no later one, and a client that asks which there are waits ten seconds for nothing
REDFISH_HOST=host2

bmc_address() { echo "$NET.$((60 + ${1#host}))"; } # HOST

bmc_pid() { cat "$RUN/$1.$2.pid" 2>/dev/null || echo 0; } # HOST ipmi|redfish

bmc_running() { # HOST ipmi|redfish
  local pid
  pid=$(bmc_pid "$1" "$2")
  [ "$pid" != 0 ] && cgroup_pids services | grep -x "$pid" >/dev/null
}

bmc_password() { # one for the lab; at most 16 bytes
  local file=$DIR/bmc/password
  mkdir -p "$DIR/bmc"
  [ -s "$file" ] || (umask 077 && head -c 12 /dev/urandom | base64 | tr '+/' 'Aa' >"$file")
  cat "$file"
}

bmc_meter_options() { # HOST: for tools/bmcmeter.c
  local cgroup controllers curve
  while read -r controllers cgroup; do
    case ,$controllers, in *,unified,* | *,cpuacct,*) break ;; esac
  done <"$RUN/cgroups"
  mapfile -t curve < <(grep -v '^#' "$LAB_HOME/power_curve")
  echo "cgroup=$cgroup/$1 cores=$CORES curve=${curve[0]} standby=${curve[1]} seed=$((${CHOROK_LAB_SEED:-1} * 1000 + ${1#host}))" \
    "dark=$RUN/$1.dark out=$RUN/$1.watts quirks=$RUN/$1.quirks"
}

bmc_configure() { # HOST: writes what ipmi_sim reads
  local folder=$DIR/bmc/$1 id
  mkdir -p "$folder/state"
  id=$(printf 'a123456789abcdefa1234567%08x' "${1#host}")
  (
    umask 077
    cat >"$folder/lan.conf" <<CONF
name "$1"
set_working_mc 0x20
startlan 1
  addr $(bmc_address "$1") 623
  priv_limit admin
  allowed_auths_callback none md2 md5 straight
  allowed_auths_user none md2 md5 straight
  allowed_auths_operator none md2 md5 straight
  allowed_auths_admin none md2 md5 straight
  guid $id
endlan
chassis_control "$LAB_HOME/lab chassis $1"
user 1 false "" "" user 10 none md2 md5 straight
user 2 true "$BMC_USER" "$(bmc_password)" admin 10 none md2 md5 straight
loadlib "$TOOLS/bmcmeter.so" "$(bmc_meter_options "$1")"
CONF
  )
  printf '%s\n' 'mc_setbmc 0x20' 'mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02' 'mc_enable 0x20' >"$folder/bmc.emu"
}

bmc_run() { # HOST ipmi|redfish COMMAND [ARG...]: in the lab's network, among its services
  local host=$1 kind=$2
  shift 2
  (
    close_locks
    cgroup_enter services
    export CHOROK_LAB=$LAB CHOROK_LAB_NET=$NET CHOROK_LAB_DIR=$DIR CHOROK_LAB_CORES=$CORES
    export CHOROK_LAB_MEMORY_MIB=$MEMORY_MIB CHOROK_BIN=$BIN CHOROK_ROOT=$ROOT CHOROK_LAB_GUEST=$GUEST
    setsid nsenter --net="/run/netns/$BRIDGE_NS" "$@" </dev/null >>"$DIR/bmc/$host/$kind.log" 2>&1 &
    echo $! >"$RUN/$host.$kind.pid"
  )
}

bmc_start() { # HOST
  bmc_configure "$1"
  ip -n "$BRIDGE_NS" address add "$(bmc_address "$1")/24" dev br0 2>/dev/null || true # it has it already
  bmc_running "$1" ipmi ||
    bmc_run "$1" ipmi ipmi_sim -n -c "$DIR/bmc/$1/lan.conf" -f "$DIR/bmc/$1/bmc.emu" -s "$DIR/bmc/$1/state"
  [ "$1" != "$REDFISH_HOST" ] || redfish_start "$1"
  bmc_listens "$1"
}

bmc_listens() { # HOST: waits until it does
  local at end=$((SECONDS + 20))
  at=$(bmc_address "$1")
  until bmc_has "-uln" "$at:623" && { [ "$1" != "$REDFISH_HOST" ] || bmc_has "-tln" "$at:443"; }; do
    [ $SECONDS -lt $end ] || fail "the BMC of $1 does not listen; its logs are in $DIR/bmc/$1"
    sleep 0.05
  done
}
bmc_has() { ip netns exec "$BRIDGE_NS" ss -H "$1" src "$2" | grep . >/dev/null; } # SS-OPTIONS ADDRESS:PORT

redfish_start() { # HOST
  local folder=$DIR/bmc/$1
  bmc_running "$1" redfish && return 0
  [ -s "$folder/redfish.pem" ] || (
    umask 077
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 -subj "/CN=$1-bmc" \
      -addext "subjectAltName=IP:$(bmc_address "$1")" -keyout "$folder/redfish.key" -out "$folder/redfish.crt" 2>/dev/null
    cat "$folder/redfish.crt" "$folder/redfish.key" >"$folder/redfish.pem"
  )
  bmc_run "$1" redfish /usr/bin/python3 "$LAB_HOME/tools/redfish.py" --host "$1" --address "$(bmc_address "$1")" \
    --cert "$folder/redfish.pem" --password-file "$DIR/bmc/password" --watts "$RUN/$1.watts" --quirks "$RUN/$1.quirks" \
    -- "$LAB_HOME/lab" chassis "$1"
}

bmc_stop() { # HOST: as if its cable were pulled
  local kind
  for kind in ipmi redfish; do
    if bmc_running "$1" $kind; then "$TOOLS/endpid" "$(bmc_pid "$1" $kind)"; fi
    rm -f "$RUN/$1.$kind.pid"
  done
}

quirk() { # HOST NAME: its value (1 where it has none), if it is set
  sed -n "s/^$2\$/1/p; s/^$2=//p" "$RUN/$1.quirks" 2>/dev/null | grep . | sed -n 1p
}

# ---- What ipmi_sim asks for: "get power boot", "set power 1 ...", "check ...". It waits for the answer and serves
# nobody meanwhile, so whatever takes longer than a kill goes on by itself.

chassis_power() { # HOST: 1 or 0
  if host_running "$1" || [ -e "$RUN/$1.dark" ] || [ -e "$RUN/$1.booting" ]; then echo 1; else echo 0; fi
}

chassis_on() { # HOST
  local boot
  [ "$(chassis_power "$1")" = 0 ] || return 0
  quirk "$1" stuck_off >/dev/null && return 0
  echo on >>"$RUN/$1.turns"
  if quirk "$1" wake_fails >/dev/null; then
    : >"$RUN/$1.dark"
    return 0
  fi
  boot=$(cat /proc/sys/kernel/random/uuid)
  echo "$boot" >"$RUN/$1.booting" # before anybody asks whether it has power
  alone "$1" "$LAB_HOME/lab" boot "$1" "$boot"
}

cmd_boot() { # HOST BOOT: begins once nothing else is done to the host, unless its power has gone meanwhile
  host_must_exist "${1:-}"
  trap "boot_over '$1' '${2:-}'" EXIT # also of one that has failed
  lock_host "$1"
  boots "$1" "$2" || return 0
  host_running "$1" || host_start "$1"
}
boots() { [ "$(cat "$RUN/$1.booting" 2>/dev/null)" = "$2" ]; } # HOST BOOT: it has not been switched off or on since
boot_over() { if boots "$1" "$2"; then rm -f "$RUN/$1.booting"; fi; }

chassis_off() { # HOST
  quirk "$1" stuck_on >/dev/null && return 0
  [ "$(chassis_power "$1")" = 1 ] || return 0
  echo off >>"$RUN/$1.turns"
  rm -f "$RUN/$1.booting"
  host_cut "$1"
  lock_host "$1"
  host_kill "$1"
}

alone() { # HOST COMMAND [ARG...]: goes on without us, holding nothing of ours (ipmi_sim leaves its sockets open)
  local host=$1
  shift
  (
    setsid bash -c 'for fd in /proc/self/fd/*; do fd=${fd##*/}; [ "$fd" -le 2 ] || eval "exec $fd>&-"; done; exec "$@"' - \
      "$@" </dev/null >>"$DIR/bmc/$host/chassis.log" 2>&1 &
  )
}

cmd_chassis() { # HOST get|set|check ARG...: what a host's BMC calls
  host_must_exist "${1:-}"
  local host=$1 verb=${2:-} delay
  shift 2
  delay=$(quirk "$host" slow || true)
  [ -z "$delay" ] || sleep "$delay"
  case $verb in
    check) ;;
    get)
      for each in "$@"; do
        case $each in
          power) echo "power:$(chassis_power "$host")" ;;
          boot) echo "boot:default" ;;
          *) return 1 ;;
        esac
      done
      ;;
    set)
      echo "$(date +%T.%3N) set $*" >>"$DIR/bmc/$host/chassis.log"
      while [ $# -gt 0 ]; do
        case $1=${2:-} in
          power=1) chassis_on "$host" ;;
          power=0) chassis_off "$host" ;;
          reset=*) chassis_off "$host" && chassis_on "$host" ;;
          shutdown=*) quirk "$host" no_soft >/dev/null || alone "$host" "$LAB_HOME/lab" shutdown "$host" ;;
          boot=* | identify=*) ;;
          *) return 1 ;;
        esac
        shift 2
      done
      ;;
    *) fail "chassis: get, set or check" ;;
  esac
}

cmd_shutdown() { # HOST: ask its operating system to end: guests, daemons, itself
  host_must_exist "${1:-}"
  lock_host "$1"
  host_running "$1" || return 0
  host_exec "$1" "$LAB_HOME/poweroff.sh" || true
  host_kill "$1"
}

cmd_running() { # HOST: on or off, once a boot under way is over; of the host itself, not as its BMC says
  local end=$((SECONDS + 120))
  host_must_exist "${1:-}"
  while lock_host "$1"; do
    host_running "$1" && { echo on; return 0; }
    [ -e "$RUN/$1.booting" ] && [ $SECONDS -lt $end ] || break
    close_locks # the boot waits for it
    sleep 0.05
  done
  echo off
}

cmd_bmc() { # HOST [start|stop|turns]: where its BMC is: address, user, password file, cipher, fingerprint; or take it away
  host_must_exist "${1:-}"
  case ${2:-} in
    start) bmc_start "$1" ;;
    stop) bmc_stop "$1" ;;
    turns) wc -l <"$RUN/$1.turns" 2>/dev/null || echo 0 ;; # how often it has switched its host
    '')
      printf '%s\n' "$(bmc_address "$1")" "$BMC_USER" "$DIR/bmc/password" "$BMC_CIPHER"
      [ "$1" != "$REDFISH_HOST" ] ||
        openssl x509 -in "$DIR/bmc/$1/redfish.crt" -noout -fingerprint -sha256 | sed 's/.*=//'
      ;;
    *) fail "bmc HOST: start, stop or turns, not '$2'" ;;
  esac
}

cmd_ipmi() { # HOST ARG...: ipmitool on its BMC
  host_must_exist "${1:-}"
  local host=$1
  shift
  exec ipmitool -I lanplus -C "$BMC_CIPHER" -H "$(bmc_address "$host")" -U "$BMC_USER" -f "$DIR/bmc/password" "$@"
}

cmd_watts() { # HOST: watts and joules as they are, as its BMC says, and seconds, since the lab's start
  host_must_exist "${1:-}"
  cat "$RUN/$1.watts"
}

cmd_quirk() { # HOST [QUIRK...]: stuck_on stuck_off wake_fails no_soft slow=S watts=FACTOR resets=A,B ... (tools/redfish.py); none: heals
  host_must_exist "${1:-}"
  local host=$1 each
  shift
  for each in "$@"; do
    [[ $each =~ ^(stuck_on|stuck_off|wake_fails|no_soft|no_power|no_environment|no_basic|garbage|huge|slow=[0-9.]+|watts=[0-9.]+|resets=[A-Za-z,]+)$ ]] ||
      fail "no quirk '$each'"
  done
  [ $# = 0 ] || printf '%s\n' "$@" >"$RUN/$host.quirks.new"
  if [ $# = 0 ]; then rm -f "$RUN/$host.quirks"; else mv "$RUN/$host.quirks.new" "$RUN/$host.quirks"; fi
}
