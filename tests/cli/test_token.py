"""``sse-gateway token`` makes tokens that a node with the same key accepts, and refuses what makes no sense."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jwt
import pytest

from tests.support.commands import run
from tests.support.http1 import request
from tests.support.node import Node
from tests.support.tokens import SECRET, key_pair


def claims(token: str, algorithm: str = "HS256") -> dict[str, object]:
    found: dict[str, object] = jwt.decode(token, SECRET * 2, algorithms=[algorithm], options={"verify_aud": False})
    return found


def test_a_token_says_what_was_asked_for() -> None:
    done = run(
        *["token", "--sub", "ann", "--scope", "publish  admin", "--ttl", "60", "--channels", "job:*", "topic:news"],
        *["--mercure-publish", "*", "--mercure-subscribe", "a", "{b}"],
        JWT_KEY=SECRET * 2,
        JWT_AUDIENCE="pages",
        JWT_ISSUER="us",
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = claims(done.stdout.strip())
    expires, issued = found.pop("exp"), found.pop("iat")
    assert isinstance(expires, int) and isinstance(issued, int) and expires - issued == 60
    assert found == {
        "sub": "ann",
        "scope": "publish admin",
        "channels": ["job:*", "topic:news"],
        "mercure": {"publish": ["*"], "subscribe": ["a", "{b}"]},
        "aud": "pages",
        "iss": "us",
    }


def test_a_token_is_signed_with_the_configured_algorithm() -> None:
    done = run("token", "--sub", "ann", JWT_KEY=SECRET * 2, JWT_ALGORITHMS="HS512,HS256")
    assert jwt.get_unverified_header(done.stdout.strip())["alg"] == "HS512"
    assert claims(done.stdout.strip(), "HS512")["sub"] == "ann"


async def test_a_node_accepts_the_token_and_nobody_without(start_node: Callable[..., Node]) -> None:
    node = start_node()
    token = run("token", "--sub", "ann", JWT_KEY=SECRET).stdout.strip()
    assert (await request(node.base, "/v1/jobs")).status == 401
    assert (await request(node.base, "/v1/jobs", headers={"Authorization": f"Bearer {token}"})).status == 200


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "one of the arguments --sub --check is required"),
        (["--sub", ""], "1 to 200 characters"),
        (["--sub", "a b"], "without whitespace"),
        (["--sub", "ann", "--scope", "root"], "There is no scope root; the scopes are admin, publish, stats."),
        (["--sub", "ann", "--ttl", "0"], "1 to 315360000 seconds"),
        (["--sub", "ann", "--ttl", "soon"], "whole number of seconds"),
        (["--sub", "ann", "--channels", "a b"], "A channel pattern is"),
        (["--sub", "ann", "--channels", *["job:" + "x" * 200] * 60], "longer than 8192 bytes"),
        (["--sub", "ann", "--nonsense"], "unrecognized arguments: --nonsense"),
    ],
)
def test_a_token_that_makes_no_sense_is_refused_with_one_sentence(arguments: list[str], sentence: str) -> None:
    done = run("token", *arguments, JWT_KEY=SECRET)
    assert done.returncode != 0
    assert done.stdout == ""
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_no_token_is_made_with_a_secret_that_nodes_refuse() -> None:
    done = run("token", "--sub", "ann", JWT_KEY="hush-hush")
    assert (done.returncode, done.stdout) == (1, "")
    assert "shorter than 32 bytes" in done.stderr and "hush" not in done.stderr


@pytest.mark.parametrize("settings", [{}, {"JWT_KEY": key_pair().public, "JWT_ALGORITHMS": "RS256"}])
def test_without_a_shared_secret_there_is_no_token(settings: dict[str, Any]) -> None:
    done = run("token", "--sub", "ann", **settings)
    assert done.returncode == 1
    assert "Tokens are made with a shared secret" in done.stderr
    assert "BEGIN" not in done.stderr
