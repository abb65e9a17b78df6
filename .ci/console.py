"""Uses the console in headless Chromium, through WebDriver. Started by .ci/console."""

import base64
import json
import os
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request

CONSOLE, TOKEN, AUTH, CA = (os.environ[name] for name in ("CONSOLE", "TOKEN", "AUTH", "CA"))
PICTURES = os.environ.get("PICTURES", "")
PATIENCE = 20
DESKTOP, PHONE = (1280, 900), (390, 844)
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
ENTER, TAB = "\ue007", "\ue004"


def call(url, method="GET", body=None, headers=None, context=None):
    """The JSON of an answer; an error is an exception that tells the body."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60, context=context) as response:
            return json.loads(response.read() or "null")
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{method} {url}: {error.code} {error.read().decode()}") from error


class Browser:
    """One Chromium with one page."""

    def __init__(self):
        self.driver = subprocess.Popen(
            ["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        port = next(line.split("on port ")[1].strip(" .\n") for line in self.driver.stdout if "successfully on port" in line)
        options = {
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
                     "--disable-dev-shm-usage", "--hide-scrollbars"],
        }
        wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        self.base = f"http://127.0.0.1:{port}/session"
        session = call(self.base, "POST", {"capabilities": {"alwaysMatch": wanted}})
        self.base += "/" + session["value"]["sessionId"]

    def end(self):
        try:
            call(self.base, "DELETE")
        finally:
            self.driver.terminate()
            self.driver.wait()

    def do(self, path, body=None):
        method = "GET" if body is None else "POST"
        return call(f"{self.base}/{path}", method, body)["value"]

    def open(self, url):
        self.do("url", {"url": url})

    def run(self, script, *args):
        return self.do("execute/sync", {"script": script, "args": list(args)})

    def find(self, css):
        return self.do("element", {"using": "css selector", "value": css})[ELEMENT]

    def click(self, css):
        self.do(f"element/{self.find(css)}/click", {})

    def type(self, css, text):
        self.do(f"element/{self.find(css)}/value", {"text": text})

    def keys(self, *keys):
        """Presses keys wherever the focus is."""
        actions = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self.do("actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def size(self, width, height):
        """Makes the page itself so large; a window cannot be as narrow as a phone."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.do("goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics})

    def text(self, css="body"):
        return self.run("return document.querySelector(arguments[0])?.innerText ?? ''", css)

    def wait(self, what, script, *args):
        """Waits until a script returns something true, and returns it."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            found = self.run(script, *args)
            if found:
                return found
            time.sleep(0.05)
        raise AssertionError(f"{what}: not in {PATIENCE} s; the page says:\n{self.text()}")

    def wait_text(self, text, css="body"):
        script = "return document.querySelector(arguments[0])?.innerText.toLowerCase().includes(arguments[1].toLowerCase())"
        return self.wait(f"{text!r} in {css}", script, css, text)

    def focus_by_tab(self, css):
        """Reaches an element with the keyboard alone."""
        for _ in range(60):
            if self.run("return document.activeElement?.matches(arguments[0])", css):
                return
            self.keys(TAB)
        raise AssertionError(f"{css} cannot be reached with Tab")

    def complaints(self):
        """What the browser complains about, apart from answers that were refused on purpose."""
        logs = self.do("se/log", {"type": "browser"})
        expected = ("status of 401", "status of 422")
        return [log["message"] for log in logs if not any(text in log["message"] for text in expected)]

    def picture(self, name):
        """Looks at the page at both widths: nothing sticks out, and every control can be hit."""
        for kind, (width, height) in {"desktop": DESKTOP, "phone": PHONE}.items():
            self.size(width, height)
            over = self.run("return document.documentElement.scrollWidth - window.innerWidth")
            assert over <= 0, f"{name} is {over} px wider than a {kind}"
            small = self.run(SMALL) if kind == "phone" else []
            assert not small, f"{name}: too small for a finger: {small}"
            nameless = self.run(NAMELESS)
            assert not nameless, f"{name}: controls without a name: {nameless}"
            if PICTURES:
                data = self.do("screenshot")
                with open(os.path.join(PICTURES, f"{name}-{kind}.png"), "wb") as file:
                    file.write(base64.b64decode(data))
        self.size(*DESKTOP)


SMALL = """return [...document.querySelectorAll('button, input:not([type=checkbox])')]
    .filter((e) => e.offsetParent && e.getBoundingClientRect().height < 36).map((e) => e.outerHTML)"""
NAMELESS = """return [...document.querySelectorAll('button, input, a')].filter((e) => e.offsetParent
    && !(e.labels?.length || e.getAttribute('aria-label') || e.innerText.trim())).map((e) => e.outerHTML)"""


def new_code(device, model):
    """An authorization code, as the user's companion app would get one."""
    query = urllib.parse.urlencode({
        "client_id": "any", "device_id": device, "model_id": model, "response_type": "code", "state": "1",
    })
    headers = {"authorization": "Bearer user", "user-agent": "MyCompany/MyApp/1.0.0 (Android 15;Phone)"}
    context = ssl.create_default_context(cafile=CA)
    return call(f"{AUTH.rstrip('/')}/authorize?{query}", headers=headers, context=context)["code"]


def api(path, method="GET", body=None):
    return call(f"{CONSOLE}/api/v1/{path}", method, body, {"authorization": f"Bearer {TOKEN}"})


def sign_in(browser):
    browser.open(f"{CONSOLE}/")
    browser.wait_text("Admin token")
    browser.picture("sign-in")
    browser.type("#token", "wrong" + ENTER)
    browser.wait_text("not the gateway's", "#said")
    # The field has the focus by itself.
    browser.keys(*TOKEN, ENTER)
    browser.wait_text("live", "#live")


def see_the_fleet(browser):
    browser.wait_text("kitchen", "table")
    browser.wait_text("connected", "table")
    browser.wait_text("unpaired", "table")
    browser.picture("fleet")
    api("appliances", "POST", {"id": "cellar"})
    browser.wait_text("cellar", "table")
    browser.type("#search", "KIT")
    browser.wait("only the kitchen", "return document.querySelectorAll('tbody tr').length === 1")
    browser.run("const s = document.getElementById('search'); s.value = ''; s.dispatchEvent(new Event('input')); s.focus()")
    browser.wait("all again", "return document.querySelectorAll('tbody tr').length === 3")


def speak(browser):
    """With the keyboard alone."""
    browser.focus_by_tab("#row-kitchen")
    browser.keys(ENTER)
    browser.wait_text("AudioPlayer.PlaybackState")
    browser.focus_by_tab("#text")
    browser.keys(*"what time is it", ENTER)
    for text in ("asked here", "thinking", "SpeechSynthesizer.Speak", "speaking", "idle"):
        browser.wait_text(text, "#story")
    browser.run("document.querySelector('details').open = true")


def stop_an_alert(browser):
    browser.type("#text", "set a timer for five seconds" + ENTER)
    browser.wait_text("timer", "section:nth-of-type(3)")
    browser.wait_text("ringing", "section:nth-of-type(3)")
    browser.picture("appliance")
    assert browser.run("return document.querySelector('details').open"), "updates close what was open"
    browser.focus_by_tab("button[data-token]")
    browser.keys(ENTER)
    browser.wait_text("alert stop", "#story")
    browser.wait_text("None.", "section:nth-of-type(3)")


def unpair_and_pair(browser):
    browser.focus_by_tab("#sure")
    browser.keys(" ", TAB, ENTER)
    browser.wait_text("Not paired", "section:nth-of-type(6)")
    browser.wait_text("unpaired", "#story")
    browser.picture("unpaired")
    browser.type("#code", "no-such-code" + ENTER)
    browser.wait("a refusal", "return document.getElementById('said').classList.contains('bad')")
    kitchen = api("appliances/kitchen")
    browser.run("document.getElementById('code').value = ''")
    browser.type("#code", new_code(kitchen["deviceId"], kitchen["modelId"]) + ENTER)
    browser.wait_text("Paired with", "section:nth-of-type(6)")
    browser.wait_text("connected", ".facts")


def come_and_go(browser):
    browser.open(f"{CONSOLE}/#/appliances/hall")
    browser.wait_text("Not paired")
    browser.do("refresh", {})
    browser.wait_text("live", "#live")
    browser.wait_text("hall", "h1")
    browser.click("#sign-out")
    browser.wait_text("Admin token")
    browser.do("refresh", {})
    browser.wait_text("Admin token")


def main():
    browser = Browser()
    try:
        for step in (sign_in, see_the_fleet, speak, stop_an_alert, unpair_and_pair, come_and_go):
            step(browser)
            print(f"ok: {step.__name__.replace('_', ' ')}")
        complaints = browser.complaints()
        assert not complaints, f"the browser complains: {complaints}"
    except (AssertionError, RuntimeError) as error:
        sys.exit(f"failed: {error}")
    finally:
        browser.end()


main()
