#!/usr/bin/env python3
"""A complete minimal speaker for cic-gateway: it is heard, answers, obeys, and rings.

    pip install paho-mqtt
    python3 appliance.py --host 127.0.0.1 --id kitchen --password PASSWORD

Then type: a request ("what time is it"), "say FILE.wav", "stop" (what rings), or "quit".
What firmware has to replace is marked HARDWARE.
"""

import argparse
import json
import queue
import subprocess
import sys
import threading
import time
import urllib.request
import wave

import paho.mqtt.client as mqtt

SLICE = 6400  # 200 ms of 16 kHz, 16 bit, mono
STEP = 1


class Speech(threading.Thread):
    """One Speak of CLOVA: plays the bytes while they arrive, and reports what became of it."""

    def __init__(self, appliance, directive):
        super().__init__(daemon=True)
        self.appliance = appliance
        self.dialogue = directive.get("dialogRequestId")
        self.token = directive["payload"]["token"]
        self.url = directive["payload"]["url"]
        self.chunks = queue.Queue()  # ends with an empty one
        self.state = "finished"  # what is reported at the end; None: nothing
        self.sink = None

    def run(self):
        size = 0
        for chunk in self.bytes():
            if self.sink is None:
                self.sink = self.appliance.open_sink()
                self.report("started")
            size += len(chunk)
            self.sink.write(chunk)
        if self.sink:
            self.sink.close()
        if self.state:
            print(f"speech {self.state}, {size} bytes", flush=True)
            self.report(self.state)

    def bytes(self):
        if not self.url.startswith("cid:"):
            with urllib.request.urlopen(self.url, timeout=10) as answer:
                return [answer.read()]
        return iter(self.chunks.get, b"")

    def report(self, state):
        self.appliance.publish("speech", {"token": self.token, "state": state})

    def cancel(self):
        """Nothing is reported: the gateway has told CLOVA already that this was stopped."""
        self.state = None
        if isinstance(self.sink, Player):
            self.sink.process.kill()
        self.chunks.put(b"")


class Player:
    """HARDWARE: the decoder. A program that plays MP3 from its standard input."""

    def __init__(self, command):
        self.process = subprocess.Popen(command.split(), stdin=subprocess.PIPE)

    def write(self, data):
        try:
            self.process.stdin.write(data)
        except BrokenPipeError:  # it was killed, or has had enough
            pass

    def close(self):
        """Returns when all has been played."""
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        self.process.wait()


class Appliance:
    def __init__(self, args):
        self.up = f"cic/v1/{args.id}/up"
        self.down = f"cic/v1/{args.id}/down"
        self.out, self.player = args.out, args.player
        self.volume = 5
        self.speeches = {}  # by contentId, while their bytes come
        self.last = None  # the last Speech
        self.ringing = {}  # token: scheduledTime
        self.stopped = None  # the occurrence that fell silent last
        self.question = None  # the expectSpeechId to answer with
        self.known = []  # messageIds: QoS 1 may repeat a message
        self.numbers = iter(range(1, 1_000_000))
        self.utterance = None
        # A persistent session: what is published while the network is away comes afterwards.
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=args.id, clean_session=False
        )
        self.client.username_pw_set(args.id, args.password)
        if args.ca:
            self.client.tls_set(args.ca)
        self.client.will_set(f"{self.up}/status", "offline", qos=1, retain=True)
        self.client.on_connect = self.on_connect
        self.client.on_message = self.on_message
        self.client.connect(args.host, args.port)
        self.client.loop_start()

    def publish(self, rest, payload, qos=1, retain=False):
        if isinstance(payload, dict):
            payload = json.dumps(payload)
        return self.client.publish(f"{self.up}/{rest}", payload, qos, retain)

    def open_sink(self):
        if self.player:
            return Player(self.player)
        return open(f"{self.out}/answer-{next(self.numbers)}.mp3", "wb")

    # What it says of itself

    def on_connect(self, client, userdata, flags, reason, properties):
        if reason.is_failure:
            sys.exit(f"the broker refuses: {reason}")
        client.subscribe(f"{self.down}/#", qos=1)
        self.publish("state", self.state(), retain=True)
        self.publish("status", "online", retain=True)

    def state(self):
        volume = {"actions": ["Decrease", "Increase", "SetValue"], "min": 0, "max": 10}
        return {
            "Device.DeviceState": {"volume": {**volume, "value": self.volume}},
            "Device.Display": {"size": "none"},
            "Speaker.VolumeState": {"volume": self.volume, "muted": False},
        }

    # What the user does

    def say(self, path):
        """HARDWARE: the microphone instead of a file, as long as `self.utterance` is set."""
        name = self.utterance = f"u{time.time_ns()}"
        question, self.question = self.question, None
        self.publish("recognize", {"utterance": name, "expectSpeechId": question})
        with wave.open(path) as recording:
            while self.utterance == name and (pcm := recording.readframes(SLICE // 2)):
                self.publish(f"audio/{name}", pcm, qos=0)
                time.sleep(0.2)
        self.publish(f"audio/{name}", b"", qos=0)

    def type(self, text):
        question, self.question = self.question, None
        self.publish("text", {"text": text, "expectSpeechId": question})

    def stop_alert(self):
        self.publish("button", {"button": "stopAlert"})

    # What comes from the gateway

    def on_message(self, client, userdata, message):
        rest = message.topic.removeprefix(f"{self.down}/")
        if rest.startswith("audio/"):
            return self.audio(rest.removeprefix("audio/"), message.payload)
        handler = getattr(self, f"on_{rest}", None)
        if handler:
            handler(json.loads(message.payload))

    def audio(self, content_id, data):
        speech = self.speeches.get(content_id)
        if speech:
            speech.chunks.put(data)
            if not data:
                del self.speeches[content_id]

    def on_session(self, session):
        print(f"session: {session['state']}", flush=True)

    def on_dialogue(self, dialogue):
        print(f"dialogue: {dialogue['state']}", flush=True)  # HARDWARE: lights

    def on_capture(self, capture):
        if capture["action"] == "stop":
            self.utterance = None
        else:
            self.question = capture["expectSpeechId"]
            print("CLOVA asks back", flush=True)  # HARDWARE: open the microphone

    def on_cancel(self, cancel):
        tokens, dialogue = cancel["tokens"], cancel.get("dialogRequestId")
        last = self.last
        if last and (last.token in tokens or (dialogue and last.dialogue == dialogue)):
            last.cancel()
            self.speeches = {key: s for key, s in self.speeches.items() if s is not last}

    def on_error(self, error):
        print(f"error: {error['code']}: {error['message']}", flush=True)
        speech = self.speeches.get(error.get("contentId"))
        if speech:  # attachment_incomplete; its empty payload follows
            speech.state = "stopped"

    def on_alert(self, alert):
        token, time_set = alert["token"], alert["scheduledTime"]
        if alert["action"] == "ring":
            # It may be repeated: the token and the time say whether it is a new one.
            if self.ringing.get(token) == time_set or self.stopped == (token, time_set):
                return
            self.ringing[token] = time_set
            print(f"RING: {alert['type']}", flush=True)  # HARDWARE: its assets, or a bell
            self.publish("alert", {"token": token, "state": "started"})
        elif alert["action"] in ("stop", "delete") and token in self.ringing:
            self.stopped = (token, self.ringing.pop(token))
            print("silent", flush=True)
            self.publish("alert", {"token": token, "state": "stopped"})

    def on_directive(self, directive):
        if directive["messageId"] in self.known:
            return
        self.known = [*self.known[-63:], directive["messageId"]]
        namespace, name = directive["namespace"], directive["name"]
        payload = directive["payload"]
        if (namespace, name) == ("SpeechSynthesizer", "Speak"):
            self.last = Speech(self, directive)
            self.speeches[payload["url"].removeprefix("cid:")] = self.last
            self.last.start()
        elif (namespace, name) == ("Clova", "RenderText"):
            print(f"CLOVA shows: {payload['text']}", flush=True)
        elif (namespace, name) == ("AudioPlayer", "Play"):  # it has no music player
            token = payload["audioItem"]["stream"]["token"]
            self.publish("playback", {"token": token, "state": "failed"})
        elif namespace == "DeviceControl":
            self.order(directive["messageId"], name, payload)

    def order(self, message_id, name, payload):
        """Each order is answered; `state` tells CLOVA how it is now."""
        value = payload.get("value")
        changes = {
            "Increase": self.volume + int(value or STEP),
            "Decrease": self.volume - int(value or STEP),
            "SetValue": int(value or self.volume),
        }
        if payload.get("target") != "volume" or name not in changes:
            reason = f"it cannot do {name}"
            return self.publish("result", {"messageId": message_id, "ok": False, "reason": reason})
        self.volume = max(0, min(10, changes[name]))  # HARDWARE: the amplifier
        print(f"volume: {self.volume}", flush=True)
        self.publish("result", {"messageId": message_id, "ok": True, "state": self.state()})
        return self.publish("state", self.state(), retain=True)

    def leave(self):
        if self.last:
            self.last.cancel()
        self.publish("status", "offline", retain=True).wait_for_publish(5)
        self.client.disconnect()


def main():
    parser = argparse.ArgumentParser(description="A minimal speaker for cic-gateway")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=1883)
    parser.add_argument("--id", required=True)
    parser.add_argument("--password", required=True)
    parser.add_argument("--ca", help="trust anchor (PEM), for TLS")
    parser.add_argument("--out", default=".", help="where answers go without --player")
    parser.add_argument("--player", help="plays MP3 from its standard input: 'mpg123 -q -'")
    appliance = Appliance(parser.parse_args())
    for line in map(str.strip, sys.stdin):
        if line == "quit":
            break
        if line == "stop":
            appliance.stop_alert()
        elif line.startswith("say "):
            appliance.say(line.removeprefix("say "))
        elif line:
            appliance.type(line)
    appliance.leave()


if __name__ == "__main__":
    main()
