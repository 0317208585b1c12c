"""Every call and stream of a node, and who may have it: the access table as data.

A cell is the status that the bearer of a column gets; ``a/b`` is a where anonymous reading is off and b where it is
on; ``-`` cannot be tried. 200 stands for whatever the call answers when it is allowed.

Columns: ``nobody`` has no credentials, ``bad`` ones that are not good; ``eve`` has a token and no rights, ``ann`` owns
the jobs and the client; ``publish``, ``stats`` and ``admin`` hold that scope; ``jobs`` and ``all`` may read ``job:*``
and ``*``; ``no-sub`` has a token without subject; ``ticket`` is one of ann's for the very channels of the call,
``other`` one of hers for another channel; ``quiet`` is the administrator's cookie without an Origin, ``cross`` the
same from another site's page.

The Mercure hub has a table of its own, because it takes other tokens, and those only as a header here: ``token`` is any
good one of the node's, whatever it may do there, and ``hub`` one with rights on the hub, which is eve's elsewhere.
"""

from __future__ import annotations

import re
from typing import Any, Final, NamedTuple

TABLE: Final = """
row          nobody   bad  eve      ann      admin  publish  stats    jobs     all  no-sub   ticket  other  quiet  cross
open         200      200  200      200      200    200      200      200      200  200      200     200    200    200
metrics      401      401  401      401      401    401      401      401      401  401      401     401    401    401
own-jobs     401      401  200      200      200    200      200      200      200  401      200     403    200    403
ann-job      401/404  401  404      200      200    404      404      200      200  404      200     404    200    403
free-job     401/200  401  200      200      200    200      200      200      200  200      200     404    200    403
no-job       401/404  401  404      404      404    404      404      404      404  404      -       404    404    403
chat         401/204  401  204      200      204    204      204      204      204  204      200     204    204    403
ai-answer    401/404  401  404      200      200    404      404      200      200  404      200     404    200    403
ai-stop      401      401  200      200      200    200      200      200      200  401      403     403    403    403
client       401/200  401  403/200  200      200    403/200  403/200  403/200  200  403/200  200     403    200    403
user         401      401  403      200      200    403      403      403      200  403      200     403    200    403
topic        401/200  401  403/200  403/200  200    403/200  403/200  403/200  200  403/200  200     403    200    403
presence     401      401  403      403      200    403      200      403      200  403      200     403    200    403
broadcast    401/200  401  200      200      200    200      200      200      200  200      200     403    200    403
publish      401      401  403      403      200    200      403      403      403  403      403     403    403    403
stats        401      401  403      403      200    403      200      403      403  403      403     403    200    403
admin        401      401  403      403      200    403      403      403      403  403      403     403    403    403
cancel-ann   401      401  404      200      200    404      404      404      404  404      404     404    403    403
cancel-free  401      401  404      404      200    404      404      404      404  404      404     404    403    403
mint-ann     401      401  404      200      200    404      404      200      200  404      403     403    403    403
mint-free    401      401  200      200      200    200      200      200      200  200      403     403    403    403
mint-none    401      401  404      404      404    404      404      404      404  404      -       403    403    403
mint-client  401      401  403/200  200      200    403/200  403/200  403/200  200  403/200  403     403    403    403
mint-user    401      401  403      200      200    403      403      403      200  403      403     403    403    403
mint-topic   401      401  403/200  403/200  200    403/200  403/200  403/200  200  403/200  403     403    403    403
mint-presence 401     401  403      403      200    403      200      403      200  403      403     403    403    403
mint-all     401      401  200      200      200    200      200      200      200  200      403     403    403    403
"""

HUB_TABLE: Final = """
row          nobody   bad  token  hub
hub-read     401/200  401  200    200
hub-publish  401      401  403    200
hub-list     401      401  403    200
"""


class Case(NamedTuple):
    """One way to ask for something. ``{cell}`` in path, body and form is an id that no other try has; ``channels`` are
    those that a ticket for this call is made for, and ``effect`` what an allowed call leaves behind in Redis."""

    row: str
    method: str
    route: str
    path: str
    channels: tuple[str, ...] = ("topic:none",)
    body: dict[str, Any] | None = None
    effect: str = ""
    allowed: int = 200
    form: str = ""

    @property
    def of_hub(self) -> bool:
        """Whether the table of the Mercure hub is meant."""
        return self.row.startswith("hub-")


def expected(row: str, column: str, *, anonymous_reading: bool) -> str:
    """The cell of the table: a status, or ``-``."""
    off, _, on = _CELLS[row, column].partition("/")
    return on if on and anonymous_reading else off


def rows() -> list[str]:
    return list(dict.fromkeys(row for row, _ in _CELLS))


def _cells(table: str) -> dict[tuple[str, str], str]:
    head, *lines = [line.split() for line in table.strip().splitlines()]
    return {(line[0], column): cell for line in lines for column, cell in zip(head[1:], line[1:], strict=True)}


_CELLS: Final = _cells(TABLE) | _cells(HUB_TABLE)

_OF_A_JOB: Final = {
    "/v1/jobs/{job_id}": "/v1/jobs/{id}",
    "/v1/jobs/{job_id}/events": "/v1/jobs/{id}/events",
    "/api/v1/sse/jobs/character/{job_id}": "/api/v1/sse/jobs/character/{id}",
    "/api/v1/sse/jobs/media/{job_id}": "/api/v1/sse/jobs/media/{id}",
    "/api/generation": "/api/generation?sessionId={id}",
    "/api/v1/status/tasks/{task_id}/stream": "/api/v1/status/tasks/{id}/stream",
    "/jobs/{job_id}/stream": "/jobs/{id}/stream",
    "/v1/events": "/v1/events?channel=job:{id}",
}


def _of_a_job(row: str, owner: str) -> list[Case]:
    made = []
    for route, path in _OF_A_JOB.items():
        job_id = f"{owner}-{'media' if 'media' in route else 'character'}"
        made.append(Case(row, "GET", route, path.replace("{id}", job_id), (f"job:{job_id}",)))
    return made


def _channels(row: str, *names: str) -> Case:
    return Case(row, "GET", "/v1/events", "/v1/events?" + "&".join(f"channel={name}" for name in names), names)


def _mint(row: str, *names: str) -> Case:
    return Case(row, "POST", "/v1/tickets", "/v1/tickets", names, {"channels": list(names)})


def _cancel(owner: str) -> Case:
    job_id = f"{owner}-{{cell}}"
    path = f"/v1/jobs/{job_id}/cancel"
    return Case(f"cancel-{owner}", "POST", "/v1/jobs/{job_id}/cancel", path, effect=f"status {job_id} cancelled")


def _paused(owner: str, verb: str, paused: bool) -> Case:
    job_id = f"{owner}-{{cell}}"
    path = f"/v1/jobs/{job_id}/{verb}"
    return Case(f"cancel-{owner}", "POST", f"/v1/jobs/{{job_id}}/{verb}", path, effect=f"paused {job_id} {paused}")


_AI: Final = "/api/chat/{chat_id}/stream"
_HUB: Final = "/.well-known/mercure"
_LIST: Final = f"{_HUB}/subscriptions"
_CLIENT: Final = ("client:ann", "broadcast")

_PAGE: Final = re.compile(r"/(client|admin|demo|chat)?|/static/.+")


def page(route: str) -> Case | None:
    """The call for a page or one of its files, which are for everybody; None for any other route."""
    return Case("open", "GET", route, re.sub(r"\{\w+\}", "sse-client.js", route)) if _PAGE.fullmatch(route) else None


CALLS: Final = [
    *[
        Case("open", "GET", path, path)
        for path in ("/livez", "/readyz", "/openapi.json", f"/.well-known/oauth-protected-resource{_HUB}")
    ],
    Case("metrics", "GET", "/metrics", "/metrics"),
    *[
        Case("own-jobs", "GET", path, path, ("user:ann",))
        for path in ("/v1/jobs", "/v1/jobs/events", "/api/v1/sse/jobs/my")
    ],
    *_of_a_job("ann-job", "ann"),
    *_of_a_job("free-job", "free"),
    *_of_a_job("no-job", "missing"),
    Case("chat", "GET", "/v1/chats/{chat_id}/events", "/v1/chats/ann-chat/events", ("job:ann-answer",)),
    Case("chat", "GET", _AI, "/api/chat/ann-chat/stream", ("job:ann-answer",)),
    Case("ai-answer", "GET", _AI, "/api/chat/ann-chat/stream?answer=ann-answer", ("job:ann-answer",)),
    Case("ai-stop", "POST", "/api/chat/{chat_id}/stop", "/api/chat/nothing/stop", body={}),
    Case("client", "GET", "/v1/clients/{client_id}/events", "/v1/clients/ann/events", _CLIENT),
    Case("client", "GET", "/api/sse/subscribe/{client_id}", "/api/sse/subscribe/ann", _CLIENT),
    _channels("client", "client:ann"),
    _channels("client", *_CLIENT, "job:free-media"),
    _channels("user", "user:ann"),
    _channels("user", "broadcast", "user:ann"),
    _channels("topic", "topic:news"),
    _channels("presence", "topic:presence"),
    _channels("presence", "broadcast", "topic:presence"),
    _channels("broadcast", "broadcast"),
    Case(
        "publish",
        "POST",
        "/v1/events",
        "/v1/events",
        body={"channel": "topic:{cell}", "type": "t", "data": 1},
        effect="event topic:{cell}",
    ),
    Case(
        "publish",
        "POST",
        "/api/sse/notify",
        "/api/sse/notify",
        body={"clientId": "{cell}", "event": "t", "payload": 1},
        effect="event client:{cell}",
    ),
    Case(
        "publish",
        "POST",
        "/v1/jobs",
        "/v1/jobs",
        body={"job_id": "made-{cell}", "kind": "k"},
        effect="status made-{cell} pending",
        allowed=201,
    ),
    Case(
        "publish",
        "PATCH",
        "/v1/jobs/{job_id}",
        "/v1/jobs/ann-{cell}",
        body={"progress": 1},
        effect="status ann-{cell} active",
    ),
    Case(
        "cancel-ann",
        "POST",
        "/v1/jobs/{job_id}/cancel",
        "/v1/jobs/ann-{cell}/cancel",
        effect="status ann-{cell} cancelled",
    ),
    Case(
        "cancel-free",
        "POST",
        "/v1/jobs/{job_id}/cancel",
        "/v1/jobs/free-{cell}/cancel",
        effect="status free-{cell} cancelled",
    ),
    *(
        _paused(owner, verb, paused)
        for owner in ("ann", "free")
        for verb, paused in (("pause", True), ("resume", False))
    ),
    _mint("mint-ann", "job:ann-media"),
    _mint("mint-ann", "broadcast", "job:free-media", "job:ann-media"),
    _mint("mint-free", "job:free-media"),
    _mint("mint-none", "job:missing"),
    _mint("mint-client", "client:ann"),
    _mint("mint-user", "user:ann"),
    _mint("mint-topic", "topic:news"),
    _mint("mint-presence", "topic:presence"),
    _mint("mint-presence", "broadcast", "topic:presence"),
    _mint("mint-all", "broadcast"),
    *[Case("stats", "GET", path, path) for path in ("/v1/stats", "/v1/clients", "/api/sse/metrics")],
    Case(
        "admin",
        "DELETE",
        "/v1/clients/{client_id}",
        "/v1/clients/{cell}?revoke=true",
        effect="revoked {cell}",
    ),
    *[Case("hub-read", "GET", _HUB, f"{_HUB}?{query}") for query in ("topic=news", "match=news", "topic=*")],
    Case("hub-publish", "POST", _HUB, _HUB, effect="event topic:{cell}", form="topic={cell}&data=x"),
    Case("hub-list", "GET", _LIST, _LIST),
    Case("hub-list", "GET", f"{_LIST}/{{first}}", f"{_LIST}/news"),
    Case("hub-list", "GET", f"{_LIST}/{{first}}/{{second}}", f"{_LIST}/news/nobody", allowed=404),
    Case("hub-list", "GET", f"{_LIST}/{{first}}/{{second}}/{{third}}", f"{_LIST}/exact/news/nobody", allowed=404),
]
