# shellcheck shell=bash
# shellcheck disable=SC2154 # `here`
# What tests of real hosts share: what they need, how they ask and how they wait. Sourced by lab_test.sh's siblings, which
# have set `here` and CHOROK_BIN.

# shellcheck disable=SC2034 # counted by who sources this
passed=0 failed=0

lab() { timeout 90 "$here/lab" "$@"; }
c() { timeout 90 "$CHOROK_BIN/chorok" "$@"; }
get() { c api GET "$1"; }

why() { echo "$*" >&2; return 1; } # the reason of a failure: the last line that a check prints

needs() { # PART TOOL...: what a lab with Chorok on it needs and these; skips the part, loudly, where something is missing
  local part=$1 tool program
  shift
  skip() { echo "skip $part: $*"; echo "0 passed, 0 failed"; exit 0; }
  [ "$(id -u)" = 0 ] || skip "needs root"
  for tool in ip nsenter libvirtd virsh qemu-system-x86_64 dnsmasq clang-19 curl jq "$@"; do
    command -v "$tool" >/dev/null || skip "needs $tool"
  done
  [ -e /dev/net/tun ] || skip "needs /dev/net/tun"
  for program in chorok chorok-manager chorok-agent; do
    [ -x "$CHOROK_BIN/$program" ] || skip "needs $program, built (./dev build)"
  done
}

eventually() { # SECONDS COMMAND [ARG...]: what a guest, a host or an agent does next tells a shell nothing
  local limit=$((SECONDS + $1)) said
  shift
  while :; do
    if said=$("$@" 2>&1); then return 0; fi
    [ $SECONDS -lt $limit ] || break
    sleep 0.2
  done
  why "waited in vain for: $* ($(tail -n 1 <<<"$said" | cut -c1-200))"
}
