# shellcheck shell=bash disable=SC2034
# Debian packages by what they are for. docs/dependencies.md says why each was chosen.
DEPS_BUILD=(clang-19 clang-format-19 libclang-rt-19-dev cmake ninja-build ccache mold pkg-config
  libboost1.81-dev libboost-json1.81-dev libfmt-dev libspdlog-dev libssl-dev libsqlite3-dev libwslay-dev
  libpugixml-dev libvirt-dev libcli11-dev libgtest-dev libgmock-dev libargon2-dev libyaml-cpp-dev libarchive-dev
  libtomlplusplus-dev libcurl4-openssl-dev)
DEPS_LAB=(qemu-system-x86 qemu-utils libvirt-daemon-system libvirt-daemon libvirt-clients ovmf swtpm swtpm-tools
  iproute2 iptables dnsmasq-base busybox-static linux-image-cloud-amd64 cpio zstd xz-utils jq xorriso curl
  grub-pc-bin grub-efi-amd64-bin mtools openssl openipmi libopenipmi-dev ipmitool fence-agents
  prometheus prometheus-libvirt-exporter)
DEPS_PACKAGE=(dpkg-dev binutils python3 curl jq)
DEPS_BENCH=(ganeti-htools coinor-cbc jq)
