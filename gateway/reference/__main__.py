"""``python -m gateway.reference NAME``: prints one of the reference pages that are made from the code."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Final

from gateway.reference import commands, logs, metrics, settings

PAGES: Final[dict[str, Callable[[], str]]] = {
    "commands": commands.reference,
    "logs": logs.reference,
    "metrics": metrics.reference,
    "settings": settings.reference,
}
"""What makes each page of ``docs/reference``, by its name without ``.md``."""


def main(names: list[str]) -> int:
    """Print the page that is named; the exit code."""
    if len(names) != 1 or names[0] not in PAGES:
        print(f"Name one page: {', '.join(PAGES)}.", file=sys.stderr)
        return 2
    sys.stdout.write(PAGES[names[0]]())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
