#!/usr/bin/env bash
# The web app, by itself: build, lint, unit, ui (or several). What it needs from
# the npm registry and what it makes lie in the build folder; the checkout gets
# one link to the packages, for editors and the tools themselves. What has not
# changed since it last succeeded is not done again. All is said on standard error.
set -euo pipefail
cd "$(dirname "$0")/../controlplane/webapp/app"
exec >&2

: "${CARGO_TARGET_DIR:=${XDG_CACHE_HOME:-$HOME/.cache}/plenum/target}"
out=$CARGO_TARGET_DIR/webapp
export PLENUM_WEBAPP_DIST=${PLENUM_WEBAPP_DIST:-$out/dist}
export PLENUM_SCREENSHOTS=${PLENUM_SCREENSHOTS:-$out/screenshots}
mkdir -p "$out"

# One line for the content of the named files and folders.
hash_of() {
  find "$@" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum
}

# Does something for an input once: `once NAME HASH command...`.
once() {
  local stamp=$out/$1.stamp hash=$2
  shift 2
  [ "$(cat "$stamp" 2>/dev/null)" != "$hash" ] || return 0
  rm -f "$stamp"
  "$@"
  echo "$hash" >"$stamp"
}

fetch_packages() {
  echo "The web app's packages are fetched"
  cp package.json package-lock.json .npmrc "$out/"
  # No package needs its own script here, so none gets to run one.
  (cd "$out" && npm ci --ignore-scripts --no-audit --no-fund --silent)
}

packages() {
  once packages "$(hash_of package.json package-lock.json .npmrc) $(node --version)" fetch_packages
  ln -sfn "$out/node_modules" node_modules
}

make_dist() {
  echo "The web app is built"
  node_modules/.bin/vite build --outDir "$out/dist.new" --emptyOutDir --logLevel warn
  rm -rf "$PLENUM_WEBAPP_DIST"
  mv "$out/dist.new" "$PLENUM_WEBAPP_DIST"
}

build() {
  packages
  [ -f "$PLENUM_WEBAPP_DIST/index.html" ] || rm -f "$out/build.stamp"
  once build "$(cat "$out/packages.stamp") $(hash_of src index.html vite.config.ts compress.ts)" make_dist
}

check_types_and_lints() {
  node_modules/.bin/tsc --noEmit
  node_modules/.bin/eslint --max-warnings 0 .
}

lint() {
  packages
  once lint "$(cat "$out/packages.stamp") $(hash_of src test ./*.ts ./*.js ./*.json)" check_types_and_lints
}

unit() {
  packages
  node_modules/.bin/vitest run --project unit --reporter=dot
}

# In Debian's Chromium, against a server that is only there to be talked to.
ui() {
  build
  node_modules/.bin/vitest run --project ui
  echo "Screenshots: $PLENUM_SCREENSHOTS"
}

for part in "${@:-build}"; do
  "$part"
done
