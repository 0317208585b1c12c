"""Pages for people, and the headers that keep them to themselves."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from functools import cache
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from gateway.endpoint import endpoint
from gateway.node import Node

_STYLE = re.compile(r"<style>(.*?)</style>", re.DOTALL)
_HOST = re.compile(r"[A-Za-z0-9.\-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")

SECURITY: Final = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


async def landing(node: Node, request: Request) -> Response:
    commands = _file("commands_dev.html" if node.dev else "commands.html")
    page = _file("index.html").replace("{{commands}}", commands)
    page = page.replace("{{version}}", html.escape(node.version)).replace("{{origin}}", html.escape(origin(request)))
    headers = {**SECURITY, "content-security-policy": policy(page)}
    return Response(page, 200, headers, "text/html; charset=utf-8")


def origin(request: Request) -> str:
    """Where the reader's browser found this node, for commands to copy; a strange ``Host`` is not repeated."""
    host = request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        host = "127.0.0.1:8000"
    return f"{request.url.scheme}://{host}"


def policy(page: str) -> str:
    """The Content-Security-Policy of a page without scripts: its own style, nothing else, framed by nobody."""
    digests = [hashlib.sha256(style.encode()).digest() for style in _STYLE.findall(page)]
    styles = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return f"default-src 'none'; style-src {styles}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


@cache
def _file(name: str) -> str:
    return files("gateway").joinpath("web", name).read_text("utf-8")


def routes(node: Node) -> list[BaseRoute]:
    return [endpoint(node, "/", GET=landing)]
