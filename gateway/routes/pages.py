"""Pages for people and their files, and the headers that keep them to themselves."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.exceptions import NotFound
from gateway.http.assets import assets
from gateway.http.endpoint import Endpoints, Handler
from publisher.redis.address import parse

PAGES: Final = {
    "/": "index.html",
    "/client": "client.html",
    "/admin": "admin.html",
    "/demo": "demo.html",
    "/chat": "chat.html",
}
_HOST: Final = re.compile(r"[A-Za-z0-9.\-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")
_TWO_NAMES: Final = {"localhost": "127.0.0.1", "127.0.0.1": "localhost"}

SECURITY: Final = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


def policy(also_connect: str = "") -> str:
    """The Content-Security-Policy of every page: the node's own files, pictures inside of events, framed by nobody."""
    return (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
        f"connect-src 'self'{also_connect and ' ' + also_connect}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    )


@dataclass(frozen=True)
class Pages:
    """``dev``: with what only a developer's node shows, among it which broker it uses. ``hub``: the path of the Mercure
    hub, for whoever looks for it here."""

    dev: bool
    version: str
    redis_url: str
    root_path: str
    hub: str | None = None

    def page(self, file: str) -> Handler:
        async def answer(request: Request) -> Response:
            other = other_name(request) if self.dev and file == "demo.html" else ""
            texts = {
                "version": self.version,
                "mode": "dev" if self.dev else "serve",
                "demo": "yes" if _has_demo(request) else "no",
                "origin": origin(request) + self.root_path,
                "other": other,
                "broker": _broker(self.redis_url) if self.dev else "",
            }
            body = _filled(_page(file, self.dev, _has_demo(request)), texts)
            headers = {**SECURITY, "cache-control": "no-store", "content-security-policy": policy(other)}
            if self.hub:
                headers["link"] = f'<{self.root_path}{self.hub}>; rel="mercure"'
            return Response(body, 200, headers, "text/html; charset=utf-8")

        return answer


async def asset(request: Request) -> Response:
    """``GET /static/{name}``, with a tag that makes a second visit cheap."""
    found = assets().get(request.path_params["name"])
    if found is None:
        raise NotFound("There is no such file.")
    headers = {**SECURITY, "cache-control": "no-cache", "etag": found.tag}
    if found.is_known(request.headers.get("if-none-match")):
        return Response(status_code=304, headers=headers)
    return Response(found.body, 200, headers, found.media_type)


def origin(request: Request) -> str:
    """Where the reader's browser found this node, for commands to copy; a strange ``Host`` is not repeated."""
    host = request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        host = "127.0.0.1:8000"
    return f"{request.url.scheme}://{host}"


def other_name(request: Request) -> str:
    """This node's origin under its other loopback name, empty where there is none: a browser opens no more than six
    connections to one name, and the demo page needs seven."""
    name, colon, port = request.headers.get("host", "").partition(":")
    if name not in _TWO_NAMES or (colon and not re.fullmatch(r"\d{1,5}", port)):
        return ""
    return f"{request.url.scheme}://{_TWO_NAMES[name]}{colon}{port}"


def _has_demo(request: Request) -> bool:
    """Whether ``dev`` runs its worker, which ``--no-demo`` leaves out."""
    return any(getattr(route, "path", None) == "/dev/watch" for route in request.app.routes)


def _broker(redis_url: str) -> str:
    where = parse(redis_url)
    return where.url if "@" not in where.url else where.where  # a password is not for the screen


def _filled(text: str, texts: Mapping[str, str]) -> str:
    for name, value in texts.items():
        text = text.replace("{{" + name + "}}", html.escape(value))
    return text


@cache
def _page(file: str, dev: bool, demo: bool) -> str:
    place = files("gateway").joinpath("web", "pages")
    whole = place.joinpath("frame.html").read_text("utf-8")
    part = place.joinpath(file).read_text("utf-8")
    title, _, content = part.partition("\n")
    whole = whole.replace("{{title}}", title).replace("{{content}}", content)
    commands = ["commands_demo.html"] * demo + ["commands_dev.html" if dev else "commands.html"]
    whole = whole.replace("{{commands}}", "".join(place.joinpath(each).read_text("utf-8") for each in commands))
    here = "" if file == "index.html" else file.removesuffix(".html")
    whole = whole.replace(f'<a href="./{here}">', f'<a href="./{here}" aria-current="page">')
    return whole.replace("{{script}}", file.removesuffix(".html"))


def routes(endpoint: Endpoints, pages: Pages) -> list[BaseRoute]:
    assets()  # a broken package is noticed at start
    shown: list[BaseRoute] = [endpoint(path, GET=pages.page(file)) for path, file in PAGES.items()]
    return [*shown, endpoint("/static/{name:id}", GET=asset)]
