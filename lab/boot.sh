#!/usr/bin/env bash
# The boot of a host, run inside its namespaces by hostinit: network, names, libvirt's settings, join, daemons. Writes a
# byte to descriptor 3 when libvirtd answers.
set -euo pipefail
name=$1 address=$2 net=$3 hosts=$4 mac=$5 cores=$6 memory_mib=$7 manager=$8 agent=$9 tcgsync=${10}
here=$(dirname "$(readlink -f "$0")")
pki=/etc/chorok/pki

network() {
  local i
  # The host's own address is on the bridge its guests join: a guest keeps its neighbours when it moves.
  ip link add br0 address "$mac" type bridge forward_delay 0 stp_state 0 mcast_snooping 0
  sysctl -q -w net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0 2>/dev/null || true
  sysctl -q -w net.ipv6.conf.all.disable_ipv6=1 net.ipv6.conf.default.disable_ipv6=1 2>/dev/null || true
  ip link set uplink master br0 up
  ip address add "$address/24" dev br0
  ip link set br0 up
  : >/etc/resolv.conf # no name service: an unknown name fails at once
  {
    echo "127.0.0.1 localhost"
    for ((i = 1; i <= hosts; i++)); do echo "$net.$((10 + i)) host$i"; done
  } >/etc/hosts
}

settings() {
  mkdir -p $pki /var/log/chorok /run/lab /run/libvirt
  printf 'simulated_cores = %s\nsimulated_memory_mib = %s\n' "$cores" "$memory_mib" >/etc/chorok/lab.toml
  # What the agent calls when it is to switch its host off; the caller is ended by it.
  mkdir -p /etc/chorok/hooks.d
  printf '#!/bin/sh\nexec setsid --fork %s off </dev/null >>/var/log/chorok/poweroff.log 2>&1\n' "$here/poweroff.sh" \
    >/etc/chorok/hooks.d/poweroff
  chmod 755 /etc/chorok/hooks.d /etc/chorok/hooks.d/poweroff
  # Join first: libvirtd listens for TLS only when it starts with certificates.
  if [ -x "$agent" ] && [ ! -e /etc/chorok/agent.toml ] && [ -s /etc/chorok/join-token ]; then
    "$agent" join "$manager" "$(cat /etc/chorok/join-token)" --address "$address" --name "$name"
    rm -f /etc/chorok/join-token
  fi
  local tls=0
  [ -s $pki/servercert.pem ] && [ -s $pki/serverkey.pem ] && tls=1
  # Clients in this host find the same certificates without a pkipath in the address.
  mkdir -p /etc/pki/CA /etc/pki/libvirt/private
  ln -sf $pki/cacert.pem /etc/pki/CA/cacert.pem
  ln -sf $pki/clientcert.pem /etc/pki/libvirt/clientcert.pem
  ln -sf $pki/clientkey.pem /etc/pki/libvirt/private/clientkey.pem
  local id
  id=$(sed 's/\(.\{8\}\)\(.\{4\}\)\(.\{4\}\)\(.\{4\}\)/\1-\2-\3-\4-/' /etc/machine-id)
  cat >/etc/libvirt/libvirtd.conf <<CONF
host_uuid = "$id"
unix_sock_group = "root"
unix_sock_rw_perms = "0700"
auth_unix_rw = "none"
max_clients = 5000
max_workers = 20
listen_addr = "$address"
listen_tls = $tls
tls_port = "16514"
auth_tls = "none"
ca_file = "$pki/cacert.pem"
cert_file = "$pki/servercert.pem"
key_file = "$pki/serverkey.pem"
# Without encryption and without a password: for comparing with virsh migrate, inside the lab only.
listen_tcp = 1
tcp_port = "16509"
auth_tcp = "none"
CONF
  cat >/etc/libvirt/qemu.conf <<CONF
user = "root"
group = "root"
swtpm_user = "root"
swtpm_group = "root"
security_driver = "none"
namespaces = []
cgroup_controllers = [ "cpu", "cpuacct", "memory", "blkio" ]
stdio_handler = "logd"
seccomp_sandbox = 0
vnc_listen = "127.0.0.1"
migration_address = "$address"
migration_host = "$address"
migrate_tls_x509_cert_dir = "$pki"
migrate_tls_x509_verify = 1
CONF
}

service() { # NAME COMMAND [ARG...]
  local service=$1
  shift
  printf '%s\0' "$@" >"/run/lab/$service.cmd"
  "$here/service.sh" start "$service"
}

wait_for() { # SECONDS COMMAND [ARG...]: every 50 ms; these daemons tell nobody that they are ready
  local attempt limit=$(($1 * 20))
  shift
  for ((attempt = 0; attempt < limit; attempt++)); do
    "$@" && return 0
    sleep 0.05
  done
  echo "$name: waited in vain for: $*" >&2
  tail -n 5 /var/log/chorok/*.log >&2
  return 1
}

answers() { [ -S /run/libvirt/libvirt-sock ] && virsh -q -c qemu:///system uri >/dev/null 2>&1; }

network
settings
service virtlogd virtlogd
wait_for 20 test -S /run/libvirt/virtlogd-sock
# libvirt hands LD_PRELOAD on to QEMU: see tools/tcgsync.c for what it corrects there.
service libvirtd env LD_PRELOAD="$tcgsync" libvirtd --listen
wait_for 20 answers
virsh -q -c qemu:///system domcapabilities --virttype qemu >/dev/null # asks QEMU all it can do, once
if [ -x "$agent" ] && [ -e /etc/chorok/agent.toml ]; then service agent "$agent" run; fi
echo "$name is up"
echo ok >&3
