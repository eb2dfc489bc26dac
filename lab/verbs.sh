# shellcheck shell=bash
# ./dev's verbs for the lab. Sourced by ./dev, which defines ROOT, say, die, deps and build.

verb_lab() { # COMMAND [ARG...]: hosts on this machine (up, down, kill, start, cut, heal, status, ...)
  case ${1:-help} in
    help) ;;
    guest | images | up) deps lab build ;;
  esac
  "$ROOT/lab/lab" "$@"
}
