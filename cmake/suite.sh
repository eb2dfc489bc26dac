# shellcheck shell=bash
# ./dev test: builds, runs every part, adds up. Sourced by ./dev (ROOT, say, die, deps, build).
#
# A part is a GoogleTest program, or a script that prints `ok NAME`, `not ok NAME`, `skip NAME: WHY` lines. What a part
# printed is in build/test/PART.log; only failures and skips are shown.

TEST_PASSED=0 TEST_FAILED=0 TEST_SKIPPED=0
# The floors without sockets, processes and hypervisors, whose tests also run with AddressSanitizer and UBSan.
PURE_PARTS=(base_test crypto_test model_test policy_test control_test scenarios_test sim_test sim_datacenter_test advise_test adapters_memory_test agent_test manager_test)
# Beyond this a part hangs; the slowest takes a third of it on two cores.
PART_TIMEOUT=${PART_TIMEOUT:-900}

# run_gtest NAME BINARY [FILTER]
run_gtest() {
  local name=$1 binary=$2 filter=${3:-*}
  local log="build/test/$name.log" json="$ROOT/build/test/$name.json" rc=0 began=$SECONDS
  rm -f "$json"
  timeout -k 10 "$PART_TIMEOUT" "$binary" --gtest_brief=1 --gtest_filter="$filter" --gtest_output="json:$json" >"$log" 2>&1 || rc=$?
  local passed=0 failed=0 skipped=0
  if [ $rc = 77 ]; then # a script around the program that could not run here; its last line says why
    tally "$name" 0 0 1 "$log" $((SECONDS - began))
    return
  fi
  if [ -s "$json" ]; then
    read -r passed failed skipped < <(jq -r '[.testsuites[].testsuite[]] as $t |
      [($t | map(select(.failures == null and .result == "COMPLETED")) | length),
       ($t | map(select(.failures != null)) | length),
       ($t | map(select(.result == "SKIPPED")) | length)] | @tsv' "$json")
  fi
  # A program that died has no report: that is a failure too, whatever it had passed by then.
  if [ $rc != 0 ] && [ "$failed" = 0 ]; then failed=1; fi
  if [ $rc = 0 ] && [ $((passed + skipped)) = 0 ]; then failed=1; echo "it ran no test" >>"$log"; fi
  tally "$name" "$passed" "$failed" "$skipped" "$log" $((SECONDS - began))
}

# run_script NAME COMMAND...
run_script() {
  local name=$1; shift
  local log="build/test/$name.log" rc=0 began=$SECONDS
  timeout -k 30 "$PART_TIMEOUT" "$@" >"$log" 2>&1 || rc=$?
  local passed failed skipped
  passed=$(grep -c '^ok ' "$log" || true)
  failed=$(grep -c '^not ok ' "$log" || true)
  skipped=$(grep -c '^skip ' "$log" || true)
  if [ $rc != 0 ] && [ "$failed" = 0 ]; then failed=1; fi
  tally "$name" "$passed" "$failed" "$skipped" "$log" $((SECONDS - began))
}

tally() {
  local name=$1 passed=$2 failed=$3 skipped=$4 log=$5 seconds=$6
  TEST_PASSED=$((TEST_PASSED + passed)) TEST_FAILED=$((TEST_FAILED + failed)) TEST_SKIPPED=$((TEST_SKIPPED + skipped))
  printf '  %-34s %5d passed %3d failed %3d skipped %5d s\n' "$name" "$passed" "$failed" "$skipped" "$seconds"
  if [ "$skipped" -gt 0 ]; then grep -hE '^skip |Skipped$|: Skipped|^SKIPPED' -A2 "$log" | sed -n '1,12s/^/      /p' || true; fi
  if [ "$failed" -gt 0 ]; then
    echo "    --- $log"
    grep -vE '^(ok |\[ *(RUN|OK) )' "$log" | tail -60 | sed 's/^/    /'
  fi
}

release_parts() { find build/release/bin -maxdepth 1 -name '*_test' -printf '%f\n' | sort; }

test_all() {
  local long=$1 part
  deps build lab package
  mkdir -p build/test
  say "Building (optimised, assertions on)"
  build release >build/test/build.log 2>&1 || { tail -40 build/test/build.log; die "the build failed"; }
  say "Building the pure floors with AddressSanitizer and UBSan"
  build asan "${PURE_PARTS[@]}" >build/test/build-asan.log 2>&1 || { tail -40 build/test/build-asan.log; die "the asan build failed"; }
  say "Tests"
  for part in $(release_parts); do
    # What needs two bare libvirt hosts: ./dev test real_libvirt, and in the long run; e2e uses the adapter every time.
    if [ "$part" = adapters_libvirt_test ]; then run_gtest "$part" "build/release/bin/$part" '-RealLibvirt*'; continue; fi
    # What needs the lab's BMCs runs within lab/bmc_test.sh.
    run_gtest "$part" "build/release/bin/$part" '-Lab*'
  done
  for part in "${PURE_PARTS[@]}"; do
    ASAN_OPTIONS=detect_leaks=1 CHOROK_SEEDS=${ASAN_SEEDS:-50} run_gtest "asan.$part" "build/asan/bin/$part"
  done
  run_script tidy cmake/tidy.sh
  run_script tidy_test cmake/tidy_test.sh
  run_script package packaging/package_test.sh
  run_script lab lab/lab_test.sh
  run_script bmc lab/bmc_test.sh
  run_script advise_live lab/advise_live_test.sh
  run_script e2e lab/e2e_test.sh
  run_script live lab/live_test.sh
  [ "$long" = 1 ] && test_long
  summary
}

test_long() {
  run_gtest real_libvirt src/adapters/libvirt/real_test.sh 'RealLibvirt*'
  say "TSan on the concurrent parts"
  build tsan adapters_sqlite_test net_test manager_test >build/test/build-tsan.log 2>&1 || { tail -40 build/test/build-tsan.log; die "the tsan build failed"; }
  for part in adapters_sqlite_test net_test; do run_gtest "tsan.$part" "build/tsan/bin/$part"; done
  # Rounds, texts and password hashes are worked out beside the manager's loop.
  CHOROK_SEEDS=20 run_gtest tsan.manager_test build/tsan/bin/manager_test
  say "More seeds"
  CHOROK_SEED_FIRST=1001 CHOROK_SEEDS=5000 PART_TIMEOUT=3600 run_gtest seeds.long build/release/bin/manager_test 'Seeds.*'
  say "Fuzzers, two minutes each"
  local fuzzers=(fuzz/*_fuzz.cc) fuzzer
  fuzzers=("${fuzzers[@]#fuzz/}")
  fuzzers=("${fuzzers[@]%.cc}")
  build fuzz "${fuzzers[@]}" >build/test/build-fuzz.log 2>&1 || { tail -40 build/test/build-fuzz.log; die "the fuzz build failed"; }
  for fuzzer in "${fuzzers[@]}"; do run_script "fuzz.$fuzzer" bash -c "$(declare -f fuzz_for); fuzz_for 120 $fuzzer"; done
}

summary() {
  echo
  if [ "$TEST_SKIPPED" -gt 0 ]; then
    echo "$TEST_PASSED passed, $TEST_FAILED failed, $TEST_SKIPPED skipped"
  else
    echo "$TEST_PASSED passed, $TEST_FAILED failed"
  fi
  [ "$TEST_FAILED" = 0 ]
}

verb_test() { # [PART|long]: build and run the tests; ends with `N passed, N failed`
  mkdir -p build/test
  case ${1:-all} in
    all) test_all 0 ;;
    long) test_all 1 ;;
    tidy) run_script tidy cmake/tidy.sh; summary ;;
    real_libvirt)
      deps build lab
      build release adapters_libvirt_test >build/test/build.log 2>&1 || { tail -40 build/test/build.log; die "the build failed"; }
      run_gtest real_libvirt src/adapters/libvirt/real_test.sh 'RealLibvirt*'; summary ;;
    package)
      deps build package
      build release chorok chorok-manager chorok-agent >build/test/build.log 2>&1 || { tail -40 build/test/build.log; die "the build failed"; }
      run_script package packaging/package_test.sh; summary ;;
    lab | bmc | advise_live | e2e | live)
      deps build lab
      build release >build/test/build.log 2>&1 || { tail -40 build/test/build.log; die "the build failed"; }
      run_script "$1" "lab/$1_test.sh"; summary ;;
    *)
      local part=${1%_test}_test
      build release "$part" >build/test/build.log 2>&1 || { tail -40 build/test/build.log; die "there is no part '$1', or it does not build"; }
      run_gtest "$part" "build/release/bin/$part" "${2:-*}"; summary ;;
  esac
}

verb_sim() { # SEED: repeat one history of the seeds test
  build release manager_test >&2
  CHOROK_SEED=${1:?the seed that the test printed} build/release/bin/manager_test --gtest_filter='Seeds.*'
}

verb_fuzz() { # NAME [SECONDS]: run one fuzzer on its corpus
  local name=${1:?one of: $(ls fuzz/corpus 2>/dev/null | tr "\n" " ")}
  build fuzz "${name%_fuzz}_fuzz" >&2
  fuzz_for "${2:-60}" "$name"
}

# New inputs go to build/, the committed corpus is only read.
fuzz_for() {
  local seconds=$1 name=${2%_fuzz}
  mkdir -p "build/fuzz/corpus/$name"
  if "build/fuzz/bin/${name}_fuzz" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -artifact_prefix="build/fuzz/$name-" \
    "build/fuzz/corpus/$name" "fuzz/corpus/$name"; then
    echo "ok $name for $seconds s"
  else
    echo "not ok $name: the input is in build/fuzz/"
  fi
}

verb_check() { # the rules of the house: tidy, format
  deps build
  local rc=0
  cmake/tidy.sh || rc=1
  git ls-files 'src/*.cc' 'src/*.h' 'fuzz/*.cc' 'bench/*.cc' | xargs clang-format-19 --dry-run -Werror || rc=1
  return $rc
}
