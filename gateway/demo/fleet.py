"""The processes of ``dev``: two nodes behind one socket, the demo worker and the broker. Each may be taken away, and
comes back.

The nodes inherit the listening socket, so that one port leads to whichever of them lives. They send wishes up one
common pipe, and get the state of everything through their stdin, both as lines of JSON.
"""

from __future__ import annotations

import json
import os
import select
import sys
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Final, NoReturn, Self

from gateway.demo.children import Child
from gateway.demo.embedded_broker import EmbeddedBroker

NODES: Final = 2
TICK_S: Final = 0.1
BACK_AFTER_S: Final = 1.0
"""Long enough to see that something is away."""
MAX_BACK_AFTER_S: Final = 10.0
STABLE_S: Final = 5.0
"""Who ends sooner than this after its start is given more time before the next try."""
FROZEN_S: Final = 6.0
GONE_S: Final = 4.0
ANSWER_S: Final = 0.2
"""A node that passes on the wish to be killed itself can still answer it."""
MAX_LINE: Final = 4096

Launch = Callable[[], Child]


class CannotStart(Exception):
    """A node ended before it listened; it has said why on stderr."""


class Part:
    """One process that is to run all the time."""

    def __init__(self, name: str, launch: Launch, *, up: bool = False) -> None:
        """``up``: nobody will tell that it works, it counts as soon as it is started."""
        self.name = name
        self.node_id = ""
        self.was_up = up
        self._launch = launch
        self._up_at_once = up
        self._wait_s = BACK_AFTER_S
        self._back_at = 0.0
        self.kill_at: float | None = None
        self._start()

    def _start(self) -> None:
        self.child = self._launch()
        self.up = self._up_at_once
        self.away = False
        self._started_at = time.monotonic()

    def look(self) -> bool:
        """Notice its end, and start it again in time; whether anything has changed."""
        now = time.monotonic()
        if self.away:
            if now < self._back_at:
                return False
            self._start()
            return True
        if self.kill_at is not None and now >= self.kill_at:
            self.child.kill()
        if self.child.exit_code is None:
            return False
        self.child.stop()
        self.kill_at = None
        stable = now - self._started_at > STABLE_S
        self._wait_s = BACK_AFTER_S if stable else min(MAX_BACK_AFTER_S, 2 * self._wait_s)
        self._back_at = now + (BACK_AFTER_S if self.up else self._wait_s)
        self.up, self.away = False, True
        return True

    def shown(self) -> dict[str, Any]:
        state = "away" if self.away else "up" if self.up else "starting"
        return {"name": self.name, "state": state, "pid": self.child.pid, "id": self.node_id}


class Fleet:
    """``launch_node(number, control)`` starts a node that writes to the file descriptor ``control``; ``broker`` is None
    where it is the developer's own, which is left alone."""

    def __init__(
        self, launch_node: Callable[[int, int], Child], launch_worker: Launch, broker: EmbeddedBroker | None
    ) -> None:
        self._broker = broker
        self._broker_state = "up" if broker else "own"
        self._broker_back_at = 0.0
        self._pipe: list[int] = []
        self._rest = b""
        self._parts: dict[str, Part] = {}
        self._launch_node = launch_node
        self._launch_worker = launch_worker

    def __enter__(self) -> Self:
        read, write = os.pipe()
        self._pipe = [read, write]
        try:
            for number in range(1, NODES + 1):
                self._parts[str(number)] = Part(str(number), self._node(number, write))
            self._parts["worker"] = Part("worker", self._launch_worker, up=True)
        except BaseException:
            self.stop()
            raise
        return self

    def _node(self, number: int, control: int) -> Launch:
        return lambda: self._launch_node(number, control)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End everything but the broker, all at once. May be called twice."""
        if self._broker and self._broker_state == "frozen":
            self._broker.thaw()  # so that the nodes can take their leave
        for part in self._parts.values():
            part.child.ask_to_stop()
        for part in self._parts.values():
            part.child.stop()
        for descriptor in self._pipe:
            os.close(descriptor)
        self._pipe = []

    def run(self, started: Callable[[], None]) -> NoReturn:
        """Until a signal raises. ``started`` is called when all nodes listen. Raises :class:`CannotStart`, and
        :class:`~gateway.demo.embedded_broker.NoBroker` where the broker does not come back."""
        told = False
        while True:
            changed = self._hear()
            changed |= self._look_at_broker()
            for part in self._parts.values():
                if part.look():
                    changed = True
                    self._say(part)
            if changed:
                self._tell_nodes()
            if not told and all(part.up for part in self._parts.values()):
                told = True
                started()

    def _say(self, part: Part) -> None:
        if not part.away:
            return
        if not part.was_up:
            raise CannotStart(f"Node {part.name} did not start.")
        what = "The demo worker" if part.name == "worker" else f"Node {part.name}"
        print(f"{what} has ended (pid {part.child.pid}); another one takes its place.", file=sys.stderr)

    # What the nodes wish ---

    def _hear(self) -> bool:
        """Wait for wishes, a moment at most, and grant them."""
        if not select.select(self._pipe[:1], (), (), TICK_S)[0]:
            return False
        *lines, self._rest = (self._rest + os.read(self._pipe[0], MAX_LINE)).split(b"\n")
        for line in lines:
            self._grant(json.loads(line))
        return bool(lines)

    def _grant(self, wish: Mapping[str, str]) -> None:
        part = self._parts.get(wish.get("part", ""))
        if wish["do"] == "up" and part is not None:
            part.up = part.was_up = True
            part.node_id = wish["id"]
        elif wish["do"] == "kill" and part is not None and not part.away:
            part.kill_at = time.monotonic() + ANSWER_S
        elif self._broker is not None and self._broker_state == "up":
            if wish["do"] == "freeze":
                self._broker.freeze()
                self._broker_is("frozen", FROZEN_S)
            elif wish["do"] == "lose":
                self._broker.lose()
                self._broker_is("gone", GONE_S)

    def _broker_is(self, state: str, for_s: float) -> None:
        self._broker_state = state
        self._broker_back_at = time.time() + for_s

    def _look_at_broker(self) -> bool:
        broker = self._broker
        if broker is None:
            return False
        if self._broker_state == "up":
            if broker.exit_code is None:
                return False
            print("The broker has ended; it starts again, empty.", file=sys.stderr)
            self._broker_is("gone", BACK_AFTER_S)
            return True
        if time.time() < self._broker_back_at:
            return False
        if self._broker_state == "frozen":
            broker.thaw()
        else:
            broker.start()
        self._broker_state = "up"
        return True

    # What the nodes are told ---

    def state(self) -> dict[str, Any]:
        """Everything as it is now; ``back_at`` is when the broker will be there again, in ms since the Unix epoch."""
        shown = [part.shown() for part in self._parts.values()]
        return {
            "nodes": shown[:NODES],
            "worker": shown[-1],
            "broker": {"state": self._broker_state, "back_at": int(self._broker_back_at * 1000)},
        }

    def _tell_nodes(self) -> None:
        line = json.dumps(self.state()).encode() + b"\n"
        for part in list(self._parts.values())[:NODES]:
            if part.up:
                part.child.tell(line)
