#!/usr/bin/env bash
# In a host: what its operating system does when the power button is pressed. Guests are asked to end and have ten
# seconds; the daemons stop in order, so that the agent can take its leave. With "off" the host itself ends after that, as a
# machine switches its power off; without, whoever calls this does it.
set -uo pipefail
here=$(dirname "$(readlink -f "$0")")
stop() { [ ! -f "/run/lab/$1.cmd" ] || "$here/service.sh" stop "$1"; }

mapfile -t guests < <(timeout 5 virsh -c qemu:///system list --name 2>/dev/null | grep .)
for guest in "${guests[@]}"; do timeout 5 virsh -q -c qemu:///system shutdown "$guest" >/dev/null 2>&1; done
end=$((SECONDS + 10))
while [ ${#guests[@]} -gt 0 ] && [ $SECONDS -lt $end ]; do # libvirt's events tell a shell nothing
  mapfile -t guests < <(timeout 5 virsh -c qemu:///system list --name 2>/dev/null | grep .)
  [ ${#guests[@]} = 0 ] || sleep 0.1
done
stop agent
stop libvirtd
stop virtlogd
[ "${1:-}" != off ] || kill -TERM 1
