"""The two users of Redis that the guide names, with the rights that the doctor asks for and no others."""

from __future__ import annotations

from gateway.doctor.grants import Role, rule

PASSWORD = "PASSWORD"


def user_lines(prefix: str, *, cluster: bool = False) -> list[str]:
    """Lines of a server's configuration that make both."""
    return [f"user {role} on >{PASSWORD} resetchannels {rule(role, prefix, cluster=cluster)}" for role in Role]


def login(url: str, role: Role) -> str:
    """The address for one of them."""
    return url.replace("://", f"://{role}:{PASSWORD}@", 1)
