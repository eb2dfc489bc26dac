# shellcheck shell=bash
# start.added: from nothing to a running VM by `chorok vm create --start`, and by `virsh define` and `start` of the same
# domain, one after the other, who is first changing with every pair. Sourced by run.sh.

start_ours() { # NAME
  mapfile -t flags < <(guest_flags "$1" 128M cpu:1)
  took "$SAMPLES/last" c -o json vm create "$1" "${flags[@]}" --host host1 --start
}
start_peer() { # NAME XML
  took "$SAMPLES/last" peer host1 "define $2; start $1"
}

bench_start() {
  local pairs=${PAIRS:-15} i who domain failed=0
  lab_begin 1
  mapfile -t flags < <(guest_flags model 128M cpu:1)
  c -q vm create model "${flags[@]}" --host host1 --start >/dev/null || true
  domain=$(get /vms/model | jq -r .domain)
  say "$pairs pairs"
  for ((i = 0; i < pairs; i++)); do
    twin_xml "$domain" "peer$i" host1 >"$SAMPLES/peer.xml"
    for who in $([ $((i % 2)) = 0 ] && echo ours peer || echo peer ours); do
      if [ "$who" = ours ]; then
        if start_ours "ours$i"; then echo "$TOOK_US" >>"$SAMPLES/ours.us"; else failed=$((failed + 1)); fi
        c -q vm delete "ours$i" --hard --yes >/dev/null 2>&1 || true
      else
        start_peer "peer$i" "$SAMPLES/peer.xml" || die "virsh failed: $(cat "$SAMPLES/last.err")"
        echo "$TOOK_US" >>"$SAMPLES/peer.us"
        peer host1 "destroy peer$i; undefine peer$i" >/dev/null
      fi
    done
    sleep 0.3
  done
  [ "$failed" -lt "$pairs" ] || die "no start by Chorok worked: $(tail -n 3 "$SAMPLES/last.err")"
  [ $failed = 0 ] || say "$failed of $pairs starts by chorok failed and are not counted"
  local ours peer
  ours=$(median "$SAMPLES/ours.us") peer=$(median "$SAMPLES/peer.us")
  row start.added "median ms that Chorok adds, $((pairs - failed)) pairs" "$(jq -n "($ours - $peer) / 1000")" - "<=" 50
  row start.total "median ms, create and start" "$(jq -n "$ours / 1000")" "$(jq -n "$peer / 1000")" -
  row start.failed "commands that failed" "$failed" - "<=" 0
}
