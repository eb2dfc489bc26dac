# shellcheck shell=bash
# ./dev's verb for Debian packages. Sourced by ./dev, which defines ROOT, say, die, deps and build.

verb_package() { # build the four Debian packages into build/package/
  deps build package
  build release chorok chorok-manager chorok-agent >&2
  "$ROOT/packaging/build.sh" "$ROOT/build/release/bin" "$ROOT/build/package"
  say "Built, in build/package/:"
  (cd "$ROOT/build/package" && ls -1 -- *.deb)
}
