#!/usr/bin/env bash
# Builds images of the lab's guest that boot by themselves, with BIOS or UEFI, into build/lab-guest: guest.qcow2, a disk,
# and install.iso, a CD-ROM that writes that disk to /dev/vda and powers off. Prints the folder.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
out=$("$here/build.sh")

fail() { printf 'lab/guest: %s\n' "$*" >&2; exit 1; }
for tool in grub-mkrescue xorriso mformat qemu-img cpio zstd; do
  command -v "$tool" >/dev/null || fail "no $tool (./dev deps installs it)"
done
for platform in i386-pc x86_64-efi; do
  [ -d /usr/lib/grub/$platform ] || fail "no /usr/lib/grub/$platform (./dev deps installs it)"
done

exec 9>"$out/.lock"
flock 9
if [ "$out/install.iso" -nt "$out/initrd" ] && [ "$out/install.iso" -nt "$here/images.sh" ]; then
  echo "$out"
  exit 0
fi
work=$(mktemp -d "$out/.work.XXXXXX")
trap 'rm -rf "$work"' EXIT

image() { # FILE TREE KERNEL-ARGUMENT...: a hybrid image, good as a disk and as a CD-ROM
  local file=$1 tree=$2
  shift 2
  mkdir -p "$tree/boot/grub"
  cp "$out/vmlinuz" "$out/initrd" "$tree/boot/"
  {
    echo 'serial --unit=0 --speed=115200'
    echo 'terminal_output serial console'
    echo "set gfxpayload=text"
    echo "linux /boot/vmlinuz console=tty0 console=ttyS0 quiet no_timer_check $*"
    echo "initrd /boot/initrd $(cd "$tree" && find boot -name payload -printf '/%p')"
    echo boot
  } >"$tree/boot/grub/grub.cfg"
  grub-mkrescue -o "$file" "$tree" --compress=xz --fonts= --locales= --themes= --install-modules="normal linux \
    iso9660 part_msdos part_gpt serial terminal echo search search_fs_file search_label test configfile boot \
    all_video fat gzio \
    part_acorn part_amiga part_apple part_bsd part_dfly part_dvh part_plan part_sun part_sunpc" -- -volid CHOROK_GUEST >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
}

image "$work/disk.img" "$work/disk"
qemu-img convert -f raw -O qcow2 -c "$work/disk.img" "$out/guest.qcow2"
mkdir -p "$work/payload/payload" "$work/install/boot"
mv "$work/disk.img" "$work/payload/payload/disk.img"
(cd "$work/payload" && find . -print0 | cpio --null -o -H newc -R 0:0 --quiet) | zstd -q >"$work/install/boot/payload"
image "$out/install.iso" "$work/install" chorok.install=/dev/vda
touch "$out/install.iso"
echo "$out"
