# shellcheck shell=bash
# One cgroup a host, with a CPU quota and a memory limit, and one for the lab's services on this machine. Version 1 (each
# controller its own tree), the hybrid, and version 2 alone. Sourced by lab/lab; uses LAB, RUN, CORES, WEIGHT,
# MEMORY_MIB.
# $RUN/cgroups holds a line per tree: CONTROLLERS DIRECTORY; the first is the one membership is read from.

CGROUP_PERIOD_US=20000 # short, so that a throttled host stalls for milliseconds and not for a tenth of a second

cgroup_create_lab() {
  local list=() id controllers path mountpoint
  if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
    grep -qw cpu /sys/fs/cgroup/cgroup.controllers && grep -qw memory /sys/fs/cgroup/cgroup.controllers ||
      fail "cgroup version 2 without the cpu and memory controllers"
    echo "+cpu +memory" >/sys/fs/cgroup/cgroup.subtree_control
    list=("unified /sys/fs/cgroup/chorok-lab-$LAB")
  else
    # Beneath this process's own cgroup: limits set on the whole session go on applying.
    while IFS=: read -r id controllers path; do
      [ "$id" != 0 ] || continue
      case ,$controllers, in *,cpu,* | *,cpuacct,* | *,memory,* | *,blkio,*) ;; *) continue ;; esac
      mountpoint=/sys/fs/cgroup/$controllers
      [ -d "$mountpoint$path" ] || continue
      list+=("$controllers ${mountpoint}${path%/}/chorok-lab-$LAB")
    done < <(sort -t: -k2 /proc/self/cgroup)
  fi
  local membership='^(unified|(.*,)?cpu(,.*)?) '
  printf '%s\n' "${list[@]}" | grep -E "$membership" >"$RUN/cgroups" || fail "no cpu cgroup controller on this machine"
  printf '%s\n' "${list[@]}" | grep -vE "$membership" >>"$RUN/cgroups" || true
  while read -r controllers path; do
    mkdir -p "$path/services"
    case ,$controllers, in
      ,unified,)
        echo "+cpu +memory" >"$path/cgroup.subtree_control"
        echo $((100 * WEIGHT)) >"$path/cpu.weight"
        ;;
      *,cpu,*) echo $((1024 * WEIGHT)) >"$path/cpu.shares" ;;
    esac
  done <"$RUN/cgroups"
}

cgroup_create_host() { # HOST: with its memory limit; the CPU quota comes when it has booted
  local controllers path
  while read -r controllers path; do
    mkdir -p "$path/$1"
    case ,$controllers, in
      ,unified,) echo $((MEMORY_MIB * 1048576)) >"$path/$1/memory.max" ;;
      *,memory,*) echo $((MEMORY_MIB * 1048576)) >"$path/$1/memory.limit_in_bytes" ;;
    esac
  done <"$RUN/cgroups"
}

cgroup_limit_cpu() { # HOST; CHOROK_LAB_QUOTA=none: who says so holds its guests on CPUs
  local controllers path quota
  [ "${CHOROK_LAB_QUOTA:-}" != none ] || return 0
  quota=$(awk -v c="$CORES" -v p="$CGROUP_PERIOD_US" 'BEGIN { printf "%d", c * p }')
  while read -r controllers path; do
    case ,$controllers, in
      ,unified,) echo "$quota $CGROUP_PERIOD_US" >"$path/$1/cpu.max" ;;
      *,cpu,*)
        echo $CGROUP_PERIOD_US >"$path/$1/cpu.cfs_period_us"
        echo "$quota" >"$path/$1/cpu.cfs_quota_us"
        ;;
    esac
  done <"$RUN/cgroups"
}

# Moves the calling shell into a host's cgroup (or into "services").
cgroup_enter() { # HOST
  local controllers path
  while read -r controllers path; do
    if [ "$controllers" = unified ] && [ -d "$path/$1/init" ]; then path=$path/$1/init; else path=$path/$1; fi
    echo "$BASHPID" >"$path/cgroup.procs"
  done <"$RUN/cgroups"
}

cgroup_pids() { # HOST: every process in its cgroup or below
  local path
  read -r _ path <"$RUN/cgroups"
  [ -d "$path/$1" ] || return 0
  find "$path/$1" -name cgroup.procs -exec cat {} + 2>/dev/null || true
}

cgroup_arguments() { # HOST: for hostinit
  local controllers path
  while read -r controllers path; do printf -- '--cgroup\n%s=%s/%s\n' "$controllers" "$path" "$1"; done <"$RUN/cgroups"
}

# Ends every process in a tree of cgroups and removes the tree. Works from the file system alone, so it also cleans
# what a lab left whose state is lost.
cgroup_remove() { # DIRECTORY
  local round pids
  [ -d "$1" ] || return 0
  for ((round = 0; round < 5; round++)); do
    mapfile -t pids < <(find "$1" -name cgroup.procs -exec cat {} + 2>/dev/null | sort -un | grep -vx 0)
    [ ${#pids[@]} -gt 0 ] || break
    "$TOOLS/endpid" "${pids[@]}" || true
  done
  find "$1" -depth -type d -exec rmdir {} + 2>/dev/null || true
  [ ! -d "$1" ] || sleep 0.1 # a dying process leaves its cgroup a moment after its descriptor says so
  [ ! -d "$1" ] || find "$1" -depth -type d -exec rmdir {} +
}

cgroup_remove_lab() {
  local directory
  while read -r directory; do cgroup_remove "$directory"; done \
    < <(find /sys/fs/cgroup -mindepth 1 -maxdepth 6 -type d -name "chorok-lab-$LAB" 2>/dev/null)
}
