"""Tickets open exactly their channels, briefly, and never pass as anything else."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from gateway.auth.errors import AuthError
from gateway.auth.principal import ANONYMOUS, Principal, Source
from gateway.auth.tickets import AUDIENCE, TYPE, mint, read_ticket
from tests.support.tokens import raw_token, token

KEY = "the-secret-that-signs-tickets-in-tests-0123"
NOW = float(int(time.time()))
ANN = Principal(subject="ann", scopes=frozenset({"admin"}), channels=("*",), expires_at=NOW + 3600, issued_at=NOW - 100)
HEADER = {"alg": "HS256", "typ": TYPE}
CLAIMS = {"aud": AUDIENCE, "iat": int(NOW), "exp": int(NOW) + 60, "channels": ["job:1"], "sub": "ann"}


def test_a_ticket_reads_exactly_its_channels_and_holds_nothing_else_of_the_caller() -> None:
    minted = mint(ANN, ["job:1", "broadcast", "job:1"], KEY, now=NOW)
    assert minted.channels == ("job:1", "broadcast")
    assert read_ticket(minted.ticket, KEY, now=NOW) == Principal(
        subject="ann",
        exact=frozenset({"job:1", "broadcast"}),
        expires_at=minted.expires_at,
        issued_at=NOW - 100,
        source=Source.TICKET,
    )


@pytest.mark.parametrize(
    ("callers_exp", "expires_at"),
    [(NOW + 3600, NOW + 900), (NOW + 60, NOW + 60), (None, NOW + 900)],
    ids=["later", "sooner", "never"],
)
def test_a_ticket_lasts_fifteen_minutes_at_most_and_never_outlives_the_token(
    callers_exp: float | None, expires_at: float
) -> None:
    caller = Principal(subject="ann", expires_at=callers_exp)
    assert mint(caller, ["job:1"], KEY, now=NOW).expires_at == expires_at


def test_an_expired_ticket_is_refused_whatever_the_leeway() -> None:
    minted = mint(ANN, ["job:1"], KEY, now=NOW)
    read_ticket(minted.ticket, KEY, now=minted.expires_at - 1)
    with pytest.raises(AuthError, match="expired"):
        read_ticket(minted.ticket, KEY, now=minted.expires_at, leeway_s=10)


@pytest.mark.parametrize("lasts_s", [912, 31_536_000, 31 * 31_536_000, 1e300])
def test_a_ticket_for_longer_than_any_that_is_minted_is_refused(lasts_s: float) -> None:
    """Whoever had the secret for a moment would else have tickets for ever."""
    forged = raw_token({**CLAIMS, "exp": NOW + lasts_s}, KEY, HEADER)
    with pytest.raises(AuthError, match="longer than 900 s"):
        read_ticket(forged, KEY, now=NOW, leeway_s=10)


def test_a_ticket_of_a_node_whose_clock_is_ahead_within_the_leeway_is_good() -> None:
    assert read_ticket(mint(ANN, ["job:1"], KEY, now=NOW + 9).ticket, KEY, now=NOW, leeway_s=10).subject == "ann"


def test_an_anonymous_caller_may_have_a_ticket_without_a_subject() -> None:
    assert read_ticket(mint(ANONYMOUS, ["broadcast"], KEY, now=NOW).ticket, KEY, now=NOW).subject is None


def test_a_ticket_mints_no_tickets() -> None:
    bearer = read_ticket(mint(ANN, ["job:1"], KEY, now=NOW).ticket, KEY, now=NOW)
    with pytest.raises(AuthError, match="cannot be used to get tickets"):
        mint(bearer, ["job:1"], KEY, now=NOW)


def test_a_caller_that_has_expired_gets_no_ticket() -> None:
    with pytest.raises(AuthError, match="expired"):
        mint(Principal(subject="ann", expires_at=NOW), ["job:1"], KEY, now=NOW)


@pytest.mark.parametrize(
    "channels",
    [[], [f"job:{n}" for n in range(33)], ["job:*x y"], ["nonsense"], [7], [f"job:{n:0>200}" for n in range(32)]],
)
def test_a_bad_list_of_channels_is_refused(channels: list[object]) -> None:
    with pytest.raises(ValueError, match=r"channel|id|ticket"):
        mint(ANN, channels, KEY, now=NOW)


@pytest.mark.parametrize(
    "forge",
    [
        lambda: raw_token(CLAIMS, "another-secret-of-somebody-else-0123456789", HEADER),
        lambda: raw_token(CLAIMS, KEY, {"alg": "HS256", "typ": "JWT"}),
        lambda: raw_token(CLAIMS, KEY, {**HEADER, "alg": "HS512"}),
        lambda: raw_token(CLAIMS, "", {**HEADER, "alg": "none"}),
        lambda: raw_token({**CLAIMS, "aud": "other"}, KEY, HEADER),
        lambda: raw_token({k: v for k, v in CLAIMS.items() if k != "exp"}, KEY, HEADER),
        lambda: raw_token({**CLAIMS, "channels": "job:1"}, KEY, HEADER),
        lambda: token("ann", key=KEY),
        lambda: "a.b.c",
    ],
)
def test_what_is_not_a_ticket_of_ours_is_refused(forge: Callable[[], str]) -> None:
    forged = forge()
    with pytest.raises(AuthError) as caught:
        read_ticket(forged, KEY, now=NOW)
    assert forged not in caught.value.sentence


def test_a_ticket_does_not_show_in_its_repr() -> None:
    minted = mint(ANN, ["job:1"], KEY, now=NOW)
    assert minted.ticket not in repr(minted)
