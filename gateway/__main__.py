"""``python -m gateway COMMAND``, and what the script ``sse-gateway`` calls."""

from __future__ import annotations

import signal
import sys


def main() -> int:
    """Run a command; the exit code. Who presses Ctrl-C while its modules are loaded sees no traceback of them."""
    before = signal.getsignal(signal.SIGINT)
    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from gateway import cli

    if before is signal.default_int_handler:
        signal.signal(signal.SIGINT, before)
    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
