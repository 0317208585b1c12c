"""Everybody who may knock: good credentials of each kind, and every kind of bad ones."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from tests.http.access_calls import Case
from tests.support.tokens import key_pair, raw_token, token

ISSUER_KEY, OTHER_KEY = key_pair("RS256"), key_pair("RS256", number=1)
KEY_ID: Final = "k1"
AUDIENCE, ISSUER = "the-gateway", "https://issuer.example"
TICKET_KEY: Final = "the-secret-that-signs-tickets-of-the-table"
LISTED_ORIGIN: Final = "https://app.example"


class Bearer(NamedTuple):
    """Who asks, with which credentials. ``column`` is the one of the table; ``minted``: a ticket of ``ann`` or ``gone``
    for the channels of the call comes along as well."""

    name: str
    column: str
    headers: Mapping[str, str] = {}
    query: str = ""
    minted: str = ""
    on_hub: bool = False
    """The token has rights on the Mercure hub."""

    def column_of(self, call: Case) -> str:
        """The column of this bearer in the table that is the call's."""
        if not call.of_hub:
            return self.column
        if not self.headers.get("Authorization", "").startswith("Bearer"):
            return "nobody"
        return "bad" if self.column == "bad" else "hub" if self.on_hub else "token"


def issued(sub: str | None, **more: Any) -> str:
    """A token as the issuer makes them; further arguments spoil it."""
    chosen: dict[str, Any] = {"key": ISSUER_KEY, "headers": {"kid": KEY_ID}, "aud": AUDIENCE, "iss": ISSUER}
    return token(sub, **{**chosen, **more})


def bearer(text: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {text}"}


def cookie(text: str, **more: str) -> dict[str, str]:
    return {"Cookie": f"theme=dark; sse_token={text}", **more}


def everybody(base: str, other_ticket: str, gone: str, *, query_tokens: bool, key_set: bool) -> list[Bearer]:
    """All of them, for the node at ``base``; ``other_ticket`` is one of ann's that fits no call, ``gone`` the token of
    somebody who was revoked."""
    nobodys = Bearer("token without subject", "bad" if key_set else "no-sub", bearer(issued(None)))
    return [*_good(base, other_ticket), nobodys, *_queries(query_tokens), *_bad(base, other_ticket, gone, key_set)]


def _good(base: str, other_ticket: str) -> Iterator[Bearer]:
    yield Bearer("no credentials", "nobody")
    yield Bearer("another scheme", "nobody", {"Authorization": "Basic YW5uOmFubg=="})
    yield Bearer("another cookie", "nobody", {"Cookie": f"token={issued('ann')}"})
    yield Bearer("stranger", "eve", bearer(issued("eve")))
    yield Bearer("stranger with unknown scopes", "eve", bearer(issued("eve", scope="read write root ADMIN")))
    odd_blanks = "\u00a0admin publish\u2003stats\tadmin"
    yield Bearer("stranger with scopes between other blanks", "eve", bearer(issued("eve", scope=odd_blanks)))
    yield Bearer("stranger of nearly that name", "eve", bearer(issued("Ann")))
    yield Bearer("stranger of a look-alike name", "eve", bearer(issued("\uff41nn")))
    yield Bearer("stranger named like a pattern", "eve", bearer(issued("*")))
    yield Bearer(
        "stranger with patterns for nothing here", "eve", bearer(issued("eve", channels=["?ob:*", "job", "[j]*"]))
    )
    rights = {"publish": ["*"], "subscribe": ["*"]}
    yield Bearer("stranger with rights on the hub", "eve", bearer(issued("eve", mercure=rights)), on_hub=True)
    yield Bearer("owner", "ann", bearer(issued("ann")))
    yield Bearer("owner by cookie from the node's own page", "ann", cookie(issued("ann"), Origin=base))
    yield Bearer("publisher", "publish", bearer(issued("worker", scope="publish")))
    yield Bearer("statistician", "stats", bearer(issued("monitor", scope="stats")))
    yield Bearer("administrator", "admin", bearer(issued("root", scope="admin")))
    yield Bearer("administrator from a listed page", "admin", cookie(_root(), Origin=LISTED_ORIGIN))
    yield Bearer("reader of all jobs", "jobs", bearer(issued("jo", channels=["job:*"])))
    yield Bearer("reader of everything", "all", bearer(issued("al", channels=["*"])))
    yield Bearer("ticket for this", "ticket", minted="ann")
    yield Bearer("ticket for this, beside a stranger's cookie", "ticket", cookie(issued("eve")), minted="ann")
    yield Bearer("ticket for something else", "other", query=f"ticket={other_ticket}")
    yield Bearer("administrator by cookie without origin", "quiet", cookie(_root()))
    for site in ("cross-site", "same-site"):
        yield Bearer(
            f"administrator by cookie in an image, {site}", "cross", cookie(_root(), **{"Sec-Fetch-Site": site})
        )
    yield Bearer("administrator by cookie, same-origin", "quiet", cookie(_root(), **{"Sec-Fetch-Site": "same-origin"}))
    for origin in ("https://evil.example", "null", "http://127.0.0.1:1", f"{base}.evil.example"):
        yield Bearer(f"administrator by cookie from {origin}", "cross", cookie(_root(), Origin=origin))


def _queries(query_tokens: bool) -> Iterator[Bearer]:
    for name in ("access_token", "token", "api_key"):
        yield Bearer(f"owner by ?{name}", "ann" if query_tokens else "nobody", query=f"{name}={issued('ann')}")
    bad = issued("ann", key=OTHER_KEY)
    yield Bearer("bad signature by query", "bad" if query_tokens else "nobody", query=f"access_token={bad}")


def _bad(base: str, other_ticket: str, gone: str, key_set: bool) -> Iterator[Bearer]:
    root: dict[str, Any] = {"sub": "root", "scope": "admin"}
    now = int(time.time())
    tokens = {
        "bad signature": _root(key=OTHER_KEY),
        "no signature": _root().rpartition(".")[0] + ".",
        "algorithm none": raw_token({**root, "exp": now + 600}, "", {"alg": "none", "kid": KEY_ID}),
        "public key as shared secret": _confused({**root, "exp": now + 600, "aud": AUDIENCE, "iss": ISSUER}),
        "expired": _root(exp=now - 60),
        "not valid yet": _root(nbf=now + 3600),
        "issued in the future": _root(iat=now + 3600),
        "wrong audience": _root(aud="another-gateway"),
        "no audience": _root(aud=[]),
        "wrong issuer": _root(iss="https://issuer.example.evil"),
        "without exp": _root(ttl_s=None),
        "unknown crit": _root(headers={"kid": KEY_ID, "crit": ["exp"]}),
        "subject that is none": _root(sub="a b"),
        "ticket as token": other_ticket,
        "revoked": gone,
        "rubbish": "rubbish",
        "nothing": "",
    }
    if key_set:
        tokens["unknown key id"] = _root(headers={"kid": "k2"})
    for name, text in tokens.items():
        yield Bearer(name, "bad", bearer(text))
    yield Bearer("bad cookie", "bad", cookie(_root(key=OTHER_KEY), Origin=base))
    yield Bearer("bad token beside a good cookie", "bad", {**bearer("a.b.c"), **cookie(_root(), Origin=base)})
    tickets = {
        "expired ticket": _ticket(exp=now - 1),
        "ticket for a year": _ticket(exp=now + 31_536_000),
        "ticket under another key": _ticket(key=TICKET_KEY + "x"),
        "ticket for another audience": _ticket(aud="x"),
        "token as ticket": _root(),
    }
    for name, text in tickets.items():
        yield Bearer(name, "bad", query=f"ticket={text}")
    yield Bearer("ticket of a revoked subject", "bad", minted="gone")


def _root(**more: Any) -> str:
    return issued(more.pop("sub", "root"), scope="admin", **more)


def _ticket(key: str = TICKET_KEY, **changes: Any) -> str:
    channels = ["broadcast", "client:ann", "user:ann", "topic:news", "job:ann-media", "job:free-media"]
    claims = {"sub": "ann", "aud": "sse-gateway:ticket", "exp": int(time.time()) + 600, "channels": channels, **changes}
    return raw_token(claims, key, {"alg": "HS256", "typ": "sse-ticket+jwt"})


def _confused(claims: dict[str, Any]) -> str:
    """The algorithm confusion attack, made by hand because libraries refuse to."""
    parts = (json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT", "kid": KEY_ID}, claims))
    body = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    signature = hmac.new(ISSUER_KEY.public.encode(), body, hashlib.sha256).digest()
    return (body + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()
