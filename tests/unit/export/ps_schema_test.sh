#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# ps_schema_test.sh PYTHON VALIDATOR PS-SCHEMA INCIDENT-SCHEMA TEST: what TEST writes fits the schema of `ps --json`,
# broken lines do not, and both schemas describe a container in the same words.
set -eu
python=$1 validator=$2 schema=$3 incident=$4 test=$5

lines=$(mktemp)
trap 'rm -f "$lines" "$lines.err" "$lines.one"' EXIT
MEMCREST_PS_LINES=$lines "$test" >/dev/null
"$python" "$validator" --schema "$schema" --at-least 25 <"$lines"

# refused PATTERN SED-EXPRESSION: the first line, damaged, must be refused with a message that holds PATTERN.
refused() {
  code=0
  head -n 1 "$lines" | sed "$2" >"$lines.one"
  "$python" "$validator" --schema "$schema" <"$lines.one" 2>"$lines.err" || code=$?
  if [ "$code" != 1 ] || ! grep -q -- "$1" "$lines.err"; then
    echo "not refused as it should be ($1, exit code $code): $2" >&2
    cat "$lines.err" >&2
    exit 1
  fi
}
refused 'line 1: schema' 's/memcrest.ps.v1/memcrest.ps.v2/'
refused 'line 1: time' 's/"time":"[^"]*"/"time":"now"/'
refused 'line 1: kind' 's/"kind":"container"/"kind":"pod"/'
refused 'line 1: container.runtime' 's/"runtime":"docker"/"runtime":"rkt"/'
refused 'line 1: usage_bytes' 's/"usage_bytes":62914560/"usage_bytes":"60 MiB"/'
refused "'peak_bytes' is a required" 's/"peak_bytes":[0-9]*,//'
refused 'line 1: has_limit' 's/"has_limit":true/"has_limit":1/'
refused 'line 1: effective_limit.bytes' 's/"effective_limit":{"bytes":[0-9]*/"effective_limit":{"bytes":null/'
refused 'line 1: share_of_limit' 's/"share_of_limit":[0-9.]*/"share_of_limit":-1/'
refused 'line 1: swap.kind' 's/"kind":"memory.memsw.limit_in_bytes"/"kind":"memsw"/'
refused 'line 1: oom_kills' 's/"oom_kills":2/"oom_kills":2.5/'
refused 'line 1: gaps.0' 's/"gaps":\[\]/"gaps":[7]/'

"$python" - "$schema" "$incident" <<'PYTHON'
import json
import sys

first, second = (json.load(open(path, encoding="utf-8"))["properties"]["container"] for path in sys.argv[1:])
if first != second:
    sys.exit("the schemas do not describe the same container")
PYTHON
