# shellcheck shell=bash
# Hosts: start, power cut, commands inside. Sourced by lab/lab. A host's folder $DIR/hostN is its disk.

host_names() {
  local i count
  count=$(cat "$RUN/hosts" 2>/dev/null || echo 0)
  for ((i = 1; i <= count; i++)); do echo "host$i"; done
}

host_address() { echo "$NET.$((10 + ${1#host}))"; } # HOST

host_must_exist() { # HOST
  [ -n "$1" ] || fail "which host? ($(host_names | xargs))"
  host_names | grep -xF -- "$1" >/dev/null || fail "no host '$1' in lab '$LAB' ($(host_names | xargs))"
}

host_pid() { cat "$RUN/$1.pid" 2>/dev/null || echo 0; } # HOST: its process 1

# Process numbers come round again: a process counts as this host's only if it is in this host's cgroup.
host_running() { # HOST
  local pid
  pid=$(host_pid "$1")
  [ "$pid" != 0 ] && cgroup_pids "$1" | grep -x "$pid" >/dev/null
}

host_start() { # HOST
  local arguments boot_log=$DIR/$1/boot.log
  mkdir -p "$DIR/$1"
  [ -s "$DIR/$1/machine-id" ] || tr -d - </proc/sys/kernel/random/uuid >"$DIR/$1/machine-id"
  give_capabilities "$1"
  network_remove_host "$1"
  network_add_host "$1"
  cgroup_create_host "$1"
  [ -z "${CHOROK_LAB_TEST_CERTS:-}" ] || "$LAB_HOME/testcerts.sh" "$DIR/$1" "$(host_address "$1")"
  mapfile -t arguments < <(cgroup_arguments "$1")
  if [ -x "$BIN/chorok-agent" ] && [ ! -e "$DIR/$1/etc-chorok/agent.toml" ] && manager_running; then
    mkdir -p "$DIR/$1/etc-chorok"
    (umask 077 && manager_token >"$DIR/$1/etc-chorok/join-token")
  fi
  "$TOOLS/hostinit" --name "$1" --netns "/run/netns/$LINK-$1" --dir "$DIR/$1" --shared "$SHARED" \
    --pid-file "$RUN/$1.pid" "${arguments[@]}" -- "$LAB_HOME/boot.sh" "$1" "$(host_address "$1")" \
    "$NET" "$(cat "$RUN/hosts")" "$(mac 3 "${1#host}")" "$CORES" "$MEMORY_MIB" "https://$NET.1:$PORT" \
    "${CHOROK_AGENT_CMD:-$BIN/chorok-agent}" "$TOOLS/tcgsync.so" 8>&- 9>&- </dev/null >>"$boot_log" 2>&1 || {
    tail -n 20 "$boot_log" >&2
    return 1
  }
  cgroup_limit_cpu "$1"
  [ -d "$CAPABILITIES" ] || keep_capabilities "$1"
}

# What libvirt found out about QEMU takes seconds to find out again; it checks itself whether it still holds.
CAPABILITIES=$ROOT/build/lab-tools/capabilities
keep_capabilities() { # HOST
  local found=$DIR/$1/var-cache-libvirt/qemu/capabilities
  [ ! -d "$found" ] || { cp -r "$found" "$CAPABILITIES.$BASHPID" && mv -T "$CAPABILITIES.$BASHPID" "$CAPABILITIES"; } 2>/dev/null || rm -rf "$CAPABILITIES.$BASHPID"
}
give_capabilities() { # HOST
  local to=$DIR/$1/var-cache-libvirt/qemu/capabilities
  [ -d "$CAPABILITIES" ] && [ ! -d "$to" ] || return 0
  mkdir -p "$(dirname "$to")"
  cp -r "$CAPABILITIES" "$to"
}

# The power goes, whatever else is done to this host at the moment: a boot under way then fails.
host_cut() { # HOST
  if host_running "$1"; then "$TOOLS/endpid" "$(host_pid "$1")" || true; fi
}

host_kill() { # HOST: everything at once, as when the power goes
  local pid
  pid=$(host_pid "$1")
  if host_running "$1"; then "$TOOLS/endpid" "$pid"; fi
  rm -f "$RUN/$1.pid" "$RUN/$1.dark"
  local path
  while read -r _ path; do cgroup_remove "$path/$1"; done <"$RUN/cgroups"
  network_remove_host "$1"
}

host_exec() { # HOST COMMAND [ARG...]
  local host=$1 pid
  shift
  host_running "$host" || fail "$host is off"
  pid=$(host_pid "$host")
  (
    cgroup_enter "$host"
    exec nsenter --target "$pid" --mount --uts --ipc --net --pid --cgroup -- "$@"
  )
}

# A lab of this name that another clone started, and whose ./dev run lives, is not ours to remove.
refuse_foreign() {
  local owner other
  [ -f "$RUN/dir" ] || return 0
  other=$(cat "$RUN/dir")
  owner=$(cat "$RUN/owner" 2>/dev/null || echo 0)
  [ "$other" = "$DIR" ] || [ "$owner" = 0 ] || ! kill -0 "$owner" 2>/dev/null ||
    fail "lab '$LAB' belongs to $other, where process $owner runs it: stop that, or choose a name by CHOROK_LAB"
}

rmdir_empty() { # MOUNTPOINT: unmounts and removes it, unless something is in it
  [ -z "$(ls -A "$1")" ] && umount "$1" 2>/dev/null && rmdir "$1" 2>/dev/null
}

remove_everything() {
  local other
  cgroup_remove_lab
  network_down
  other=$(cat "$RUN/dir" 2>/dev/null || true)
  rm -rf "$RUN" "$DIR"
  # What another clone's killed run left, if it looks like a lab's folder.
  if [ -n "$other" ] && [ -d "$other/shared" ]; then rm -rf "$other"; fi
  rmdir "$(dirname "$DIR")" /run/chorok-lab 2>/dev/null || true
  # The folder of named namespaces is a mount that the first one makes; the last one takes it along.
  ! mountpoint -q /run/netns || rmdir_empty /run/netns || true
}
