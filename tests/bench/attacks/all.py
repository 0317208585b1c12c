"""The attacks by name, in the order in which they run."""

from __future__ import annotations

from typing import Final

from tests.bench.attacks import bodies, crowds, jobs, requests
from tests.bench.attacks.attack import Attack

_ALL: Final = (
    Attack("plain", "8 sockets: plain requests", requests.plain),
    Attack("trailers", "8 sockets: trailers without end", requests.trailers),
    Attack("one-trailer", "8 sockets: one trailer without end", requests.one_trailer),
    Attack("extensions", "8 sockets: chunk extensions", requests.extensions),
    Attack("bytewise", "8 sockets: chunks of a byte", requests.bytewise),
    Attack("endless-body", "8 sockets: a body without end", requests.endless_body),
    Attack("many-headers", "8 sockets: 2,700 headers each", requests.many_headers),
    Attack("many-parameters", "8 sockets: 8,000 parameters each", requests.many_parameters),
    Attack("pipelined", "8 sockets: pipelined requests", requests.pipelined),
    Attack("slow-heads", "500 heads that never end", requests.slow_heads),
    Attack("tickets", "16 tickets of 1 MiB at once", bodies.tickets),
    Attack("unfinished-tickets", "500 unfinished bodies of tickets", bodies.unfinished_tickets),
    Attack("unfinished-events", "500 unfinished bodies of events", bodies.unfinished_events),
    Attack("unread", "500 idle, with unread bodies", bodies.unread),
    Attack("idle", "3,000 idle connections", crowds.idle, crowds.SETTINGS),
    Attack("silent", "3,000 silent connections", crowds.silent, crowds.SETTINGS),
    Attack("aborted", "8 sockets: streams of 32 new jobs, cut off", jobs.aborted, jobs.LIMITS),
    Attack("bad-cursors", "10 streams of 500 jobs of 200 kB", jobs.bad_cursors, prepare=jobs.make_jobs),
    Attack("slow-lists", "100 slow readers of 500 jobs", jobs.slow_lists, prepare=jobs.make_jobs),
    Attack("foreign", "8 sockets: a foreign job of 20 MB", jobs.foreign, prepare=jobs.make_foreign_job),
    Attack(
        "foreign-streams", "8 sockets: its stream, cut off", jobs.foreign_streams, jobs.LIMITS, jobs.make_foreign_job
    ),
)
ATTACKS: Final[dict[str, Attack]] = {attack.name: attack for attack in _ALL}
