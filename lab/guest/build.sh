#!/usr/bin/env bash
# Builds the lab's guest into build/lab-guest: Debian's cloud kernel and a small initramfs (busybox and the programs
# beside this script). Prints the folder. Rebuilds only when something it is made from is newer.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
ROOT=${CHOROK_ROOT:-$(cd "$here/../.." && pwd)}
out=${CHOROK_LAB_GUEST:-$ROOT/build/lab-guest}
CC=${CC:-clang-19}

fail() { printf 'lab/guest: %s\n' "$*" >&2; exit 1; }

kernel=$(find /boot -maxdepth 1 -name 'vmlinuz-*-cloud-amd64' | sort -V | tail -n 1)
[ -n "$kernel" ] || fail "no cloud kernel in /boot: apt-get install linux-image-cloud-amd64"
version=${kernel#/boot/vmlinuz-}
modules=/lib/modules/$version
[ -f "$modules/modules.dep" ] || fail "no $modules/modules.dep: reinstall linux-image-cloud-amd64"
busybox=$(command -v busybox) || fail "no busybox: apt-get install busybox-static"

mkdir -p "$out"
exec 9>"$out/.lock"
flock 9

stamp=$out/.stamp
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$version" ] &&
  [ -z "$(find "$here" "$kernel" "$busybox" -newer "$stamp" -type f -print -quit)" ]; then
  echo "$out"
  exit 0
fi
rm -f "$stamp"

work=$(mktemp -d "$out/.work.XXXXXX")
trap 'rm -rf "$work"' EXIT
tree=$work/tree
mkdir -p "$tree"/{bin,dev,proc,sys,tmp,modules,etc,mnt}

for program in init guestload guestagent; do
  "$CC" -O2 -std=c17 -Wall -Wextra -Werror -static -s -pthread -o "$work/$program" "$here/$program.c" -lm
done
install -m 755 "$work/init" "$tree/init"
install -m 755 "$work/guestload" "$work/guestagent" "$here/lease" "$busybox" "$tree/bin"
for applet in sh ash ls cat echo ps free top ip ping mount umount dmesg poweroff reboot halt uptime date nc wget \
  udhcpc hostname grep sed kill sleep dd df du head tail vi stty md5sum hexdump mkdir rm cp mv; do
  ln -s busybox "$tree/bin/$applet"
done
install -m 644 "$here/profile" "$tree/etc/profile"

# insert NAME [CONDITION]: the module after everything it depends on, each once.
declare -A inserted
insert() {
  local name=$1 condition=${2:-} line path dependencies dependency file
  line=$(grep -m 1 -E "/$name\.ko(\.[a-z]+)?:" "$modules/modules.dep" || true)
  [ -n "$line" ] || return 0 # built into this kernel
  path=${line%%:*}
  read -r -a dependencies <<<"${line#*:}"
  for ((i = ${#dependencies[@]} - 1; i >= 0; i--)); do
    dependency=$(basename "${dependencies[i]}")
    insert_file "${dependencies[i]}" "${dependency%%.ko*}" "$condition"
  done
  file=$(basename "$path")
  insert_file "$path" "${file%%.ko*}" "$condition"
}
insert_file() {
  [ -z "${inserted[$2]:-}" ] || return 0
  inserted[$2]=1
  case $1 in
    *.ko) cp "$modules/$1" "$tree/modules/$2.ko" ;;
    *.xz) xz -dc "$modules/$1" >"$tree/modules/$2.ko" ;;
    *.zst) zstd -qdc "$modules/$1" >"$tree/modules/$2.ko" ;;
  esac
  echo "${3:+$3 }$2" >>"$tree/modules/LIST"
}
insert virtio_pci
insert button
insert evdev
insert virtio_net pci:1000,1041
insert virtio_blk pci:1001,1042
insert virtio_console pci:1003,1043
insert virtio-rng pci:1005,1044
insert virtio_balloon pci:1002,1045
insert virtio_mem pci:1058
insert virtio_scsi pci:1004,1048
insert sd_mod pci:1004,1048
insert sr_mod pci:1004,1048
insert isofs pci:1004,1048

(cd "$tree" && find . -print0 | LC_ALL=C sort -z | cpio --null -o -H newc -R 0:0 --quiet) | zstd -q -19 >"$work/initrd"
install -m 644 "$work/initrd" "$out/initrd"
install -m 644 "$kernel" "$out/vmlinuz"
echo "$version" >"$stamp"
echo "$out"
