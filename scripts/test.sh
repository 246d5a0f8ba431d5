#!/usr/bin/env bash
# All checks, or those named: lint, unit, ui, e2e. Prints what each step took.
set -euo pipefail
cd "$(dirname "$0")/.."

: "${CARGO_TARGET_DIR:=${XDG_CACHE_HOME:-$HOME/.cache}/plenum/target}"
export CARGO_TARGET_DIR
export PLENUM_WEBAPP_DIST=${PLENUM_WEBAPP_DIST:-$CARGO_TARGET_DIR/webapp/dist}
# A suite that waits for the network would hang, not fail.
export CARGO_NET_RETRY=2
# Real-time tests on small machines: a build's debug info is not worth its time.
export CARGO_INCREMENTAL=${CARGO_INCREMENTAL:-1}

step() {
  local name=$1 started=$SECONDS
  shift
  echo "== $name"
  "$@"
  echo "== $name: $((SECONDS - started)) s"
}

# cargo-deny is built once, beside the build products: about a minute and a half
# on two cores, with what is left out here (its newest release that Rust 1.95
# builds is pinned, so that a run today and one next year agree).
deny_version=0.20.2
deny() {
  local tools=$CARGO_TARGET_DIR/tools
  if [ "$("$tools/bin/cargo-deny" --version 2>/dev/null)" != "cargo-deny $deny_version" ]; then
    echo "cargo-deny $deny_version is built once" >&2
    CARGO_INCREMENTAL=0 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
      CARGO_PROFILE_RELEASE_DEBUG=false CARGO_PROFILE_RELEASE_CODEGEN_UNITS=16 \
      cargo install --quiet --locked --no-default-features --root "$tools" \
      --target-dir "$tools/target" --version "$deny_version" cargo-deny
    rm -rf "$tools/target"
  fi
  "$tools/bin/cargo-deny" --locked check --hide-inclusion-graph bans licenses sources
}

lint() {
  step "web app, built" scripts/webapp.sh build
  step "web app, types and lints" scripts/webapp.sh lint
  step "format" cargo fmt --all --check
  step "lints" cargo clippy --workspace --all-targets --locked --quiet -- -D warnings
  step "licences and bans" deny
}

# One selection of packages throughout: another would have other features, and
# everything would be built again.
unit() {
  step "web app, built" scripts/webapp.sh build
  step "web app, unit tests" scripts/webapp.sh unit
  step "build" cargo test --workspace --locked --quiet --no-run
  step "unit tests" cargo test --workspace --exclude plenum-e2e --locked --quiet
}

# Every view of the web app in a browser.
ui() {
  step "web app, in a browser" scripts/webapp.sh ui
}

# What measures time runs by itself, one test after the other. The server's
# binary was built for the tests of its own crate.
e2e() {
  step "web app, built" scripts/webapp.sh build
  step "build" cargo test --workspace --locked --quiet --no-run
  local tests=()
  for file in tests/e2e/tests/*.rs; do
    tests+=(--test "$(basename "$file" .rs)")
  done
  step "end-to-end tests" env PLENUM_BIN="$CARGO_TARGET_DIR/debug/plenum" \
    PLENUM_SCREENSHOTS="$CARGO_TARGET_DIR/webapp/screenshots" cargo test --workspace --locked "${tests[@]}" -- --test-threads=1
}

if [ $# -eq 0 ]; then
  set -- lint unit ui e2e
fi
for part in "$@"; do
  "$part"
done
