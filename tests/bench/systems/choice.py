"""Which systems there are, and which of them this machine can run."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from tests.bench import programs
from tests.bench.systems import handwritten, nchan
from tests.bench.systems.floor import Floor, JoinedFloor
from tests.bench.systems.gateway import ClientStreams, Gateway
from tests.bench.systems.handwritten import Handwritten
from tests.bench.systems.nchan import Nchan, NchanRedis
from tests.bench.systems.system import System

ALL: Final[dict[str, type[System]]] = {
    kind.name: kind for kind in (Floor, JoinedFloor, Nchan, NchanRedis, Handwritten, Gateway, ClientStreams)
}


def absent() -> dict[str, str]:
    """Systems that cannot run here, each with a sentence that names the remedy."""
    why = {Handwritten.name: handwritten.missing(), Nchan.name: nchan.missing(), NchanRedis.name: nchan.missing()}
    if programs.compiler() is None:
        sentence = (
            "The floor is left out, and the load client is a slow one in Python that makes every figure worse: "
            "both need a C compiler (as root: apt-get install gcc libc6-dev)."
        )
        why[Floor.name] = why[JoinedFloor.name] = sentence
    return {name: sentence for name, sentence in why.items() if sentence}


def pick(fitting: Iterable[type[System]], wanted: Iterable[str] | None = None) -> list[System]:
    """The systems of a case that are wanted and can run here."""
    missing = absent()
    return [
        kind()  # type: ignore[call-arg,unused-ignore]
        for kind in fitting
        if kind.name not in missing and (wanted is None or kind.name in set(wanted))
    ]
