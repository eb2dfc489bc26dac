# shellcheck shell=bash
# ./dev's verbs for the lab: lab, run. Sourced by ./dev, which defines ROOT, say, die, deps and build.

# Where ./dev run keeps how to reach what it started: ./dev chorok then needs no login.
RUN_ENV=${CHOROK_LAB_DIR:-$ROOT/build/lab/${CHOROK_LAB:-lab}}/run.env
if [ -z "${CHOROK_URL:-}" ] && [ -r "$RUN_ENV" ]; then
  # shellcheck source=/dev/null
  . "$RUN_ENV"
fi

# shellcheck source=wave.sh
. "$ROOT/lab/wave.sh"

verb_lab() { # COMMAND [ARG...]: hosts on this machine (up, down, kill, start, cut, heal, status, ...)
  case ${1:-help} in
    help) ;;
    guest | images | up) deps lab build ;;
  esac
  "$ROOT/lab/lab" "$@"
}

verb_run() { # [--still|--sim]: a manager, three libvirt hosts, six guests and a load that comes and goes, until Ctrl-C (--still: no load, DRS or DPM; --sim: simulated hosts)
  local reason='' still=
  [ "${1:-}" != --still ] || still=1
  if [ "${1:-}" = --sim ]; then
    reason="--sim"
  elif [ "$(id -u)" != 0 ]; then
    reason="real hosts need root"
  elif [ ! -c /dev/net/tun ]; then
    reason="real hosts need /dev/net/tun"
  elif ! unshare --net --mount true 2>/dev/null; then
    reason="this machine lets nobody make namespaces"
  fi
  if [ -n "$reason" ]; then run_simulated "$reason"; else run_lab "$still"; fi
}

run_chorok() { "$ROOT/build/release/bin/chorok" "$@"; }

run_login() { # URL PASSWORD CA: writes RUN_ENV and reads it
  local token
  token=$(curl -sS --fail --cacert "$3" -H 'Content-Type: application/json' "$1/api/v1/login" \
    -d "$(jq -n --arg password "$2" '{user: "admin", password: $password}')" | jq -r .token) ||
    die "the manager refused the login of 'admin'"
  (umask 077 && printf 'export CHOROK_URL=%q CHOROK_CA=%q CHOROK_TOKEN=%q\n' "$1" "$3" "$token" >"$RUN_ENV")
  # shellcheck source=/dev/null
  . "$RUN_ENV"
}

run_eventually() { # SECONDS COMMAND [ARG...]: what a guest or an agent does next tells a shell nothing
  local attempt limit=$(($1 * 5)) output=
  shift
  for ((attempt = 0; attempt < limit; attempt++)); do
    if output=$("$@" 2>&1); then
      [ -z "$output" ] || printf '%s\n' "$output" >&2
      return 0
    fi
    sleep 0.2
  done
  die "waited in vain for: $* ($output)"
}

run_guest() { # NUMBER [FLAG...]
  local number=$1
  shift
  run_chorok -q vm create "guest$number" --memory 128M --boot-datastore shared --kernel vmlinuz --initrd initrd \
    --cmdline "console=ttyS0 quiet no_timer_check chorok.name=guest$number chorok.load=auto:$number" \
    --nic name=eth0,network=lab --label app=lab --start --no-wait "$@" >/dev/null
}

run_guests_on() { # COUNT
  [ "$(run_chorok api GET '/vms?limit=0' | jq '[.items[] | select(.status.state == "on")] | length')" = "$1" ]
}

run_address() { # VM: its IPv4 address, once it has one
  run_chorok api GET "/vms/$1" | jq -er '[.status.ips[]? | select(test("^[0-9.]+$"))][0] // empty'
}

run_lab() { # STILL
  local still=$1 started=$SECONDS i probe address result
  deps build lab
  say "Building (the first time takes minutes)"
  build release chorok chorok-manager chorok-agent >&2
  trap run_end EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  unset CHOROK_URL CHOROK_CA CHOROK_TOKEN
  say "Starting a manager and three hosts"
  # What policies take half an hour for takes half a minute here.
  export CHOROK_LAB_TIME_SCALE=${CHOROK_LAB_TIME_SCALE:-60}
  # While guests boot nothing is measured: that takes as long at any scale, and would look like an hour of full load.
  CHOROK_LAB_OWNER=$$ CHOROK_LAB_SAMPLE_SECONDS=$([ -n "$still" ] && echo 10 || echo 0) "$ROOT/lab/lab" up 3
  local url dir
  { read -r url && read -r dir; } < <("$ROOT/lab/lab" where)
  run_login "$url" "$(cat "$dir/manager/admin-password")" "$dir/manager/state/pki/ca.pem"
  run_eventually 60 run_hosts 3 '.link == "connected" and .inventory.memory > 0'
  run_chorok -q datastore create shared --path /srv/chorok/shared --shared >/dev/null
  run_chorok -q datastore create local --path /srv/chorok/local >/dev/null
  run_chorok -q network create lab --kind bridge --bridge br0 >/dev/null

  for i in 1 2 3; do run_bmc "host$i"; done
  # Nobody's work depends on these hosts; chorok host wake-test shows what a cluster of worth would ask for first.
  run_chorok -q cluster edit default --set settings.power.require_wake_test=false >/dev/null
  run_eventually 60 run_hosts 3 'all(.datastores[], .networks[]; .reachable) and (.networks | length) > 0'

  say "Starting the first guest"
  run_guest 1 --host host1
  run_eventually 60 run_address guest1 2>/dev/null
  address=$(run_address guest1)
  say "Moving it to host2 while it answers on $address:7777"
  "$ROOT/lab/lab" probe "$address" 120 >"$dir/probe" &
  probe=$!
  run_chorok vm migrate guest1 host2 || true
  sleep 0.3
  kill -TERM "$probe" 2>/dev/null || true
  wait "$probe" || true
  result=$(jq -r '"the connection is \(.connection), its longest silence was \(.gap_ms_max) ms"' "$dir/probe" || true)
  say "$result; $((SECONDS - started)) s since the start"

  say "Starting five more"
  for i in 2 3 4 5 6; do run_guest "$i"; done
  run_eventually 60 run_guests_on 6
  if [ -z "$still" ]; then
    for i in 1 2 3 4 5 6; do run_eventually 60 run_address "guest$i" 2>/dev/null; done
    say "Starting the manager again, to measure from here on; guests run on without it"
    "$ROOT/lab/lab" manager stop
    CHOROK_LAB_SAMPLE_SECONDS=2 "$ROOT/lab/lab" manager start
    run_eventually 60 run_hosts 3 '.link == "connected"'
  fi
  run_chorok host ls
  run_chorok vm ls
  cat <<TEXT

The manager listens on $url (user admin, password in $dir/manager/admin-password).
In another terminal:
  ./dev chorok status                      the whole on one screen
  ./dev chorok vm migrate guest1 host3     move a guest while it runs
  ./dev chorok vm console guest2           its serial console (leave with ctrl-])
  ./dev chorok host maintenance host1      empty a host
  ./dev chorok energy top --watch          who draws how much
  ./dev chorok why host host2              why a host is on or off; also: why vm guest1, cluster plan
  ./dev chorok cluster edit --dpm off      keep all hosts on; --drs off: leave VMs where they are
  ./dev lab kill host3                     cut a host's power; ./dev lab start host3 brings it back
  ./dev lab status                         the hosts behind it
  ./dev chorok explain vm.spec             what a VM is made of
Events as they come; Ctrl-C ends everything and leaves nothing behind.

TEXT
  if [ -z "$still" ]; then
    say "Now the load comes and goes, seven minutes a turn: DRS spreads VMs and lets them gather, DPM switches hosts off and on"
    # As for the lab's hosts in bench/live.sh: a boot pays soon, and a move takes minutes of theirs.
    run_chorok -q cluster edit default --drs full --dpm full --set migration.bandwidth_mib_s=40 \
      --set settings.power.break_even_factor=1.5 --set settings.power.target=0.75 >/dev/null
    run_wave 6 &
    wave=$!
  fi
  run_chorok event ls --watch &
  wait $! || true
  while :; do sleep 3600 & wait $!; done # the events ended with the manager: stay until Ctrl-C
}

run_bmc() { # HOST: the manager learns how its power is reached
  local address user file cipher
  { read -r address && read -r user && read -r file && read -r cipher; } < <("$ROOT/lab/lab" bmc "$1")
  run_chorok -q host bmc "$1" --driver ipmi --address "$address" --user "$user" --password-file "$file" \
    --cipher-suite "$cipher"
}

run_hosts() { # COUNT CONDITION: so many hosts are as the jq expression says
  [ "$(run_chorok api GET '/hosts?limit=0' | jq "[.items[] | select($2)] | length")" = "$1" ]
}

run_end() {
  trap '' INT TERM HUP
  trap - EXIT
  [ -z "${wave:-}" ] || kill "$wave" 2>/dev/null || true
  say "Cleaning up"
  "$ROOT/lab/lab" down || true
}

run_simulated() { # REASON
  say "Simulated hosts ($1)"
  deps build
  build release chorok chorok-sim >&2
  local state=$ROOT/build/lab/sim password manager attempt
  RUN_ENV=$ROOT/build/lab/sim/run.env
  rm -rf "$state"
  mkdir -p "$state"
  password=$(head -c 12 /dev/urandom | base64 | tr '+/' 'Aa')
  unset CHOROK_URL CHOROK_CA CHOROK_TOKEN
  "$ROOT/build/release/bin/chorok-sim" --listen 127.0.0.1:8443 --state "$state" --admin-password "$password" \
    >"$state/log" 2>&1 &
  manager=$!
  # shellcheck disable=SC2064
  trap "trap '' INT TERM HUP; trap - EXIT; kill $manager 2>/dev/null; wait $manager 2>/dev/null; rm -rf '$state'" EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  for ((attempt = 0; attempt < 100; attempt++)); do # 10 s
    (exec 3<>/dev/tcp/127.0.0.1/8443) 2>/dev/null && break
    kill -0 $manager 2>/dev/null || die "chorok-sim did not start: $(tail -n 3 "$state/log")"
    sleep 0.1
  done
  run_login https://127.0.0.1:8443 "$password" "$state/pki/ca.pem"
  run_chorok status
  cat <<TEXT

A manager with simulated hosts listens on https://127.0.0.1:8443 (user admin, password $password).
In another terminal, from this folder:
  . ${RUN_ENV#"$ROOT"/}
  ./dev chorok status; ./dev chorok vm ls; ./dev chorok vm migrate NAME HOST
Ctrl-C ends it.
TEXT
  wait $manager || true
}
