"""What the command line chose."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RunOptions:
    """None leaves a choice to the case. ``quick``: one short round of everything."""

    rounds: int | None = None
    seconds: float | None = None
    connections: tuple[int, ...] | None = None
    systems: tuple[str, ...] | None = None
    quick: bool = False

    def rounds_or(self, usual: int) -> int:
        return self.rounds or (1 if self.quick else usual)

    def seconds_or(self, usual: float) -> float:
        return self.seconds or (min(1.0, usual) if self.quick else usual)

    def connections_or(self, *usual: int) -> tuple[int, ...]:
        return self.connections or (usual[:1] if self.quick else usual)
