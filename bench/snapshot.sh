# shellcheck shell=bash
# snapshot.*: records of a living cluster into what its policies plan on, and what is made of that. Sourced by run.sh.

bench_snapshot() {
  local line
  line=$("$BIN/bench_snapshot" 1000 20000 | tee "$SAMPLES/20000.log")
  row snapshot.make "ms on the I/O thread: 1000 hosts with 20000 VMs" "$(field make_ms <<<"$line")" - '<=' 100
  row snapshot.place "ms on the I/O thread: where one start goes, while a snapshot serves" "$(field place_ms <<<"$line")" - '<=' 20
  row snapshot.write "ms beside it: the same as text, $(field text_bytes <<<"$line") bytes" "$(field write_ms <<<"$line")" - - ''
  row snapshot.use "ms beside it: the tree of 100 pools with its VMs" "$(field use_ms <<<"$line")" - - ''
}
