"""A real Chromium, driven over a pipe by its DevTools protocol: what a page does, not what it says.

https://chromedevtools.github.io/devtools-protocol/
"""

import base64
import json
import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-dev-shm-usage", "--no-first-run", "--mute-audio",
    "--remote-debugging-pipe",
)  # fmt: skip
PATIENCE = 60  # seconds for one answer


def find_browser():
    """Path of a Chromium, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One page of one browser; ``events`` is all that the page reported.

    ``features`` are CSS media features beside the colour scheme, ``flags`` the browser's own.
    """

    def __init__(self, width=1200, height=900, dark=False, features=(), flags=()):
        self.folder = tempfile.mkdtemp(prefix="asr-dro-browser-")
        (their_in, our_out), (our_in, their_out) = os.pipe(), os.pipe()
        # The protocol's pipes are file descriptors 3 and 4, which Python itself may be using.
        command = ["bash", "-c", f'exec "$@" 3<&{their_in} 4>&{their_out}', "_", find_browser(),
                   *FLAGS, *flags, f"--user-data-dir={self.folder}", "about:blank"]  # fmt: skip
        self.process = subprocess.Popen(
            command, pass_fds=(their_in, their_out), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(their_in)
        os.close(their_out)
        self.input, self.output, self.left = our_in, our_out, b""
        os.set_blocking(our_in, False)
        self.number, self.session, self.events = 0, None, []
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self.ask("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.ask(f"{domain}.enable")
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height,
                 deviceScaleFactor=1, mobile=width < 600)  # fmt: skip
        media = {"prefers-color-scheme": "dark" if dark else "light", **dict(features)}
        emulated = [{"name": name, "value": value} for name, value in media.items()]
        self.ask("Emulation.setEmulatedMedia", features=emulated)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.session = None
            self.ask("Browser.close")
        except (OSError, TimeoutError):
            self.process.kill()
        self.process.wait()
        os.close(self.input)
        os.close(self.output)
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, method, **params):
        """Send a command and wait for its answer; events on the way are kept."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.output, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise AssertionError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def _next(self):
        end = time.monotonic() + PATIENCE
        while b"\0" not in self.left:
            if time.monotonic() > end or self.process.poll() is not None:
                raise TimeoutError("the browser does not answer")
            try:
                self.left += os.read(self.input, 1 << 16)
            except BlockingIOError:
                time.sleep(0.01)
        line, _, self.left = self.left.partition(b"\0")
        return json.loads(line)

    def open(self, path):
        """Load a file, or an address with its scheme, and wait until it is whole."""
        loaded, end = self._loads(), time.monotonic() + PATIENCE
        went = self.ask("Page.navigate", url=path if "://" in str(path) else f"file://{path}")
        assert "errorText" not in went, f"{path}: {went['errorText']}"
        while self._loads() == loaded:
            assert time.monotonic() < end, f"{path} is not loaded"
            time.sleep(0.01)
            self.value("0")  # which hears of events

    def _loads(self):
        return sum(event.get("method") == "Page.loadEventFired" for event in self.events)

    def value(self, expression):
        """What JavaScript makes of an expression."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True,
                          awaitPromise=True)  # fmt: skip
        if "exceptionDetails" in answer:
            raise AssertionError(f"{expression}: {answer['exceptionDetails']}")
        return answer["result"].get("value")

    def until(self, expression, seconds=PATIENCE):
        """The first value of an expression that is true."""
        end = time.monotonic() + seconds
        while not (value := self.value(expression)):
            assert time.monotonic() < end, f"still not: {expression}"
            time.sleep(0.02)
        return value

    def choose(self, selector, *paths):
        """Choose files in an input."""
        root = self.ask("DOM.getDocument")["root"]["nodeId"]
        node = self.ask("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.ask("DOM.setFileInputFiles", nodeId=node, files=[str(path) for path in paths])

    def press(self, key):
        """A key down and up, as ``KeyboardEvent.key`` names it."""
        code = {"Tab": 9, "Enter": 13, " ": 32}.get(key, 0)
        text = {"Enter": "\r", " ": " "}.get(key, "")
        self.ask("Input.dispatchKeyEvent", type="keyDown", key=key, text=text,
                 windowsVirtualKeyCode=code)  # fmt: skip
        self.ask("Input.dispatchKeyEvent", type="keyUp", key=key, windowsVirtualKeyCode=code)

    def click(self, selector):
        """A real click of the mouse in the middle of an element."""
        where = self.value(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            " e.scrollIntoView({block: 'center'}); const b = e.getClientRects()[0];"
            " return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=where[0], y=where[1], clickCount=1,
                     button="none" if kind == "mouseMoved" else "left")  # fmt: skip

    def picture(self, path, whole=False):
        """A screenshot of what is seen, or of the whole page, as PNG."""
        shot = self.ask("Page.captureScreenshot", captureBeyondViewport=whole)
        Path(path).write_bytes(base64.b64decode(shot["data"]))

    def requests(self):
        """URLs that the page asked for, without those that hold their content."""
        urls = [event["params"]["request"]["url"] for event in self.events
                if event.get("method") == "Network.requestWillBeSent"]  # fmt: skip
        return [url for url in urls if not url.startswith("data:")]

    def complaints(self):
        """Errors and warnings of the page: exceptions, console, security policy."""
        found = []
        for event in self.events:
            if event.get("method") == "Runtime.exceptionThrown":
                found.append(event["params"]["exceptionDetails"]["text"])
            elif event.get("method") == "Log.entryAdded":
                found.append(event["params"]["entry"]["text"])
            elif event.get("method") == "Runtime.consoleAPICalled":
                found.append(str(event["params"]["args"]))
        return found
