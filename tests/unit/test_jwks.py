"""The key set is fetched once for many, looked at again for unknown keys, and kept while its endpoint is away."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from gateway.auth.authenticator import Authenticator
from gateway.auth.credentials import Credentials
from gateway.auth.errors import AuthError, AuthUnavailable
from gateway.auth.jwks import MAX_BYTES, KeySet
from gateway.auth.principal import Source
from gateway.auth.ticket_key import FixedTicketKey
from gateway.settings.settings import Settings
from tests.support.key_server import KeyServer
from tests.support.tokens import KeyPair, key_pair, token
from tests.support.waiting import until

OLD, NEW = key_pair("RS256"), key_pair("RS256", number=1)
CURVE = key_pair("ES256")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def endpoint() -> Iterator[KeyServer]:
    with KeyServer(old=OLD) as server:
        yield server


@pytest.fixture
def clock() -> Clock:
    return Clock()


Ask = Callable[..., Any]


@asynccontextmanager
async def node(endpoint: KeyServer, clock: Clock, algorithms: tuple[str, ...] = ("RS256",)) -> AsyncIterator[Ask]:
    """Something that authenticates tokens by this endpoint's keys and answers their subject."""
    settings = Settings(jwks_url=endpoint.url, jwt_algorithms=algorithms)
    auth = Authenticator(settings, FixedTicketKey("x" * 40), key_set=KeySet(endpoint.url, clock=clock))

    async def ask(pair: KeyPair, kid: str | None, sub: str = "ann") -> str | None:
        text = token(sub, key=pair, headers={} if kid is None else {"kid": kid})
        return (await auth.authenticate(Credentials(Source.HEADER, text))).subject

    try:
        yield ask
    finally:
        await auth.aclose()


async def test_a_storm_of_tokens_costs_one_fetch(endpoint: KeyServer, clock: Clock) -> None:
    endpoint.open.clear()
    async with node(endpoint, clock) as ask:
        asking = asyncio.gather(*(ask(OLD, "old", f"user-{number}") for number in range(20)))
        await until(lambda: endpoint.fetches, "the fetch")
        endpoint.open.set()
        assert len(await asking) == 20
        assert endpoint.fetches == 1


async def test_a_new_key_is_found_by_looking_again_at_most_once_per_30_s(endpoint: KeyServer, clock: Clock) -> None:
    async with node(endpoint, clock) as ask:
        await ask(OLD, "old")
        endpoint.serve(old=OLD, new=NEW)
        for number in range(5):
            with pytest.raises(AuthError):
                await ask(NEW, f"made-up-{number}")
        assert endpoint.fetches == 1
        clock.now += 31
        assert await ask(NEW, "new") == "ann"
        assert endpoint.fetches == 2
        clock.now += 31
        for number in range(5):
            with pytest.raises(AuthError):
                await ask(NEW, f"made-up-again-{number}")
        assert endpoint.fetches == 3


@pytest.mark.parametrize(
    "failure", [(500, b"oops"), (200, b"oops"), (200, b"[]"), (200, b'{"keys":[]}'), (200, b" " * (MAX_BYTES + 1))]
)
async def test_the_keys_are_kept_while_the_endpoint_fails(
    endpoint: KeyServer, clock: Clock, failure: tuple[int, bytes]
) -> None:
    async with node(endpoint, clock) as ask:
        await ask(OLD, "old", "first")
        endpoint.status, endpoint.body = failure
        clock.now += 3600
        assert await ask(OLD, "old", "second") == "second"
        await until(lambda: endpoint.fetches == 2, "the look for newer keys")
        with pytest.raises(AuthError):
            await ask(NEW, "new")
        assert await ask(OLD, "old", "third") == "third"


async def test_without_any_keys_it_is_a_temporary_refusal_that_ends_when_they_come(
    endpoint: KeyServer, clock: Clock
) -> None:
    endpoint.status = 503
    async with node(endpoint, clock) as ask:
        with pytest.raises(AuthUnavailable):
            await ask(OLD, "old")
        with pytest.raises(AuthUnavailable):
            await ask(OLD, "old")
        assert endpoint.fetches == 1
        endpoint.status = 200
        clock.now += 2
        assert await ask(OLD, "old") == "ann"


async def test_a_withdrawn_key_stops_working_with_the_next_look(endpoint: KeyServer, clock: Clock) -> None:
    async with node(endpoint, clock) as ask:
        await ask(OLD, "old", "first")
        endpoint.serve(new=NEW)
        clock.now += 3600
        await ask(OLD, "old", "second")
        await until(lambda: endpoint.fetches == 2, "the look for newer keys")

        async def gone() -> bool:
            try:
                await ask(OLD, "old", "third")
            except AuthError:
                return True
            return False

        await until(gone, "the withdrawn key to be refused")


async def test_a_redirect_is_not_followed(endpoint: KeyServer, clock: Clock) -> None:
    with KeyServer(old=OLD) as elsewhere:
        endpoint.status, endpoint.headers = 302, {"Location": elsewhere.url}
        async with node(endpoint, clock) as ask:
            with pytest.raises(AuthUnavailable):
                await ask(OLD, "old")
        assert elsewhere.fetches == 0


async def test_a_token_without_key_id_is_accepted_where_one_key_fits(endpoint: KeyServer, clock: Clock) -> None:
    endpoint.serve(old=OLD, curve=CURVE)
    async with node(endpoint, clock, ("RS256", "ES256")) as ask:
        assert await ask(OLD, None) == "ann"
        assert await ask(CURVE, None) == "ann"
    endpoint.serve(old=OLD, new=NEW)
    async with node(endpoint, clock) as ask:
        with pytest.raises(AuthError):
            await ask(OLD, None)


@pytest.mark.parametrize(
    "change",
    [
        {"use": "enc"},
        {"alg": "RS512"},
        {"kty": "oct", "k": base64.urlsafe_b64encode(b"secret").decode()},
        {"kid": 7},
        {"n": "AQAB"},
        {"n": 7},
    ],
)
async def test_a_key_that_is_not_for_this_is_not_used(
    endpoint: KeyServer, clock: Clock, change: dict[str, Any]
) -> None:
    endpoint.serve_json({"keys": [{**OLD.jwk("old"), **change}, NEW.jwk("new"), "nonsense"]})
    async with node(endpoint, clock) as ask:
        assert await ask(NEW, "new") == "ann"
        with pytest.raises(AuthError):
            await ask(OLD, "old")
