"""Who may read, cancel and mint what: the whole table, without I/O, for every path into the node."""

from __future__ import annotations

from collections.abc import Collection

from gateway.auth.principal import ADMIN, STATS, Principal
from gateway.fanout.ownership import UNKNOWN, Owner
from gateway.settings.values import origin as normal_origin
from publisher.channels import BROADCAST, PRESENCE, id_of, kind_of


def may_read(principal: Principal, channel: str, *, anonymous_reading: bool, job_owner: Owner = UNKNOWN) -> bool:
    """Whether this bearer may read a (checked) channel.

    ``job_owner`` counts for ``job:…`` channels: the owner, None for a job without one. While it is unknown only those
    are let in who may read the channel whoever owns the job.
    """
    if principal.exact is not None:
        return channel in principal.exact
    if principal.has(ADMIN):
        return True
    if principal.channels and any(_matches(pattern, channel) for pattern in principal.channels):
        return True
    if channel == PRESENCE:
        return principal.has(STATS)  # it says who is online, which the same scope may ask
    if channel == BROADCAST:
        return anonymous_reading or not principal.anonymous
    own = principal.subject is not None and principal.subject == id_of(channel)
    match kind_of(channel):
        case "client":
            return own or anonymous_reading
        case "user":
            return own
        case "topic":
            return anonymous_reading
        case "job":
            return _may_read_job(principal, anonymous_reading, job_owner)
    return False


def may_cancel(principal: Principal, job_owner: Owner) -> bool:
    """Whether it may cancel a job: the owner or ``admin``. Reading along, by a pattern or ticket, is not enough."""
    if principal.has(ADMIN):
        return True
    return principal.exact is None and principal.subject is not None and principal.subject == job_owner


def may_mint(principal: Principal) -> bool:
    """Whether it may have tickets made for channels that it may read. A ticket cannot make tickets."""
    return principal.exact is None


def origin_allowed(origin: str | None, own_origin: str, cors_origins: Collection[str], *, required: bool) -> bool:
    """Whether a request that is authenticated by cookie may come from this ``Origin``.

    A browser adds the cookie to requests of any page, so the page must be the node's own or in ``cors_origins``.
    ``required``: true for requests that change something; a stream without the header comes from the node's own page,
    because browsers leave it out of plain same-origin reads only.
    """
    if origin is None:
        return not required
    try:
        named = normal_origin(origin)
        return named in cors_origins or named == normal_origin(own_origin)
    except ValueError:
        return False


def _matches(pattern: str, channel: str) -> bool:
    if pattern.endswith("*"):
        return channel.startswith(pattern[:-1])
    return channel == pattern


def _may_read_job(principal: Principal, anonymous_reading: bool, owner: Owner) -> bool:
    if owner is UNKNOWN:
        return False
    if owner is None:
        return anonymous_reading or not principal.anonymous
    return principal.subject is not None and principal.subject == owner
