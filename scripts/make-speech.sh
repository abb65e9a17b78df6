#!/usr/bin/env bash
# Makes the recorded utterances and the spoken answers under assets/ again.
# Needs: apt-get install espeak-ng sox lame
set -euo pipefail
cd "$(dirname "$0")/../assets"
utterance() { # name, text: 16 kHz, 16 bit, mono, a second of silence at the end
  espeak-ng -v en-us -s 150 -w /tmp/utterance.wav "$2"
  sox /tmp/utterance.wav -r 16000 -c 1 -b 16 "speech/$1.wav" pad 0.1 1.0
}
answer() { # name, text
  espeak-ng -v en-gb -s 155 -p 60 -w /tmp/answer.wav "$2"
  sox /tmp/answer.wav -r 16000 -c 1 /tmp/answer16.wav
  lame --quiet -m m -b 24 -t --noreplaygain /tmp/answer16.wav "answers/$1.mp3"
}
utterance time "What time is it?"
utterance story "Tell me a story."
utterance everest "How high is Mount Everest?"
utterance pizza "Order a pizza."
utterance large "A large one, please."
utterance timer "Set a timer for five seconds."
utterance stop-timer "Stop the timer."
utterance tv-up "Turn the TV up."
utterance music "Play some music."
utterance alarm "Wake me up in three seconds."
utterance stop-alarm "Stop the alarm."
answer time "It is half past nine."
answer story-1 "Once upon a time there was a refrigerator that wanted to see the sea."
answer story-2 "Every night it hummed a little louder, until the whole kitchen could hear it."
answer story-3 "In the end a kind speaker played the sound of waves, and it was happy."
answer everest "Mount Everest is eight thousand eight hundred and forty nine metres high."
answer which-size "What size would you like?"
answer ordered "A large pizza is on its way."
answer sorry "Sorry, I did not understand."
answer music "Here is some music."
answer timer-set "Timer set."
answer timer-stopped "Timer stopped."
answer alert-set "All right, it is set."
answer alert-stopped "Stopped."
answer alert-deleted "Deleted."
answer alert-failed "That did not work."
rm -f /tmp/utterance.wav /tmp/answer.wav /tmp/answer16.wav
