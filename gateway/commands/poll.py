"""``poll``: asks the providers of a program's own poller, in a process of its own."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import os
import sys
from typing import TYPE_CHECKING, Any

from gateway.commands import common
from gateway.commands.stop_signals import StopSignals

if TYPE_CHECKING:
    from publisher.polling import Poller

NAME = "poll"
SUMMARY = "ask a provider that calls nobody back, for all registered jobs"
DESCRIPTION = """\
Run a publisher.polling.Poller of your own program until SIGTERM. Any number of processes may do so: each job is asked
for by one of them at a time. The module is looked for in the current folder too. Needs nothing of the extra gateway."""
EXAMPLES = """\
  sse-gateway poll pictures:poller
  sse-gateway poll shop.pictures:poller"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("poller", metavar="MODULE:POLLER", help="where the poller is; its publisher says which Redis")


def run(given: argparse.Namespace) -> int:
    from gateway.logs import output

    settings = common.settings(given)
    output.configure(settings.log_format, settings.log_level, actions=False)
    if given.redis_url:
        print("sse-gateway: --redis-url does not count here: the module's publisher does.", file=sys.stderr)
    with StopSignals() as signals:
        asyncio.run(_until_told(given.poller, find(given.poller), signals))
    return 0


def find(place: str) -> Poller:
    """The poller at ``module:attribute``. Raises :class:`CommandError` where there is none; what the module itself
    raises stays as it is, for whoever wrote it."""
    from publisher.polling import Poller

    module_name, _, attribute = place.partition(":")
    if not module_name or not attribute:
        raise common.CommandError(f"Name the poller as module:attribute, such as pictures:poller, not {place!r}.", 2)
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    found: Any = _module(module_name)
    for part in attribute.split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            raise common.CommandError(
                f"The module {module_name} has no {attribute}; give its poller that name, or name another one.", 2
            ) from None
    if not isinstance(found, Poller):
        raise common.CommandError(
            f"{place} is not a Poller but {type(found).__name__}; make it with publisher.polling.Poller.", 2
        )
    return found


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing = error.name or name
        if name == missing or name.startswith(f"{missing}."):
            raise common.CommandError(
                f"There is no module {missing} here; run this in the folder of your program, or set PYTHONPATH.", 2
            ) from None
        raise common.CommandError(f"The module {name} needs {missing}, which is not installed.") from None


async def _until_told(place: str, poller: Poller, signals: StopSignals) -> None:
    """What is under way at the end is given back to other processes."""
    loop = asyncio.get_running_loop()
    running = loop.create_task(poller.run())
    signals.call(lambda: loop.call_soon_threadsafe(running.cancel))
    print(f"sse-gateway: {place} runs, and tells Redis at {poller.where}.", file=sys.stderr, flush=True)
    with contextlib.suppress(asyncio.CancelledError):
        await running
    await poller.publisher.close()
