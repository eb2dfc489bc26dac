# shellcheck shell=bash
# The lab's network: a bridge in a namespace of its own (so that no packet filter of this machine touches it), a cable
# from there to this machine and to every host. Sourced by lab/lab; uses NET, LINK, BRIDGE_NS, DIR, RUN.

mac() { # KIND NUMBER: stable in a lab, different between labs
  local hash
  hash=$(printf '%s' "$LAB" | cksum | cut -d' ' -f1)
  printf '02:%02x:%02x:%02x:%02x:%02x' "$1" $((hash >> 8 & 255)) $((hash & 255)) $(($2 >> 8)) $(($2 & 255))
}

network_up() {
  modprobe -aq bridge veth tun overlay 2>/dev/null || true # where they are modules
  if ip -4 -o address show | grep -F " $NET." >/dev/null; then
    fail "network $NET.0/24 is in use on this machine: choose another by CHOROK_LAB_NET"
  fi
  ip netns add "$BRIDGE_NS"
  ip -n "$BRIDGE_NS" link set lo up
  ip netns exec "$BRIDGE_NS" sysctl -q -w net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 2>/dev/null || true
  ip -n "$BRIDGE_NS" link add br0 address "$(mac 1 0)" type bridge forward_delay 0 stp_state 0 mcast_snooping 0
  ip -n "$BRIDGE_NS" address add "$NET.2/24" dev br0
  ip -n "$BRIDGE_NS" link set br0 up
  ip link add "$LINK" address "$(mac 2 0)" type veth peer name machine netns "$BRIDGE_NS"
  ip -n "$BRIDGE_NS" link set machine master br0 up
  ip address add "$NET.1/24" dev "$LINK"
  ip link set "$LINK" up
  leases_start
}

# Addresses for guests: .100 to .199, and nothing else (no name service, no route out).
leases_start() {
  (
    close_locks
    cgroup_enter services
    exec ip netns exec "$BRIDGE_NS" dnsmasq --conf-file=/dev/null --port=0 --interface=br0 --bind-interfaces \
      --except-interface=lo --dhcp-range="$NET.100,$NET.199,255.255.255.0,1h" --dhcp-authoritative --no-ping \
      --dhcp-option=3,"$NET.1" --dhcp-option=6 --dhcp-leasefile="$DIR/leases" --pid-file="$RUN/dnsmasq.pid" \
      --user=root --group=root --log-facility="$DIR/dnsmasq.log" --log-dhcp
  )
}

network_add_host() { # HOST
  local number=${1#host}
  ip netns add "$LINK-$1"
  ip -n "$LINK-$1" link set lo up
  ip -n "$BRIDGE_NS" link add "$1" type veth peer name uplink address "$(mac 3 "$number")" netns "$LINK-$1"
  ip -n "$BRIDGE_NS" link set "$1" master br0 up
}

network_remove_host() { # HOST
  ip -n "$BRIDGE_NS" link delete "$1" 2>/dev/null || true
  [ ! -e "/run/netns/$LINK-$1" ] || ip netns delete "$LINK-$1"
}

network_cut() { # HOST [--silent]
  if [ "$2" = --silent ]; then ip -n "$BRIDGE_NS" link set "$1" nomaster; else ip -n "$BRIDGE_NS" link set "$1" down; fi
}

network_heal() { # HOST
  ip -n "$BRIDGE_NS" link set "$1" master br0 up
}

network_state() { # HOST: up, cut or silent
  local line
  line=$(ip -n "$BRIDGE_NS" -o link show "$1" 2>/dev/null) || { echo -; return; }
  case $line in *'state DOWN'*) echo cut ;; *'master br0'*) echo up ;; *) echo silent ;; esac
}

network_down() {
  local namespace
  ip link delete "$LINK" 2>/dev/null || true
  for namespace in /run/netns/"$LINK"-*; do
    [ ! -e "$namespace" ] || ip netns delete "$(basename "$namespace")"
  done
}
