"""Settings are read from the environment, checked as a whole, and refused in words that name the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.settings.settings import Settings, SettingsError, settings_rows
from tests.support.tokens import SECRET, key_pair

ROOT = Path(__file__).parents[2]


def from_env(**values: str) -> Settings:
    return Settings.from_env({f"GATEWAY_{name}": value for name, value in values.items()})


def refusal(**values: str) -> str:
    with pytest.raises(SettingsError) as caught:
        from_env(**values)
    return str(caught.value)


def test_an_empty_environment_gives_the_documented_defaults() -> None:
    settings = Settings.from_env({"PATH": "/bin"})
    assert settings == Settings()
    assert settings.redis_url == "redis://127.0.0.1:6379/0"
    assert settings.retry_ms == (1000, 5000)
    assert settings.max_connections_per_user == 20
    assert settings.jwt_key is None and not settings.has_tokens and not settings.anonymous_reading


def test_an_empty_variable_counts_as_unset() -> None:
    assert from_env(JWT_AUDIENCE="", MAX_CONNECTIONS=" ") == Settings()


@pytest.mark.parametrize(
    ("name", "text", "field", "value"),
    [
        ("HEARTBEAT_S", "2.5", "heartbeat_s", 2.5),
        ("RETRY_MS", "1500", "retry_ms", (1500, 1500)),
        ("RETRY_MS", "200-300", "retry_ms", (200, 300)),
        ("MAX_CONNECTIONS", "0", "max_connections", 0),
        ("ANONYMOUS", "READ", "anonymous", "read"),
        ("QUERY_TOKENS", "yes", "query_tokens", True),
        ("JWT_REQUIRE_EXP", "false", "jwt_require_exp", False),
        ("JWT_REQUIRE_SUB", "false", "jwt_require_sub", False),
        ("JWT_ALGORITHMS", "hs512, HS256", "jwt_algorithms", ("HS512", "HS256")),
        (
            "CORS_ORIGINS",
            "https://A.example:443, http://b:8080",
            "cors_origins",
            ("https://a.example", "http://b:8080"),
        ),
        ("CORS_ORIGINS", "http://[::1]:3000", "cors_origins", ("http://[::1]:3000",)),
        ("TRUSTED_PROXIES", "10.0.0.0/8,::1", "trusted_proxies", ("10.0.0.0/8", "::1")),
        ("TRUSTED_PROXIES", "none", "trusted_proxies", ()),
        ("TRUSTED_PROXIES", "*", "trusted_proxies", ("*",)),
        ("LOG_LEVEL", "Debug", "log_level", "debug"),
        ("REDIS_URL", "rediss://user:pw@cache.example:6380/3", "redis_url", "rediss://user:pw@cache.example:6380/3"),
        ("REDIS_URL", "unix:///run/valkey.sock", "redis_url", "unix:///run/valkey.sock"),
        ("REDIS_URL", "redis+sentinel://a:1,b:2/main/0", "redis_url", "redis+sentinel://a:1,b:2/main/0"),
        ("REDIS_URL", "redis+cluster://a:1,[::1]:2", "redis_url", "redis+cluster://a:1,[::1]:2"),
    ],
)
def test_a_good_value_is_read(name: str, text: str, field: str, value: object) -> None:
    assert getattr(from_env(**{name: text}), field) == value


@pytest.mark.parametrize(
    ("name", "text", "remedy"),
    [
        ("HEARTBEAT_S", "soon", "number of seconds from 0.1 to 3600"),
        ("HEARTBEAT_S", "nan", "number of seconds"),
        ("HEARTBEAT_S", "-1", "number of seconds"),
        ("MAX_CONNECTIONS", "1e3", "whole number from 0"),
        ("RETRY_MS", "5000-1000", "1000-5000"),
        ("RETRY_MS", "0", "from 1 to"),
        ("ANONYMOUS", "write", "deny or read"),
        ("QUERY_TOKENS", "maybe", "true or false"),
        ("JWT_ALGORITHMS", "none", "HS256"),
        ("JWT_ALGORITHMS", ",", "HS256"),
        ("CORS_ORIGINS", "*", "list the origins"),
        ("CORS_ORIGINS", "https://*.example", "wildcards"),
        ("CORS_ORIGINS", "example.com", "scheme://host"),
        ("CORS_ORIGINS", "https://example.com/", "scheme://host"),
        ("CORS_ORIGINS", "https://u@example.com", "user names"),
        ("CORS_ORIGINS", "https://example.com:99999", "scheme://host"),
        ("CORS_ORIGINS", "null", "scheme://host"),
        ("TRUSTED_PROXIES", "proxy.example", "IP addresses"),
        ("TOKEN_COOKIE", "a b", "cookie name"),
        ("REDIS_URL", "http://127.0.0.1", "redis://"),
        ("REDIS_URL", "redis://", "complete address"),
        ("REDIS_URL", "redis://h:1/x", "complete address"),
        ("REDIS_URL", "redis+sentinel://a:1", "service"),
        ("REDIS_URL", "redis+cluster://a:1,,b:2", "complete address"),
        ("REDIS_PREFIX", "a{b}", "1 to 100"),
        ("JWKS_URL", "ftp://x", "http://"),
        ("JWKS_URL", "https://u:p@x/keys", "without a user name"),
        ("TICKET_KEY", "short", "at least 32"),
        ("METRICS_TOKEN", "short", "at least 16"),
        ("LOG_FORMAT", "xml", "text or json"),
    ],
)
def test_a_bad_value_is_refused_with_what_would_be_right(name: str, text: str, remedy: str) -> None:
    message = refusal(**{name: text})
    assert message.startswith(f"GATEWAY_{name} ")
    assert remedy in message


def test_an_unknown_name_is_refused_with_the_name_that_was_probably_meant() -> None:
    assert refusal(HEARTBEATS="1") == "GATEWAY_HEARTBEATS is not a setting; did you mean GATEWAY_HEARTBEAT_S?"


def test_an_unknown_name_like_no_other_is_refused_with_all_names() -> None:
    message = refusal(XYZZY="1")
    assert all(f"GATEWAY_{name.upper()}" in message for name, _ in settings_rows())


def test_the_names_that_kubernetes_adds_for_a_service_called_gateway_are_not_settings() -> None:
    links = {
        "GATEWAY_SERVICE_HOST": "10.0.0.1",
        "GATEWAY_SERVICE_PORT": "80",
        "GATEWAY_SERVICE_PORT_HTTP": "80",
        "GATEWAY_PORT": "tcp://10.0.0.1:80",
        "GATEWAY_PORT_80_TCP_ADDR": "10.0.0.1",
    }
    assert Settings.from_env(links) == Settings()
    assert "GATEWAY_PORT is not a setting" in refusal(PORT="8000")


def test_all_problems_are_told_at_once() -> None:
    message = refusal(HEARTBEAT_S="x", ANONYMOUS="x", NOPE="x")
    assert all(part in message for part in ("GATEWAY_HEARTBEAT_S", "GATEWAY_ANONYMOUS", "GATEWAY_NOPE"))


RSA = key_pair("RS256")


@pytest.mark.parametrize(
    ("values", "remedy"),
    [
        ({"JWT_KEY": SECRET, "JWKS_URL": "https://x/keys"}, "keep only"),
        ({"JWT_KEY": SECRET, "JWT_KEY_FILE": "/k"}, "keep only"),
        ({"JWT_KEY": RSA.public}, "public key, which everybody knows"),
        ({"JWT_KEY": RSA.public.replace("\n", "\\n")}, "public key, which everybody knows"),
        ({"JWT_KEY": "ssh-rsa AAAA"}, "public key"),
        ({"JWT_KEY": '{"keys":[]}'}, "public key"),
        ({"JWKS_URL": "https://x/keys"}, "key set cannot verify"),
        ({"JWT_KEY": SECRET, "JWT_ALGORITHMS": "RS256"}, "plain secret"),
        ({"JWT_KEY": SECRET, "JWT_ALGORITHMS": "HS256,RS256"}, "keep one kind"),
        ({"JWKS_URL": "https://x/keys", "JWT_ALGORITHMS": "HS256,RS256"}, "keep one kind"),
        ({"JWT_KEY": RSA.private, "JWT_ALGORITHMS": "RS256"}, "private key"),
        ({"JWT_KEY": RSA.public, "JWT_ALGORITHMS": "ES256"}, "cannot verify ES256"),
        ({"JWT_KEY": key_pair("ES384").public, "JWT_ALGORITHMS": "ES256"}, "may hold ES384"),
        ({"JWT_KEY": "-----BEGIN PUBLIC KEY-----\nAAAA", "JWT_ALGORITHMS": "RS256"}, "cannot be read|can be read"),
        ({"JWT_KEY_FILE": "/does/not/exist"}, "No such file"),
        ({"QUEUE_BYTES": "20000", "MAX_EVENT_BYTES": "30000"}, "raise the first"),
        ({"JWT_KEY": "k" * 40, "TICKET_KEY": "k" * 40}, "secret of their own"),
        ({"JWT_KEY": "k" * 40, "TICKET_KEY": "t" * 40, "TICKET_KEY_OTHER": "k" * 40}, "secret of their own"),
        ({"TICKET_KEY_OTHER": "t" * 40}, "ticket-key rotate"),
    ],
)
def test_an_impossible_combination_is_refused_with_the_remedy(values: dict[str, str], remedy: str) -> None:
    message = refusal(**values)
    assert any(part in message for part in remedy.split("|")), message


@pytest.mark.parametrize("algorithm", ["RS256", "PS512", "ES256", "ES512", "EdDSA"])
def test_a_public_key_goes_with_the_algorithms_it_can_verify(algorithm: str) -> None:
    pem = key_pair(algorithm).public
    assert from_env(JWT_KEY=pem.strip(), JWT_ALGORITHMS=algorithm).token_key == pem.strip()


def test_a_key_file_is_read_at_start(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text(SECRET + "\n")
    settings = from_env(JWT_KEY_FILE=str(path))
    assert settings.token_key == SECRET and settings.has_tokens


@pytest.mark.parametrize(("content", "remedy"), [(b"", "1 to"), (b"\xff\xfe", "UTF-8"), (b"k" * 70_000, "1 to")])
def test_a_key_file_without_a_usable_key_is_refused(tmp_path: Path, content: bytes, remedy: str) -> None:
    path = tmp_path / "key"
    path.write_bytes(content)
    assert remedy in refusal(JWT_KEY_FILE=str(path))


SECRETS = {
    "JWT_KEY": "the-jwt-key-that-nobody-may-see-0123456789",
    "TICKET_KEY": "the-ticket-key-that-nobody-may-see-012345",
    "TICKET_KEY_OTHER": "the-other-ticket-key-that-nobody-may-see-012",
    "METRICS_TOKEN": "the-metrics-token-nobody-may-see",
    "REDIS_URL": "redis://:the-redis-password-of-nobody@127.0.0.1:6379/0",
}


def test_secrets_do_not_show_in_the_repr() -> None:
    shown = repr(from_env(**SECRETS))
    assert "nobody" not in shown


@pytest.mark.parametrize(
    "bad",
    [
        {"REDIS_URL": "redis://:password-of-nobody@h:1/zero"},
        {"REDIS_URL": "reddis://:password-of-nobody@h:1/0"},
        {"TICKET_KEY": "nobody"},
        {"METRICS_TOKEN": "nobody may see"},
        {**SECRETS, "JWKS_URL": "https://x/keys"},
        {"JWT_KEY": "-----BEGIN nobody", "JWT_ALGORITHMS": "RS256"},
        {"JWKS_URL": "https://u:nobody@x/"},
    ],
)
def test_secrets_do_not_show_in_errors(bad: dict[str, str]) -> None:
    assert "nobody" not in refusal(**bad)


def test_serving_needs_a_token_key_or_anonymous_reading() -> None:
    with pytest.raises(SettingsError, match="GATEWAY_ANONYMOUS=read"):
        Settings().check_serving()
    from_env(JWT_KEY=SECRET).check_serving()
    from_env(ANONYMOUS="read").check_serving()
    from_env(JWKS_URL="https://x/keys", JWT_ALGORITHMS="RS256").check_serving()


@pytest.mark.parametrize("key", ["short", "x" * 31, "ü" * 15])
def test_serving_needs_a_shared_secret_that_cannot_be_guessed(key: str) -> None:
    settings = from_env(JWT_KEY=key)  # `dev` takes it
    with pytest.raises(SettingsError, match="shorter than 32 bytes") as refused:
        settings.check_serving()
    assert key not in str(refused.value).replace("is shorter", "")
    from_env(JWT_KEY=key + "0123456789abcdef" * 2).check_serving()
