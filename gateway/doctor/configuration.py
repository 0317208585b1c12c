"""The settings themselves: everything that is wrong with them, and what is legal but unwise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from gateway.doctor.finding import Finding, ok, problem, warning
from gateway.settings.settings import PREFIX, Settings, SettingsError, settings_rows

CHECK: Final = "settings"
MANDATORY: Final = ("GATEWAY_REDIS_URL", "GATEWAY_REDIS_PREFIX", "GATEWAY_MAX_CONNECTIONS")
"""What the other checks cannot do without, and what no combination forbids."""
PROXY_IDLE_S: Final = 55


def read(environ: Mapping[str, str]) -> tuple[Settings, list[str]]:
    """The settings as far as they can be read, and every problem with them, one sentence each."""
    try:
        return Settings.from_env(environ), []
    except SettingsError as error:
        problems = list(error.problems)
    legible = dict(_legible(environ))
    try:
        return Settings.from_env(legible), problems
    except SettingsError as error:
        problems += [each for each in error.problems if each not in problems]
    return Settings.from_env({name: text for name, text in legible.items() if name in MANDATORY}), problems


def judge(settings: Settings, problems: list[str]) -> Iterator[Finding]:
    for sentence in problems:
        yield problem(CHECK, sentence, "")  # the sentence has its remedy
    unwise = list(_unwise(settings))
    yield from unwise
    if not problems and not unwise:
        yield ok(CHECK, "fit together")


def _legible(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for field, row in settings_rows():
        name = PREFIX + field.upper()
        text = environ.get(name, "").strip()
        try:
            if text:
                row.parse(text)
                yield name, text
        except ValueError:
            continue


def _unwise(settings: Settings) -> Iterator[Finding]:
    if settings.heartbeat_s > PROXY_IDLE_S:
        yield warning(
            CHECK,
            f"GATEWAY_HEARTBEAT_S={settings.heartbeat_s:g} is longer than the 60 s after which most proxies cut",
            "Set GATEWAY_HEARTBEAT_S=15.",
        )
    if settings.query_tokens:
        yield warning(
            CHECK,
            "GATEWAY_QUERY_TOKENS=true lets tokens into URLs, which proxies and browsers write down",
            "Use tickets (POST /v1/tickets), and set GATEWAY_QUERY_TOKENS=false.",
        )
    if not settings.jwt_require_exp:
        yield warning(
            CHECK,
            "GATEWAY_JWT_REQUIRE_EXP=false accepts tokens that never end",
            "Have the issuer set exp, and leave the setting out.",
        )
    if not settings.jwt_require_sub:
        yield warning(
            CHECK,
            "GATEWAY_JWT_REQUIRE_SUB=false accepts tokens that are nobody's, which cannot be revoked",
            "Have the issuer set sub, and leave the setting out.",
        )
    if "*" in settings.trusted_proxies:
        yield warning(
            CHECK,
            "GATEWAY_TRUSTED_PROXIES=* believes everybody's X-Forwarded-For, so that limits per address are no limits",
            "List the addresses of the proxies, unless nobody else can reach the node.",
        )
