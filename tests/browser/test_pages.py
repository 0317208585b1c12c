"""The pages as people use them: in a real browser, with keyboard and phone, in both colours, and while things break."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import OpenPage
from tests.support.node import Node
from tests.support.tokens import token

# Together on one worker: they share a node and take it away from each other, and Chromium is large.
pytestmark = pytest.mark.xdist_group("browser")
PATHS = ("/", "/client", "/admin", "/demo", "/chat")
LAB = "#lab-nodes button"
PANES = ("native", "jobs", "generation", "tasks", "video")


def join(page: Page, name: str) -> None:
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="Join").click()
    expect(page.locator("#state")).to_have_text("connected")


def send(admin: Page, message: str) -> None:
    admin.get_by_label("Data, any JSON value").fill(json.dumps({"message": message}))
    admin.locator("#send").get_by_role("button", name="Send").click()
    expect(admin.locator("#sent")).to_contain_text("Sent to")


@pytest.fixture
def serve(redis_url: str, prefix: str) -> Iterator[Node]:
    """A node as in production: nothing without a token."""
    with Node(redis_url, prefix) as node:
        yield node


def test_who_joins_is_seen_told_and_sent_away(dev: str, open_page: OpenPage) -> None:
    ann = open_page(f"{dev}/client")
    bob = open_page(f"{dev}/client")
    admin = open_page(f"{dev}/admin")
    join(ann, "ann")
    join(bob, "bob")
    for name in ("ann", "bob"):
        expect(admin.get_by_role("checkbox", name=f"Choose {name}")).to_be_visible()

    admin.get_by_role("button", name="Send to ann").click()
    send(admin, "for ann")
    admin.get_by_role("checkbox", name="Choose bob").check()
    send(admin, "for bob")
    admin.get_by_label("To", exact=True).select_option("everybody")
    send(admin, "for all")
    for page, mine, other in ((ann, "for ann", "for bob"), (bob, "for bob", "for ann")):
        events = page.locator("#events")
        expect(events).to_contain_text("for all")
        expect(events).to_contain_text(mine)
        expect(events).not_to_contain_text(other)
    expect(ann.locator("#count")).to_have_text("2")
    assert ann.locator("#cursor").inner_text() != "none yet"

    admin.get_by_role("button", name="Disconnect bob").click()
    expect(admin.get_by_role("dialog")).to_contain_text("All streams of bob")
    admin.get_by_role("dialog").get_by_role("button", name="Disconnect").click()
    expect(bob.get_by_role("alert")).to_contain_text("An administrator has disconnected this client")
    expect(admin.get_by_role("checkbox", name="Choose bob")).to_have_count(0)
    expect(ann.locator("#state")).to_have_text("connected")


def test_a_client_that_cuts_its_connection_gets_what_it_missed_once(dev: str, open_page: OpenPage) -> None:
    page = open_page(f"{dev}/client")
    page.get_by_label("Name", exact=True).fill("a b")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("without whitespace")
    join(page, "cut")
    admin = open_page(f"{dev}/admin")
    admin.get_by_label("Client", exact=True).fill("cut")
    send(admin, "one")
    expect(page.locator("#count")).to_have_text("1")
    page.get_by_role("button", name="Cut and connect again").click()
    send(admin, "two")
    expect(page.locator("#count")).to_have_text("2")
    expect(page.locator("#events")).to_contain_text("Connected again")
    page.get_by_role("button", name="Leave").click()
    expect(page.locator("#state")).to_have_text("left")


def test_who_sends_to_somebody_away_is_told_so(dev: str, open_page: OpenPage) -> None:
    admin = open_page(f"{dev}/admin")
    admin.get_by_label("Client", exact=True).fill("nobody-here")
    send(admin, "lost")
    expect(admin.locator("#sent.warn")).to_contain_text("Nobody is listening there now")
    join(open_page(f"{dev}/client"), "latency")
    admin.get_by_label("Client", exact=True).fill("latency")
    send(admin, "found")
    expect(admin.locator("#sent.good")).not_to_contain_text("Nobody")
    expect(admin.locator("#latency")).to_contain_text("ms")
    expect(admin.locator("#latency")).to_contain_text("ago")  # it stays when nothing more is on its way


def test_a_job_is_told_in_every_dialect_over_the_death_of_both_nodes(dev: str, open_page: OpenPage) -> None:
    page = open_page(f"{dev}/demo")
    native_pane = page.get_by_role("region", name="native", exact=True)
    expect(native_pane).to_contain_text("Here will be: a bar")
    character = page.get_by_role("button", name="Character")
    page.get_by_label("Speed").select_option("quick")
    character.click()
    expect(page.locator("#bar")).not_to_have_js_property("value", 0)
    expect(character).to_have_attribute("aria-current", "true")
    for number in (1, 2):
        page.get_by_role("button", name=f"Kill node {number}").click()
        expect(page.locator("#panes")).to_contain_text(f"Node {number} was killed")
    expect(page.locator("#job-state")).to_have_text("completed")
    for name in PANES:
        pane = page.get_by_role("region", name=f"frames of {name}")
        expect(pane).to_contain_text("The end: the job has ended.")
        expect(pane).to_contain_text("Disconnected: the connection was lost")
        expect(pane).to_contain_text("resumed after cursor")
        # What a user of that front end sees: a full bar, and the picture if its words have one.
        seen = page.get_by_role("region", name=name, exact=True)
        expect(seen.get_by_role("progressbar")).to_have_js_property("value", 100)
        expect(seen.get_by_role("img", name="A picture")).to_have_count(0 if name == "generation" else 1)
    expect(character).not_to_have_attribute("aria-current", "true")
    frames = page.get_by_role("region", name="frames of native")
    assert "event:" not in frames.inner_text()
    page.get_by_role("switch", name="Show the frames").check()
    native = frames.inner_text()
    assert "base64,PHN2ZyB4…" in native
    steps = re.findall(r'event: job\.progress\ndata: \{.*?"progress":(\d+)', native)
    assert steps == [str(percent) for percent in (*range(5, 100, 5), 99)]  # each once, in order
    expect(page.get_by_role("region", name="clients", exact=True)).to_contain_text("job-ended · character")
    page.reload()
    expect(native_pane.get_by_role("img", name="A picture that the job made")).to_be_visible()
    expect(native_pane).to_contain_text("The end: the job has ended.")
    expect(native_pane).not_to_contain_text("Disconnected")  # its state alone told of the end


def test_redis_that_comes_back_empty_is_told_as_a_loss(dev: str, open_page: OpenPage) -> None:
    page = open_page(f"{dev}/demo")
    page.get_by_label("Speed").select_option("quick")
    page.get_by_role("button", name="Task with files").click()
    native = page.get_by_role("region", name="native", exact=True)
    expect(native).to_contain_text("processing")
    page.get_by_role("button", name="Let Redis lose everything").click()
    expect(page.locator("#redis-detail")).to_contain_text("empty")
    expect(native).to_contain_text("The node has lost Redis")
    expect(native).to_contain_text("the state begins anew")
    expect(page.locator("#job-state")).to_have_text("completed")
    # The other dialects tell a job that has ended meanwhile by its end alone.
    expect(native).to_contain_text("photo.pngcompleted 100 %")


def test_the_admin_page_shows_nothing_to_who_has_no_token_for_it(serve: Node, open_page: OpenPage) -> None:
    page = open_page(f"{serve.base}/admin")
    field = page.get_by_label("Token with the scope admin")
    for wrong, sentence in (("nonsense", "not a JWT"), (token("ann"), "lacks the scope")):
        field.fill(wrong)
        page.get_by_role("button", name="Show").click()
        expect(page.get_by_role("alert")).to_contain_text("This token does not open the page.")
        expect(page.get_by_role("alert")).to_contain_text(sentence)
        expect(page.locator("#panel")).to_be_hidden()
    right = token("boss", scope="admin")
    field.fill(right)
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#nodes tr")).to_have_count(1)
    kept = page.evaluate("JSON.stringify([location.href, {...sessionStorage}, {...localStorage}, document.cookie])")
    assert right not in kept
    page.reload()
    expect(page.locator("#panel")).to_be_hidden()


def test_in_production_a_client_joins_with_its_token(serve: Node, open_page: OpenPage) -> None:
    page = open_page(f"{serve.base}/client")
    page.get_by_label("Name", exact=True).fill("ann")
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_role("alert")).to_contain_text("put yours into the field Token")
    page.get_by_label("Token", exact=True).fill("nonsense")
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_role("alert")).to_contain_text("does not take your token. The token is not a JWT")
    page.get_by_label("Token", exact=True).fill(token("bob"))
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_role("alert")).to_contain_text("may not be read with this token")
    page.get_by_label("Token", exact=True).fill(token("ann"))
    join(page, "ann")
    demo = open_page(f"{serve.base}/demo")
    expect(demo.get_by_role("heading", name="Watch a job")).to_be_visible()
    expect(demo.locator("#panes section")).to_have_count(len(PANES))
    for cannot in ("Start a job", "Character", "Speed", "Kill", "Redis", "notice when a job of this page"):
        expect(demo.locator("main")).not_to_contain_text(cannot, use_inner_text=True)


def test_the_client_page_needs_no_mouse(dev: str, open_page: OpenPage) -> None:
    page = open_page(f"{dev}/client")

    def focused() -> str:
        return str(page.evaluate("document.activeElement.id || document.activeElement.textContent"))

    page.keyboard.press("Tab")
    assert focused() == "Skip to the content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert focused() == "name"
    page.keyboard.type("keys")
    page.keyboard.press("Enter")
    expect(page.locator("#state")).to_have_text("connected")
    page.keyboard.press("Tab")
    assert focused() == "leave"
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline != "none"
    page.keyboard.press("Enter")
    expect(page.locator("#state")).to_have_text("left")
    assert focused() == "name"


@pytest.mark.parametrize("colours", ["light", "dark"])
def test_axe_finds_nothing_on_pages_in_use(dev: str, open_page: OpenPage, colours: str) -> None:
    client = open_page(f"{dev}/client", color_scheme=colours)
    join(client, "axe")
    admin = open_page(f"{dev}/admin")
    admin.get_by_role("button", name="Send to axe").click()
    send(admin, "hello")
    expect(client.locator("#events li")).to_have_count(1)
    demo = open_page(f"{dev}/demo")
    demo.get_by_role("button", name="Media").click()
    expect(demo.locator("#bar")).not_to_have_js_property("value", 0)
    demo.get_by_role("button", name="Cut the connections").click()
    expect(demo.get_by_role("region", name="frames of native")).to_contain_text("resumed after")
    demo.get_by_role("switch", name="Show the frames").check()
    for page in (open_page(f"{dev}/"), client, admin, demo):
        found: dict[str, Any] = Axe().run(page).response
        assert [(each["id"], [node["html"][:120] for node in each["nodes"]]) for each in found["violations"]] == []


@pytest.mark.parametrize("path", PATHS)
def test_a_page_fits_on_a_small_phone(dev: str, open_page: OpenPage, path: str) -> None:
    page = open_page(f"{dev}{path}", viewport={"width": 320, "height": 640})
    if path == "/demo":
        page.get_by_label("Speed").select_option("slowest")
        page.get_by_role("button", name="Video").click()
        expect(page.locator("#bar")).to_be_in_viewport()  # not below the fold, as if nothing had begun
        expect(page.locator("#bar")).not_to_have_js_property("value", 0)
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator("#job-state")).to_have_text("cancelled")
        expect(page.get_by_role("button", name="Cancel")).to_be_hidden()
    if path == "/admin":
        expect(page.locator("#nodes tr")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") == 320


def test_the_chosen_colours_stay_over_a_reload(dev: str, open_page: OpenPage) -> None:
    page = open_page(f"{dev}/", color_scheme="light")

    def paper() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    light = paper()
    page.get_by_label("Colours").select_option("dark")
    dark = paper()
    assert dark != light
    page.reload()
    assert paper() == dark


@pytest.mark.parametrize("path", PATHS)
def test_behind_a_prefix_every_request_keeps_it(dev: str, open_page: OpenPage, path: str) -> None:
    asked: list[str] = []

    def strip(route: Route) -> None:
        asked.append(route.request.url.removeprefix(dev))
        route.fulfill(response=route.fetch(url=route.request.url.replace("/some/prefix/", "/", 1)))

    page = open_page("about:blank")
    page.route(re.compile(re.escape(dev)), strip)
    page.goto(f"{dev}/some/prefix{path}")
    place = {"/": "#ready.good", "/client": "#name", "/admin": "#nodes tr", "/demo": LAB, "/chat": LAB}[path]
    expect(page.locator(place).first).to_be_visible()
    assert asked
    assert [each for each in asked if not each.startswith("/some/prefix/")] == []
    page.unroute_all(behavior="ignoreErrors")
