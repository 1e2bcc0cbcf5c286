"""A real browser for tests: Debian's chromium, driven through its chromedriver.

chromedriver speaks the W3C WebDriver protocol, which is HTTP with JSON, so `requests` is all it
takes. Where either program is missing the tests skip and say so, except where
CSCART_PIPELINES_REQUIRE_BROWSER=1 is set: there they fail. One browser serves a test module; each
test gets it emptied (cookies, storage, windows).
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

REQUIRED = os.environ.get("CSCART_PIPELINES_REQUIRE_BROWSER") == "1"
"""Read while tests are collected: later the suite takes such variables away."""

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # how WebDriver names a reference to an element
_ARGUMENTS = (
    "--headless=new",
    "--disable-gpu",
    # A page costs a quarter less: no frames beside the page's thread, no history, no cache on disk.
    "--disable-threaded-compositing",
    "--incognito",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
    "--no-proxy-server",
    "--window-size=1200,1000",
    # Nothing but this machine: a page that asks for anything else is refused.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
)


class BrowserError(AssertionError):
    """What the driver answered, or what never came true."""


class Browser:
    """One window of a headless Chromium. Selectors are CSS; waits end with what they waited for."""

    def __init__(
        self, chromium: str, chromedriver: str, folder: Path, *, logs_requests: bool = False
    ) -> None:
        """Pages cost a fifth more where requests are logged."""
        self._logs_requests = logs_requests
        self._http = requests.Session()
        self._http.trust_env = False
        self._driver = subprocess.Popen(
            [chromedriver, "--port=0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,  # so that stop() reaches whatever it started
            env={**os.environ, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder)},
        )
        try:
            self._address = f"http://127.0.0.1:{self._port()}"
            arguments = [*_ARGUMENTS, f"--user-data-dir={folder}"]
            if os.geteuid() == 0:
                arguments.append("--no-sandbox")  # Chromium's own sandbox refuses to run as root
            wanted = {
                "browserName": "chrome",
                "goog:chromeOptions": {"binary": chromium, "args": arguments},
                "goog:loggingPrefs": {
                    "browser": "ALL",
                    "performance": "ALL" if logs_requests else "OFF",
                },
            }
            made = self._call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
            self._session = f"/session/{made['sessionId']}"
        except BaseException:
            self._kill()
            raise

    # --- pages -----------------------------------------------------------------------------------

    def open(self, url: str) -> None:
        """Goes to a page and waits until it has loaded."""
        self._do("POST", "/url", {"url": url})

    @property
    def url(self) -> str:
        return str(self._do("GET", "/url"))

    @property
    def title(self) -> str:
        return str(self._do("GET", "/title"))

    def reload(self) -> None:
        self._do("POST", "/refresh", {})

    def back(self) -> None:
        self._do("POST", "/back", {})

    # --- what a visitor does and sees ------------------------------------------------------------

    def click(self, selector: str) -> None:
        """Clicks as a visitor does. Where it leads to another page, use `follow`."""
        self._do("POST", f"/element/{self._find(selector)}/click", {})

    def follow(self, selector: str) -> None:
        """Clicks what leads to another page, and waits until that page has loaded."""
        self.js("document.documentElement.dataset.left = 'yes';")
        self.click(selector)

        def arrived() -> bool:
            try:
                return bool(
                    self.js(
                        "return !document.documentElement.dataset.left"
                        " && document.readyState === 'complete';"
                    )
                )
            except BrowserError:
                return False  # between two pages there is no document to ask

        self.wait_for(arrived)

    def fill(self, selector: str, text: str) -> None:
        """Types into an emptied field."""
        element = self._find(selector)
        self._do("POST", f"/element/{element}/clear", {})
        self._do("POST", f"/element/{element}/value", {"text": text})

    def text(self, selector: str) -> str:
        return str(self._do("GET", f"/element/{self._find(selector)}/text"))

    def shows(self, selector: str) -> bool:
        """Is there such an element, and is it displayed?"""
        found = self._do("POST", "/elements", {"using": "css selector", "value": selector})
        return any(self._do("GET", f"/element/{each[_ELEMENT]}/displayed") for each in found)

    def js(self, script: str, *arguments: Any) -> Any:
        """The value of a script's `return`; arguments are `arguments[0]` and so on."""
        return self._do("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def wait_for(self, what: str | Callable[[], Any], *, seconds: float = 20) -> Any:
        """Waits until a JavaScript expression (or a function here) is true; returns its value."""
        ends = time.monotonic() + seconds
        while True:
            value = self.js(f"return ({what});") if isinstance(what, str) else what()
            if value:
                return value
            if time.monotonic() > ends:
                raise BrowserError(f"never true within {seconds} s at {self.url}: {what}")
            time.sleep(0.03)

    # --- state -----------------------------------------------------------------------------------

    def cookies(self) -> dict[str, str]:
        """Cookies of the present page, those hidden from scripts included."""
        return {each["name"]: each["value"] for each in self._do("GET", "/cookie")}

    def fresh(self) -> Browser:
        """A visitor who has never been here: no cookies, storage, logs or page."""
        self.open("about:blank")
        self.cdp("Network.clearBrowserCookies")
        self.cdp("Network.clearBrowserCache")
        self.cdp("Storage.clearDataForOrigin", origin="*", storageTypes="all")
        self.console()
        if self._logs_requests:
            self.requests()
        return self

    def console(self) -> list[str]:
        """Errors and warnings of the console since the last call."""
        lines = self._do("POST", "/se/log", {"type": "browser"})
        return [each["message"] for each in lines if each["level"] in ("SEVERE", "WARNING")]

    def requests(self) -> list[dict[str, Any]]:
        """What the browser has asked for since the last call: method, url, postData if any."""
        assert self._logs_requests, "ask for the fixture `logging_browser`"
        found = []
        for line in self._do("POST", "/se/log", {"type": "performance"}):
            message = json.loads(line["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                found.append(message["params"]["request"])
        return found

    def cdp(self, command: str, **parameters: Any) -> Any:
        """A command of Chromium's own protocol."""
        return self._do("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def stop(self) -> None:
        # It may have died already; what is left is ended below.
        with contextlib.suppress(requests.RequestException, BrowserError):
            self._do("DELETE", "")
        self._kill()

    # --- inside ----------------------------------------------------------------------------------

    def _port(self) -> int:
        assert self._driver.stdout is not None
        said = ""
        for line in self._driver.stdout:
            said += line
            if found := re.search(r"started successfully on port (\d+)", line):
                return int(found.group(1))
        raise BrowserError(f"chromedriver did not start: {said}")

    def _find(self, selector: str) -> str:
        found = self._do("POST", "/element", {"using": "css selector", "value": selector})
        return str(found[_ELEMENT])

    def _do(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        return self._call(method, f"{self._session}{path}", body)

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = self._http.request(method, f"{self._address}{path}", json=body, timeout=120)
        value = answer.json()["value"]
        if answer.status_code != 200:
            raise BrowserError(f"{value.get('error')}: {value.get('message')}")
        return value

    def _kill(self) -> None:
        """Ends the driver and the browser it started, and nothing else."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._driver.pid, signal.SIGKILL)
        self._driver.wait()
        if self._driver.stdout is not None:
            self._driver.stdout.close()


def find_programs() -> tuple[str, str]:
    """Paths of chromium and chromedriver; skips (or fails) where one is missing."""
    chromium = next(filter(None, map(shutil.which, CHROMIUM)), None)
    chromedriver = shutil.which("chromedriver")
    if chromium and chromedriver:
        return chromium, chromedriver
    missing = "chromium" if chromium is None else "chromedriver"
    reason = f"{missing} is not on the PATH (Debian: apt install chromium chromium-driver)"
    if REQUIRED:
        pytest.fail(f"{reason}, and CSCART_PIPELINES_REQUIRE_BROWSER=1 asks for it")
    pytest.skip(reason)


@pytest.fixture(scope="module")
def module_browser() -> Iterator[Browser]:
    """One browser for a test module; ask for `browser` instead."""
    with _started() as made:
        yield made


@pytest.fixture(scope="module")
def logging_module_browser() -> Iterator[Browser]:
    """One for the tests of a module that ask for `requests`; ask for `logging_browser` instead."""
    with _started(logs_requests=True) as made:
        yield made


@contextlib.contextmanager
def _started(*, logs_requests: bool = False) -> Iterator[Browser]:
    chromium, chromedriver = find_programs()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        made = Browser(chromium, chromedriver, Path(folder), logs_requests=logs_requests)
        try:
            yield made
        finally:
            made.stop()


@pytest.fixture
def browser(module_browser: Browser) -> Browser:
    """The module's browser as a visitor who has never been here."""
    return module_browser.fresh()


@pytest.fixture
def logging_browser(logging_module_browser: Browser) -> Browser:
    """One that tells what it has asked for, as a visitor who has never been here."""
    return logging_module_browser.fresh()
