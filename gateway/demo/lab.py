"""What only ``dev`` offers to its demo page: taking a node or Redis away, to see that nothing is lost.

Nobody but the pages of this very node may ask for it: neither another page in the developer's browser, nor one whose
name points to this machine.
"""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from gateway.auth.access import origin_allowed
from gateway.auth.same_site import own_origin, require_local_name
from gateway.exceptions import BadRequest, Forbidden
from gateway.http import responses
from gateway.http.body import read_json

BROKER: Final = ("freeze", "lose")
DO: Final = ("kill", *BROKER)
MAX_READ: Final = 65_536


class Lab:
    """The node's end of the line to ``dev``: the newest state of everything, and wishes. ``name`` is this node's."""

    def __init__(self, name: str, control: int) -> None:
        self._name = name
        self._control = control
        self.state: Mapping[str, Any] = {}

    def listen(self) -> None:
        """Read the state from stdin in a thread; when ``dev`` is gone, end this process too."""
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        rest = b""
        # Not by sys.stdin, whose lock a thread that waits would hold while the interpreter ends.
        while found := os.read(0, MAX_READ):
            *lines, rest = (rest + found).split(b"\n")
            if lines:
                self.state = json.loads(lines[-1])
        os.kill(os.getpid(), signal.SIGTERM)

    def wish(self, **what: str) -> None:
        """Ask ``dev`` for something. Short lines arrive whole, however many nodes write."""
        os.write(self._control, json.dumps(what).encode() + b"\n")

    def up(self, node_id: str) -> None:
        """Tell that this node listens."""
        self.wish(do="up", part=self._name, id=node_id)

    async def answer(self, request: Request) -> Response:
        """``GET /dev/lab``: the processes of ``dev``, ``this`` is the node that answers. ``POST``: see :meth:`act`."""
        if request.method == "POST":
            return await self.act(request)
        require_local_name(request)
        return responses.json_response({**self.state, "this": self._name})

    async def act(self, request: Request) -> Response:
        """``POST /dev/lab`` ``{"do": "kill", "node": "1"}``, ``{"do": "freeze"}`` or ``{"do": "lose"}``."""
        check_page(request)
        body = await read_json(request)
        wish = body if isinstance(body, dict) else {}
        do, node = wish.get("do"), wish.get("node")
        if do not in DO:
            raise BadRequest(f'Say what to do: {{"do": …}} with one of {", ".join(DO)}.')
        if do in BROKER:
            if self.state.get("broker", {}).get("state") == "own":
                raise BadRequest("The broker is your own (--redis-url), so dev leaves it alone.")
            self.wish(do=do)
        elif isinstance(node, str) and node in [each["name"] for each in self.state.get("nodes", ())]:
            self.wish(do="kill", part=node)
        else:
            raise BadRequest('Name the node: {"do": "kill", "node": "1"}.')
        return responses.json_response({"accepted": do}, 202)

    def routes(self) -> list[BaseRoute]:
        # No ``endpoint``, which wants Redis: these have to work while it is away.
        return [Route("/dev/lab", self.answer, methods=["GET", "POST"])]


def check_page(request: Request) -> None:
    """Refuse every page but this node's own. A browser names the page's origin in each ``POST``; a page whose name was
    made to point here names that."""
    require_local_name(request)
    origin = request.headers.get("origin")
    if not origin_allowed(origin, own_origin(request), (), required=True):
        raise Forbidden(f'Only pages of this node may do this; curl needs -H "Origin: {own_origin(request)}".')
