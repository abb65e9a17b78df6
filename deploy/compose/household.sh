#!/usr/bin/env bash
# Two appliances for trying it out: adds them once, and pairs them with the simulated CLOVA, which
# forgets its pairings when it restarts. Plays the companion app, which asks for the code.
set -euo pipefail

readonly PASSWORDS=/household

# $1: a key of the JSON on standard input.
field() { sed -nE "s/.*\"$1\" *: *\"([^\"]*)\".*/\1/p" | head -n 1; }

# $1: device id, $2: model id.
authorization_code() {
    local query="client_id=compose&device_id=$1&model_id=$2&response_type=code&state=1"
    exec 3<>/dev/tcp/cic/8444
    printf 'GET /authorize?%s HTTP/1.0\r\nHost: cic\r\nAuthorization: Bearer simulated\r\n\r\n' "$query" >&3
    field code <&3
    exec 3>&-
}

# $1: id, $2: model.
settle() {
    local shown
    if [ ! -s "$PASSWORDS/$1" ]; then
        cic-gateway appliance remove "$1" 2>/dev/null || true
        cic-gateway appliance add "$1" --model "$2" --lang en --format json |
            field mqttPassword >"$PASSWORDS/$1"
    fi
    shown=$(cic-gateway appliance show "$1" --format json)
    cic-gateway appliance pair "$1" \
        --code "$(authorization_code "$(field deviceId <<<"$shown")" "$(field modelId <<<"$shown")")"
}

umask 077
settle kitchen speaker
settle living-room display-speaker
