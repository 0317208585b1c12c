"""The authenticator accepts what the keys vouch for, and nothing that merely looks like it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import string
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.auth.authenticator import CACHE_SIZE, Authenticator
from gateway.auth.credentials import NO_CREDENTIALS, Credentials
from gateway.auth.errors import AuthError, token_required
from gateway.auth.principal import ANONYMOUS, Principal, Source
from gateway.auth.ticket_key import FixedTicketKey
from gateway.auth.tickets import TYPE, mint
from gateway.settings.settings import Settings
from tests.support.tokens import SECRET, key_pair, raw_token, token

TICKET_SECRET = "the-secret-that-signs-tickets-in-tests-0123"
ASYMMETRIC = ["RS256", "RS512", "PS256", "ES256", "ES384", "ES512", "EdDSA"]


class Clock:
    """Time that a test moves by hand."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now


def authenticator(clock: Clock | None = None, **settings: Any) -> Authenticator:
    chosen = Settings(**{"jwt_key": SECRET, **settings})
    return Authenticator(chosen, FixedTicketKey(TICKET_SECRET), clock=clock or Clock())


def public(algorithm: str) -> Authenticator:
    return authenticator(jwt_key=key_pair(algorithm).public, jwt_algorithms=(algorithm,))


async def sent(auth: Authenticator, text: str, source: Source = Source.HEADER) -> Principal:
    return await auth.authenticate(Credentials(source, text))


async def refused(auth: Authenticator, text: str, source: Source = Source.HEADER) -> AuthError:
    with pytest.raises(AuthError) as caught:
        await sent(auth, text, source)
    assert text not in str(caught.value)
    return caught.value


async def test_no_credentials_are_anonymous() -> None:
    assert await authenticator().authenticate(NO_CREDENTIALS) is ANONYMOUS


@pytest.mark.parametrize("source", [Source.HEADER, Source.COOKIE, Source.QUERY])
async def test_a_good_token_is_accepted_and_its_source_is_kept(source: Source) -> None:
    auth = authenticator()
    text = token("ann", scope="publish")
    for _ in ("verified", "remembered"):
        principal = await sent(auth, text, source)
        assert (principal.subject, principal.source) == ("ann", source)
        assert principal.has("publish") and not principal.anonymous


@pytest.mark.parametrize("algorithm", ["HS256", "HS384", "HS512"])
async def test_a_shared_secret_verifies_the_allowed_algorithm(algorithm: str) -> None:
    text = token("ann", algorithm=algorithm)
    assert (await sent(authenticator(jwt_algorithms=(algorithm,)), text)).subject == "ann"


async def test_a_short_secret_verifies_without_a_warning() -> None:
    assert (await sent(authenticator(jwt_key="short"), token("ann", key="short"))).subject == "ann"


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
async def test_a_public_key_verifies_its_algorithm_and_not_another_pair(algorithm: str) -> None:
    auth = public(algorithm)
    assert (await sent(auth, token("ann", key=key_pair(algorithm)))).subject == "ann"
    await refused(auth, token("ann", key=key_pair(algorithm, number=1)))


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
async def test_a_token_signed_with_the_public_key_as_secret_is_refused(algorithm: str) -> None:
    """The algorithm confusion attack; the forgery is made by hand, because libraries refuse to."""
    pem = key_pair(algorithm).public
    await refused(public(algorithm), forged_hs256({"sub": "ann", "exp": time.time() + 60}, pem))


def forged_hs256(claims: dict[str, Any], key: str) -> str:
    import hmac

    unsigned = raw_token(claims, "", {"alg": "none"}).rpartition(".")[0]
    head = base64.urlsafe_b64encode(b'{"alg":"HS256","typ":"JWT"}').rstrip(b"=").decode()
    body = f"{head}.{unsigned.partition('.')[2]}"
    signature = hmac.new(key.encode(), body.encode(), hashlib.sha256).digest()
    return f"{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


async def test_the_hand_made_signature_is_a_real_one() -> None:
    """Else the test of the forgery would pass for the wrong reason."""
    text = forged_hs256({"sub": "ann", "exp": int(time.time()) + 60}, SECRET)
    assert (await sent(authenticator(), text)).subject == "ann"


@pytest.mark.parametrize("algorithm", ["none", "NONE", "None", "nOnE", "", None, 0, ["HS256"], {"a": 1}])
async def test_an_unsigned_token_is_refused_however_it_spells_that(algorithm: object) -> None:
    import json

    head = base64.urlsafe_b64encode(json.dumps({"alg": algorithm}).encode()).rstrip(b"=").decode()
    body = raw_token({"sub": "ann", "exp": time.time() + 60}, "", {"alg": "none"}).split(".")[1]
    for signature in ("", "AAAA"):
        await refused(authenticator(), f"{head}.{body}.{signature}")


def with_other_last_bits(text: str) -> str:
    """The same bytes in another spelling: two bits of the last character of 32 bytes say nothing."""
    letters = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    return text[:-1] + letters[letters.index(text[-1]) ^ 1]


async def test_a_token_may_be_filled_up() -> None:
    assert (await sent(authenticator(), token("ann") + "=")).subject == "ann"


@pytest.mark.parametrize(
    "make",
    [
        lambda: token("ann", key="another-shared-secret-0123456789-abcdef"),
        lambda: token("ann", algorithm="HS512"),
        lambda: token("ann", headers={"crit": ["exp"]}),
        lambda: token("ann", headers={"crit": ["b64"], "b64": False}),
        lambda: token("ann", headers={"crit": []}),
        lambda: token("ann", headers={"crit": None}),
        lambda: token("ann", headers={"b64": False}),
        lambda: token("ann", headers={"typ": TYPE}),
        lambda: token("ann", ttl_s=-60),
        lambda: token("ann", ttl_s=None),
        lambda: raw_token(["a", "list"], SECRET, {"alg": "HS256"}),
        lambda: raw_token("text", SECRET, {"alg": "HS256"}),
        lambda: token("ann")[:-4],
        lambda: token("ann") + "AAAA",
        lambda: token("ann") + "!",
        lambda: token("ann") + "==",
        lambda: with_other_last_bits(token("ann")),
        lambda: "..",
        lambda: "a.b.c",
        lambda: base64.urlsafe_b64encode(b"[" * 6000).decode() + ".e30.AAAA",
        lambda: base64.urlsafe_b64encode(b'{"alg":' + b"[" * 5000).decode() + ".e30.AAAA",
    ],
)
async def test_a_bad_token_is_refused(make: Callable[[], str]) -> None:
    await refused(authenticator(), make())


@given(st.text(st.characters(codec="ascii"), max_size=60), st.text(max_size=60), st.booleans())
def test_no_bytes_make_the_authenticator_fail_otherwise_than_by_refusing(head: str, body: str, ticket: bool) -> None:
    parts = (base64.urlsafe_b64encode(part.encode()).rstrip(b"=").decode() for part in (head, body))
    text = ".".join([*parts, "AAAA"])
    for hostile in (text, f"{head}.{body}.x"):
        with pytest.raises(AuthError):
            asyncio.run(sent(authenticator(), hostile, Source.TICKET if ticket else Source.HEADER))


async def test_a_node_without_a_key_refuses_tokens_but_takes_tickets() -> None:
    auth = authenticator(jwt_key=None, anonymous="read")
    assert "no key" in (await refused(auth, token("ann"))).sentence
    text = mint(ANONYMOUS, ["broadcast"], TICKET_SECRET, now=time.time()).ticket
    assert (await sent(auth, text, Source.TICKET)).exact == frozenset({"broadcast"})


async def test_a_ticket_is_no_token_and_a_token_is_no_ticket_even_under_the_same_key() -> None:
    auth = Authenticator(Settings(jwt_key=SECRET), FixedTicketKey(SECRET))
    ticket = mint(Principal(subject="ann"), ["job:1"], SECRET, now=time.time()).ticket
    text = token("ann")
    assert "This is a ticket" in (await refused(auth, ticket)).sentence
    assert "not a ticket" in (await refused(auth, text, Source.TICKET)).sentence
    await sent(auth, text)
    await sent(auth, ticket, Source.TICKET)
    await refused(auth, ticket)
    await refused(auth, text, Source.TICKET)


async def test_a_remembered_token_is_not_accepted_after_it_expired() -> None:
    clock = Clock()
    auth = authenticator(clock, jwt_leeway_s=0)
    text = token("ann", exp=int(clock.now) + 5)
    await sent(auth, text)
    clock.now += 6
    assert (await refused(auth, text)).code == "expired_token"


async def test_a_token_within_the_leeway_is_accepted_again_and_again() -> None:
    clock = Clock()
    auth = authenticator(clock)
    text = token("ann", exp=int(clock.now) - 2)
    for _ in range(2):
        assert (await sent(auth, text)).expires_at == int(clock.now) - 2


async def test_the_memory_of_tokens_is_bounded_and_holds_no_token() -> None:
    auth = authenticator()
    texts = [token(f"user-{number}") for number in range(CACHE_SIZE + 10)]
    for text in texts:
        await sent(auth, text)
    assert len(auth._seen) == CACHE_SIZE
    assert all(name == hashlib.sha256(name_of(name, texts)).digest() for name in list(auth._seen)[:3])


def name_of(name: bytes, texts: list[str]) -> bytes:
    return next(b"t" + text.encode() for text in texts if hashlib.sha256(b"t" + text.encode()).digest() == name)


def test_the_challenge_says_whether_a_token_was_sent() -> None:
    assert token_required().challenge == 'Bearer realm="sse-gateway"'
    assert AuthError("expired_token", "x").challenge == 'Bearer realm="sse-gateway", error="invalid_token"'
