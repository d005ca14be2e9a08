#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# schema_test.sh JSON_TEST PYTHON VALIDATOR SCHEMA: what to_json() writes fits the schema, and the validator refuses
# what does not: each broken line must fail and name its field.
set -eu
json_test=$1 python=$2 validator=$3 schema=$4

lines=$(mktemp)
trap 'rm -f "$lines" "$lines.err"' EXIT
MEMCREST_INCIDENT_LINES=$lines "$json_test" >/dev/null
"$python" "$validator" --schema "$schema" --at-least 100 <"$lines"

# refused PATTERN SED-EXPRESSION: the first line, damaged, must be refused with a message that holds PATTERN.
refused() {
  code=0
  head -n 1 "$lines" | sed "$2" | "$python" "$validator" --schema "$schema" 2>"$lines.err" || code=$?
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
refused 'not JSON' 's/}$//'
refused 'not JSON' 's/"duration_ms":[0-9.]*/"duration_ms":NaN/'
refused "repeated name" 's/"scope":"memcg"/"scope":"memcg","scope":"host"/'

code=0
"$python" "$validator" --schema "$schema" --at-least 1 </dev/null 2>/dev/null || code=$?
[ "$code" = 1 ]
code=0
"$python" "$validator" --no-such-option 2>/dev/null || code=$?
[ "$code" = 2 ]
