"""A worker's hold on its job: who it is, for how long without a sign of life, and what happens then. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple, Self

from publisher import channels, jsontext
from publisher.core.given import OnWorkerLost
from publisher.core.identity import new_uid
from publisher.core.requests import Call
from publisher.core.scripts import NO_RETRY, LeaseArgs, ScriptName
from publisher.keys import channel_keys

LEASE_S: Final = 30.0
MIN_S: Final = 0.2
MAX_S: Final = 86_400.0
RENEWALS: Final = 3
"""A lease is renewed so often before it would run out: two renewals may fail."""


class Lease(NamedTuple):
    """``worker`` is a random name of one handle; another handle that opens the job takes the lease over."""

    worker: str
    lease_ms: int
    on_worker_lost: OnWorkerLost

    @classmethod
    def new(cls, lease_s: float | None, on_worker_lost: str) -> Self | None:
        """A lease for a handle that is just made, or None where it is to have none. Raises ``ValueError``."""
        if on_worker_lost not in ("fail", "wait"):
            raise ValueError(f"on_worker_lost must be 'fail' or 'wait', not {on_worker_lost!r}.")
        if lease_s is None:
            return None
        seconds = jsontext.real(lease_s, "lease_s")
        if not MIN_S <= seconds <= MAX_S:
            raise ValueError(f"lease_s must be {MIN_S:g} to {MAX_S:g} seconds, or None for no lease, not {lease_s!r}.")
        return cls(new_uid(), round(seconds * 1000), "wait" if on_worker_lost == "wait" else "fail")

    @property
    def renew_s(self) -> float:
        """Seconds between two renewals."""
        return self.lease_ms / 1000 / RENEWALS

    def renewal(self, prefix: str, job_id: str) -> Call:
        """The call that renews it."""
        state = channel_keys(prefix, channels.job_channel(job_id)).state
        return Call(ScriptName.LEASE, (state,), LeaseArgs(jsontext.dump(self.worker), self.lease_ms), NO_RETRY)
