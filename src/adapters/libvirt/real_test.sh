#!/usr/bin/env bash
# Runs the tests that need real libvirt hosts: brings up a lab of its own with two, runs the test program inside the
# first, and removes the lab. Arguments go to the program (--gtest_filter=…). Without root or libvirt it says so, and 77.
set -euo pipefail
root=$(cd "$(dirname "$(readlink -f "$0")")/../../.." && pwd)
export CHOROK_LAB=${CHOROK_LAB:-hvtest} CHOROK_LAB_NET=${CHOROK_LAB_NET:-10.78.9} CHOROK_LAB_TEST_CERTS=1
export CHOROK_LAB_DIR=${CHOROK_LAB_DIR:-$root/build/lab/$CHOROK_LAB}
program=${CHOROK_TEST_PROGRAM:-$root/build/release/bin/adapters_libvirt_test}
skip() { printf 'SKIPPED: %s\n' "$*" >&2; exit 77; }

[ "$(id -u)" = 0 ] || skip "real libvirt hosts need root"
command -v libvirtd >/dev/null || skip "libvirtd is not installed (./dev deps)"
if [ -z "${CHOROK_TEST_KEEP_LAB:-}" ]; then
  trap '"$root/lab/lab" down >/dev/null 2>&1 || true' EXIT
  "$root/lab/lab" up 2
fi
filter=("$@")
[ ${#filter[@]} -gt 0 ] || filter=(--gtest_filter='RealLibvirt*')
"$root/lab/lab" exec host1 env CHOROK_TEST_TARGET="$CHOROK_LAB_NET.12" \
  CHOROK_TEST_TARGET_LIBVIRT="$CHOROK_LAB_DIR/host2/var-lib-libvirt" "$program" "${filter[@]}"
