#!/usr/bin/env bash
# What the house's rules say about the sources, checked: layers, purity, headers, READMEs, leaks of this
# machine. Prints a line a rule, `ok - ...` or `not ok - ...` with the places below it, and fails when one is
# not ok. The floors and what each may use are read from src/CMakeLists.txt: there is no second list.
#
# usage: cmake/tidy.sh [ROOT]      a line with `tidy: allow` in it is not looked at
set -uo pipefail
cd "${1:-$(dirname "$(readlink -f "$0")")/..}" || exit 2
LONG_FILE=600      # lines; a report, not a failure
README_LINES=80    # a page
PURE='policy|control'
failed=0

# verdict RULE PLACES: one line, and the places when there are any.
verdict() {
  if [ -z "$2" ]; then
    echo "ok - tidy: $1"
  else
    echo "not ok - tidy: $1"
    sed 's/^/#   /' <<<"$2"
    failed=1
  fi
}

sources() { git ls-files --cached --others --exclude-standard -- 'src/*.h' 'src/*.cc' | sort -u |
            while read -r file; do [ -f "$file" ] && echo "$file"; done; }
tracked() { git ls-files | while read -r file; do [ -f "$file" ] && [ ! -L "$file" ] && echo "$file"; done; }
# grep over the sources that match a file pattern, without the lines that are allowed.
find_in() { sources | grep -E "$1" | xargs -r grep -HnE -- "$2" | grep -v 'tidy: allow'; }

# Reads the floors, then every include of one of them: FILE:LINE uses FLOOR.
layering() {
  sources | xargs -r awk '
    function floor_of(path,   name) {
      sub(/^src\//, "", path)
      while (path ~ /\//) { sub(/\/[^\/]*$/, "", path); if (path in known) return path }
      return ""
    }
    function allow(floor, other,   i, n, more) {
      if ((floor, other) in allowed) return
      allowed[floor, other] = 1
      n = split(deps[other], more, " ")
      for (i = 1; i <= n; i++) allow(floor, more[i])
    }
    # A floor may use what is listed before it: a name that comes later is not known yet.
    function read_floors(   line, i, n, word, name, target, tests, is_floor) {
      while ((getline line < "src/CMakeLists.txt") > 0) {
        sub(/^ +/, "", line); sub(/\).*/, "", line)
        if (line !~ /^chorok_(floor|program)\(/) continue
        is_floor = line ~ /^chorok_floor/
        sub(/^[a-z_]*\(/, "", line)
        n = split(line, word, " ")
        if (is_floor) {
          name = word[1]; known[name] = 1; tests = 0
          target = name; gsub(/\//, "_", target); folder[target] = name
          for (i = 2; i <= n; i++) {
            if (word[i] == "TEST_DEPS") tests = 1
            else if (word[i] in folder && tests) test_deps[name] = test_deps[name] " " folder[word[i]]
            else if (word[i] in folder) deps[name] = deps[name] " " folder[word[i]]
          }
        } else for (i = 3; i <= n; i++)
          if (word[i] in folder) program_deps["src/" word[2]] = program_deps["src/" word[2]] " " folder[word[i]]
      }
      for (name in known) allow(name, name)
    }
    BEGIN { read_floors() }
    /^#include "/ {
      target = $0; sub(/^#include "/, "", target); sub(/".*/, "", target)
      edges[++count] = FILENAME SUBSEP FNR SUBSEP target SUBSEP ($0 ~ /tidy: allow/)
      includes[FILENAME] = includes[FILENAME] " src/" target
    }
    FNR == 1 && FILENAME ~ /\.cc$/ && FILENAME !~ /_test\.cc$/ { programs[FILENAME] = 1 }
    # A header that only tests reach is a part of the tests.
    function reach(file,   i, n, more) {
      if (file in reached) return
      reached[file] = 1
      n = split(includes[file], more, " ")
      for (i = 1; i <= n; i++) reach(more[i])
    }
    function check(file, line, target, allowed_here,   floor, other, extra, i, n, more) {
      floor = floor_of(file); other = floor_of("src/" target)
      if (floor == "" && !(file in homeless)) {
        homeless[file] = 1
        print file ": its folder is no floor of src/CMakeLists.txt"
      }
      if (floor == "" || allowed_here || other == "" || (floor, other) in allowed) return
      extra = file in reached ? program_deps[file] : test_deps[floor]
      n = split(extra, more, " ")
      for (i = 1; i <= n; i++) if (index(closure(more[i]), " " other " ")) return
      print file ":" line ": " floor " does not stand on " other " (" target ")"
    }
    END {
      for (file in programs) reach(file)
      for (i = 1; i <= count; i++) { split(edges[i], e, SUBSEP); check(e[1], e[2], e[3], e[4]) }
    }
    function closure(name,   key, part, out) {
      out = " "
      allow(name, name)
      for (key in allowed) { split(key, part, SUBSEP); if (part[1] == name) out = out part[2] " " }
      return out
    }'
}

impure_includes() {
  local world='thread|mutex|shared_mutex|condition_variable|future|stop_token|semaphore|latch|barrier|fstream|filesystem'
  world+='|iostream|unistd\.h|fcntl\.h|poll\.h|time\.h|ctime|pthread\.h|sqlite3\.h|curl/.*|sys/.*|netinet/.*|arpa/.*'
  world+='|boost/.*|libvirt/.*|openssl/.*|simdjson.*|nlohmann/.*|pugixml.*|CLI/.*|spdlog/.*'
  find_in "^src/($PURE)/" "#include *[<\"]($world)[>\"]|#include \"base/(loop|log)\.h\""
}

# Only in the code: a test may read its own scenario files.
impure_calls() {
  find_in "^src/($PURE)/" \
    '(system|steady|high_resolution|utc)_clock::now|clock_gettime|gettimeofday|sleep_for|random_device|[^_a-z]rand\(\)|[^_a-z]time\((nullptr|NULL|0)\)|getenv'
}

heavy_headers() {
  find_in '^src/.*\.h$' '#include *<(boost/beast.*|boost/asio\.hpp|boost/json.*|boost/asio/ssl\.hpp|CLI/.*|nlohmann/.*|simdjson.*)>'
}

long_files() { sources | xargs -r wc -l | awk -v most=$LONG_FILE '$1 > most && $2 != "total" { print $2 ": " $1 " lines" }'; }

readmes() {
  sources | xargs -r -n1 dirname | sort -u | while read -r folder; do
    if [ ! -f "$folder/README.md" ]; then
      echo "$folder: no README.md"
    elif [ "$(wc -l <"$folder/README.md")" -gt $README_LINES ]; then
      echo "$folder/README.md: more than a page ($README_LINES lines)"
    fi
  done
}

headers_say_why() {
  sources | grep '\.h$' | while read -r file; do
    [ "$(head -c 2 "$file")" = '//' ] || echo "$file: does not open with what it is for"
    grep -q '^#pragma once' "$file" || echo "$file: no #pragma once"
  done
}

# Paths of the machine that something was written on. The pattern is put together so that it is not found here.
machine_paths() {
  tracked | xargs -r -d '\n' grep -HnIE "(^|[^A-Za-z0-9_./\$}-])/(work|root|home/[a-z]+)(/|[^A-Za-z0-9_/-]|\$)" |
    grep -vE 'tidy: allow|\<HOME\>|^cmake/tidy(_test)?\.sh:'
}

# A lock file or a script that names a package registry works only where that one is reachable.
registries() {
  tracked | xargs -r -d '\n' grep -HnIiE 'https?://[^/ "]*(registry|artifactory|nexus|mirror|pypi|npmjs|proxy)[^/ "]*\.[a-z]' |
    grep -vE 'tidy: allow|^cmake/tidy(_test)?\.sh:' | cut -c1-160
}

# Under pipefail a reader that leaves early fails the pipe whenever its writer had not ended yet: a check that is red now
# and then. `grep >/dev/null` and `sed -n 1p` read to the end.
hasty_readers() {
  tracked | grep -E '(\.sh|-setup|^dev|^lab/lab)$' |
    xargs -r grep -HnE '[^|]\| *(grep ([^|;]*[^|; ] )?-[a-zA-Z]*[qm]|head( |$))' | grep -vE '^[^:]*:[0-9]*: *#|tidy: allow|^cmake/tidy_test\.sh:'
}

verdict 'no floor uses one above it (src/CMakeLists.txt)' "$(layering)"
verdict 'policy and control include no socket, clock, thread, file, libvirt or JSON library' "$(impure_includes)"
verdict 'policy and control ask no clock, dice or environment' "$(impure_calls)"
verdict 'no Beast, asio.hpp, JSON or CLI11 in a header' "$(heavy_headers)"
verdict 'every header says what it is for' "$(headers_say_why)"
verdict 'every folder has a README of at most a page' "$(readmes)"
verdict 'no pipe of a script ends in a reader that leaves early (grep -q, head)' "$(hasty_readers)"
verdict 'no path of a machine in a tracked file' "$(machine_paths)"
verdict 'no host of a package registry in a tracked file' "$(registries)"
long=$(long_files)
[ -z "$long" ] || sed "s/^/# report: /" <<<"$long"
exit $failed
