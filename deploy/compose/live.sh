#!/usr/bin/env bash
# A simulated appliance that is used all day long: asks, interrupts, sets timers and stops them.
set -euo pipefail

readonly ID=$1 SPEECH=/speech
CIC_APPLIANCE_PASSWORD=$(<"/household/$ID")
export CIC_APPLIANCE_PASSWORD

# One request after the other; one that fails is no reason to stop.
request() {
    cic-gateway simulate appliance "$ID" --mqtt mqtt://mosquitto:1883 "$@" || true
    sleep "$((RANDOM % 4 + 1))"
}

while true; do
    request --wav "$SPEECH/time.wav"
    request --wav "$SPEECH/pizza.wav" --wav "$SPEECH/large.wav"
    request --wav "$SPEECH/story.wav" --hold
    request --text "set a timer for five seconds" --wait-for-alert --stop-after 2s
    request --text "how high is mount everest"
done
