#!/usr/bin/env bash
# Whether tidy finds what it says it finds: a small house with one broken rule at a time.
set -uo pipefail
tidy=$(dirname "$(readlink -f "$0")")/tidy.sh
house=$(mktemp -d)
trap 'rm -rf "$house"' EXIT
failed=0
number=0

fresh() {
  rm -rf "${house:?}"/* "$house/.git"
  mkdir -p "$house"/src/{base,policy,net,sim,app}
  cat >"$house/src/CMakeLists.txt" <<'EOF'
chorok_floor(base DEPS fmt::fmt)
chorok_floor(policy DEPS base)
chorok_floor(net DEPS base)
chorok_floor(sim DEPS policy)
chorok_floor(app DEPS policy net TEST_DEPS sim)
chorok_program(app app/app_main.cc app)
EOF
  local floor
  for floor in base policy net sim app; do
    echo "# $floor" >"$house/src/$floor/README.md"
    printf '// What %s is for.\n#pragma once\n' $floor >"$house/src/$floor/$floor.h"
    printf '#include "%s/%s.h"\n#include "base/base.h"\n' $floor $floor >"$house/src/$floor/$floor.cc"
  done
  printf '#include "sim/sim.h"\n#include "app/helper.h"\n' >"$house/src/app/app_test.cc"
  printf '// For tests.\n#pragma once\n#include "sim/sim.h"\n' >"$house/src/app/helper.h"
  git -C "$house" init -q
}

# expect RULE TEXT: tidy breaks exactly this rule, and TEXT is in what it says; RULE empty: all is well.
expect() {
  local output broken
  git -C "$house" add -A
  output=$("$tidy" "$house")
  broken=$(grep '^not ok' <<<"$output")
  number=$((number + 1))
  if { [ -z "$1" ] && [ -z "$broken" ]; } ||
     { [ -n "$1" ] && [ "$(wc -l <<<"$broken")" = 1 ] && grep -q "$1" <<<"$broken" && grep -qF -- "$2" <<<"$output"; }; then
    echo "ok - tidy_test $number: ${3:-$2}"
  else
    echo "not ok - tidy_test $number: ${3:-$2}"
    sed 's/^/#   /' <<<"$output"
    failed=1
  fi
}
add() { printf '%b\n' "$2" >>"$house/$1"; }

fresh; expect '' '' 'a tidy house'
fresh; add src/base/base.cc '#include "policy/policy.h"'; expect 'above it' 'base does not stand on policy'
fresh; add src/policy/policy.h '#include "net/net.h"'; expect 'above it' 'policy does not stand on net'
fresh; add src/app/app.cc '#include "sim/sim.h"'; expect 'above it' 'app does not stand on sim'
fresh; add src/app/app.cc '#include "app/helper.h"'; expect 'above it' 'app does not stand on sim' 'a helper of tests in the program'
fresh; sed -i 's/TEST_DEPS sim//' "$house/src/CMakeLists.txt"; expect 'above it' 'src/app/app_test.cc:1'
fresh; add src/base/base.cc '#include "policy/policy.h"  // tidy: allow'; expect '' '' 'what is allowed is allowed'
fresh; mkdir "$house/src/attic"; add src/attic/README.md '# attic'; add src/attic/x.cc '#include "base/base.h"'
expect 'above it' 'its folder is no floor'
for header in '<thread>' '<sys/socket.h>' '<boost/json.hpp>' '<libvirt/libvirt.h>' '<sqlite3.h>' '"base/loop.h"'; do
  fresh; add src/policy/policy.cc "#include $header"; expect 'policy and control include' "$header"
done
for call in 'std::chrono::system_clock::now()' 'time(nullptr)' 'std::random_device dice;' 'getenv("X")'; do
  fresh; add src/policy/policy.cc "auto x = $call;"; expect 'ask no clock' "$call"
done
fresh; add src/policy/policy.cc '// runtime(nullptr) and operand() are no calls'; expect '' '' 'names that only look like calls'
for header in '<boost/asio.hpp>' '<boost/beast/http.hpp>' '<boost/json.hpp>' '<CLI/CLI.hpp>'; do
  fresh; add src/net/net.h "#include $header"; expect 'in a header' "$header"
  fresh; add src/net/net.cc "#include $header"; expect '' '' "$header in a .cc"
done
fresh; rm "$house/src/net/README.md"; expect 'README' 'src/net: no README.md'
fresh; seq 81 >"$house/src/net/README.md"; expect 'README' 'more than a page'
fresh; sed -i 1d "$house/src/net/net.h"; expect 'says what it is for' 'src/net/net.h'
for path in work/main root/.cache home/someone/x; do
  fresh; add notes.md "see /${path}"; expect 'path of a machine' "notes.md:1"
  fresh; add notes.md "see docs/${path} and \$X/${path}"; expect '' '' "$path inside another path"
done
fresh; add package-lock.json '"resolved": "https://registry.example.org/x.tgz"'; expect 'registry' 'package-lock.json:1'
fresh; add notes.md 'https://example.org/page'; expect '' '' 'an ordinary address'
for reader in 'grep -q x' 'grep -xm 1 x' 'head -n 1'; do
  fresh; add do.sh "list | $reader"; expect 'leaves early' 'do.sh:1'
done
fresh; add do.sh 'list | grep x >/dev/null; grep -q x file; list || head file'; expect '' '' 'readers that may leave'
fresh; seq 601 | sed 's/^/\/\/ /' >"$house/src/net/long.cc"; expect '' '' 'a long file is a report'
"$tidy" "$house" | grep 'report: src/net/long.cc: 601 lines' >/dev/null || { echo 'not ok - tidy_test: no report'; failed=1; }
exit $failed
