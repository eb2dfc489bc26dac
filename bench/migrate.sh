# shellcheck shell=bash
# migrate.*: `chorok vm migrate` and `virsh migrate`, both live, p2p, persistent, TLS, auto-converge, two guests alike on the
# same two hosts, one after the other, who is first changing with every pair. BENCH_PLAIN=1: without TLS. Sourced by run.sh.

migrate_peer() { # FROM TO_NUMBER
  local to=$CHOROK_LAB_NET.1$2 transport=tls flags=(--tls)
  if [ -n "${BENCH_PLAIN:-}" ]; then transport=tcp flags=(); fi
  took "$SAMPLES/last" peer "$1" migrate --live --p2p --persistent --undefinesource --auto-converge --unsafe \
    "${flags[@]}" bpeer "qemu+$transport://$to/system" --migrateuri "tcp://$to"
}

ms_of() { # LABEL FILE: "Total downtime: 123 ms"
  sed -n "s/^$1: *\([0-9.]*\) *\(.*\)$/\1 \2/p" "$2" | awk '{ print $2 ~ /^s/ ? $1 * 1000 : $1; exit }'
}

bench_migrate() {
  local pairs=${PAIRS:-30} i who domain failed=0 from=host1 to=2 plain=()
  [ -z "${BENCH_PLAIN:-}" ] || plain=(--plain)
  lab_begin 2
  mapfile -t flags < <(guest_flags bours 128M cpu:10,mem:16,dirty:2)
  c -q vm create bours "${flags[@]}" --host host1 --start >/dev/null || true
  domain=$(get /vms/bours | jq -r .domain)
  twin_xml "$domain" bpeer host1 >"$SAMPLES/peer.xml"
  peer host1 "define $SAMPLES/peer.xml; start bpeer" >/dev/null
  sleep 10 # both have booted
  say "$pairs pairs"
  for ((i = 0; i < pairs; i++)); do
    for who in $([ $((i % 2)) = 0 ] && echo ours peer || echo peer ours); do
      if [ "$who" = ours ]; then
        if took "$SAMPLES/last" c -o json vm migrate bours "host$to" "${plain[@]}"; then
          jq -r --argjson wall "$TOOK_US" '[$wall / 1000, .result.migration.total * 1000, .result.migration.downtime * 1000,
            .result.migration.transferred] | @tsv' "$SAMPLES/last" >>"$SAMPLES/ours.tsv"
        else
          failed=$((failed + 1))
          sed -n '/^error/p' "$SAMPLES/last.err" >>"$SAMPLES/ours.failed"
          settle bours "host$to" || c -q vm migrate bours "host$to" >/dev/null 2>&1 || settle bours "host$to" ||
            die "bours did not get to host$to"
        fi
      else
        migrate_peer "$from" $to || die "virsh failed: $(cat "$SAMPLES/last.err")"
        peer "host$to" domjobinfo bpeer --completed >"$SAMPLES/jobinfo"
        printf '%s\t%s\t%s\n' "$(jq -n "$TOOK_US / 1000")" "$(ms_of 'Time elapsed' "$SAMPLES/jobinfo")" \
          "$(ms_of 'Total downtime' "$SAMPLES/jobinfo")" >>"$SAMPLES/peer.tsv"
      fi
    done
    if [ $to = 2 ]; then from=host2 to=1; else from=host1 to=2; fi
    sleep 0.3
  done
  [ -s "$SAMPLES/ours.tsv" ] || die "no migration by Chorok worked: $(tail -n 1 "$SAMPLES/ours.failed")"
  [ $failed = 0 ] || say "$failed of $pairs commands by chorok failed and are not counted; see ours.failed"
  local column side
  for side in ours peer; do
    for column in 1:wall 2:job 3:downtime; do cut -f"${column%:*}" "$SAMPLES/$side.tsv" >"$SAMPLES/$side.${column#*:}"; done
    awk '{ print $1 - $2 }' "$SAMPLES/$side.tsv" >"$SAMPLES/$side.around"
  done
  local transport=TLS
  [ -z "${BENCH_PLAIN:-}" ] || transport="not encrypted"
  row migrate.job "median ms, command to prompt, $transport, $((pairs - failed)) pairs" "$(median "$SAMPLES/ours.wall")" "$(median "$SAMPLES/peer.wall")" "ratio<=" 1.05
  row migrate.downtime "median ms, as libvirt reports it" "$(median "$SAMPLES/ours.downtime")" "$(median "$SAMPLES/peer.downtime")" "ratio<=" 1.05
  row migrate.overhead_p95 "p95 ms of a command around libvirt's job" "$(percentile 95 "$SAMPLES/ours.around")" "$(percentile 95 "$SAMPLES/peer.around")" "<=" 100
  row migrate.failed "commands that failed" "$failed" - "<=" 0
}

settle() { # VM HOST: the VM is there within 20 s, at rest
  local attempt
  for ((attempt = 0; attempt < 100; attempt++)); do
    get "/vms/$1" | jq -e --arg h "$2" '.status | .host_name == $h and .state == "on" and .task == ""' >/dev/null && return 0
    sleep 0.2
  done
  return 1
}
