# shellcheck shell=bash
# Sourced by the steps of this folder: what they need beyond Rust, from the package registries.
# Python and npm tools go to target/ci-tools, once.

CI_TOOLS="${CI_TOOLS:-$PWD/target/ci-tools}"
export PATH="$HOME/.cargo/bin:$CI_TOOLS/python/bin:$PATH:/usr/sbin:/sbin"

# Registries fail now and then.
retry() {
    local pause
    for pause in 5 20; do
        "$@" && return 0
        echo "failed, once more in $pause s: $*" >&2
        sleep "$pause"
    done
    "$@"
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

# $@: COMMAND:PACKAGE; installs the Debian packages whose commands are missing.
debian() {
    local pair missing=()
    for pair in "$@"; do
        command -v "${pair%%:*}" >/dev/null || missing+=("${pair#*:}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    retry as_root apt-get update
    retry as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install --yes --no-install-recommends "${missing[@]}"
}

# $@: PACKAGE==VERSION; their commands are found afterwards.
python_tools() {
    local tool missing=() have
    debian python3:python3
    if [ ! -x "$CI_TOOLS/python/bin/pip" ]; then
        rm -rf "$CI_TOOLS/python"
        python3 -m venv "$CI_TOOLS/python" 2>/dev/null || {
            retry as_root apt-get update
            retry as_root apt-get install --yes --no-install-recommends python3-venv
            python3 -m venv --clear "$CI_TOOLS/python"
        }
    fi
    have=$("$CI_TOOLS/python/bin/pip" freeze --disable-pip-version-check)
    for tool in "$@"; do
        grep -qixF "$tool" <<<"$have" || missing+=("$tool")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    retry "$CI_TOOLS/python/bin/pip" install --quiet --disable-pip-version-check "${missing[@]}"
}

# $1: NAME, $2: VERSION; it lies in $CI_TOOLS/npm/node_modules/NAME afterwards.
npm_tool() {
    debian npm:npm
    local manifest="$CI_TOOLS/npm/node_modules/$1/package.json"
    if [ -e "$manifest" ] && grep -q "\"version\": \"$2\"" "$manifest"; then return 0; fi
    mkdir -p "$CI_TOOLS/npm"
    retry npm install --prefix "$CI_TOOLS/npm" --ignore-scripts --omit=peer --no-audit --no-fund --silent "$1@$2"
}

# $1: NAME, $2: VERSION, a cargo subcommand.
cargo_tool() {
    "$1" --version 2>/dev/null | grep -qF "$2" || retry cargo install --locked "$1@$2"
}

# The gateway as the tests built it.
gateway_binary() {
    cargo build --locked --all-features --bin cic-gateway
    BINARY="${CARGO_TARGET_DIR:-target}/debug/cic-gateway"
}

# Each step works in a folder of its own that goes when it ends.
scratch_folder() {
    SCRATCH=$(mktemp -d)
    trap 'rm -rf "$SCRATCH"' EXIT
}
