"""Answers in a real browser: on the chat page, and in an application with `useChat` that knows of no gateway."""

from __future__ import annotations

import secrets
import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from gateway.demo.writer import SURVIVES
from tests.browser.conftest import OpenPage
from tests.support.node import ROOT

pytestmark = pytest.mark.xdist_group("browser")
WORDS = "#messages .theirs .words"
ASKED = "How does this survive a reload? Slowly, please."


def written(question: str) -> str:
    return SURVIVES.format(question=question)


def kill_the_node(page: Page, number: int) -> None:
    page.get_by_role("button", name=f"Kill node {number}").click()
    expect(page.locator("#seen")).to_contain_text(f"Node {number} was killed")


def grows(page: Page, selector: str) -> None:
    """Return when there are more words of an answer than now."""
    there = len(page.locator(selector).last.text_content() or "")
    page.wait_for_function(
        "([selector, there]) => [...document.querySelectorAll(selector)].at(-1)?.textContent.length > there + 5",
        arg=[selector, there],
    )


def test_the_chat_page_shows_each_word_once_over_a_reload_a_second_window_and_dead_nodes(
    dev: str, open_page: OpenPage
) -> None:
    page = open_page(f"{dev}/chat")
    page.get_by_label("Question").fill(ASKED)
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator("#messages .theirs")).to_contain_text("You asked:")
    page.get_by_role("button", name="Reload this page").click()
    expect(page.locator("#seen")).to_contain_text("Found the answer in the middle")
    other = open_page(page.url)
    expect(other.locator("#messages .theirs")).to_contain_text("You asked:")
    for number in (1, 2):
        kill_the_node(page, number)
        for each in (page, other):
            grows(each, WORDS)
    page.get_by_role("button", name="Stop").click()
    for each in (page, other):
        expect(each.locator("#state")).to_have_text("stopped")
        expect(each.locator("#messages .theirs")).to_contain_text("Stopped.")
        assert each.locator("#messages .mine").all_text_contents() == [f"You: {ASKED}"]
    words = [each.locator(WORDS).last.text_content() or "" for each in (page, other)]
    assert words[0] == words[1]
    assert written(ASKED).startswith(words[0])
    other.get_by_label("Question").fill("What is the weather in Bergen? Quickly!")
    other.get_by_role("button", name="Ask", exact=True).click()
    for each in (page, other):  # the first window hears of it
        last = each.locator("#messages .theirs").last
        expect(last).to_contain_text('{"city":"Bergen"}')
        expect(last).to_contain_text("9 degrees in Bergen")


def test_an_answer_that_fails_says_so_also_after_a_reload(dev: str, open_page: OpenPage) -> None:
    page = open_page(f"{dev}/chat")
    page.get_by_label("Question").fill("Please fail, quickly")
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator("#state")).to_have_text("failed")
    for _ in range(2):
        expect(page.locator("#messages .theirs")).to_contain_text("was asked to fail halfway")
        page.reload()


def is_broken_off(lab: Page, broken: list[str]) -> bool:
    """Kill one node, or the other as well where the first serves none of the streams; whether one broke off."""
    for number in (1, 2):
        kill_the_node(lab, number)
        if broken:
            break
    return bool(broken)


def goes_on(page: Page) -> None:
    """Return when there are more words of the answer than now; a stream that was broken off is asked for again."""
    page.evaluate("""() => setInterval(() => {
        if (document.querySelector("output").textContent === "error") document.querySelector("#again").click();
    }, 100)""")
    grows(page, ".assistant .text")


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of the application, with React and the AI SDK."""
    script = tmp_path_factory.mktemp("app") / "app.js"
    here = ROOT / "tests" / "js"
    esbuild = here / "node_modules" / ".bin" / "esbuild"
    assert esbuild.exists(), "The application needs npm ci --prefix tests/js (make test does it)."
    subprocess.run(
        [esbuild, here / "chat-app.mjs", "--bundle", "--format=iife", f"--outfile={script}", "--log-level=warning"],
        check=True,
        timeout=60,
    )
    return Path(script).read_text("utf-8")


def test_use_chat_goes_on_after_a_reload_in_mid_answer_and_after_the_death_of_its_node(
    dev: str, open_page: OpenPage, application: str
) -> None:
    """In a browser's own network stack: over the redirect, with a guest's cookie, broken off and found again."""
    address = f"{dev}/app?chat={secrets.token_hex(5)}"

    def opened() -> Page:
        page = open_page("about:blank")
        page.on("requestfailed", lambda request: broken.append(request.url))
        body = "<!doctype html><div id=root></div><script src=app.js></script>"
        page.route("**/app?*", lambda route: route.fulfill(body=body, content_type="text/html"))
        page.route("**/app.js", lambda route: route.fulfill(body=application, content_type="text/javascript"))
        page.goto(address)
        return page

    lab = open_page(f"{dev}/chat")
    broken: list[str] = []
    page = opened()
    page.get_by_role("button", name="Ask").click()
    answer, status = page.locator(".assistant .text"), page.locator("output")
    expect(answer).to_contain_text("You asked:")
    page.reload()
    expect(answer).to_contain_text("You asked:")
    expect(status).to_have_text("streaming")
    second = opened()
    expect(second.locator(".assistant .text")).to_contain_text("You asked:")
    broken.clear()  # the reload ended one
    assert is_broken_off(lab, broken)
    for each in (page, second):
        goes_on(each)
    chat = address.partition("chat=")[2]
    page.evaluate("chat => fetch(`api/chat/${chat}/stop`, { method: 'POST' })", chat)
    for each in (page, second):
        expect(each.locator("output")).to_have_text("ready")
    words = [each.locator(".assistant .text").all_text_contents() for each in (page, second)]
    assert words[0] == words[1] and len(words[0]) == 1
    assert written("How does this survive? Slowly, please.").startswith(words[0][0])
