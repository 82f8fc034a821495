"""Chromium, driven by its own protocol over two pipes (Chrome DevTools Protocol).

It needs no package: each message is JSON and ends with a NUL.
"""

import json
import os
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# What one command or one script may take.
PATIENCE = 30


class Chromium:
    """A browser without a window. ``bash`` gives it our pipes as the files 3 and 4."""

    def __init__(self, program: str, profile: Path) -> None:
        ours_in, theirs_out = os.pipe()
        theirs_in, ours_out = os.pipe()
        command = f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}'
        self.process = subprocess.Popen(
            [
                *("bash", "-c", command, "bash", program),
                # As root, which a container is, the sandbox does not start.
                *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
                *("--no-first-run", "--disable-background-networking", "--disable-extensions"),
                *(f"--user-data-dir={profile}", "--remote-debugging-pipe", "about:blank"),
            ],
            pass_fds=(theirs_in, theirs_out),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._in, self._out = ours_in, ours_out
        self._received = b""
        self._last = 0

    def call(self, method: str, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Run one command, and return its result."""
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._out, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._last:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result

    def _next(self) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE
        while b"\0" not in self._received:
            left = max(0.0, deadline - time.monotonic())
            assert select.select([self._in], [], [], left)[0], "Chromium does not answer."
            read = os.read(self._in, 1 << 16)
            assert read, "Chromium has ended."
            self._received += read
        message, _, self._received = self._received.partition(b"\0")
        found: dict[str, Any] = json.loads(message)
        return found

    def close(self) -> None:
        self.call("Browser.close")
        self.process.wait(timeout=PATIENCE)
        os.close(self._in)
        os.close(self._out)


class Tab:
    """One tab, with a context of its own: no other tab sees its storage or its authenticators."""

    def __init__(self, browser: Chromium) -> None:
        self.browser = browser
        context = browser.call("Target.createBrowserContext")["browserContextId"]
        target = browser.call("Target.createTarget", url="about:blank", browserContextId=context)[
            "targetId"
        ]
        attached = browser.call("Target.attachToTarget", targetId=target, flatten=True)
        self.session: str = attached["sessionId"]
        self._context = context
        self.call("WebAuthn.enable", enableUI=False)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        return self.browser.call(method, self.session, **parameters)

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        deadline = time.monotonic() + PATIENCE
        while self.run("[location.href, document.readyState]") != [url, "complete"]:
            assert time.monotonic() < deadline, f"{url} does not open"
            time.sleep(0.02)

    def run(self, script: str) -> Any:
        """The value of an expression, or of the promise that it makes."""
        done = self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def plug_in(self, *, verifies_user: bool = True) -> str:
        """A virtual authenticator, whose owner is there and agrees. Returns its id."""
        options = {
            "protocol": "ctap2",
            "transport": "internal" if verifies_user else "usb",
            "hasResidentKey": True,
            "hasUserVerification": verifies_user,
            "isUserVerified": verifies_user,
            "automaticPresenceSimulation": True,
        }
        made = self.call("WebAuthn.addVirtualAuthenticator", options=options)
        authenticator: str = made["authenticatorId"]
        return authenticator

    def unplug(self, authenticator: str) -> None:
        self.call("WebAuthn.removeVirtualAuthenticator", authenticatorId=authenticator)

    def credential_of(self, authenticator: str) -> dict[str, Any]:
        """The only credential of an authenticator, with its private key."""
        [found] = self.call("WebAuthn.getCredentials", authenticatorId=authenticator)["credentials"]
        credential: dict[str, Any] = found
        return credential

    def close(self) -> None:
        self.browser.call("Target.disposeBrowserContext", browserContextId=self._context)


@contextmanager
def chromium(program: str, profile: Path) -> Iterator[Chromium]:
    browser = Chromium(program, profile)
    try:
        yield browser
    finally:
        try:
            browser.close()
        finally:
            browser.process.kill()
