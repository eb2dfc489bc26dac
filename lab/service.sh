#!/usr/bin/env bash
# In a host: start, stop, restart or kill one daemon; what systemd does on a real one. A daemon that ends is started
# again after a second (Restart=on-failure). /run/lab/NAME.cmd holds its command line, NUL-separated.
set -euo pipefail
action=$1 name=$2
state=/run/lab
mkdir -p $state
[ -f "$state/$name.cmd" ] || { echo "no service '$name' here" >&2; exit 1; }

running() { [ -f "$state/$name.pid" ] && kill -0 "$(cat "$state/$name.pid")" 2>/dev/null; }

supervise() {
  local command
  mapfile -d '' -t command <"$state/$name.cmd"
  while :; do
    "${command[@]}" </dev/null >>"/var/log/chorok/$name.log" 2>&1 3>&- &
    echo $! >"$state/$name.child"
    wait $! || true
    sleep 1
  done
}

start() {
  running && return 0
  supervise 3>&- </dev/null >/dev/null 2>&1 &
  echo $! >"$state/$name.pid"
  disown
}

stop() {
  running || return 0
  kill -9 "$(cat "$state/$name.pid")"
  rm -f "$state/$name.pid"
  kill "$(cat "$state/$name.child")" 2>/dev/null || true
  tail --pid="$(cat "$state/$name.child")" -s 0.05 -f /dev/null & # ends with the daemon
  local waiter=$!
  timeout 10 tail --pid=$waiter -s 0.05 -f /dev/null || kill -9 "$(cat "$state/$name.child")"
}

case $action in
  start) start ;;
  stop) stop ;;
  restart) stop && start ;;
  kill) kill -9 "$(cat "$state/$name.child")" ;; # and the supervisor starts it again
  *) echo "start, stop, restart or kill, not '$action'" >&2; exit 1 ;;
esac
