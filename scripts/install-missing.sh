#!/usr/bin/env bash
# Installs the Debian packages that building ("build") or testing ("test")
# needs and that are not there yet. Does nothing when nothing is missing.
set -euo pipefail

packages_for() {
  case $1 in
    # C, C++ and assembler of the codec and crypto libraries, and libvpx; Node.js
    # for the web app, which may also be there by other means than Debian's packages.
    build)
      echo build-essential cmake nasm libvpx-dev pkg-config ca-certificates curl git
      { command -v node && command -v npm; } >/dev/null || echo nodejs npm
      ;;
    # Clients that others wrote, and what a browser needs to write Hindi and Arabic.
    test) echo baresip-core baresip-ffmpeg ffmpeg sip-tester coturn chromium firefox-esr fonts-noto-core python3-venv ;;
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
  "${run[@]}" apt-get update -qq >&2
  "${run[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
fi

# Debian's own Rust is too old. Where there is none at all, rustup brings it, into
# the home folder; one that is there is the user's, and only named when too old.
export PATH="$PATH:${CARGO_HOME:-$HOME/.cargo}/bin"
if ! command -v cargo >/dev/null; then
  echo "Installing: Rust (rustup, stable toolchain)" >&2
  curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs |
    sh -s -- -y --quiet --no-modify-path --profile minimal --component clippy,rustfmt >&2
fi
wanted=1.95
have=$(rustc --version | cut -d' ' -f2)
if [ "$(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n1)" != "$wanted" ]; then
  echo "Rust $wanted or newer is needed, this is $have. Run: rustup update stable" >&2
  exit 1
fi
