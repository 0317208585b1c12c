"""What a second process on the same port brings: ``serve --processes``."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Final

from tests.bench.cases.connect import COLUMNS as COLUMNS
from tests.bench.cases.connect import Contestant, compare
from tests.bench.measurement import Row
from tests.bench.options import RunOptions
from tests.bench.systems.gateway import Gateway

NAME: Final = "processes"
SUMMARY: Final = "new streams per second with a token each, on one process and on two of one port"


def run(options: RunOptions) -> list[Row]:
    with ExitStack() as parts:
        crowd = [
            Contestant(parts.enter_context(Gateway(processes=count)), f"{count} of serve", Gateway.authorized)
            for count in (1, 2)
        ]
        return compare(crowd, options, NAME)
