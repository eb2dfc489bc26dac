# shellcheck shell=bash
# live.*: a lab of BENCH_HOSTS (4) hosts and BENCH_GUESTS (8) guests under BENCH_MINUTES (30) of a load curve: quiet, rise,
# peak, fall, quiet. DRS and DPM at full, the policies' windows BENCH_TIME_SCALE (20) times shorter. Sourced by run.sh.
#
# The guests are asked for work at a rate and count what they have done (lab/guest/README.md). What one cannot do within a
# second is dropped, so the work that is missing is what was not served in time. All hosts on could serve at most what was
# asked for: the loss against that is no smaller than the loss against a run with all hosts on.

MINUTES=${BENCH_MINUTES:-30} HOSTS=${BENCH_HOSTS:-4} GUESTS=${BENCH_GUESTS:-8} SCALE=${BENCH_TIME_SCALE:-20}
STEP=5 # seconds between two rates of a guest

# --- the lab -------------------------------------------------------------------------------------------------------------

live_begin() {
  local i host
  export CHOROK_LAB_TIME_SCALE=$SCALE CHOROK_LAB_RECORD=${BENCH_RECORD-1} BENCH_CORES=${BENCH_CORES:-0.4} CHOROK_LAB_MEMORY_MIB=2560
  export CHOROK_LAB_WEIGHT=${BENCH_WEIGHT:-20} # each host is to have its share, whatever else this machine does
  # No samples while guests boot: that takes as long at any scale, and would look like an hour of full load.
  export CHOROK_LAB_SAMPLE_SECONDS=0
  lab_begin "$HOSTS"
  trap 'live_end' EXIT
  for ((i = 1; i <= HOSTS; i++)); do live_bmc "host$i"; done
  say "Starting $GUESTS guests"
  for ((i = 1; i <= GUESTS; i++)); do
    local flags
    mapfile -t flags < <(guest_flags "g$i" 128M rate:0)
    c -q vm create "g$i" "${flags[@]}" --host "host$(((i - 1) % HOSTS + 1))" --start --no-wait >/dev/null
  done
  wait_until 90 live_guests_answer || die "the guests did not start"
  sleep 10
  live_calibrate
  export CHOROK_LAB_SAMPLE_SECONDS=2
  lab manager stop
  lab manager start
  wait_until 60 live_hosts_are connected || die "the hosts did not come back to the manager"
  # What a migration may take of a link, so that policies know what one costs here. It takes ten seconds, which at this
  # scale are minutes: hosts are woken while a quarter of what runs is free. And Chorok takes these hosts for machines of
  # 72 W, whose boots pay late, until their meters have told it better.
  c -q cluster edit default --drs off --set migration.bandwidth_mib_s="${BENCH_BANDWIDTH:-40}" \
    --set settings.power.break_even_factor="${BENCH_BREAK_EVEN:-1.5}" \
    --set settings.power.target="${BENCH_TARGET:-0.75}" --set settings.ha.enabled="${BENCH_HA:-false}" >/dev/null
}

live_end() { # what feeds and watches goes before the lab does
  mapfile -t left < <(jobs -p)
  [ ${#left[@]} = 0 ] || kill "${left[@]}" 2>/dev/null || true
  lab_end
}

wait_until() { # SECONDS COMMAND...
  local limit=$((SECONDS + $1))
  shift
  until "$@" 2>/dev/null; do
    [ $SECONDS -lt $limit ] || return 1
    sleep 0.5
  done
}

live_bmc() { # HOST
  local address user file cipher
  { read -r address && read -r user && read -r file && read -r cipher; } < <(lab bmc "$1")
  c -q host bmc "$1" --driver ipmi --address "$address" --user "$user" --password-file "$file" --cipher-suite "$cipher"
}

live_hosts_are() { # LINK
  [ "$(get '/hosts?limit=0' | jq --arg l "$1" '[.items[] | select(.link == $l)] | length')" = "$HOSTS" ]
}

declare -A ADDRESS=()
live_guests_answer() {
  local name address
  while read -r name address; do ADDRESS[$name]=$address; done < <(get '/vms?limit=0' |
    jq -r '.items[] | .meta.name as $n | [.status.ips[]? | select(test("^[0-9.]+$"))][0] // empty | "\($n) \(.)"')
  [ ${#ADDRESS[@]} = "$GUESTS" ] || return 1
  for name in "${!ADDRESS[@]}"; do ask "${ADDRESS[$name]}" get >/dev/null || return 1; done
}

# One question to a guest; it may be moving.
# shellcheck disable=SC2016
ask() { # ADDRESS LINE
  timeout 4 bash -c 'exec 3<>"/dev/tcp/$1/7777" && printf "%s\n" "$2" >&3 && IFS= read -r answer <&3 && printf "%s\n" "$answer"' - "$1" "$2" 2>/dev/null
}

cpu_ns() { # HOST: CPU time of its cgroup
  local controllers path
  while read -r controllers path; do
    case ,$controllers, in
      ,unified,) awk '$1 == "usage_usec" { print $2 * 1000 }' "$path/$1/cpu.stat" ;;
      *,cpuacct,*) cat "$path/$1/cpuacct.usage" ;;
    esac
  done <"/run/chorok-lab/$CHOROK_LAB/cgroups"
}

# How much work hosts do in a second of CPU, all guests at work: a CPU that shares its core with another busy one does less
# than one alone. UNITS_PER_CORE is that of the peak; WORK_AT holds what a guest's rate costs, "RATE CORES" a line.
UNITS_PER_CORE='' WORK_AT=''
all_cpu_ns() { # [PART]: of the hosts, or of that part of each
  local i sum=0
  for ((i = 1; i <= HOSTS; i++)); do sum=$((sum + $(cpu_ns "host$i${1:-}"))); done
  echo $sum
}
all_at() { # RATE
  local name
  for name in "${!ADDRESS[@]}"; do ask "${ADDRESS[$name]}" "rate $1" >/dev/null; done
}
cores_at() { # RATE: of all hosts, when every guest is asked for it
  local seconds=8 from to
  all_at "$1"
  sleep 2
  from=$(all_cpu_ns)
  sleep $seconds
  to=$(all_cpu_ns)
  awk -v ns=$((to - from)) -v s=$seconds 'BEGIN { printf "%.4f", ns / 1e9 / s }'
}
live_calibrate() {
  local rest rate busy
  rest=$(cores_at 20)
  # 40,000 is of the right order; then three fifths of each host, a little less than the peak asks for.
  rate=$(awk -v c="$BENCH_CORES" -v h="$HOSTS" -v g="$GUESTS" 'BEGIN { printf "%d", 0.5 * c * h / g * 40000 }')
  busy=$(cores_at "$rate")
  rate=$(awk -v r="$rate" -v a="$rest" -v b="$busy" -v c="$BENCH_CORES" -v h="$HOSTS" 'BEGIN { if (b - a < 0.05) exit 1; printf "%d", r * 0.6 * c * h / (b - a) }') ||
    die "the guests' work could not be weighed"
  busy=$(cores_at "$rate")
  UNITS_PER_CORE=$(awk -v a="$rest" -v b="$busy" -v r=$((rate - 20)) -v g="$GUESTS" \
    'BEGIN { u = r * g / (b - a); if (u < 1000 || u > 1e6) exit 1; printf "%d", u }') || die "the guests' work could not be weighed"
  local third=$((rate / 3))
  WORK_AT=$(printf '0 0\n%s %s\n%s %s\n' \
    "$third" "$(awk -v a="$rest" -v b="$(cores_at $third)" -v g="$GUESTS" 'BEGIN { printf "%.4f", (b - a) / g }')" \
    "$rate" "$(awk -v a="$rest" -v b="$busy" -v g="$GUESTS" 'BEGIN { printf "%.4f", (b - a) / g }')")
  all_at 0
  say "A core does $UNITS_PER_CORE units of work a second while all guests work; a guest's rate and cores: ${WORK_AT//$'\n'/, }"
}

# --- the load ------------------------------------------------------------------------------------------------------------

# What guest I is asked for at second T of the curve, in units a second: a fifth each of quiet, rise, peak, fall, quiet, between
# 4 % and 30 % of a host's CPU; guests differ by up to a fifth, and each wanders a little.
curve() { # T I
  awk -v t="$1" -v i="$2" -v total=$((MINUTES * 60)) -v units="$UNITS_PER_CORE" -v cores="$BENCH_CORES" \
    -v low="${BENCH_LOW:-0.04}" -v high="${BENCH_HIGH:-0.3}" 'BEGIN {
    x = t / total * 5
    level = x < 1 || x >= 4 ? 0 : x < 2 ? x - 1 : x < 3 ? 1 : 4 - x
    share = (low + (high - low) * level) * (0.8 + 0.4 * ((i * 7) % 8) / 7) * (1 + 0.08 * sin(t / 23 + i * 2.4))
    printf "%d\n", share * cores * units }'
}

# Feeds one guest until the curve ends. A line for every rate that was taken over: guest, second of the curve, rate.
feed() { # NAME INDEX START_US
  local t=0 rate
  while ((t < MINUTES * 60)); do
    rate=$(curve $t "$2")
    until ask "${ADDRESS[$1]}" "rate $rate" >/dev/null; do
      (($(now_us) - $3 < MINUTES * 60000000)) || return 0
      sleep 0.1
    done
    t=$((($(now_us) - $3) / 1000000))
    printf '%s\t%s\t%s\n' "$1" "$(awk -v us=$(($(now_us) - $3)) 'BEGIN { printf "%.2f", us / 1e6 }')" "$rate"
    t=$(((t / STEP + 1) * STEP))
    local rest=$((t * 1000000 - ($(now_us) - $3)))
    ((rest <= 0)) || sleep "$(awk -v us=$rest 'BEGIN { print us / 1e6 }')"
  done
}

# Once in STEP seconds: second, hosts with power, watts and joules since the lab's start as the BMCs say, joules in truth,
# seconds of CPU that the guests' QEMUs have had.
watch_hosts() { # START_US
  local host now used=0 last=()
  for ((host = 1; host <= HOSTS; host++)); do last[host]=$(guests_ns "host$host"); done
  while :; do
    for ((host = 1; host <= HOSTS; host++)); do
      now=$(guests_ns "host$host")
      ((now >= last[host])) || last[host]=0 # it was off meanwhile
      used=$((used + now - last[host])) last[host]=$now
    done
    for ((host = 1; host <= HOSTS; host++)); do
      if [ "$(cat "/run/chorok-lab/$CHOROK_LAB/host$host.pid" 2>/dev/null)" ]; then echo -n "1 "; else echo -n "0 "; fi
      cat "/run/chorok-lab/$CHOROK_LAB/host$host.watts"
    done | awk -v us=$(($(now_us) - $1)) -v used=$used '{ on += $1; watts += $4; joules += $5; true += $3 }
        END { printf "%.1f\t%d\t%.1f\t%.1f\t%.1f\t%.3f\n", us / 1e6, on, watts, joules, true, used / 1e9 }'
    sleep $STEP
  done
}
guests_ns() { # HOST: CPU time of its guests' QEMUs since it was switched on
  local ns
  ns=$(cpu_ns "$1/machine" 2>/dev/null) || true
  echo "${ns:-0}"
}

# --- what came of it -----------------------------------------------------------------------------------------------------

# Units that were asked for, of samples/rates.tsv and the second at which all rates ended.
units_asked() { # END_SECOND
  awk -v end="$1" -F'\t' '{ if ($1 in rate) sum += rate[$1] * ($2 - since[$1]); rate[$1] = $3; since[$1] = $2 }
    END { for (g in rate) sum += rate[g] * (end - since[g]); printf "%.0f\n", sum }' "$SAMPLES/rates.tsv"
}

guests_say() { # FIELD: a line each; 0 of one that does not answer
  local name
  for name in "${!ADDRESS[@]}"; do
    wait_until 20 ask_into "$name" || ANSWER="{\"$1\": 0}"
    printf '%s\t%s\n' "$name" "$(jq ".$1" <<<"$ANSWER")"
  done
}
ask_into() { ANSWER=$(ask "${ADDRESS[$1]}" get); } # NAME

# Every round that was taken live, planned again from what it saw.
live_replay() {
  local snapshot all=0 same=0
  cp -r "$CHOROK_LAB_DIR/manager/rounds" "$SAMPLES/rounds"
  for snapshot in "$SAMPLES"/rounds/*.snapshot.json; do
    all=$((all + 1))
    if cmp -s <("$BIN/chorok" plan all -f "$snapshot" -o json | jq .) <(jq . "${snapshot%.snapshot.json}.plan.json"); then
      same=$((same + 1))
    else
      basename "$snapshot" >>"$SAMPLES/replay_differs"
    fi
  done
  [ $all -gt 0 ] || die "no round was recorded"
  say "$same of $all rounds planned again alike"
  row live.replay "% of $all live rounds whose replay is the same plan, byte for byte" "$(awk "BEGIN { print 100 * $same / $all }")" - ">=" 100
}

# The load as CPU, for the simulator: what guests were asked for, at the price that it had. This machine's CPUs do not work
# equally fast all the time (their cores are others' too: a tenth to a quarter within half an hour was seen), so the price
# that was weighed at the beginning (WORK_AT) is set right by what the guests' QEMUs took while nothing moved, over a minute
# before and after, or as far away as there is a quarter of a minute of that. At scale 1: a second here takes SCALE there.
live_load() {
  jq -r --argjson from "$START_US" 'def at: (sub("\\.[0-9]+Z$"; "Z") | fromdateiso8601) - $from / 1e6;
    .items[] | select(.kind == "vm.migrate" and .started) | "\(.started | at)\t\((.finished // "2100-01-01T00:00:00Z" | at) + 1)"' \
    "$SAMPLES/tasks.json" >"$SAMPLES/moves.tsv"
  echo time_s,vm,cpu_mhz,memory_mib,size_mhz,size_mib,cores
  awk -F'\t' -v s="$SCALE" -v mhz="$CORE_MHZ" -v at="$WORK_AT" -v own="$GUEST_CORES" -v size="$(awk "BEGIN { print $CORE_MHZ * $BENCH_CORES }")" '
    BEGIN { n = split(at, pair, "\n"); for (i = 1; i <= n; i++) { split(pair[i], v, " "); rate[i] = v[1]; cores[i] = v[2] } }
    function cost(r,  i) { # cores; between what was measured; beyond the last as there
      for (i = 2; i < n && r > rate[i]; i++);
      return own + cores[i - 1] + (r - rate[i - 1]) * (cores[i] - cores[i - 1]) / (rate[i] - rate[i - 1]) }
    function asked(t,  g, sum) { # cores, of all guests at that second
      while (next_asked <= changes && when[next_asked] <= t) { current[who[next_asked]] = what[next_asked]; next_asked++ }
      for (g in current) sum += cost(current[g])
      return sum }
    function calm(from, to,  i) { # what has just moved makes good what it missed
      for (i = 1; i <= moves; i++) if (from < ended[i] + 15 && to > began[i]) return 0
      return 1 }
    function price(t,  reach, i, had, paid, seconds) {
      for (reach = 60; reach <= 3600; reach *= 2) {
        had = paid = seconds = 0
        for (i = 1; i <= windows; i++) if (middle[i] >= t - reach && middle[i] <= t + reach) {
          had += wanted[i]; paid += used[i]; seconds += lasted[i] }
        if (seconds >= 15) return paid / had
      }
      return 1 }
    FILENAME ~ /moves/ { moves++; began[moves] = $1; ended[moves] = $2; next }
    FILENAME ~ /rates/ { changes++; who[changes] = $1; when[changes] = $2; what[changes] = $3; next_asked = 1; next }
    FNR > 1 && calm(before, $1) && (load = asked((before + $1) / 2)) > 0 {
      windows++; middle[windows] = (before + $1) / 2; lasted[windows] = $1 - before
      wanted[windows] = load * lasted[windows]; used[windows] = $6 - had_before }
    { before = $1; had_before = $6 }
    END {
      for (i = 1; i <= changes; i++) {
        p = price(when[i])
        if (i == 1 || p < least) least = p
        if (i == 1 || p > most) most = p
        printf "%.1f,%s,%.2f,128,%.0f,128,1\n", when[i] * s, who[i], mhz * p * cost(what[i]), size
      }
      printf "==> Work cost %.2f to %.2f times what was weighed at the beginning\n", least, most >"/dev/stderr"
    }' "$SAMPLES/moves.tsv" "$SAMPLES/rates.tsv" "$SAMPLES/hosts.tsv"
}

# The same load in the simulator. What the lab's hosts use for themselves, and what a move takes, was measured before.
live_simulate() {
  local boot curve
  boot=$(get '/hosts?limit=0' | jq --argjson s "$SCALE" '[.items[].watch.time_on // 0 | tonumber? // 0 | select(. > 0)] | if length > 0 then add / length else 5 end * $s')
  curve=$(grep -v '^#' "$ROOT/lab/power_curve" | sed -n 1p)
  sort -t$'\t' -k2,2n -o "$SAMPLES/rates.tsv" "$SAMPLES/rates.tsv"
  live_load >"$SAMPLES/load.csv"
  # A host's own daemons are load that no VM asks for: its power curve begins there.
  cat >"$SAMPLES/live.toml" <<TOML
name = "live"
mode = "honest"
traces = "load.csv"
interval_s = $((STEP * SCALE))
round_s = 60
settings.power.break_even_factor = ${BENCH_BREAK_EVEN:-1.5}
settings.power.target = ${BENCH_TARGET:-0.75}

[[hosts]]
count = $HOSTS
watts = [$(awk -v curve="$curve" -v own="$(awk "BEGIN { print $HOST_CORES / $BENCH_CORES }")" 'BEGIN {
  split(curve, w, ",")
  for (i = 0; i <= 10; i++) { x = i + 10 * own; if (x > 10) x = 10; b = int(x); if (b > 9) b = 9
    printf "%s%.1f", i ? ", " : "", w[b + 1] + (w[b + 2] - w[b + 1]) * (x - b) } }')]
standby_w = 10
cores = 1
core_mhz = $(awk "BEGIN { printf \"%.0f\", $CORE_MHZ * ($BENCH_CORES - $HOST_CORES) }")
memory_mib = $CHOROK_LAB_MEMORY_MIB
boot_s = $boot
boot_j = $(awk "BEGIN { print ${curve##*,} * $boot }")
shutdown_s = $((3 * SCALE))

[[vms]]
mhz = $(awk "BEGIN { printf \"%.0f\", $CORE_MHZ * $BENCH_CORES }")
memory_mib = 128

[migration]
link_mib_s = $(awk "BEGIN { print 128 / $MOVE_SECONDS / $SCALE }")
dirty_mib_s = $(awk "BEGIN { print 2 / $SCALE }")
load_mhz = $(awk "BEGIN { printf \"%.0f\", $CORE_MHZ * $MOVE_CORES }")
TOML
  "$BIN/chorok" sim run "$SAMPLES/live.toml" --ticks "$SAMPLES/sim.csv" -o json >"$SAMPLES/sim.json"
  # Hosts on, second by second of the live run.
  local within energy live
  within=$(awk -F'[,\t]' -v s="$SCALE" 'FNR == NR { if ($1 + 0 == $1) { n++; at[n] = $1 / s; on[n] = $2 }; next }
    { while (i < n && at[i + 1] <= $1) i++; if (i) { all++; d = on[i] - $2; if (d <= 1 && d >= -1) near++ } }
    END { print 100 * near / all }' "$SAMPLES/sim.csv" "$SAMPLES/hosts.tsv")
  row live.sim "% of the time that a simulation of the same load has as many hosts on, give or take one" "$within" - ">=" 90
  energy=$(jq --argjson s "$SCALE" '.energy_kwh * 3600 / $s' "$SAMPLES/sim.json")
  live=$(awk -F'\t' 'NR == 1 { first = $5 } { last = $5 } END { print (last - first) / 1000 }' "$SAMPLES/hosts.tsv")
  row live.sim_energy "kJ: the simulation; peer: what the hosts drew" "$energy" "$live" within 0.05
}

energy_joules() { get /energy | jq '[.hosts[].joules] | add' || echo 0; } # as Chorok has counted them

# Chorok's consumption against the integral of what the BMCs said; what was saved stands apart.
live_energy() {
  local said
  said=$(awk -F'\t' 'NR == 1 { first = $4 } { last = $4 } END { print (last - first) / 1000 }' "$SAMPLES/hosts.tsv")
  row live.energy "kJ as Chorok counted; peer: the integral of the BMCs' readings" \
    "$(awk "BEGIN { print ($ENERGY_AFTER - $ENERGY_BEFORE) / 1000 }")" "$said" within 0.02
  get "/clusters/default/energy?from=$(date -u -d "@$((START_US / 1000000))" +%FT%TZ)" >"$SAMPLES/energy.json" || return 0
  row live.saved "kJ that Chorok says were saved: $(jq -r .saved_method "$SAMPLES/energy.json" | cut -c1-80)" "$(jq '.saved_joules / 1000' "$SAMPLES/energy.json")" - -
}

# What hosts and guests use while nothing is asked of them: CORE_MHZ, HOST_CORES, GUEST_CORES.
live_weigh() {
  local seconds=15 all0 all1 guests0 guests1 # of all hosts, and before anything moves
  CORE_MHZ=$(get '/hosts?limit=0' | jq '.items[0].inventory.cpu.mhz')
  for i in "${!ADDRESS[@]}"; do ask "${ADDRESS[$i]}" "rate 20" >/dev/null; done
  sleep 3
  all0=$(all_cpu_ns) guests0=$(all_cpu_ns /machine)
  sleep $seconds
  all1=$(all_cpu_ns) guests1=$(all_cpu_ns /machine)
  GUEST_CORES=$(awk -v g=$((guests1 - guests0)) -v n="$GUESTS" -v s=$seconds 'BEGIN { printf "%.4f", g / 1e9 / s / n }')
  HOST_CORES=$(awk -v a=$((all1 - all0)) -v g=$((guests1 - guests0)) -v n="$HOSTS" -v s=$seconds 'BEGIN { printf "%.4f", (a - g) / 1e9 / s / n }')
  say "At rest a host uses $HOST_CORES of a core and a guest $GUEST_CORES"
}

# What moving an idle guest takes: MOVE_SECONDS, and MOVE_CORES at each end beyond what is used at rest.
live_weigh_move() {
  local start end before host
  start=$(now_us) before=$(all_cpu_ns)
  for host in host2 host1; do c -q vm migrate g1 $host >/dev/null || die "g1 could not be moved to $host"; done
  end=$(now_us)
  read -r MOVE_SECONDS MOVE_CORES < <(awk -v us=$((end - start)) -v ns=$(($(all_cpu_ns) - before)) \
    -v rest="$(awk "BEGIN { print $HOST_CORES * $HOSTS + $GUEST_CORES * $GUESTS }")" 'BEGIN {
      cores = (ns / 1e3 / us - rest) / 2; printf "%.2f %.4f\n", us / 2e6, (cores > 0 ? cores : 0) }')
  say "Moving an idle guest takes $MOVE_SECONDS s and $MOVE_CORES of a core at each end"
}

# Until nothing has moved or been switched for half a minute: the curve begins with as many hosts as its quiet needs, in
# the simulation too.
live_settle() {
  local calm=0 seen='' now limit=$((SECONDS + 240)) i
  for ((i = 1; i <= GUESTS; i++)); do ask "${ADDRESS[g$i]}" "rate $(curve 0 $i)" >/dev/null; done
  while ((calm < 10 && SECONDS < limit)); do
    sleep 3
    now=$(get '/events?limit=0' | jq '[.items[] | select(.user == "chorok")] | length')
    if [ "$now" = "$seen" ]; then calm=$((calm + 1)); else calm=0; fi
    seen=$now
  done
}

bench_live() {
  local i start end feeders=() watcher
  live_begin
  live_weigh
  live_weigh_move
  c -q cluster edit default --drs full --dpm full --set settings.power.require_wake_test=false >/dev/null
  live_settle
  say "$MINUTES minutes of load; the policies' windows are $SCALE times shorter (time_scale $SCALE)"
  guests_say work | sort >"$SAMPLES/work_before.tsv"
  rm -f "$CHOROK_LAB_DIR"/manager/rounds/*
  ENERGY_BEFORE=$(energy_joules 2>/dev/null)
  start=$(now_us)
  START_US=$start
  watch_hosts "$start" >"$SAMPLES/hosts.tsv" &
  watcher=$!
  for ((i = 1; i <= GUESTS; i++)); do
    feed "g$i" $i "$start" >>"$SAMPLES/rates.tsv" &
    feeders+=($!)
  done
  live_meanwhile "$start"
  wait "${feeders[@]}"
  for i in "${!ADDRESS[@]}"; do ask "${ADDRESS[$i]}" "rate 0" >/dev/null || true; done
  end=$(awk -v us=$(($(now_us) - start)) 'BEGIN { print us / 1e6 }')
  kill "$watcher"
  ENERGY_AFTER=$(energy_joules 2>/dev/null)
  c -q cluster edit default --dpm off >/dev/null
  guests_say work | sort >"$SAMPLES/work_after.tsv"
  get '/tasks?limit=0' >"$SAMPLES/tasks.json"
  get '/events?limit=0' >"$SAMPLES/events.json"
  live_rows "$end"
}
live_meanwhile() { :; } # livefaults does something here

live_rows() { # END_SECOND
  live_replay
  local asked
  asked=$(units_asked "$1")
  row live.work "% of the guests' work that was not done in time (time_scale $SCALE, $MINUTES min)" \
    "$(join "$SAMPLES/work_before.tsv" "$SAMPLES/work_after.tsv" | awk -v asked="$asked" '{ done += $3 - $2 } END { print 100 * (1 - done / asked) }')" - "<=" 2
  row live.restarted "VMs that were started again" \
    "$(join "$SAMPLES/work_before.tsv" "$SAMPLES/work_after.tsv" | awk '$3 < $2 { n++ } END { print n + 0 }')" - "<=" 0
  row live.off "% of the hosts' time that they were off" \
    "$(awk -F'\t' -v hosts="$HOSTS" '{ on += $2 } END { print 100 * (1 - on / NR / hosts) }' "$SAMPLES/hosts.tsv")" - -
  row live.moves "migrations" "$(jq '[.items[] | select(.kind == "vm.migrate" and .user == "chorok")] | length' "$SAMPLES/tasks.json")" - -
  live_simulate
  live_energy
}
