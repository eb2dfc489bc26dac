# shellcheck shell=bash
# compile.*: CPU time to compile one file, in units of what gmock's header alone takes there and then: machines differ, and
# one machine by the hour. Of the BENCH_FILES (8) files that took longest when they were built last. At 1.1 s for gmock, 300
# files of seven times that would cost 19 minutes on two cores. Sourced by run.sh.

BUILD=$ROOT/build/release

cpu_of() { # OBJECT [SOURCE]: CPU seconds; another source with that object's flags
  local command times
  command=$(ninja -C "$BUILD" -t commands -s "$1" 2>/dev/null | tail -n 1)
  # Without outputs, precompiled headers for what needs none, and ccache, which would answer at once.
  command=$(sed -E 's/(^| )[^ ]*ccache //; s/ -o [^ ]+/ -o \/dev\/null/; s/ -MD| -MT [^ ]+| -MF [^ ]+//g' <<<"$command")
  [ -z "${2:-}" ] || command=$(sed -E "s| -c [^ ]+| -c $2|; s/ -Winvalid-pch( -Xclang -include(-pch)? -Xclang [^ ]+)+//" <<<"$command")
  # The second line of `times` is what the children took: 0m7.012s 0m0.321s.
  times=$(cd "$BUILD" && eval "$command" >/dev/null && times)
  awk -F'[ms ]+' 'NR == 2 { printf "%.3f\n", $1 * 60 + $2 + $3 * 60 + $4 }' <<<"$times"
}

bench_compile() {
  local probe=$SAMPLES/gmock.cc object before file after worst=0 worst_gmock=1 slowest=''
  echo '#include <gmock/gmock.h>' >"$probe"
  while read -r object; do
    before=$(cpu_of "$object" "$probe") file=$(cpu_of "$object") after=$(cpu_of "$object" "$probe")
    echo "$file $before $after $object" >>"$SAMPLES/files"
    say "$(awk -v f="$file" -v a="$before" -v b="$after" 'BEGIN { printf "%.2f", 2 * f / (a + b) }') times gmock: $object"
  done < <(awk -F'\t' 'NR == FNR { known[$1] = 1; next } $4 ~ /\.cc\.o$/ && $4 in known { wall[$4] = $2 - $1 }
    END { for (o in wall) print wall[o], o }' <(ninja -C "$BUILD" -t targets all | sed -n 's/: CXX_COMPILER.*//p') "$BUILD/.ninja_log" |
    sort -rn | awk '{ print $2 }' | sed -n "1,${BENCH_FILES:-8}p")
  [ -s "$SAMPLES/files" ] || die "nothing was built"
  read -r worst worst_gmock slowest < <(awk '{ g = ($2 + $3) / 2; if ($1 / g > most) { most = $1 / g; line = $1 " " g " " $4 } } END { print line }' "$SAMPLES/files")
  row compile.slowest "s of CPU, ${slowest##*/}; peer: gmock's header" "$worst" "$worst_gmock" 'ratio<=' 7
}
