# shellcheck shell=bash
# To be sourced by the checks that need a living gateway: it starts one with its embedded broker
# and SQLite before a simulated CLOVA, and a simulated speaker `kitchen` that is connected; all in
# a temporary folder ($dir) and on free ports ($http is where the API is). Everything ends with
# the script that sourced it. Needs Rust.

# shellcheck source=.ci/tools.sh
. .ci/tools.sh
gateway_binary
GATEWAY=$BINARY
TOKEN=only-for-tests
dir=$(mktemp -d)
started=()

end_stage() {
    local pid
    # The last one first: the speaker, the gateway, the simulated CLOVA.
    for ((i = ${#started[@]} - 1; i >= 0; i--)); do
        pid=${started[i]}
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$dir"
}
trap end_stage EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Waits until a line of a file fits, and prints it. Fails when the process that writes it ends. The
# file has to exist: who writes it may not have come to that yet.
line_of() {
    local pid=$1 file=$2 pattern=$3
    grep -m1 -E -e "$pattern" < <(tail --pid="$pid" -n +1 -f "$file" 2>/dev/null) || {
        echo "no line with '$pattern' in ${file##*/}:" >&2
        tail -n 20 "$file" >&2
        return 1
    }
}

gateway() { "$GATEWAY" --config "$dir/config.toml" "$@"; }

# Adds an appliance; prints its password.
add_appliance() {
    gateway --format json appliance add "$1" | grep -oE '"mqttPassword": *"[^"]+"' | cut -d'"' -f4
}

start_cic() {
    : >"$dir/cic.out"
    "$GATEWAY" simulate cic --listen 127.0.0.1:0 --auth-listen 127.0.0.1:0 \
        --ca-out "$dir/ca.pem" >"$dir/cic.out" &
    started+=($!)
    code=$(line_of $! "$dir/cic.out" '--code' | grep -oE '[^ ]+$')
    sed -n '/^\[cic\]/,/^client_secret/p' "$dir/cic.out" >"$dir/config.toml"
}

start_gateway() {
    local line
    cat >>"$dir/config.toml" <<END

[store]
url = "sqlite://$dir/store.db"

[broker]
enabled = true
listen = "127.0.0.1:0"
data_dir = "$dir/broker"

[http]
listen = "127.0.0.1:0"
admin_token = "$TOKEN"
END
    password=$(add_appliance kitchen)
    gateway appliance pair kitchen --code "$code" >/dev/null
    : >"$dir/gateway.log"
    # Not through the function: its process would be a shell that does not pass signals on.
    "$GATEWAY" --config "$dir/config.toml" --log-format json run 2>"$dir/gateway.log" &
    gateway_pid=$!
    started+=($!)
    line=$(line_of $! "$dir/gateway.log" '"gateway started"')
    http=$(grep -oE '"http":"[^"]+"' <<<"$line" | cut -d'"' -f4)
    broker=$(grep -oE '"broker":"[^"]+"' <<<"$line" | cut -d'"' -f4)
}

start_speaker() {
    CIC_APPLIANCE_PASSWORD=$password "$GATEWAY" simulate appliance kitchen \
        --mqtt "mqtt://$broker" --keep-running >"$dir/speaker.out" 2>&1 &
    started+=($!)
    line_of $! "$dir/speaker.out" 'connected' >/dev/null
}

# Fails when the gateway has ended, or has logged an error.
expect_healthy_gateway() {
    kill -0 "$gateway_pid"
    if grep -E '"level":"ERROR"' "$dir/gateway.log"; then
        echo "the gateway logged errors" >&2
        return 1
    fi
}

start_cic
start_gateway
: >"$dir/speaker.out"
start_speaker
