#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# schema_test.sh PYTHON VALIDATOR SCHEMA TEST...: what to_json() writes fits the schema, and the validator refuses
# what does not: each broken line must fail and name its field.
set -eu
python=$1 validator=$2 schema=$3
shift 3

lines=$(mktemp)
trap 'rm -f "$lines" "$lines.err" "$lines.one"' EXIT
for test in "$@"; do
  MEMCREST_INCIDENT_LINES=$lines "$test" >/dev/null
done
"$python" "$validator" --schema "$schema" --at-least 100 <"$lines"

# refused PATTERN SED-EXPRESSION [KEY]: the first line (in which KEY is an object), damaged, must be refused with a
# message that holds PATTERN.
refused() {
  code=0
  grep -a -m 1 "\"${3-schema}\":[\"{]" "$lines" | sed "$2" >"$lines.one"
  "$python" "$validator" --schema "$schema" <"$lines.one" 2>"$lines.err" || code=$?
  if [ "$code" != 1 ] || ! grep -q -- "$1" "$lines.err"; then
    echo "not refused as it should be ($1, exit code $code): $2" >&2
    cat "$lines.err" >&2
    exit 1
  fi
}
refused 'line 1: kind' 's/"kind":"oom"/"kind":"boom"/'
refused 'line 1: victims.0.pid' 's/"victims":\[{"pid":[0-9]*/"victims":[{"pid":-1/'
refused "'scope' is a required" 's/"scope":"memcg",//'
refused 'line 1: usage_bytes' 's/"usage_bytes":[0-9]*/"usage_bytes":"2 GiB"/'
refused 'line 1: burst.contributors.0.share' 's/"share":[0-9.]*/"share":97/'
refused 'line 1: time' 's/"time":"[^"]*"/"time":"yesterday"/'
refused 'line 1: oom.kills' 's/"kills":[a-z0-9]*/"kills":-1/' oom
refused 'line 1: reclaim.window_ms' 's/"window_ms":[0-9.]*/"window_ms":null/' reclaim
refused 'line 1: swap.limit_bytes' 's/\("swap":{"usage_bytes":[a-z0-9]*,"limit_bytes":\)[a-z0-9]*/\1"max"/' swap
refused 'line 1: ranking.growth_window_ms' 's/"growth_window_ms":[0-9.]*/"growth_window_ms":-1/' ranking
refused 'line 1: stuck.ongoing' 's/"ongoing":[a-z]*/"ongoing":1/' stuck
refused 'line 1: charge_failure.error' 's/"error":[^,]*/"error":12/' charge_failure
refused 'line 1: memory_stat.anon' 's/"anon":5/"anon":"5 kB"/' memory_stat
refused 'line 1: burst.kinds.0.kind' 's/"kind":"anon"/"kind":"gold"/' module
refused 'line 1: burst.stacks.0.frames.0.name' 's/"frames":\[{"name":[^,]*/"frames":[{"name":1/' module
refused 'not JSON' 's/}$//'
refused 'not JSON' 's/"duration_ms":[0-9.]*/"duration_ms":NaN/'
refused "repeated name" 's/"scope":"memcg"/"scope":"memcg","scope":"host"/'

code=0
"$python" "$validator" --schema "$schema" --at-least 1 </dev/null 2>/dev/null || code=$?
[ "$code" = 1 ]
code=0
"$python" "$validator" --no-such-option 2>/dev/null || code=$?
[ "$code" = 2 ]
