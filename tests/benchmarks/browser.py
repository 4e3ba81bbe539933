"""Debian's Chromium, driven by selenium: what a page shows, how fast, in how much memory, and whom it asks for what.

Selenium and axe-core are no part of the project's environment: they are put into the cache once.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from speech.cache import cache_root, made_once

SELENIUM = "selenium==4.51.0"
AXE = "axe-core@4.14.1"
UV = str(Path(sys.executable).with_name("uv"))
PROGRAMS = ("chromium", "chromedriver")
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run", "--window-size=1280,900", "--mute-audio",
    "--autoplay-policy=no-user-gesture-required", "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip
FIRST = """
new MutationObserver((changes, observer) => {
  if (document.querySelector(arguments_selector)) { window.firstContent = performance.now(); observer.disconnect(); }
}).observe(document, {childList: true, subtree: true});
"""
"""Runs before the page: notes when what a selector names is first there."""
GO = """
const [hash, done] = arguments, began = performance.now();
const look = () => document.getElementById('main').dataset.shown === hash ? done(performance.now() - began) : requestAnimationFrame(look);
location.hash = hash; look();
"""


def missing() -> str:
    """What has to be installed, in words; empty where all is there."""
    lacking = [name for name in PROGRAMS if not shutil.which(name)]
    return f"{' and '.join(lacking)} not installed: apt-get install chromium chromium-driver" if lacking else ""


def versions() -> str:
    return (
        subprocess.run(["chromium", "--version"], capture_output=True, text=True, check=False).stdout.split(" built")[0].strip()
    )


def _selenium() -> Any:
    """The package, from the cache."""

    def install(folder: Path) -> None:
        subprocess.run(
            [UV, "pip", "install", "--quiet", "--python", sys.executable, "--target", str(folder), SELENIUM], check=True
        )

    sys.path.append(str(made_once(cache_root() / SELENIUM.replace("==", "-"), install)))
    from selenium import webdriver  # type: ignore[import-not-found]

    return webdriver


def axe() -> str:
    """The script of axe-core, from the cache."""

    def install(folder: Path) -> None:
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), AXE], check=True)

    return (made_once(cache_root() / AXE.replace("@", "-"), install) / "node_modules/axe-core/axe.min.js").read_text("utf-8")


def cpu_s(processes: Iterable[int]) -> dict[int, float]:
    """Seconds of CPU that each process has used, of those that are there."""
    found = {}
    for pid in processes:
        with suppress(psutil.NoSuchProcess):
            times = psutil.Process(pid).cpu_times()
            found[pid] = float(times.user + times.system)
    return found


class Browser:
    """One tab."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver
        self._logged: list[dict[str, Any]] = []

    def open(self, address: str, selector: str) -> float:
        """Opens a page; seconds until what the selector names is there."""
        script = FIRST.replace("arguments_selector", json.dumps(selector))
        told = self.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
        self.driver.get(address)
        self.until("return window.firstContent !== undefined")
        self.driver.execute_cdp_cmd("Page.removeScriptToEvaluateOnNewDocument", told)
        return float(self.ask("return window.firstContent")) / 1000

    def go(self, hash_: str) -> float:
        """Goes to a view of the page; seconds until it is drawn."""
        return float(self.driver.execute_async_script(GO, hash_)) / 1000

    def ask(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def until(self, script: str, seconds: float = 120) -> None:
        """Waits for what a script says. Raises TimeoutError with what the page shows."""
        end = time.monotonic() + seconds
        while not self.ask(script):
            if time.monotonic() > end:
                raise TimeoutError(f"{script}: {self.ask('return document.body.innerText')[:500]}")
            time.sleep(0.05)

    def press(self, key: str) -> None:
        """A key, wherever the focus is."""
        self.driver.switch_to.active_element.send_keys(key)

    def type(self, selector: str, text: str) -> None:
        box = self.driver.find_element("css selector", selector)
        box.clear()
        box.send_keys(text)

    def picture(self, path: Path) -> None:
        """What the window shows, as WebP."""
        path.parent.mkdir(parents=True, exist_ok=True)
        told = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "webp", "quality": 60})
        path.write_bytes(base64.b64decode(told["data"]))

    def megabytes(self) -> float:
        """Memory of the largest tab: what its process alone has, beside what it shares with others."""
        browser = psutil.Process(self.driver.service.process.pid)
        tabs = [one for one in browser.children(recursive=True) if "--type=renderer" in one.cmdline()]
        return max(one.memory_full_info().uss for one in tabs) / 1e6

    @property
    def processes(self) -> list[int]:
        """All processes of the browser: tabs come and go."""
        browser = psutil.Process(self.driver.service.process.pid)
        return [browser.pid, *(one.pid for one in browser.children(recursive=True))]

    def requests(self) -> set[str]:
        """Every address that was asked for until now, but for data and blobs in the page itself."""
        self._logged += [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        asked = {one["params"]["request"]["url"] for one in self._logged if one["method"] == "Network.requestWillBeSent"}
        return {url for url in asked if not url.startswith(("data:", "blob:", "chrome:"))}

    def errors(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]

    def violations(self, script: str) -> list[str]:
        """What axe-core finds that is serious or critical: rule and first element."""
        self.ask(script)
        found = self.driver.execute_async_script("axe.run({preload: false}).then(arguments[0])")["violations"]
        return [f"{one['id']}: {one['nodes'][0]['html'][:120]}" for one in found if one["impact"] in ("serious", "critical")]


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser with an empty profile."""
    webdriver = _selenium()
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which(PROGRAMS[0])
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = webdriver.ChromeService(shutil.which(PROGRAMS[1]), env={**os.environ, "no_proxy": "*"})
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_script_timeout(180)
    driver.set_page_load_timeout(180)
    try:
        yield Browser(driver)
    finally:
        driver.quit()
