"""Jobs by the hundred: streams of them that are cut off, and states larger than anybody should have to hold."""

from __future__ import annotations

import asyncio
import secrets
from typing import Final

from tests.bench.attacks.attack import MALLORY, AttackPeer, again_and_again, ask, head
from tests.bench.systems.gateway import Gateway

LIMITS: Final = {"CONNECT_RATE_PER_S": 500, "MAX_CONNECTIONS_PER_USER": 20}
"""As a node has them that was not told otherwise."""
NEW_JOBS: Final = 32
OPEN_S: Final = 0.01
"""How long a stream is waited for before it is cut off."""
JOBS: Final = 500
RESULT: Final = "x" * 200_000
FOREIGN: Final = "foreign"
LARGE: Final = "x" * 20_000_000
HELD_S: Final = 3.0


async def aborted(port: int) -> None:
    """8 sockets: a stream over 32 jobs that nobody has heard of, cut off, and the next one."""
    before, behind = head("GET", "/v1/events?*").split(b"*")

    async def strike(peer: AttackPeer) -> None:
        wanted = b"&".join(b"channel=job:%b" % secrets.token_hex(8).encode() for _ in range(NEW_JOBS))
        await cut_off(peer, before + wanted + behind + b"\r\n")

    await again_and_again(port, 8, strike)


async def cut_off(peer: AttackPeer, request: bytes) -> None:
    """Ask for a stream, and end it with a reset."""
    peer.abort_at_end()
    await peer.send(request)
    await asyncio.sleep(OPEN_S)


def make_jobs(system: Gateway) -> None:
    """500 of one owner, with 200 kB each."""
    for number in range(JOBS):
        system.publisher.create_job(f"large-{number}", kind="k", owner=MALLORY, meta={"text": RESULT})


def make_foreign_job(system: Gateway) -> None:
    """20 MB of somebody else."""
    system.publisher.create_job(FOREIGN, kind="k", owner="ann")
    with system.redis() as client:
        client.hset(system.state_key(FOREIGN), "message", LARGE)


async def bad_cursors(port: int) -> None:
    """10 streams of an owner's jobs with a cursor that means nothing, read to the last state and begun again."""
    request = head("GET", "/v1/jobs/events?lastEventId=garbage") + b"\r\n"

    async def strike(peer: AttackPeer) -> None:
        await peer.send(request)
        left = JOBS * len(RESULT)
        while left > 0 and (data := await peer.read()):
            left -= len(data)

    await again_and_again(port, 10, strike)


async def slow_lists(port: int) -> None:
    """100 that ask for an owner's jobs and do not read the answer."""
    request = head("GET", "/v1/jobs") + b"\r\n"

    async def strike(peer: AttackPeer) -> None:
        await peer.send(request)
        await asyncio.sleep(HELD_S)

    await again_and_again(port, 100, strike)


async def foreign(port: int) -> None:
    """8 sockets that ask for somebody else's large job."""
    await ask(port, 8, head("GET", f"/v1/jobs/{FOREIGN}") + b"\r\n")


async def foreign_streams(port: int) -> None:
    """8 sockets that wait for its stream, cut it off, and wait again."""
    request = head("GET", f"/v1/jobs/{FOREIGN}/events") + b"\r\n"
    await again_and_again(port, 8, lambda peer: cut_off(peer, request))
