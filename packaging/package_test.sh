#!/usr/bin/env bash
# The Debian packages: what is in them, and what they do in a plain folder and in a clean root. Prints `ok NAME`,
# `not ok NAME` (with what was said, behind #) and `skip NAME: WHY`. Leaves nothing behind on the machine.
#
# usage: packaging/package_test.sh       BIN=FOLDER where the programs are; CHOROK_PACKAGES=FOLDER: test these .deb files
#
# The clean root is an overlay over this machine's, in namespaces of its own: what is written goes to memory, and
# every process in it ends with it.
set -euo pipefail
# shellcheck disable=SC2317 # checks are called by name
here=$(dirname "$(readlink -f "$0")")
export LC_ALL=C
failed=0
log=$(mktemp)

check() { # NAME COMMAND...: ok when the command succeeds
  local name=$1
  shift
  if ( set -e; "$@" ) >"$log" 2>&1; then
    echo "ok $name"
  else
    echo "not ok $name"
    tail -n 15 "$log" | sed 's/^/# /'
    failed=1
  fi
}
skip() { echo "skip $1: $2"; }
deb() { ls "$packages/$1"_*.deb; }
field() { dpkg-deb --field "$(deb "$1")" "$2"; }
# `set -e` does not hold in a function that is a condition: hence explicit words for what must be so.
must() { "$@" || { echo "not so: $*"; exit 1; }; }
must_not() { if "$@"; then echo "yet: $*"; exit 1; fi; }

# start LOG COMMAND...: as systemd starts Type=notify; sets `started` to its process once it says READY=1
start() {
  started=$(/usr/bin/python3 - "$@" <<'PYTHON'
import os, socket, subprocess, sys
# A name in the network namespace, not in a folder: it holds in a chroot too.
name = f"chorok-package-test-{os.getpid()}-{os.urandom(6).hex()}"
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind("\0" + name)
listener.settimeout(30)
with open(sys.argv[1], "wb") as log:
    child = subprocess.Popen(sys.argv[2:], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                             env={**os.environ, "NOTIFY_SOCKET": "@" + name})
try:
    while b"READY=1" not in listener.recv(4096):
        pass
except TimeoutError:
    child.kill()
    sys.exit("it did not say READY=1 within 30 s: " + open(sys.argv[1]).read()[-500:])
print(child.pid)
PYTHON
  ) || exit 1
}

stop() { # PROCESS
  kill "$1" 2>/dev/null || return 0
  timeout 15 tail --pid="$1" -s 0.05 -f /dev/null || kill -9 "$1"
}

port_of() { sed -n 's/.*listens on 127\.0\.0\.1:\([0-9]*\)$/\1/p' "$1" | sed -n 1p; }

# ---- what is in them

control_fields() { # PACKAGE ARCHITECTURE
  must [ "$(field "$1" Package)" = "$1" ]
  must [ "$(field "$1" Version)" = "$(field chorok Version)" ]
  must dpkg --validate-version "$(field "$1" Version)"
  must [ "$(field "$1" Architecture)" = "$2" ]
  must_not grep -q '@[A-Z]*@' <<<"$(field "$1")"
  must [ "$(field "$1" Description | sed -n 1p | wc -c)" -lt 80 ]
  must [ "$(field "$1" Installed-Size)" -gt 100 ]
}

depends() { # PACKAGE DEPENDENCY...
  local all each
  all=$(field "$1" Depends)
  shift
  for each in "$@"; do must grep -qE "(^|, )$each( |,|\$)" <<<"$all"; done
}

contents() { # PACKAGE PATH...
  local list each
  list=$(dpkg-deb --contents "$(deb "$1")")
  must_not grep -vE '^.{10} root/root ' <<<"$list"
  must_not grep -E '^.{3}s|^[^l].{4}w|^.{6}s|^[^l].{7}w' <<<"$list" # set-id, or writable for others
  shift
  for each in "$@" ; do must grep -qF " .$each" <<<"$list"; done
}

no_machine_paths() { # PACKAGE: nothing of where it was built (but for what __FILE__ said in programs)
  must_not grep -rIqF -- "$(dirname "$here")" "$tree/$1"
}

stripped() { must_not grep -qE '\.(symtab|debug_info)' <<<"$(readelf -SW "$1")"; }

scripts_parse() {
  local package script
  for package in chorok-manager chorok-agent; do
    for script in postinst prerm postrm; do must sh -n "$here/$package/$script"; done
  done
  must bash -n "$here/chorok-agent/libvirtd-setup"
}

manual() { # PAGE
  must gunzip -t "$1"
  must [ -z "$(gunzip -c "$1" | groff -man -Tutf8 -ww -z 2>&1)" ]
  must_not grep -q '@[A-Z]*@' <<<"$(gunzip -c "$1")"
}

completion() {
  local script="$tree/chorok/usr/share/bash-completion/completions/chorok"
  must bash -n "$script"
  # shellcheck disable=SC2016
  must env PATH="$tree/chorok/usr/bin:$PATH" bash -c '. "$1"; COMP_WORDS=(chorok v) COMP_CWORD=1 COMP_LINE="chorok v" COMP_POINT=8
    _chorok; printf "%s\n" "${COMPREPLY[@]}" | grep -x vm >/dev/null' - "$script"
  must grep -q '^#compdef chorok' "$tree/chorok/usr/share/zsh/vendor-completions/_chorok"
}

reference() {
  /usr/bin/python3 - "$tree/chorok-web/usr/share/chorok-web" <<'PYTHON'
import json, re, sys
document = json.load(open(sys.argv[1] + "/openapi.json"))
page = open(sys.argv[1] + "/index.html", encoding="utf-8").read()
assert document["openapi"].startswith("3.1"), document["openapi"]
anchors = set(re.findall(r' id="([^"]*)"', page))
calls = [each["operationId"] for path in document["paths"].values() for key, each in path.items() if isinstance(each, dict)]
assert len(calls) > 20 and not [each for each in calls if each not in anchors]
assert not [each for each in document["components"]["schemas"] if "type-" + each not in anchors]
lost = [each for each in re.findall(r'href="#([^"]*)"', page) if each not in anchors]
assert not lost, lost
assert not re.findall(r'(?:src|href)="(?:https?:)?//', page) and "<script" not in page
assert "graphical console is not part" in page
PYTHON
}

same_bytes() {
  mkdir "$work/again"
  must "$here/build.sh" "$bin" "$work/again"
  local each
  for each in "$packages"/*.deb; do must cmp "$each" "$work/again/$(basename "$each")"; done
}

lint() {
  local said
  said=$(lintian --allow-root --fail-on error,warning "$packages"/*.deb 2>&1) || { echo "$said"; exit 1; }
}

# ---- a cluster from the installed programs

# Logs in to the manager on URL, lets this machine join, and leave.
joined() { # FOLDER URL CLI AGENT TOKEN FINGERPRINT
  local dir=$1 url=$2 cli=$3 agent=$4 token=$5 fingerprint=$6
  export CHOROK_CONFIG=$dir/config.json
  must "$cli" login "$url" --password-file "$dir/password" --fingerprint "$fingerprint"
  must "$cli" status
  must "$agent" join "$url" "$token" --name packaged --address 127.0.0.1 --config "$dir/etc" --state "$dir/agent"
  must grep -q packaged <<<"$("$cli" host ls -o csv)"
  must grep -qE '^host +packaged ' <<<"$("$agent" status --config "$dir/etc")"
  must [ -s "$dir/etc/pki/cacert.pem" ]
  must "$agent" leave --config "$dir/etc"
  must_not [ -e "$dir/etc/agent.toml" ]
}

in_a_folder() {
  local dir=$work/folder all=$work/all each manager_program fingerprint token
  mkdir -p "$dir" "$all"
  for each in "$packages"/*.deb; do must dpkg-deb -x "$each" "$all"; done
  manager_program=$all/usr/sbin/chorok-manager
  echo "correct-horse-battery" >"$dir/password"
  fingerprint=$("$manager_program" init --state "$dir/m" --admin-password-file "$dir/password" --address 127.0.0.1 |
    sed -n 's/^CA fingerprint (SHA-256): //p')
  must [ -n "$fingerprint" ]
  start "$dir/log" "$manager_program" run --state "$dir/m" --listen 127.0.0.1:0
  trap 'stop "$started"' EXIT
  token=$("$manager_program" token host --state "$dir/m")
  joined "$dir" "https://127.0.0.1:$(port_of "$dir/log")" "$all/usr/bin/chorok" "$all/usr/sbin/chorok-agent" \
    "$token" "$fingerprint"
}

# ---- a clean root (below here: in it)

names=(chorok chorok-manager chorok-agent chorok-web)
enter() { chroot "$clean" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C HOME=/root "$@"; }
# Triggers of other packages (the manual's index) are not ours to wait for.
dpkg_in() { enter DEBIAN_FRONTEND=noninteractive dpkg --no-triggers "$@"; }

mount_clean() { # over / of this machine; the writes stay in memory and go with the namespace
  mkdir -p "$work/memory" "$clean"
  mount -t tmpfs memory "$work/memory" &&
    mkdir "$work/memory/upper" "$work/memory/work" &&
    mount -t overlay clean -o "lowerdir=/,upperdir=$work/memory/upper,workdir=$work/memory/work" "$clean" &&
    mount -t proc proc "$clean/proc" && mount --rbind /dev "$clean/dev" && mount -t tmpfs run "$clean/run" &&
    mount -t tmpfs tmp "$clean/tmp" && ip link set lo up
}

install_all() {
  cp "$packages"/*.deb "$clean/tmp"
  local force=()
  dpkg-query -W libvirt-daemon-system qemu-utils >/dev/null 2>&1 || force=(--force-depends)
  must dpkg_in "${force[@]}" -i $(cd "$clean" && ls -d tmp/*.deb | sed 's|^|/|')
  local each
  for each in "${names[@]}"; do must [ "$(enter dpkg-query -W -f '${Status}' "$each")" = "install ok installed" ]; done
  must enter getent passwd chorok-manager
  must [ "$(stat -c %a "$clean/var/lib/chorok-manager")" = 700 ]
  must [ "$(enter stat -c %U /var/lib/chorok-manager)" = chorok-manager ]
  must [ -L "$clean/etc/systemd/system/multi-user.target.wants/chorok-manager.service" ]
  must [ -L "$clean/etc/systemd/system/multi-user.target.wants/chorok-agent.service" ]
  must enter dpkg --verify "${names[@]}"
}

installed_again() { # the scripts are safe to repeat
  must dpkg_in -i $(cd "$clean" && ls -d tmp/*.deb | sed 's|^|/|')
  must enter chorok-manager version
  local each
  for each in chorok-manager chorok-agent; do
    must enter DPKG_MAINTSCRIPT_PACKAGE=$each "/var/lib/dpkg/info/$each.postinst" configure "$(field $each Version)"
  done
}

units_verify() {
  local said
  said=$(enter systemd-analyze verify --man=no chorok-manager.service chorok-agent.service 2>&1 | grep -i chorok || true)
  [ -z "$said" ] || { echo "$said"; exit 1; }
}

units_hardened() { # systemd's own measure, from 0 (safe) to 10
  must enter systemd-analyze security --offline=true --threshold=20 chorok-manager.service
}

manager_in_root() { # init by root at the default place, run by its own user without any capability
  echo "correct-horse-battery" >"$clean/tmp/password"
  local fingerprint token pre
  fingerprint=$(enter chorok-manager init --admin-password-file /tmp/password --address 127.0.0.1 |
    sed -n 's/^CA fingerprint (SHA-256): //p')
  must [ -n "$fingerprint" ]
  must [ -s "$clean/var/lib/chorok-manager/chorok.db" ]
  pre=$(sed -n 's/^ExecStartPre=+//p' "$clean/usr/lib/systemd/system/chorok-manager.service")
  # shellcheck disable=SC2086
  must enter $pre
  must_not grep -q . <<<"$(enter find /var/lib/chorok-manager ! -user chorok-manager)"
  start "$work/clean.log" chroot "$clean" setpriv --reuid chorok-manager --regid chorok-manager --clear-groups \
    --no-new-privs --bounding-set -all --inh-caps -all \
    /usr/sbin/chorok-manager run --state /var/lib/chorok-manager --listen 127.0.0.1:8443
  trap 'stop "$started"' EXIT
  token=$(enter chorok-manager token host)
  # The places of a real host: /etc/chorok and /var/lib/chorok-agent.
  must enter CHOROK_CONFIG=/tmp/config.json chorok login https://127.0.0.1:8443 --password-file /tmp/password \
    --fingerprint "$fingerprint"
  must enter chorok-agent join https://127.0.0.1:8443 "$token" --name packaged --address 127.0.0.1
  must enter chorok-agent status
  must grep -q packaged <<<"$(enter CHOROK_CONFIG=/tmp/config.json chorok host ls -o csv)"
}

libvirt_files=(etc/libvirt/libvirtd.conf etc/libvirt/qemu.conf etc/apparmor.d/local/abstractions/libvirt-qemu)
libvirt_sum() { (cd "$clean" && cat "${libvirt_files[@]}" | sha256sum); }
setup() { enter /usr/share/chorok-agent/libvirtd-setup --no-restart "$@"; }

setup_refuses() { # before the host has joined
  must_not setup
  must [ -z "$(find "$clean/etc/libvirt" -name '*.before-chorok')" ]
}

setup_works() {
  local before after file
  mkdir -p "$clean/etc/libvirt" "$clean/etc/apparmor.d/abstractions" "$clean/etc/apparmor.d/local/abstractions"
  for file in "${libvirt_files[@]}"; do : >>"$clean/$file"; done
  echo 'listen_tls = 0' >>"$clean/etc/libvirt/libvirtd.conf" # what an administrator had set
  before=$(libvirt_sum)
  must setup
  after=$(libvirt_sum)
  must [ "$before" != "$after" ]
  must [ "$(grep -c '^listen_tls = ' "$clean/etc/libvirt/libvirtd.conf")" = 1 ]
  must grep -qx 'listen_tls = 1' "$clean/etc/libvirt/libvirtd.conf"
  must grep -qx 'migrate_tls_x509_cert_dir = "/etc/chorok/pki"' "$clean/etc/libvirt/qemu.conf"
  must grep -q '/etc/chorok/pki/\*\* r,' "$clean/etc/apparmor.d/local/abstractions/libvirt-qemu"
  must grep -qx 'listen_tls = 0' "$clean/etc/libvirt/libvirtd.conf.before-chorok"
  must [ "$(setup)" = "nothing to change" ]
  must [ "$(libvirt_sum)" = "$after" ]
  must setup --undo
  must [ "$(libvirt_sum)" = "$before" ]
  must [ "$(setup --undo)" = "nothing to change" ]
  must [ -z "$(find "$clean/etc" -name '*.before-chorok')" ]
}

# libvirtd itself reads what was written, with the certificates of the join, and takes a connection over TLS with them.
setup_serves() {
  must setup
  sed -i 's/^unix_sock_group/#&/' "$clean/etc/libvirt/libvirtd.conf"
  start "$work/libvirtd.log" chroot "$clean" /usr/sbin/libvirtd --listen
  trap 'stop "$started"' EXIT
  enter timeout 20 virsh -q -c "qemu+tls://127.0.0.1/system?pkipath=/etc/chorok/pki" uri || { cat "$work/libvirtd.log"; exit 1; }
}

newer() { # writes the packages with a higher version, and a changed default of the conffile, uncompressed
  local each
  mkdir -p "$work/newer"
  for each in "${names[@]}"; do
    dpkg-deb -R "$(deb "$each")" "$work/newer/$each" || return
    sed -i 's/^Version: .*/&+test/' "$work/newer/$each/DEBIAN/control"
    dpkg-deb --root-owner-group -Znone -b "$work/newer/$each" "$clean/tmp/newer-$each.deb" >/dev/null || return
  done
}

# With systemd there (as far as the scripts can see) and both services running: each restarts once, and nothing is
# asked of any other unit. The agent is not told to stop first.
upgrade() {
  must newer
  echo 'CHOROK_AGENT_OPTIONS="--verbose"' >"$clean/etc/default/chorok-agent"
  mkdir -p "$clean/run/systemd/system"
  rm -f "$clean/usr/sbin/policy-rc.d"
  cp -a "$clean/usr/bin/systemctl" "$clean/tmp/systemctl.real"
  printf '#!/bin/sh\necho "$*" >>/tmp/systemctl.log\n' >"$clean/usr/bin/systemctl"
  local result=0 unit
  dpkg_in -i /tmp/newer-chorok-manager.deb || result=1
  dpkg_in -i /tmp/newer-chorok-agent.deb /tmp/newer-chorok.deb /tmp/newer-chorok-web.deb || result=1
  cp -a "$clean/tmp/systemctl.real" "$clean/usr/bin/systemctl"
  rm -rf "$clean/run/systemd/system"
  must [ "$result" = 0 ]
  cat "$clean/tmp/systemctl.log"
  must_not grep -qE 'libvirt|virtlog|machine|qemu' "$clean/tmp/systemctl.log"
  must_not grep -qwE 'stop|kill|disable|isolate' "$clean/tmp/systemctl.log"
  must [ "$(grep -cw restart "$clean/tmp/systemctl.log")" = 2 ]
  for unit in chorok-manager chorok-agent; do must grep -qE "restart.*$unit\.service" "$clean/tmp/systemctl.log"; done
  must grep -qx 'CHOROK_AGENT_OPTIONS="--verbose"' "$clean/etc/default/chorok-agent" # a conffile
  must [ -s "$clean/var/lib/chorok-manager/chorok.db" ]
  must [ -s "$clean/etc/chorok/agent.toml" ]
}

removed() { # state and settings stay
  must dpkg_in -r "${names[@]}"
  must [ -s "$clean/var/lib/chorok-manager/chorok.db" ]
  must [ -s "$clean/etc/chorok/agent.toml" ]
  must_not [ -e "$clean/usr/bin/chorok" ]
}

purge_is_careful() { # with the settings in place libvirtd needs the certificates; a stranger's file is not ours
  must [ -s "$clean/etc/chorok/pki/cacert.pem" ]
  : >"$clean/var/lib/chorok-agent/guest.qcow2"
  for each in journal telemetry entitlements; do
    : >"$clean/var/lib/chorok-agent/$each"
    : >"$clean/var/lib/chorok-agent/$each.lock"
  done
  must dpkg_in -P chorok-agent
  must [ "$(ls "$clean/var/lib/chorok-agent")" = guest.qcow2 ]
  must [ -s "$clean/etc/chorok/pki/cacert.pem" ]
  must [ -e "$clean/var/lib/chorok-agent/guest.qcow2" ]
  must_not [ -e "$clean/etc/chorok/agent.toml" ]
}

purged() { # what is in the overlay and not, or not so, on this machine
  must dpkg_in -i /tmp/newer-chorok-agent.deb
  cp "$work/setup" "$clean/tmp/setup"
  must enter bash /tmp/setup --no-restart --undo
  rm -f "$clean/var/lib/chorok-agent/guest.qcow2"
  must dpkg_in -P "${names[@]}"
  local left=()
  local path
  while IFS= read -r -d '' path; do
    case $path in
      var/lib/dpkg/* | var/cache/* | var/log/* | root/* | etc/*- | etc/.pwd.lock | etc/libvirt/* | etc/apparmor.d/*) continue ;;
      var/lib/libvirt/* | var/lib/systemd/* | usr/sbin/policy-rc.d | usr/bin/systemctl) continue ;;
    esac
    if [ -d "$work/memory/upper/$path" ]; then
      [ -d "/$path" ] || left+=("$path/")
    elif ! cmp -s "$work/memory/upper/$path" "/$path" && [ ! -L "/$path" ]; then
      left+=("$path")
    fi
  done < <(cd "$work/memory/upper" && find . -mindepth 1 -printf '%P\0')
  [ ${#left[@]} = 0 ] || { printf 'left: %s\n' "${left[@]}"; exit 1; }
  must_not enter getent passwd chorok-manager
  must_not enter getent group chorok-manager
  must_not [ -e "$clean/etc/systemd/system/multi-user.target.wants/chorok-agent.service" ]
  must [ -z "$(find "$clean/var/lib/systemd" -name '*chorok*')" ]
}

in_clean_root() {
  if ! mount_clean >"$log" 2>&1; then
    skip package.root "no overlay over this machine's root: $(tail -n 1 "$log")"
    return
  fi
  cp "$here/chorok-agent/libvirtd-setup" "$work/setup"
  check package.install install_all
  check package.repeat installed_again
  if [ -x "$clean/usr/bin/systemd-analyze" ]; then
    check package.units units_verify
    check package.hardened units_hardened
  else
    skip package.units "systemd-analyze is not installed"
  fi
  check package.setup_refuses setup_refuses
  check package.cluster_root manager_in_root
  check package.setup setup_works
  if [ -x "$clean/usr/sbin/libvirtd" ] && [ -x "$clean/usr/bin/virsh" ]; then
    check package.setup_serves setup_serves
  else
    skip package.setup_serves "libvirtd or virsh is not installed"
  fi
  check package.upgrade upgrade
  check package.remove removed
  check package.purge_careful purge_is_careful
  check package.purge purged
}

# ----

if [ "${1:-}" = --inside ]; then # in the namespaces
  work=$2 packages=$3 clean=$2/clean
  in_clean_root
  rm -f "$log"
  exit $failed
fi

work=$(mktemp -d)
chmod 0755 "$work"
inside=
finish() {
  if [ -n "$inside" ]; then kill -9 "$inside" 2>/dev/null || true; fi
  rm -rf --one-file-system "$work" "$log"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

packages=${CHOROK_PACKAGES:-}
if [ -z "$packages" ]; then
  packages=$work/packages bin=$work/bin
  mkdir "$bin" # a copy, and one version: a build or a commit beside this test changes nothing in it
  cp "${BIN:-$here/../build/release/bin}"/{chorok,chorok-manager,chorok-agent} "$bin"
  CHOROK_PACKAGE_VERSION=$("$here/version.sh")
  SOURCE_DATE_EPOCH=$(date +%s)
  export CHOROK_PACKAGE_VERSION SOURCE_DATE_EPOCH
  check package.build "$here/build.sh" "$bin" "$packages"
  [ $failed = 0 ] || exit 1
fi
packages=$(readlink -f "$packages")

tree=$work/tree
mkdir -p "$tree"
for name in "${names[@]}"; do
  dpkg-deb -x "$(deb "$name")" "$tree/$name"
  arch=$(dpkg --print-architecture)
  if [ "$name" = chorok-web ]; then arch=all; fi
  check "package.info.$name" control_fields "$name" "$arch"
  check "package.paths.$name" no_machine_paths "$name"
done
check package.depends.chorok depends chorok libc6 libssl3 'libstdc\+\+6'
check package.depends.chorok-manager depends chorok-manager libc6 libssl3 libsqlite3-0
check package.depends.chorok-agent depends chorok-agent libvirt0 libvirt-daemon-system qemu-utils 'qemu-system-x86 \| qemu-system'
check package.contents.chorok contents chorok /usr/bin/chorok /usr/share/man/man1/chorok.1.gz /usr/share/doc/chorok/README.Debian \
  /usr/share/doc/chorok/copyright /usr/share/bash-completion/completions/chorok /usr/share/zsh/vendor-completions/_chorok
for name in manager agent; do
  check "package.contents.chorok-$name" contents "chorok-$name" "/usr/sbin/chorok-$name" \
    "/usr/lib/systemd/system/chorok-$name.service" "/etc/default/chorok-$name" "/usr/share/man/man8/chorok-$name.8.gz"
done
check package.contents.chorok-web contents chorok-web /usr/share/chorok-web/index.html /usr/share/chorok-web/openapi.json
for name in chorok/usr/bin/chorok chorok-manager/usr/sbin/chorok-manager chorok-agent/usr/sbin/chorok-agent; do
  check "package.stripped.$(basename "$name")" stripped "$tree/$name"
done
check package.scripts scripts_parse
if command -v groff >/dev/null; then
  for name in chorok/usr/share/man/man1/chorok.1 chorok-manager/usr/share/man/man8/chorok-manager.8 \
    chorok-agent/usr/share/man/man8/chorok-agent.8; do
    check "package.man.$(basename "$name")" manual "$tree/$name.gz"
  done
else
  skip package.man "groff is not installed"
fi
check package.completion completion
check package.reference reference
if [ -z "${CHOROK_PACKAGES:-}" ]; then check package.same_bytes same_bytes; fi
if command -v lintian >/dev/null; then check package.lintian lint; else skip package.lintian "lintian is not installed"; fi
check package.cluster_folder in_a_folder

if [ "$(id -u)" != 0 ]; then
  skip package.root "installing needs root"
elif ! unshare --mount --net --pid --fork true 2>/dev/null; then
  skip package.root "this machine lets nobody make namespaces"
elif dpkg-query -W -f '${Status}\n' "${names[@]}" 2>/dev/null | grep '^install ok' >/dev/null; then
  skip package.root "Chorok is installed on this machine"
else
  # Its first process ends with unshare, and every other one with that.
  unshare --mount --net --pid --fork --kill-child timeout -k 5 240 "$0" --inside "$work" "$packages" &
  inside=$!
  wait "$inside" || failed=1
  inside=
fi
exit $failed
