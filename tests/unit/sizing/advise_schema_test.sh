#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# advise_schema_test.sh PYTHON VALIDATOR ADVISE-SCHEMA INCIDENT-SCHEMA TEST: what TEST writes fits the schema of
# `advise --format json`, broken lines do not, and both schemas describe a container in the same words.
set -eu
python=$1 validator=$2 schema=$3 incident=$4 test=$5

lines=$(mktemp)
trap 'rm -f "$lines" "$lines.err" "$lines.one"' EXIT
MEMCREST_ADVISE_LINES=$lines "$test" >/dev/null
"$python" "$validator" --schema "$schema" --at-least 4 <"$lines"

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
refused 'line 1: schema' 's/memcrest.advise.v1/memcrest.advise.v2/'
refused 'line 1: begin' 's/"begin":"[^"]*"/"begin":"now"/'
refused 'line 1: by' 's/"by":"container"/"by":"pod"/'
refused "'lost' is a required" 's/"lost":{[^}]*},//'
refused 'line 1: containers.0.class' 's/"class":"wasteful"/"class":"big"/'
refused 'line 1: containers.0.container.runtime' 's/"runtime":"docker"/"runtime":"rkt"/'
refused 'line 1: containers.0.peak_bytes' 's/"peak_bytes":[0-9]*/"peak_bytes":"100 MiB"/'
refused 'line 1: containers.0.page_cache_share' 's/"page_cache_share":[0-9.]*/"page_cache_share":2/'
refused "'p95' is a required" 's/"p95":[0-9]*,//'
refused 'line 1: containers.0.other_limits.0.kind' 's/"kind":"step"/"kind":"guess"/'
refused 'line 1: containers.0.other_limits.0.windows_above' 's/"windows_above":[0-9]*/"windows_above":-1/'
refused 'line 1: containers.0.lines.0.text' 's/"text":"docker[^"]*"/"text":null/'

"$python" - "$schema" "$incident" <<'PYTHON'
import json
import sys

advise, incident = (json.load(open(path, encoding="utf-8")) for path in sys.argv[1:])
if advise["properties"]["containers"]["items"]["properties"]["container"] != incident["properties"]["container"]:
    sys.exit("the schemas do not describe the same container")
PYTHON
