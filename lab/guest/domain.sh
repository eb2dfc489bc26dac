#!/usr/bin/env bash
# Prints the domain XML of a lab guest, for virsh: NAME ADDRESS|dhcp [MEMORY_MIB] [LOAD] [DISK]. Chorok itself writes its own.
# Ticks go to /srv/chorok/shared/NAME.ticks, which goes on across a migration; DISK is a qcow2 file.
set -euo pipefail
name=$1 address=$2 memory=${3:-256} load=${4:-auto:1} disk=${5:-}
hash=$(printf '%s' "$name$address" | cksum | cut -d' ' -f1)
mac=$(printf '52:54:00:%02x:%02x:%02x' $((hash >> 16 & 255)) $((hash >> 8 & 255)) $((hash & 255)))
disk_xml=
[ -z "$disk" ] || disk_xml="<disk type='file' device='disk'><driver name='qemu' type='qcow2' cache='none'/>\
<source file='$disk'/><target dev='vda' bus='virtio'/></disk>"
network=chorok.ip=$address/24
[ "$address" != dhcp ] || network=
cat <<XML
<domain type='qemu'>
  <name>$name</name>
  <memory unit='MiB'>$memory</memory>
  <vcpu>1</vcpu>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>/srv/chorok/shared/vmlinuz</kernel>
    <initrd>/srv/chorok/shared/initrd</initrd>
    <cmdline>console=ttyS0 quiet no_timer_check chorok.name=$name $network chorok.ticks=1 chorok.load=$load</cmdline>
  </os>
  <features><acpi/><apic/></features>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    $disk_xml
    <interface type='bridge'><source bridge='br0'/><mac address='$mac'/><model type='virtio'/><rom enabled='no'/></interface>
    <serial type='file'><source path='/srv/chorok/shared/$name.ticks' append='on'/><target port='0'/></serial>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
    <memballoon model='virtio'/>
  </devices>
</domain>
XML
