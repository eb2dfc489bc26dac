#!/usr/bin/env bash
# Prints the packages' version: CMake's at its tag (vX.Y.Z) or outside of a clone; before the tag X.Y.Z~gitN.COMMIT,
# which Debian sorts below X.Y.Z and by N among themselves; `.dirty` when tracked files were changed.
# CHOROK_PACKAGE_VERSION overrides it.
set -euo pipefail
if [ -n "${CHOROK_PACKAGE_VERSION:-}" ]; then echo "$CHOROK_PACKAGE_VERSION"; exit 0; fi
cd "$(dirname "$(readlink -f "$0")")/.."
version=$(sed -n 's/^project(chorok VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)
[ -n "$version" ] || { echo "no version in CMakeLists.txt" >&2; exit 1; }
if [ -e .git ] && git rev-parse -q --verify HEAD >/dev/null 2>&1; then
  dirty=
  [ -z "$(git status --porcelain --untracked-files=no)" ] || dirty=.dirty
  if [ -n "$dirty" ] || [ "$(git describe --exact-match --tags --match "v$version" 2>/dev/null)" != "v$version" ]; then
    version="$version~git$(git rev-list --count HEAD).$(git rev-parse --short=8 HEAD)$dirty"
  fi
fi
echo "$version"
