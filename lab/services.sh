# shellcheck shell=bash
# The manager on this machine. The only place that knows how it is called. Sourced by lab/lab.

manager_pid() { cat "$RUN/manager.pid" 2>/dev/null || echo 0; }

manager_running() {
  local pid
  pid=$(manager_pid)
  [ "$pid" != 0 ] && cgroup_pids services | grep -x "$pid" >/dev/null
}

manager_start() {
  [ -x "$BIN/chorok-manager" ] || return 0
  manager_running && return 0
  mkdir -p "$DIR/manager"
  ln -sfn "$DIR/manager" "$RUN/manager" # the state holds a socket, whose path must be short
  if [ ! -s "$DIR/manager/admin-password" ]; then
    (umask 077 && head -c 18 /dev/urandom | base64 | tr '+/' 'Aa' >"$DIR/manager/admin-password")
    "$BIN/chorok-manager" init --state "$RUN/manager/state" --admin-password-file "$DIR/manager/admin-password" \
      --address "$NET.1" --address 127.0.0.1 >>"$DIR/manager/init.log" 2>&1 ||
      fail "chorok-manager init failed: $(tail -n 3 "$DIR/manager/init.log")"
  fi
  local options=()
  if [ -n "${CHOROK_LAB_RECORD:-}" ]; then
    mkdir -p "$DIR/manager/rounds"
    options=(--record-rounds "$DIR/manager/rounds")
  fi
  (
    close_locks
    cgroup_enter services
    setsid "$BIN/chorok-manager" run --state "$RUN/manager/state" --listen "$NET.1:$PORT" \
      --time-scale "${CHOROK_LAB_TIME_SCALE:-1}" --sample-interval "${CHOROK_LAB_SAMPLE_SECONDS:-10}" \
      "${options[@]}" </dev/null >>"$DIR/manager/manager.log" 2>&1 &
    echo $! >"$RUN/manager.pid"
  )
  local attempt
  for ((attempt = 0; attempt < 200; attempt++)); do # 10 s; nothing tells a shell of a listening socket
    (exec 3<>"/dev/tcp/$NET.1/$PORT") 2>/dev/null && return 0
    manager_running || break
    sleep 0.05
  done
  fail "the manager did not start: $(tail -n 3 "$DIR/manager/manager.log")"
}

manager_stop() { # SIGNAL
  local pid
  pid=$(manager_pid)
  manager_running || return 0
  "$TOOLS/endpid" "-$1" "$pid"
  rm -f "$RUN/manager.pid"
}

manager_token() { "$BIN/chorok-manager" token host --state "$RUN/manager/state"; }

manager_status() {
  if manager_running; then
    echo "manager  https://$NET.1:$PORT  (user admin, password in $DIR/manager/admin-password)"
  elif [ -x "$BIN/chorok-manager" ]; then
    echo "manager  off"
  else
    echo "manager  not built"
  fi
}
