# shellcheck shell=bash
# balance.*: Chorok's balance against hbal 3.0.2 on the same clusters, and against the optimum that CBC finds on small
# ones. Sourced by run.sh.

# HOSTS VMS MOVES (0: as long as hbal finds a move)
balance_against_hbal() {
  local hosts=$1 vms=$2 most=$3 dir=$SAMPLES/$1 limit=() began peer_s peer_moves peer_spread ours_s ours_moves ours_spread moves low high middle
  mkdir -p "$dir"
  "$BIN/bench_policy" generate "$hosts" "$vms" "${BENCH_SEED:-1}" "$dir"
  [ "$most" = 0 ] || limit=(-l "$most")
  say "hbal on $hosts hosts and $vms VMs"
  began=$(now_us)
  hbal -t "$dir/cluster.txt" -U "$dir/loads.txt" -S "$dir/hbal" "${limit[@]}" >"$dir/hbal.log" 2>"$dir/hbal.err" || die "hbal failed: $dir/hbal.log"
  peer_s=$(awk -v us=$(($(now_us) - began)) 'BEGIN { print us / 1e6 }')
  peer_moves=$(sed -n 's/^Solution length=//p' "$dir/hbal.log")
  peer_spread=$("$BIN/bench_policy" spread "$dir/hbal.balanced" "$dir/loads.txt" | field spread)
  "$BIN/bench_policy" balance "$dir" "$peer_moves" | tee "$dir/chorok.log" >/dev/null
  ours_s=$(field seconds <"$dir/chorok.log")
  ours_moves=$(field moves <"$dir/chorok.log")
  ours_spread=$(field spread_after <"$dir/chorok.log")
  # The fewest moves that leave the cluster no less even than hbal left it.
  low=1 high=$((peer_moves * 2)) moves=$high
  while [ "$low" -le "$high" ]; do
    middle=$(((low + high) / 2))
    if "$BIN/bench_policy" balance "$dir" "$middle" | field spread_after | awk -v peer="$peer_spread" '{ exit !($1 <= peer) }'; then
      moves=$middle high=$((middle - 1))
    else
      low=$((middle + 1))
    fi
  done
  row "balance.$hosts.time" "ms a move, $vms VMs, $ours_moves moves, both" \
    "$(awk -v s="$ours_s" -v n="$ours_moves" 'BEGIN { print s * 1000 / n }')" \
    "$(awk -v s="$peer_s" -v n="$peer_moves" 'BEGIN { print s * 1000 / n }')" 'ratio<=' 0.01
  row "balance.$hosts.spread" "sum of CPU and memory standard deviation after them" "$ours_spread" "$peer_spread" 'ratio<=' 1
  row "balance.$hosts.moves" "moves to be as even as hbal at its end" "$moves" "$peer_moves" 'ratio<=' 1
}

balance_alone() { # HOSTS VMS GOAL_S|-
  local line
  say "$1 hosts and $2 VMs"
  line=$("$BIN/bench_policy" scale "$1" "$2" "${BENCH_SEED:-1}" | tee "$SAMPLES/$1.log")
  row "balance.$1.time" "s, $2 VMs, $(field moves <<<"$line") moves, spread $(field spread_before <<<"$line") to $(field spread_after <<<"$line"), $(field rss_mib <<<"$line") MiB" \
    "$(field seconds <<<"$line")" - "$([ "$3" = - ] && echo - || echo '<=')" "$([ "$3" = - ] || echo "$3")"
}

# What part of the unevenness that could go is left, over random cases of 4 hosts and 12 VMs.
balance_gap() {
  local cases=${BENCH_CASES:-200} case line best dir=$SAMPLES/gap
  mkdir -p "$dir"
  say "CBC on $cases small clusters"
  for ((case = 1; case <= cases; case++)); do
    line=$("$BIN/bench_policy" gap "$case" "$dir")
    timeout 60 cbc "$dir/case.lp" sec 20 solve solu "$dir/case.sol" >"$dir/cbc.log" || die "cbc failed: $dir/cbc.log"
    best=$(sed -n '1s/^Optimal - objective value *//p' "$dir/case.sol")
    [ -n "$best" ] || { echo "case $case: not solved within 20 s" >>"$dir/unsolved"; continue; }
    awk -v best="$best" '{ left = $4 - best; could = $2 - best; print (could > 1e-9 && left > 0 ? left / could : 0) }' <<<"$line" >>"$dir/gaps"
  done
  row balance.gap "mean part of what the optimum mends that is left, $(wc -l <"$dir/gaps") cases (median $(median "$dir/gaps"), p95 $(percentile 95 "$dir/gaps"))" \
    "$(awk '{ s += $1 } END { print s / NR }' "$dir/gaps")" - - ''
}

bench_balance() {
  local tool
  for tool in hbal cbc; do command -v $tool >/dev/null || die "needs $tool (packages ganeti-htools, coinor-cbc)"; done
  balance_against_hbal 20 300 0
  balance_against_hbal 50 750 0
  balance_against_hbal 100 1500 20
  balance_alone 1000 20000 1
  balance_alone 10000 100000 -
  balance_gap
}
