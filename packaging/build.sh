#!/usr/bin/env bash
# usage: packaging/build.sh BIN OUT — makes the four .deb files in OUT from the programs in BIN. Needs no root and no
# network; the same programs, commit and tools give the same bytes.
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
root=$(dirname "$here")
bin=$(readlink -f "${1:?usage: packaging/build.sh BIN OUT}") out=${2:?usage: packaging/build.sh BIN OUT}
umask 022
export LC_ALL=C
# SOURCE_DATE_EPOCH is what dpkg-deb writes as the files' age.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct 2>/dev/null || stat -c %Y "$root/CMakeLists.txt")}
export SOURCE_DATE_EPOCH
version=$("$here/version.sh")
arch=$(dpkg --print-architecture)
for program in chorok chorok-manager chorok-agent; do
  [ -x "$bin/$program" ] || { echo "$bin/$program is missing: ./dev build" >&2; exit 1; }
done

work=$(mktemp -d)
manager=
finish() {
  [ -z "$manager" ] || kill "$manager" 2>/dev/null || true
  [ -z "$manager" ] || wait "$manager" 2>/dev/null || true
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

put() { install -D -m "$1" "$2" "$work/$3"; } # MODE FILE PATH-IN-STAGE

# program PACKAGE PATH
program() {
  put 0755 "$bin/$1" "$1$2"
  strip --strip-unneeded --remove-section=.comment --remove-section=.note "$work/$1$2"
}

# man PACKAGE SECTION: the page with the program's own --help in it, so that the two never differ
man_page() {
  local page="$work/$1/usr/share/man/man$2/$1.$2" help="$work/$1.help"
  mkdir -p "$(dirname "$page")"
  "$bin/$1" --help >"$help"
  sed -i -e 's/\\/\\e/g' -e "s/^\([.']\)/\\\\\&\1/" -e 's/-/\\-/g' "$help"
  sed -e "s/@VERSION@/$version/" -e "s/@DATE@/$(date -u -d "@$SOURCE_DATE_EPOCH" +%Y-%m-%d)/" \
    -e "/^@HELP@$/{r $help
d}" "$here/$1/$1.$2" | gzip -9n >"$page.gz"
}

# finish_package NAME ARCH: documentation, control files and the .deb
finish_package() {
  local name=$1 stage="$work/$1" doc="$work/$1/usr/share/doc/$1" script depends=
  put 0644 "$here/copyright" "$name/usr/share/doc/$name/copyright"
  printf 'chorok (%s) unstable; urgency=medium\n\n  * See CHANGELOG in the sources.\n\n -- %s  %s\n' "$version" \
    "$(sed -n 's/^Maintainer: //p' "$here/$name/control")" "$(date -u -R -d "@$SOURCE_DATE_EPOCH")" |
    gzip -9n >"$doc/changelog.gz"
  mkdir -p "$stage/DEBIAN"
  if [ "$2" != all ]; then
    mkdir -p "$work/shlibs/debian"
    printf 'Source: chorok\n\nPackage: %s\nArchitecture: any\n' "$name" >"$work/shlibs/debian/control"
    depends=$(cd "$work/shlibs" && find "$stage/usr" -type f -perm -100 -path '*bin/*' -print0 |
      xargs -0 dpkg-shlibdeps -O 2>"$work/shlibs/log" | sed -n 's/^shlibs:Depends=//p') ||
      { cat "$work/shlibs/log" >&2; exit 1; }
    [ -n "$depends" ] || { echo "dpkg-shlibdeps found no library of $name" >&2; exit 1; }
  fi
  sed -e "s/@VERSION@/$version/" -e "s/@ARCH@/$2/" -e "s/@SHLIBS@/$depends/" \
    -e "s/@SIZE@/$(du -sk --apparent-size "$stage/usr" | cut -f1)/" "$here/$name/control" >"$stage/DEBIAN/control"
  for script in preinst postinst prerm postrm; do
    if [ -f "$here/$name/$script" ]; then put 0755 "$here/$name/$script" "$name/DEBIAN/$script"; fi
  done
  if [ -d "$stage/etc" ]; then (cd "$stage" && find etc -type f -printf '/%p\n' | sort >DEBIAN/conffiles); fi
  (cd "$stage" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
  # xz -4 is a third of the time of the default for three per cent more bytes.
  dpkg-deb --root-owner-group -Zxz -z4 --build "$stage" "$work/debs/${name}_${version}_$2.deb" >/dev/null
}

# The running manager's own document, by a manager on a state of its own that nobody can reach.
openapi() {
  "$bin/chorok-manager" init --state "$work/s" >/dev/null
  "$bin/chorok-manager" run --state "$work/s" --listen 127.0.0.1:0 >"$work/manager.log" 2>&1 &
  manager=$!
  local attempt
  for ((attempt = 0; attempt < 300; attempt++)); do # 30 s on a machine that is busy
    if curl -sS --fail --max-time 10 --unix-socket "$work/s/admin.sock" http://localhost/api/v1/openapi.json \
      >"$1" 2>"$work/curl.log"; then
      kill "$manager"
      wait "$manager" || true
      manager=
      return 0
    fi
    kill -0 "$manager" 2>/dev/null || break
    sleep 0.1
  done
  echo "no OpenAPI document: $(tail -n 3 "$work/curl.log" "$work/manager.log")" >&2
  return 1
}

mkdir -p "$work/debs"

program chorok /usr/bin/chorok
man_page chorok 1
mkdir -p "$work/chorok/usr/share/bash-completion/completions" "$work/chorok/usr/share/zsh/vendor-completions"
"$bin/chorok" completion bash >"$work/chorok/usr/share/bash-completion/completions/chorok"
"$bin/chorok" completion zsh >"$work/chorok/usr/share/zsh/vendor-completions/_chorok"
put 0644 "$here/INSTALL.md" chorok/usr/share/doc/chorok/README.Debian
finish_package chorok "$arch"

program chorok-manager /usr/sbin/chorok-manager
man_page chorok-manager 8
put 0644 "$here/chorok-manager/chorok-manager.service" chorok-manager/usr/lib/systemd/system/chorok-manager.service
put 0644 "$here/chorok-manager/sysusers" chorok-manager/usr/lib/sysusers.d/chorok-manager.conf
put 0644 "$here/chorok-manager/default" chorok-manager/etc/default/chorok-manager
put 0644 "$here/grafana/chorok.json" chorok-manager/usr/share/chorok-manager/grafana.json
finish_package chorok-manager "$arch"

program chorok-agent /usr/sbin/chorok-agent
man_page chorok-agent 8
put 0644 "$here/chorok-agent/chorok-agent.service" chorok-agent/usr/lib/systemd/system/chorok-agent.service
put 0644 "$here/chorok-agent/default" chorok-agent/etc/default/chorok-agent
put 0755 "$here/chorok-agent/libvirtd-setup" chorok-agent/usr/share/chorok-agent/libvirtd-setup
finish_package chorok-agent "$arch"

web=chorok-web/usr/share/chorok-web
mkdir -p "$work/$web"
openapi "$work/openapi.json"
jq . "$work/openapi.json" >"$work/$web/openapi.json"
/usr/bin/python3 "$here/api_reference.py" "$work/$web/openapi.json" >"$work/$web/index.html"
finish_package chorok-web all

mkdir -p "$out"
rm -f "$out"/chorok*.deb
mv "$work"/debs/*.deb "$out"
