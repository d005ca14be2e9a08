#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# report_schema_test.sh PYTHON VALIDATOR SCHEMA TEST: the documents that TEST writes fit docs/report.schema.json, and
# broken ones do not.
set -eu
python=$1 validator=$2 schema=$3 test=$4

lines=$(mktemp)
trap 'rm -f "$lines" "$lines.err" "$lines.one"' EXIT
MEMCREST_REPORT_LINES=$lines "$test" >/dev/null
"$python" "$validator" --schema "$schema" --at-least 3 <"$lines"

# refused PATTERN SED-EXPRESSION: the first document, damaged, must be refused with a message that holds PATTERN.
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
refused 'line 1: schema' 's/memcrest.report.v1/memcrest.report.v2/'
refused 'line 1: recording.steps' 's/"steps":[0-9]*,"events"/"steps":-1,"events"/'
refused "'gaps' is a required" 's/,"gaps":\[\]}/}/'
refused 'line 1: incidents.0.told' 's/"told":1/"told":0/'
refused 'line 1: incidents.0.detail' 's/"has_stacks":true/"has_stacks":1/'
