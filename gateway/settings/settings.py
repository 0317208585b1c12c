"""Every setting of a node: its name, default, unit and meaning, one row each, in one frozen object.

The reference page is made from these rows: ``python -m gateway.reference settings > docs/reference/settings.md``.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, Self

from gateway.settings import values as values
from gateway.settings.key_kinds import key_problem, secret_problem

PREFIX: Final = "GATEWAY_"
MAX_KEY_FILE_BYTES: Final = 65_536
PUBLISHER_KEY: Final = "GATEWAY_MERCURE_PUBLISHER_JWT_KEY"
SUBSCRIBER_KEY: Final = "GATEWAY_MERCURE_SUBSCRIBER_JWT_KEY"

# What Kubernetes puts into each container for a service that is called "gateway" or "gateway-…".
_SERVICE_LINK = re.compile(
    r"(GATEWAY(?:_\w+?)??)_(?:SERVICE_HOST|SERVICE_PORT(?:_\w+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)"
)


class SettingsError(ValueError):
    """The settings cannot work; ``problems`` has a sentence with its remedy for each, and no secret."""

    def __init__(self, *problems: str) -> None:
        super().__init__(" ".join(problems))
        self.problems = problems


class SettingRow(NamedTuple):
    """What the reference says about a setting. ``default`` is the text that the environment would hold."""

    group: str
    parse: Callable[[str], Any]
    default: str
    unit: str
    sentence: str


def _row(
    group: str, parse: Callable[[str], Any], default: str, unit: str, sentence: str, *, secret: bool = False
) -> Any:
    return field(
        default=parse(default) if default else None,
        repr=not secret,
        metadata={"row": SettingRow(group, parse, default, unit, sentence)},
    )


def _list_row(group: str, parse: Callable[[str], Any], unit: str, sentence: str) -> Any:
    return field(default=(), metadata={"row": SettingRow(group, parse, "", unit, sentence)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A node's settings, checked: an object of this class can work. Secrets do not show in its repr."""

    redis_url: str = _row(
        "Redis",
        values.redis_url,
        "redis://127.0.0.1:6379/0",
        "URL",
        "The broker: `redis://`, `rediss://`, `unix://`, `redis+sentinel://host:port,host:port/service/db` or "
        "`redis+cluster://host:port,host:port`; with TLS `rediss…`, and options such as `?ssl_ca_certs=/ca.pem`.",
        secret=True,
    )
    redis_prefix: str = _row(
        "Redis", values.redis_prefix, "sse", "text", "First part of every key and pub/sub channel."
    )

    jwt_key: str | None = _row(
        "Tokens", values.secret, "", "secret or PEM", "Shared secret (HS*) or PEM public key (others).", secret=True
    )
    jwt_key_file: str | None = _row("Tokens", values.text, "", "path", "File that holds the same; read at start.")
    jwks_url: str | None = _row(
        "Tokens", values.web_url, "", "URL", "Key set of the issuer, fetched when needed and kept while it is away."
    )
    jwt_algorithms: tuple[str, ...] = _row(
        "Tokens",
        values.algorithms,
        "HS256",
        "comma list",
        "Algorithms that are accepted. HS* goes with a shared secret only, the others with a public key or key set.",
    )
    jwt_audience: str | None = _row("Tokens", values.text, "", "text", "Where set, a token's `aud` must hold it.")
    jwt_issuer: str | None = _row("Tokens", values.text, "", "text", "Where set, a token's `iss` must equal it.")
    jwt_leeway_s: float = _row(
        "Tokens", values.seconds(0, 300), "10", "s", "How far the clocks of issuer and node may differ."
    )
    jwt_require_exp: bool = _row(
        "Tokens", values.boolean, "true", "true, false", "Whether a token without `exp` is refused."
    )
    jwt_require_sub: bool = _row(
        "Tokens",
        values.boolean,
        "true",
        "true, false",
        "Whether a token without `sub` is refused. It is nobody's, and so cannot be revoked.",
    )
    ticket_key: str | None = _row(
        "Tokens",
        values.bearer(32),
        "",
        "secret",
        "Signs tickets, the same on all nodes. Unset: created once in Redis and kept there.",
        secret=True,
    )
    ticket_key_other: str | None = _row(
        "Tokens",
        values.bearer(32),
        "",
        "secret",
        "Tickets that this one signed are accepted too, while GATEWAY_TICKET_KEY is changed from node to node.",
        secret=True,
    )
    token_cookie: str = _row(
        "Tokens", values.cookie_name, "sse_token", "cookie name", "The cookie that may carry the token."
    )
    query_tokens: bool = _row(
        "Tokens",
        values.boolean,
        "false",
        "true, false",
        "Accept a full token as `?access_token=`, `?token=` or `?api_key=`. URLs get logged: prefer tickets, which "
        "always work.",
    )

    anonymous: str = _row(
        "Access",
        values.choice("deny", "read"),
        "deny",
        "deny, read",
        "`read`: streams that have no owner may be opened without a token.",
    )
    cors_origins: tuple[str, ...] = _list_row(
        "Access", values.origins, "comma list", "Origins whose pages may use this node, with credentials. Never `*`."
    )
    allowed_hosts: tuple[str, ...] = _list_row(
        "Access",
        values.hosts,
        "comma list",
        "Where set, a request with another `Host` gets 400: names such as `app.example.com` (any port), "
        "`app.example.com:8443` or `*.example.com`. `/livez`, `/readyz` and `/metrics` are answered under any name.",
    )
    root_path: str = _row(
        "Access",
        values.root_path,
        "/",
        "path",
        "The path of the site below which browsers find this node, such as `/sse`. It answers with and without it, so "
        "that a proxy may cut it off; addresses that the node tells begin with it.",
    )
    trusted_proxies: tuple[str, ...] = _row(
        "Access",
        values.proxies,
        "127.0.0.1",
        "comma list",
        "Addresses and networks whose `X-Forwarded-*` headers count; `*` for everybody, `none` for nobody.",
    )
    metrics_token: str | None = _row(
        "Access",
        values.bearer(16),
        "",
        "secret",
        "Where set, `/metrics` wants it as `Authorization: Bearer`.",
        secret=True,
    )

    heartbeat_s: float = _row(
        "Streams", values.seconds(0.1, 3600), "15", "s", "A quiet stream gets a sign of life this often."
    )
    retry_ms: tuple[int, int] = _row(
        "Streams",
        values.milliseconds_range,
        "1000-5000",
        "ms",
        "How long a browser waits before it reconnects: each connection gets a random value from this range.",
    )
    max_stream_age_s: float = _row(
        "Streams",
        values.seconds(0, 604_800),
        "3600",
        "s",
        "A stream is closed at this age, less up to 20 % at random, and the browser resumes; 0: never.",
    )
    drain_s: float = _row(
        "Streams", values.seconds(0, 3600), "10", "s", "Window over which a stopping node lets its streams go."
    )
    job_wait_s: float = _row(
        "Streams",
        values.seconds(0, 60),
        "2",
        "s",
        "How long a stream of a job that is not there yet waits for it before 404.",
    )

    presence_events: bool = _row(
        "Streams",
        values.boolean,
        "false",
        "true, false",
        "Whether `topic:presence` tells when a client's first stream over all nodes opens and its last one ends; "
        "where false it stays silent, and over HTTP nobody can publish on it. The same on all nodes.",
    )

    max_connections: int = _row(
        "Limits", values.integer(0, 1_000_000), "20000", "streams", "Open streams of this node; 0: no limit."
    )
    max_connections_per_user: int = _row(
        "Limits",
        values.integer(0, 1_000_000),
        "20",
        "streams",
        "Open streams of one token subject (without a token: of one client address, of IPv6 one /64 network) over all "
        "nodes; 0: no limit.",
    )
    connect_rate_per_s: int = _row(
        "Limits",
        values.integer(0, 1_000_000),
        "500",
        "streams per s",
        "New streams that this node accepts; a single user leaves half of them to others, and may look for 128 jobs a "
        "second that are not there. 0: no limit.",
    )
    queue_bytes: int = _row(
        "Limits",
        values.integer(16_384, 1 << 30),
        "1048576",
        "bytes",
        "Unsent bytes that one connection may hold. What does not fit is read from the history when the client has "
        "caught up.",
    )
    write_timeout_s: float = _row(
        "Limits", values.seconds(0.1, 3600), "30", "s", "A peer that accepts nothing for this long is cut."
    )
    max_event_bytes: int = _row(
        "Limits", values.integer(256, 16 << 20), "262144", "bytes", "Size of an event's JSON data in UTF-8."
    )

    mercure: bool = _row(
        "Mercure",
        values.boolean,
        "false",
        "true, false",
        "Whether there is a Mercure hub at `/.well-known/mercure`. The same on all nodes.",
    )
    mercure_anonymous: bool = _row(
        "Mercure",
        values.boolean,
        "false",
        "true, false",
        "Whether anybody may subscribe to the hub without a token, for updates that are not private.",
    )
    mercure_publisher_jwt_key: str | None = _row(
        "Mercure",
        values.secret,
        "",
        "secret or PEM",
        "Verifies the tokens of the hub's publishers; where unset, the node's own key does.",
        secret=True,
    )
    mercure_publisher_jwt_alg: str = _row(
        "Mercure", values.algorithm, "HS256", "algorithm", "The one algorithm that goes with it."
    )
    mercure_subscriber_jwt_key: str | None = _row(
        "Mercure",
        values.secret,
        "",
        "secret or PEM",
        "Verifies the tokens of the hub's subscribers; where unset, the node's own key does.",
        secret=True,
    )
    mercure_subscriber_jwt_alg: str = _row(
        "Mercure", values.algorithm, "HS256", "algorithm", "The one algorithm that goes with it."
    )
    mercure_jwt_issuer: str | None = _row(
        "Mercure",
        values.text,
        "",
        "text",
        "The `iss` of access tokens (1.0); where unset, `GATEWAY_JWT_ISSUER`. Without either none is accepted.",
    )
    mercure_jwt_audience: str | None = _row(
        "Mercure",
        values.text,
        "",
        "text",
        "The `aud` of access tokens (1.0); where unset, `GATEWAY_JWT_AUDIENCE`, else the hub's URL as it is asked for.",
    )
    mercure_history: int = _row(
        "Mercure",
        values.integer(1, 1_000_000),
        "10000",
        "updates",
        "How many updates the hub keeps, over all topics, for those who come back. The same on all nodes.",
    )

    log_format: str = _row(
        "Logs", values.choice("text", "json"), "text", "text, json", "`json` writes one object per line."
    )
    log_level: str = _row(
        "Logs",
        values.choice("debug", "info", "warning", "error"),
        "info",
        "debug, info, warning, error",
        "The least important lines that are written.",
    )

    token_key: str | None = field(init=False, default=None, repr=False)
    """The shared secret or PEM, from ``jwt_key`` or the file; None with a key set or without tokens."""

    def __post_init__(self) -> None:
        problems = list(_source_problems(self))
        if not problems:
            problems += _load_token_key(self)
        problems += _combination_problems(self)
        if problems:
            raise SettingsError(*problems)

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Self:
        """Read the ``GATEWAY_*`` names; an empty one counts as unset. Raises :class:`SettingsError`."""
        rows = {PREFIX + name.upper(): (name, row) for name, row in settings_rows()}
        problems = list(_unknown_names(environ, list(rows)))
        given: dict[str, Any] = {}
        for env_name, (name, row) in rows.items():
            text = environ.get(env_name, "").strip()
            if not text:
                continue
            try:
                given[name] = row.parse(text)
            except ValueError as error:
                problems.append(f"{env_name} {error}.")
        if problems:
            raise SettingsError(*problems)
        return cls(**given)

    def check_secret(self) -> None:
        """Refuse a shared secret that is short enough to be guessed from one token; ``dev`` alone does without this."""
        problems = [
            secret_problem(self.token_key, self.jwt_algorithms),
            secret_problem(self.mercure_publisher_jwt_key, (self.mercure_publisher_jwt_alg,), PUBLISHER_KEY),
            secret_problem(self.mercure_subscriber_jwt_key, (self.mercure_subscriber_jwt_alg,), SUBSCRIBER_KEY),
        ]
        said = [problem for problem in problems if problem]
        if said:
            raise SettingsError(*said)

    @property
    def anonymous_reading(self) -> bool:
        """Whether streams that have no owner may be read without a token."""
        return self.anonymous == "read"

    @property
    def has_tokens(self) -> bool:
        """Whether there is anything that tokens could be verified with."""
        return self.token_key is not None or self.jwks_url is not None

    def check_serving(self) -> None:
        """Refuse settings with which nobody could read anything (no key for tokens and no anonymous reading), or too
        many could: a weak key."""
        hub_keys = self.mercure and self.mercure_publisher_jwt_key and self.mercure_subscriber_jwt_key
        if not self.has_tokens and not self.anonymous_reading and not hub_keys:
            raise SettingsError(
                "There is no key to verify tokens with: set one of GATEWAY_JWT_KEY, GATEWAY_JWT_KEY_FILE and "
                "GATEWAY_JWKS_URL, or set GATEWAY_ANONYMOUS=read if streams without an owner are for everybody."
            )
        self.check_secret()


def settings_rows() -> Iterator[tuple[str, SettingRow]]:
    """Field name and row of every setting, in the order of the reference."""
    for each in dataclasses.fields(Settings):
        row = each.metadata.get("row")
        if row is not None:
            yield each.name, row


def _unknown_names(environ: Mapping[str, str], known: list[str]) -> Iterator[str]:
    for name in sorted(environ):
        if not name.startswith(PREFIX) or name in known or _is_service_link(name, environ):
            continue
        close = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
        hint = f"did you mean {close[0]}?" if close else f"the names are {', '.join(known)}."
        yield f"{name} is not a setting; {hint}"


def _is_service_link(name: str, environ: Mapping[str, str]) -> bool:
    found = _SERVICE_LINK.fullmatch(name)
    return found is not None and f"{found[1]}_SERVICE_HOST" in environ


def _source_problems(settings: Settings) -> Iterator[str]:
    sources = [name for name in ("jwt_key", "jwt_key_file", "jwks_url") if getattr(settings, name)]
    if len(sources) > 1:
        names = " and ".join(PREFIX + name.upper() for name in sources)
        yield f"{names} are set together; tokens are verified with one of them, so keep only that."


def _load_token_key(settings: Settings) -> Iterator[str]:
    key = settings.jwt_key
    if settings.jwt_key_file:
        try:
            with Path(settings.jwt_key_file).open("rb") as file:
                content = file.read(MAX_KEY_FILE_BYTES + 1)
            key = content.decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            yield f"GATEWAY_JWT_KEY_FILE cannot be read: {reason}; name a readable file that holds the key."
            return
        if not key or len(content) > MAX_KEY_FILE_BYTES:
            yield f"GATEWAY_JWT_KEY_FILE must hold a key of 1 to {MAX_KEY_FILE_BYTES} bytes."
            return
    if key:
        object.__setattr__(settings, "token_key", key)
        problem = key_problem(key, settings.jwt_algorithms)
        if problem:
            yield problem


def _combination_problems(settings: Settings) -> Iterator[str]:
    symmetric = [name for name in settings.jwt_algorithms if name in values.SYMMETRIC]
    if symmetric and len(symmetric) < len(settings.jwt_algorithms):
        yield (
            "GATEWAY_JWT_ALGORITHMS mixes HS* with public-key algorithms, which lets a public key pass as a shared "
            "secret: keep one kind."
        )
    elif symmetric and settings.jwks_url:
        yield (
            f"GATEWAY_JWT_ALGORITHMS allows {', '.join(symmetric)}, which a key set cannot verify: set it to the "
            "algorithm of the issuer, such as RS256 or ES256."
        )
    if settings.ticket_key and settings.ticket_key == settings.token_key:
        yield "GATEWAY_TICKET_KEY and GATEWAY_JWT_KEY are the same; give tickets a secret of their own."
    if settings.ticket_key_other and not settings.ticket_key:
        yield (
            "GATEWAY_TICKET_KEY_OTHER goes with GATEWAY_TICKET_KEY only; the secret in Redis is changed with "
            "sse-gateway ticket-key rotate."
        )
    elif settings.ticket_key_other and settings.ticket_key_other == settings.token_key:
        yield "GATEWAY_TICKET_KEY_OTHER and GATEWAY_JWT_KEY are the same; give tickets a secret of their own."
    yield from _mercure_problems(settings)
    if settings.queue_bytes < settings.max_event_bytes:
        yield (
            "GATEWAY_QUEUE_BYTES is less than GATEWAY_MAX_EVENT_BYTES, so that the largest events could never be "
            "sent: raise the first or lower the second."
        )


def _mercure_problems(settings: Settings) -> Iterator[str]:
    for key, algorithm, name in (
        (settings.mercure_publisher_jwt_key, settings.mercure_publisher_jwt_alg, PUBLISHER_KEY),
        (settings.mercure_subscriber_jwt_key, settings.mercure_subscriber_jwt_alg, SUBSCRIBER_KEY),
    ):
        problem = key_problem(key, (algorithm,), name) if key else None
        if problem:
            yield problem
        if key and key in (settings.ticket_key, settings.ticket_key_other):
            yield f"{name} and GATEWAY_TICKET_KEY are the same; give tickets a secret of their own."
