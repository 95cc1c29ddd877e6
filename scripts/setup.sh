# Sourced by the scripts beside it: finds or installs what they need. Only a Rust toolchain and a C compiler are assumed.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv=${SHOSOIN_VENV:-$root/.venv}

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
die() { printf '%s\n' "$*" >&2; exit 1; }

# apt_install PACKAGE...: only as root on Debian; elsewhere says what is missing.
apt_install() {
  command -v apt-get >/dev/null && [ "$(id -u)" = 0 ] || die "needed and not found: $*; install it and run this again"
  apt-get install -y -qq "$@" >/dev/null 2>&1 || { apt-get update -qq && apt-get install -y -qq "$@" >/dev/null; }
}

need_rust() {
  command -v cargo >/dev/null || die "cargo not found: a Rust toolchain is needed (rust-version in Cargo.toml)"
  command -v cc >/dev/null || command -v gcc >/dev/null || die "no C compiler found: install gcc or clang"
}

# need_python PACKAGE...: a virtual environment with these packages.
need_python() {
  command -v python3 >/dev/null || apt_install python3 python3-venv
  python3 -m venv --help >/dev/null 2>&1 || apt_install python3-venv
  [ -x "$venv/bin/python" ] || python3 -m venv "$venv" || { apt_install python3-venv && python3 -m venv "$venv"; }
  "$venv/bin/pip" install -q --disable-pip-version-check "$@"
}

# need_clamd: the ClamAV daemon, for the tests of the scan before sealing. Its definitions are the tests' own: a signature of the
# EICAR test string. Where it cannot be installed, those tests are skipped and say so.
need_clamd() {
  command -v clamd >/dev/null || (apt_install clamav-daemon clamav) || { say "no clamd: the tests of the malware scan are skipped"; return 0; }
  # the packaged service is not needed, and has no definitions
  if command -v systemctl >/dev/null; then systemctl disable --now -q clamav-daemon clamav-freshclam 2>/dev/null || true; fi
}

# need_chrony: chrony, for the test that asks a real one about the clock. It runs its own, which touch no clock.
need_chrony() {
  command -v chronyd >/dev/null && return 0
  (apt_install chrony) || { say "no chrony: a real clock is not asked"; return 0; }
  # one that was not here before is for the tests alone
  if command -v systemctl >/dev/null; then systemctl disable --now -q chrony 2>/dev/null || true; fi
}

# need_azurite: an Azure server for the tests of archive volumes, where there is npm; exports where it is.
need_azurite() {
  local folder="$root/target/npm"
  command -v npm >/dev/null || { say "no npm: the tests with an Azure server are skipped"; return 0; }
  [ -x "$folder/node_modules/.bin/azurite-blob" ] || npm install --silent --no-audit --no-fund --prefix "$folder" azurite@3
  export SHOSOIN_AZURITE="$folder/node_modules/.bin/azurite-blob"
}

# need_browser: Chromium with its driver, fonts for both languages, and axe, which judges pages as screen readers meet them.
need_browser() {
  command -v chromedriver >/dev/null || (apt_install chromium chromium-driver fonts-noto-cjk) || { say "no Chromium: the console is not tried in a browser"; return 0; }
  local folder="$root/target/npm"
  command -v npm >/dev/null || { say "no npm: what a screen reader meets in the console is not judged"; return 0; }
  [ -f "$folder/node_modules/axe-core/axe.min.js" ] || npm install --silent --no-audit --no-fund --prefix "$folder" axe-core@4
}
