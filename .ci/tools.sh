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

can_be_root() { [ "$(id -u)" -eq 0 ] || sudo -n true 2>/dev/null; }

# Never asks for a password: nobody may be there.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

# Ends a step that this machine cannot take, and says so here and at the end of .ci/run. $*: why.
# Only for what the machine lacks, never for what went wrong.
skip_step() {
    local told="${0#"$PWD"/}: $*"
    echo "SKIPPED $told"
    if [ -n "${CI_SKIPPED:-}" ]; then echo "$told" >>"$CI_SKIPPED"; fi
    exit 0
}

# $@: namespaces of `unshare`. Skips the step where the machine does not give them, even to root.
need_namespaces() {
    local said
    can_be_root || skip_step "needs root, or sudo without a password"
    said=$(as_root unshare "$@" --fork true 2>&1) ||
        skip_step "this machine gives no namespaces of its own (unshare $*): $said"
}

# $1: what is mounted, $2: shell commands that do just that in the folder $T. Skips the step where
# the machine forbids it. Needs a scratch folder, which has it back as it was.
need_mounts() {
    local said
    said=$(as_root unshare --mount --pid --net --cgroup --fork sh -ec \
        "T='$SCRATCH'; mount -t tmpfs tmpfs \"\$T\"; $2" 2>&1) ||
        skip_step "this machine cannot mount $1: $said"
}

apt_get() {
    # Another apt may be at work: a fresh machine updates itself.
    retry as_root env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 "$@"
}

# $@: packages.
install_debian() {
    can_be_root || {
        echo "cannot install Debian packages without root (or sudo without a password): $*" >&2
        return 1
    }
    apt_get update
    apt_get install --yes --no-install-recommends "$@"
}

# $@: COMMAND:PACKAGE or FILE:PACKAGE; installs the Debian packages of what is missing.
debian() {
    local pair what missing=()
    for pair in "$@"; do
        what=${pair%%:*}
        [ -e "$what" ] || command -v "$what" >/dev/null || missing+=("${pair#*:}")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    install_debian "${missing[@]}"
}

# $1: NAME of a Python environment in $CI_TOOLS; makes it.
python_environment() {
    local folder="$CI_TOOLS/$1"
    debian python3:python3
    [ ! -x "$folder/bin/pip" ] || return 0
    rm -rf "$folder"
    python3 -m venv "$folder" >/dev/null 2>&1 || {
        install_debian python3-venv
        python3 -m venv --clear "$folder"
    }
}

# $1: NAME of an environment, then PACKAGE==VERSION; they are in its bin/ afterwards.
python_tools_in() {
    local pip="$CI_TOOLS/$1/bin/pip" tool missing=() have
    python_environment "$1"
    have=$("$pip" freeze --disable-pip-version-check)
    for tool in "${@:2}"; do
        grep -qixF "$tool" <<<"$have" || missing+=("$tool")
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    retry "$pip" install --quiet --disable-pip-version-check "${missing[@]}"
}

# $@: PACKAGE==VERSION; their commands are found afterwards.
python_tools() { python_tools_in python "$@"; }

# $1: NAME, $2: VERSION; it lies in $CI_TOOLS/npm/node_modules/NAME afterwards.
npm_tool() {
    debian npm:npm
    local manifest="$CI_TOOLS/npm/node_modules/$1/package.json"
    if [ -e "$manifest" ] && grep -q "\"version\": \"$2\"" "$manifest"; then return 0; fi
    mkdir -p "$CI_TOOLS/npm"
    retry npm install --prefix "$CI_TOOLS/npm" --ignore-scripts --omit=peer --no-audit --no-fund --silent "$1@$2"
}

# $1: NAME, $2: VERSION, a cargo subcommand. Built without optimisation: it runs for seconds, and is
# built for minutes.
cargo_tool() {
    "$1" --version 2>/dev/null | grep -qF "$2" ||
        retry cargo install --locked --debug "$1@$2"
}

# The gateway as the tests built it.
gateway_binary() {
    cargo build --locked --quiet --all-features --bin cic-gateway
    BINARY=$(realpath "${CARGO_TARGET_DIR:-target}/debug/cic-gateway")
}

# Each step works in a folder of its own that goes when it ends.
scratch_folder() {
    SCRATCH=$(mktemp -d)
    trap 'rm -rf "$SCRATCH"' EXIT
}
