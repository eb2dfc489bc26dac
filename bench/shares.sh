# shellcheck shell=bash
# shares.*: three guests that want a whole core each, at 2:1:1 in one pool, on one host and on two. BENCH_WINDOWS (5) windows
# of BENCH_SECONDS (20): CPU time of the guests' vCPU threads as the kernel counts it (schedstat), in percent of what the
# three had together, against their entitlements in `chorok pool tree`. Ours is the largest error of any guest in any window,
# in percentage points. Sourced by run.sh; how the sizes were chosen stands in README.md.

# PID TID...: of the QEMU that runs a VM, its vCPU threads.
vcpu_threads() { # VM
  local domain pid task out=()
  domain=$(get "/vms/$1" | jq -er .domain)
  pid=$(pgrep -f "^[^ ]*qemu-system-[^ ]* -name guest=$domain,") || die "no QEMU runs $1"
  for task in "/proc/$pid/task/"*; do
    case $(cat "$task/comm") in 'CPU '*) out+=("${task##*/}") ;; esac
  done
  [ ${#out[@]} -gt 0 ] || die "the QEMU of $1 names no vCPU thread"
  echo "$pid ${out[*]}"
}

# Where its QEMU may run: "0", "0-1".
hold_on() { # CPUS VM...
  local cpus=$1 vm ids
  shift
  for vm; do
    read -ra ids < <(vcpu_threads "$vm")
    taskset -apc "$cpus" "${ids[0]}" >/dev/null || die "$vm cannot be held on CPU $cpus"
  done
}

cpu_ns() { # "PID TID...": of those threads, since they are there
  local ids tid sum=0 ns
  read -ra ids <<<"$1"
  for tid in "${ids[@]:1}"; do
    read -r ns _ <"/proc/${ids[0]}/task/$tid/schedstat"
    sum=$((sum + ns))
  done
  echo $sum
}

# A VM's entitlement in percent of that of all three, as `chorok pool tree --vms` has it.
entitled() { # VM
  get '/clusters/default/use?vms=true' |
    jq -er --arg vm "$1" '[.rows[] | select(.kind == "vm")] | (map(.cpu.entitled) | add) as $all | .[] | select(.name == $vm) | 100 * .cpu.entitled / $all'
}

# Every VM's host has said that it does what it was told, and for 40 s that has been the same.
settled() {
  local attempt now last='' same=0
  for ((attempt = 0; attempt < 240; attempt++)); do # 4 min
    now=$(get '/clusters/default/use?vms=true' | jq -c '[.rows[] | select(.kind == "vm") | .enforced | select(.in_force and .problem == "") | [.shares, .limit]]')
    if [ "$now" = "$last" ] && [ "$(jq length <<<"$now")" = 3 ]; then same=$((same + 1)); else same=0; fi
    if [ $same -ge 40 ]; then
      say "in force: $now"
      return 0
    fi
    last=$now
    sleep 1
  done
  get '/clusters/default/use?vms=true' | jq -c '.rows[] | select(.kind == "vm") | {name, cpu, enforced}' >&2
  die "what is in force does not settle: $now"
}

# The largest error over the windows, into ERROR; each guest's share of each window into a file. TOTAL: cores that the three
# had, on average.
measure() { # NAME WINDOWS
  local name=$1 windows=$2 seconds=${BENCH_SECONDS:-20} vm i began
  declare -A threads=() before=() tree=()
  for vm in a b c; do
    threads[$vm]=$(vcpu_threads $vm)
    tree[$vm]=$(entitled $vm)
  done
  : >"$SAMPLES/$name.tsv"
  for ((i = 0; i < windows; i++)); do
    began=$(now_us)
    for vm in a b c; do before[$vm]=$(cpu_ns "${threads[$vm]}"); done
    sleep "$seconds"
    for vm in a b c; do
      printf '%s\t%s\t%s\t%s\t%s\n' "$i" "$vm" "${tree[$vm]}" "$(($(cpu_ns "${threads[$vm]}") - before[$vm]))" "$(($(now_us) - began))"
    done >>"$SAMPLES/$name.tsv"
  done
  read -r ERROR TOTAL < <(awk '
    { ns[$1, $2] = $4; all[$1] += $4; tree[$2] = $3; took[$1] = $5; vm[$2]; window[$1] }
    END {
      for (w in window) {
        total += all[w] / took[w] / 1000
        for (v in vm) { e = 100 * ns[w, v] / all[w] - tree[v]; if (e < 0) e = -e; if (e > worst) worst = e }
      }
      n = 0; for (w in window) n++
      printf "%.3f %.4f\n", worst, total / n
    }' "$SAMPLES/$name.tsv")
  awk '{ all[$1] += $4; ns[$1, $2] = $4; tree[$2] = $3 } END {
    for (v in tree) { printf "    %s: tree %.1f %%, got", v, tree[v]; for (w = 0; w in all; w++) printf " %.1f", 100 * ns[w, v] / all[w]; print "" } }' \
    "$SAMPLES/$name.tsv" | sort >&2
}

bench_shares() {
  local windows=${BENCH_WINDOWS:-5} mhz vm limit
  # A host is one CPU of this machine and no quota: below a quota the kernel does not keep to weights (lab/README.md).
  [ "$(nproc)" -ge 2 ] || die "two hosts need two CPUs"
  export BENCH_CORES=1 CHOROK_LAB_QUOTA=none CHOROK_LAB_WEIGHT=${BENCH_WEIGHT:-20} # whatever else this machine does
  lab_begin 2
  for vm in a b c; do
    mapfile -t flags < <(guest_flags $vm 128M cpu:100)
    c -q vm create $vm "${flags[@]}" --cpu "shares=$([ $vm = a ] && echo 2000 || echo 1000)" --host host1 --start >/dev/null ||
      die "$vm did not start"
  done
  mhz=$(get '/hosts/host1' | jq -er .inventory.cpu.mhz)
  c -q pool create gold >/dev/null
  for vm in a b c; do c -q vm edit $vm --pool gold >/dev/null; done
  sleep 20 # all three have booted, and have been measured

  hold_on 0 a b c
  say "One host of one CPU of $mhz MHz, no limit"
  settled
  measure one_host "$windows"
  local one=$ERROR
  c -q vm migrate c host2 >/dev/null || die "c did not get to host2"
  hold_on 1 c
  sleep 20
  say "Two hosts, no limit: what hosts do by themselves"
  settled
  measure apart 1
  local apart=$ERROR

  # Of which a and b get three quarters, 90 % of their host, and c one: README.md.
  limit=$(jq -n "4 / 3 * $mhz * 0.9 | floor")
  c -q pool edit gold --cpu "limit=$limit" >/dev/null
  say "Two hosts, the pool limited to $limit MHz"
  sleep 10
  settled
  measure two_hosts "$windows"
  row shares.one_host "percentage points off the tree at worst, 2:1:1, $windows windows" "$one" - "<=" 3
  row shares.two_hosts "the same over two hosts; peer: without the pool's limit" "$ERROR" "$apart" "<=" 3
  row shares.limit "percent of its limit that the pool has" "$(jq -n "100 * $TOTAL * $mhz / $limit")" - "<=" 102
}
