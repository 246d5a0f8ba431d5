#!/usr/bin/env bash
# Installs the Debian packages that building ("build") or testing ("test")
# needs and that are not there yet. Does nothing when nothing is missing.
set -euo pipefail

packages_for() {
  case $1 in
    # C and C++ of the codec and crypto libraries.
    build) echo build-essential cmake pkg-config ca-certificates git make ;;
    # Real clients and the tools that judge what they heard.
    test) echo baresip-core sip-tester openssl procps curl ;;
    *) echo "install-missing: unknown set '$1' (build, test)" >&2; exit 2 ;;
  esac
}

missing=()
for set in "$@"; do
  for package in $(packages_for "$set"); do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
  done
done
if [ ${#missing[@]} -gt 0 ]; then
  echo "Installing: ${missing[*]}" >&2
  run=()
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || { echo "Please install as root: apt-get install ${missing[*]}" >&2; exit 1; }
    run=(sudo)
  fi
  "${run[@]}" apt-get update -qq
  "${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

if ! command -v cargo >/dev/null; then
  echo "Rust 1.95 or newer is needed and cargo was not found. Install it with rustup (https://rustup.rs), then run this again." >&2
  exit 1
fi
wanted=1.95
have=$(rustc --version | cut -d' ' -f2)
if [ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n1)" != "$wanted" ]; then
  echo "Rust $wanted or newer is needed, this is $have. Run: rustup update stable" >&2
  exit 1
fi
