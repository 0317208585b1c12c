"""A real Chromium, and `sse-gateway dev` for it to look at."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.support.commands import Running

ARGUMENTS = (
    "--no-sandbox",  # the tests may run as root in a container
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
TIMEOUT_MS = 15_000

OpenPage = Callable[..., Page]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """Debian's Chromium; none is downloaded."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert path is not None, "install Chromium: apt-get install chromium"
    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield running
        running.close()


@pytest.fixture(scope="package")
def dev() -> Iterator[str]:
    """The address of `sse-gateway dev` for all tests of this folder."""
    with Running.command("dev", "--port", "0") as running:
        found = re.search(r"runs at (http://\S+)\n", running.wait_for("Ctrl-C ends it."))
        assert found is not None
        yield found[1]
        assert running.end() == 0
        assert "Traceback" not in running.stderr


@pytest.fixture
def open_page(browser: Browser) -> Iterator[OpenPage]:
    """``open_page(url, **context options)``: a page of this test's own browser profile.

    Fails the test for anything that the Content-Security-Policy had to stop, and for errors in scripts.
    """
    contexts: list[BrowserContext] = []
    wrong: list[str] = []

    def opened(url: str, **options: Any) -> Page:
        if not contexts or options:
            contexts.append(browser.new_context(**options))
            contexts[-1].set_default_timeout(TIMEOUT_MS)
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if "Security Policy" in message.text else None)
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []
