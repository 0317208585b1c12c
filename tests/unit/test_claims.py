"""Claims are checked one by one, and those of a wrong type are refused in plain words."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.auth.claims import principal_from_claims
from gateway.auth.errors import AuthError
from gateway.auth.principal import Principal, Source
from gateway.settings.settings import Settings

NOW = 1_000_000.0
GOOD: dict[str, Any] = {"sub": "ann", "exp": NOW + 60}


def read(claims: dict[str, Any], **settings: Any) -> Principal:
    return principal_from_claims(claims, Settings(**settings), source=Source.HEADER, now=NOW)


def test_a_full_token_becomes_a_principal() -> None:
    claims = {**GOOD, "iat": NOW - 5, "scope": "openid publish  stats", "channels": ["job:*"], "aud": "anything"}
    assert read(claims) == Principal(
        subject="ann",
        scopes=frozenset({"publish", "stats"}),
        channels=("job:*",),
        expires_at=NOW + 60,
        issued_at=NOW - 5,
        source=Source.HEADER,
    )


def test_a_token_without_a_subject_is_accepted_where_the_settings_say_so_and_owns_nothing() -> None:
    assert read({"exp": NOW + 60}, jwt_require_sub=False).subject is None


@pytest.mark.parametrize("blank", ["\u00a0", "\t", "\n", "\u2003", "\u3000", "\x85"])
def test_scopes_are_kept_apart_by_blanks_and_by_nothing_else(blank: str) -> None:
    assert read({**GOOD, "scope": f"openid{blank}admin"}).scopes == frozenset()
    assert read({**GOOD, "scope": f"{blank}admin stats"}).scopes == {"stats"}


@pytest.mark.parametrize(
    ("claims", "settings"),
    [
        ({**GOOD, "exp": NOW - 9}, {}),
        ({**GOOD, "nbf": NOW + 9, "iat": NOW + 9}, {}),
        ({**GOOD, "exp": NOW + 0.5}, {"jwt_leeway_s": 0}),
        ({"sub": "ann"}, {"jwt_require_exp": False}),
        ({**GOOD, "aud": "gate"}, {"jwt_audience": "gate"}),
        ({**GOOD, "aud": ["other", "gate"]}, {"jwt_audience": "gate"}),
        ({**GOOD, "iss": "https://id"}, {"jwt_issuer": "https://id"}),
    ],
)
def test_a_token_within_the_rules_is_accepted(claims: dict[str, Any], settings: dict[str, Any]) -> None:
    assert read(claims, **settings).subject == "ann"


@pytest.mark.parametrize(
    ("claims", "settings", "code", "words"),
    [
        ({**GOOD, "exp": NOW - 10}, {}, "expired_token", "expired"),
        ({**GOOD, "exp": NOW}, {"jwt_leeway_s": 0}, "expired_token", "expired"),
        ({"sub": "ann"}, {}, "invalid_token", "GATEWAY_JWT_REQUIRE_EXP"),
        ({"exp": NOW + 60, "scope": "admin"}, {}, "invalid_token", "GATEWAY_JWT_REQUIRE_SUB"),
        ({**GOOD, "sub": None}, {}, "invalid_token", "GATEWAY_JWT_REQUIRE_SUB"),
        ({**GOOD, "nbf": NOW + 11}, {}, "invalid_token", "nbf"),
        ({**GOOD, "iat": NOW + 11}, {}, "invalid_token", "iat"),
        ({**GOOD, "aud": "other"}, {"jwt_audience": "gate"}, "invalid_token", "audience"),
        ({**GOOD}, {"jwt_audience": "gate"}, "invalid_token", "audience"),
        ({**GOOD, "aud": {"gate": 1}}, {"jwt_audience": "gate"}, "invalid_token", "aud must"),
        ({**GOOD, "aud": ["gate", 1]}, {"jwt_audience": "gate"}, "invalid_token", "aud must"),
        ({**GOOD, "iss": "other"}, {"jwt_issuer": "https://id"}, "invalid_token", "issuer"),
        ({**GOOD, "iss": ["https://id"]}, {"jwt_issuer": "https://id"}, "invalid_token", "issuer"),
        ({**GOOD, "exp": "1e9"}, {}, "invalid_token", "exp must"),
        ({**GOOD, "exp": True}, {}, "invalid_token", "exp must"),
        ({**GOOD, "exp": float("nan")}, {}, "invalid_token", "exp must"),
        ({**GOOD, "exp": float("inf")}, {}, "invalid_token", "exp must"),
        ({**GOOD, "exp": 10**400}, {}, "invalid_token", "exp must"),
        ({**GOOD, "iat": []}, {}, "invalid_token", "iat must"),
        ({**GOOD, "sub": 7}, {}, "invalid_token", "sub must"),
        ({**GOOD, "sub": ""}, {}, "invalid_token", "sub must"),
        ({**GOOD, "sub": "a b"}, {}, "invalid_token", "sub may"),
        ({**GOOD, "sub": "a}{b"}, {}, "invalid_token", "sub may"),
        ({**GOOD, "sub": "\ud800"}, {}, "invalid_token", "sub may"),
        ({**GOOD, "sub": "x" * 201}, {}, "invalid_token", "sub must"),
        ({**GOOD, "scope": ["admin"]}, {}, "invalid_token", "scope must"),
        ({**GOOD, "channels": "job:*"}, {}, "invalid_token", "channels must"),
        ({**GOOD, "channels": [1]}, {}, "invalid_token", "channels must"),
        ({**GOOD, "channels": [""]}, {}, "invalid_token", "channels must"),
        ({**GOOD, "channels": None}, {}, "invalid_token", "channels must"),
    ],
)
def test_a_token_outside_the_rules_is_refused(
    claims: dict[str, Any], settings: dict[str, Any], code: str, words: str
) -> None:
    with pytest.raises(AuthError) as caught:
        read(claims, **settings)
    assert caught.value.code == code
    assert words in caught.value.sentence


def test_the_refusal_does_not_repeat_what_the_token_said() -> None:
    with pytest.raises(AuthError) as caught:
        read({**GOOD, "sub": "private person"})
    assert "private" not in caught.value.sentence
