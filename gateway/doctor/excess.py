"""What the user of those who publish may do though none of them needs it: tried out, so that nothing changes."""

from __future__ import annotations

from collections.abc import Iterator

from redis import Redis

from gateway.doctor import grants, rights
from gateway.doctor.finding import Finding, warning
from gateway.doctor.grants import Role
from gateway.doctor.rights import Tried
from publisher.keys import CONTROL, pubsub_name, revoked_key, ticket_key


def judge(tried: Tried, user: str) -> Iterator[Finding]:
    """At most one finding. Each right that is missing, as it should be, leaves a line in the log of the ACL."""
    found = [what for what, has in _tries(tried) if has]
    if found:
        rule = grants.rule(Role.WORKER, tried.prefix, db=tried.db, cluster=tried.cluster)
        yield warning(
            rights.CHECK,
            f"the user {user} may also {', '.join(found)}: whoever takes over a worker can do it too",
            f"Give workers a user of their own: ACL SETUSER worker on >PASSWORD resetchannels {rule}",
        )


def _tries(tried: Tried) -> Iterator[tuple[str, bool]]:
    client: Redis = tried.client
    if CONTROL in tried.tags:
        # The order of Redis: who lacks the right to a key is told so, whatever the key is and whatever stands there.
        yield "read the secret that signs tickets", rights.may(client, "HGET", ticket_key(tried.prefix), "doctor")
        yield "write revocations", rights.may(client, "EVAL", "return 1", 1, revoked_key(tried.prefix))
        channel = pubsub_name(tried.prefix, CONTROL, tried.db)
        publish = "SPUBLISH" if tried.cluster else "PUBLISH"
        yield "end anybody's streams", rights.may(client, publish, channel, '{"known":"doctor"}')
    yield "administer the server", rights.may(client, "CONFIG GET", "timeout")
