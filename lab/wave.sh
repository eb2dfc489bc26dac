# shellcheck shell=bash
# The load of ./dev run: all guests rest, work, and rest again, seven minutes a turn, and a line says what the cluster made
# of it. The rest is longer than the three hours that a forecast looks back on, at time scale 60. Sourced by verbs.sh.

WAVE_SECONDS=420
WAVE_LOW=2 WAVE_HIGH=19 # percent of a CPU of this machine, a guest; a host has half a CPU

# What a guest is asked for at a second of the wave: 0 to 240 at rest, to 270 rising, to 380 at work, to 410 falling.
wave_percent() { # SECOND
  awk -v t=$(($1 % WAVE_SECONDS)) -v low=$WAVE_LOW -v high=$WAVE_HIGH 'BEGIN {
    x = t < 240 ? 0 : t < 270 ? (t - 240) / 30 : t < 380 ? 1 : t < 410 ? (410 - t) / 30 : 0
    printf "%.0f\n", low + (high - low) * x }'
}

wave_tell() { # ADDRESS LINE: to a guest's load; it may be moving
  # shellcheck disable=SC2016
  timeout 4 bash -c 'exec 3<>"/dev/tcp/$1/7777" && printf "%s\n" "$2" >&3 && IFS= read -r answer <&3' - "$1" "$2" 2>/dev/null || true
}

# Hosts and watts as the manager has them, and what switching off has saved since.
wave_says() { # SINCE PERCENT
  local energy saved
  energy=$(run_chorok api GET /energy 2>/dev/null) && [ "$(jq '.hosts | length' <<<"$energy")" != 0 ] || return 0 # nobody has told yet
  saved=$(run_chorok api GET "/clusters/default/energy?from=$1" 2>/dev/null | jq '.saved_joules // 0') || saved=0
  say "$(jq -r --arg load "$2" --argjson saved "${saved:-0}" '
    "load \($load) % a guest: \([.hosts[] | select(.off | not)] | length) of \(.hosts | length) hosts on, \(.watts | round) W ("
    + ([.hosts | sort_by(.name)[] | "\(.name) \(if .off then "off, " else "" end)\(.watts | round)"] | join("; "))
    + "), \($saved / 1000 * 10 | round / 10) kJ saved"' <<<"$energy")"
}

run_wave() { # GUESTS: until it is killed
  local i second percent started since address=() left=()
  trap 'mapfile -t left < <(jobs -p); kill "${left[@]}" 2>/dev/null; exit 0' TERM
  since=$(date -u +%FT%TZ)
  started=$SECONDS
  while :; do
    for ((i = 1; i <= $1; i++)); do # a guest has its address some seconds after its start
      [ -n "${address[i]:-}" ] || address[i]=$(run_address "guest$i" 2>/dev/null) || true
    done
    second=$((SECONDS - started))
    percent=$(wave_percent $second)
    for i in "${address[@]}"; do [ -z "$i" ] || wave_tell "$i" "cpu $percent" & done
    wait
    wave_says "$since" "$percent"
    sleep $((10 - (SECONDS - started) % 10)) & wait $!
  done
}
