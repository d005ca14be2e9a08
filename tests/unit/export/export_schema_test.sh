#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# export_schema_test.sh PYTHON VALIDATOR EXPORT-SCHEMA INCIDENT-SCHEMA TEST: what TEST writes fits the schema of
# `export --format jsonl`, or that of incidents; broken lines do not.
set -eu
python=$1 validator=$2 schema=$3 incident=$4 test=$5

lines=$(mktemp)
trap 'rm -f "$lines" "$lines.err" "$lines.one" "$lines.incidents" "$lines.others"' EXIT
MEMCREST_SCHEMA_LINES=$lines "$test" >/dev/null
grep -a '^{"schema":"memcrest.incident.v1"' "$lines" >"$lines.incidents"
grep -av '^{"schema":"memcrest.incident.v1"' "$lines" >"$lines.others"
"$python" "$validator" --schema "$incident" --at-least 2 <"$lines.incidents"
"$python" "$validator" --schema "$schema" --at-least 20 <"$lines.others"

# refused SCHEMA SED-EXPRESSION: the first line of this schema, damaged, must be refused.
refused() {
  code=0
  grep -a -m 1 "^{\"schema\":\"memcrest.$1.v1\"" "$lines.others" | sed "$2" >"$lines.one"
  "$python" "$validator" --schema "$schema" --at-least 1 <"$lines.one" 2>"$lines.err" || code=$?
  if [ "$code" != 1 ]; then
    echo "not refused as it should be (exit code $code): $1 $2" >&2
    cat "$lines.err" >&2
    exit 1
  fi
}
refused step 's/memcrest.step.v1/memcrest.step.v2/'
refused step 's/"usage_bytes":[0-9]*/"usage_bytes":"60 MiB"/'
refused step 's/"direction":[a-z"]*/"direction":"sideways"/'
refused step 's/"time":"[^"]*"/"time":"now"/'
refused step 's/"cgroup":{"id":[0-9]*,/"cgroup":{/'
refused event 's/"kind":"[a-z]*"/"kind":"party"/'
refused loss 's/"critical":[0-9]*/"critical":-1/'
refused recording 's/"gaps":\[/"gaps":[7,/'
