#!/bin/sh
# Builds the dashboard into the Python package. Each step is left out while what it is made from has not changed: stamps
# in .made/ bear checksums. Takes the Python of the environment that has perdure; Node and npm are found on the PATH.
set -eu
python=$1
cd "$(dirname "$0")/.."
mkdir -p .made

sum() { cat "$@" | cksum | tr -d ' '; }
# made NAME CHECKSUM: was this step done with this checksum?
made() { [ -e ".made/$1-$2" ]; }
done_with() { rm -f ".made/$1-"*; touch ".made/$1-$2"; }

api=$(find ../src/perdure/http ../src/perdure/domain -name '*.py' | LC_ALL=C sort | xargs cat | cksum | tr -d ' ')
if ! made api "$api" || [ ! -e openapi.json ]; then
  "$python" -c 'import sys; from perdure.http.application import document; sys.stdout.buffer.write(document())' > .made/openapi.json
  mv .made/openapi.json openapi.json
  done_with api "$api"
fi

packages=$(sum package-lock.json)
if ! made packages "$packages" || [ ! -d node_modules ]; then
  npm ci --ignore-scripts --no-audit --no-fund --prefer-offline
  done_with packages "$packages"
fi

types=$(sum openapi.json package-lock.json)
if ! made types "$types" || [ ! -e src/api/schema.ts ]; then
  npm run --silent types
  done_with types "$types"
fi

built=$(find src public scripts index.html vite.config.ts package-lock.json -type f | LC_ALL=C sort | xargs cat | cksum | tr -d ' ')
if ! made built "$built" || [ ! -e ../src/perdure/http/dashboard/static/index.html ]; then
  npm run --silent build
  done_with built "$built"
fi
