"""The access table, row by row."""

from __future__ import annotations

import pytest

from gateway.auth.access import may_cancel, may_mint, may_read, origin_allowed
from gateway.auth.principal import ANONYMOUS, Principal, Source
from gateway.fanout.ownership import UNKNOWN, Owner

ANN = Principal(subject="ann")
NAMELESS = Principal(scopes=frozenset())
ADMIN = Principal(subject="root", scopes=frozenset({"admin"}))
PUBLISHER = Principal(subject="worker", scopes=frozenset({"publish", "stats"}))
JOBS = Principal(subject="ops", channels=("job:*", "topic:prices"))
ALL = Principal(channels=("*",))
TICKET = Principal(subject="ann", exact=frozenset({"job:1", "topic:x"}), source=Source.TICKET)
TICKET_OF_ADMIN = Principal(
    subject="root", scopes=frozenset({"admin"}), channels=("*",), exact=frozenset({"job:1"}), source=Source.TICKET
)


@pytest.mark.parametrize(
    ("who", "channel", "owner", "reads", "reads_where_anonymous"),
    [
        (ANONYMOUS, "client:ann", UNKNOWN, False, True),
        (ANONYMOUS, "user:ann", UNKNOWN, False, False),
        (ANONYMOUS, "job:1", "ann", False, False),
        (ANONYMOUS, "job:1", None, False, True),
        (ANONYMOUS, "job:1", UNKNOWN, False, False),
        (ANONYMOUS, "broadcast", UNKNOWN, False, True),
        (ANONYMOUS, "topic:x", UNKNOWN, False, True),
        (ANONYMOUS, "topic:presence", UNKNOWN, False, False),
        (ANN, "client:ann", UNKNOWN, True, True),
        (ANN, "client:bob", UNKNOWN, False, True),
        (ANN, "client:ann:2", UNKNOWN, False, True),
        (ANN, "user:ann", UNKNOWN, True, True),
        (ANN, "user:bob", UNKNOWN, False, False),
        (ANN, "job:1", "ann", True, True),
        (ANN, "job:1", "bob", False, False),
        (ANN, "job:1", None, True, True),
        (ANN, "job:ann", UNKNOWN, False, False),
        (ANN, "broadcast", UNKNOWN, True, True),
        (ANN, "topic:ann", UNKNOWN, False, True),
        (ANN, "topic:presence", UNKNOWN, False, False),
        (NAMELESS, "broadcast", UNKNOWN, True, True),
        (NAMELESS, "job:1", None, True, True),
        (NAMELESS, "job:1", "None", False, False),
        (NAMELESS, "user:None", UNKNOWN, False, False),
        (ADMIN, "user:ann", UNKNOWN, True, True),
        (ADMIN, "job:1", "ann", True, True),
        (ADMIN, "job:1", UNKNOWN, True, True),
        (ADMIN, "topic:x", UNKNOWN, True, True),
        (ADMIN, "topic:presence", UNKNOWN, True, True),
        (PUBLISHER, "topic:presence", UNKNOWN, True, True),
        (PUBLISHER, "topic:x", UNKNOWN, False, True),
        (PUBLISHER, "job:1", "ann", False, False),
        (JOBS, "job:1", "ann", True, True),
        (JOBS, "job:1", UNKNOWN, True, True),
        (JOBS, "topic:prices", UNKNOWN, True, True),
        (JOBS, "topic:prices2", UNKNOWN, False, True),
        (JOBS, "user:ann", UNKNOWN, False, False),
        (JOBS, "topic:presence", UNKNOWN, False, False),
        (ALL, "topic:presence", UNKNOWN, True, True),
        (ALL, "user:ann", UNKNOWN, True, True),
        (TICKET, "job:1", "bob", True, True),
        (TICKET, "job:2", None, False, False),
        (TICKET, "job:2", "ann", False, False),
        (TICKET, "broadcast", UNKNOWN, False, False),
        (TICKET, "client:ann", UNKNOWN, False, False),
        (TICKET, "user:ann", UNKNOWN, False, False),
        (TICKET, "topic:y", UNKNOWN, False, False),
        (TICKET, "topic:presence", UNKNOWN, False, False),
        (TICKET_OF_ADMIN, "job:2", None, False, False),
    ],
)
def test_reading_follows_the_table(
    who: Principal, channel: str, owner: Owner, reads: bool, reads_where_anonymous: bool
) -> None:
    assert may_read(who, channel, anonymous_reading=False, job_owner=owner) is reads
    assert may_read(who, channel, anonymous_reading=True, job_owner=owner) is reads_where_anonymous


@pytest.mark.parametrize(
    ("who", "owner", "cancels"),
    [
        (ANN, "ann", True),
        (ANN, "bob", False),
        (ANN, None, False),
        (ANN, UNKNOWN, False),
        (ADMIN, "ann", True),
        (ADMIN, None, True),
        (ANONYMOUS, None, False),
        (NAMELESS, None, False),
        (JOBS, "ann", False),
        (PUBLISHER, "ann", False),
        (TICKET, "ann", False),
        (TICKET_OF_ADMIN, "ann", False),
    ],
)
def test_only_the_owner_and_admins_cancel(who: Principal, owner: Owner, cancels: bool) -> None:
    assert may_cancel(who, owner) is cancels


def test_admin_implies_the_other_scopes_and_no_other_scope_does() -> None:
    assert all(ADMIN.has(scope) for scope in ("publish", "stats", "admin"))
    assert PUBLISHER.has("publish") and not PUBLISHER.has("admin")
    assert not ANN.has("publish") and not ANONYMOUS.has("stats")


def test_a_ticket_has_no_scopes_and_makes_no_tickets() -> None:
    assert not TICKET_OF_ADMIN.has("admin") and not TICKET_OF_ADMIN.has("publish")
    assert may_mint(ANN) and may_mint(ANONYMOUS) and not may_mint(TICKET)


@pytest.mark.parametrize(
    ("origin", "required", "allowed"),
    [
        ("https://gate.example", True, True),
        ("https://gate.example:443", True, True),
        ("HTTPS://GATE.example", True, True),
        ("http://gate.example", True, False),
        ("https://app.example:8443", True, True),
        ("https://app.example", True, False),
        ("https://evil.example", True, False),
        ("https://gate.example.evil.example", False, False),
        ("null", False, False),
        ("", False, False),
        (None, True, False),
        (None, False, True),
    ],
)
def test_a_cookie_counts_only_for_the_nodes_own_and_the_listed_origins(
    origin: str | None, required: bool, allowed: bool
) -> None:
    own, listed = "https://gate.example", ("https://app.example:8443",)
    assert origin_allowed(origin, own, listed, required=required) is allowed
