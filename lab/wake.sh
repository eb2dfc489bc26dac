# shellcheck shell=bash
# The hosts' cards while their hosts sleep: one program for all of them, in the lab's network (tools/wakecard.py). It is
# simulated: a host's own card goes with its namespaces. Sourced by lab/lab.

cards_start() {
  local host cards=()
  for host in $(host_names); do cards+=("$host=$(mac 3 "${host#host}")"); done
  mkdir -p "$DIR/bmc/cards"
  bmc_run cards wake /usr/bin/python3 "$LAB_HOME/tools/wakecard.py" "${cards[@]}" -- "$LAB_HOME/lab" chassis
}

cmd_card() { # HOST [log]: the address that a magic packet wakes it by (simulated); or what the sleeping cards have heard
  host_must_exist "${1:-}"
  case ${2:-} in
    '') mac 3 "${1#host}" && echo ;;
    log) cat "$DIR/bmc/cards/wake.log" ;;
    *) fail "card HOST: log, not '$2'" ;;
  esac
}
