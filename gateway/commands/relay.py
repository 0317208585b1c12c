"""``relay``: publishes what an application's transactions have left in its outbox."""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from gateway.commands import common
from gateway.commands.stop_signals import StopSignals

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

NAME = "relay"
SUMMARY = "publish what was committed to an outbox table"
DESCRIPTION = """\
Publish the events that publisher.integrations.sqlalchemy.Outbox has written into a database, until SIGTERM: at least
once, in the order of the rows' ids for each channel. On PostgreSQL any number may run; one works at a time. Needs the
extra sqlalchemy and the database's driver, and nothing of the extra gateway."""
EXAMPLES = """\
  sse-gateway relay --database-url postgresql+psycopg://shop@127.0.0.1/shop
  SSE_GATEWAY_DATABASE_URL=sqlite:///shop.db sse-gateway relay --table shop_events"""

VARIABLE = "SSE_GATEWAY_DATABASE_URL"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--database-url",
        metavar="URL",
        default=os.environ.get(VARIABLE, ""),
        help=f"a URL of SQLAlchemy with a blocking driver (default: {VARIABLE} of the environment)",
    )
    parser.add_argument(
        "--table",
        metavar="NAME",
        default="sse_outbox",
        help="its table, perhaps schema.name (default: %(default)s)",
    )


def run(given: argparse.Namespace) -> int:
    settings = common.settings(given)
    from gateway.logs import output

    output.configure(settings.log_format, settings.log_level, actions=False)
    with StopSignals() as signals:
        url = database(given.database_url)
        from publisher import Publisher
        from publisher.integrations.sqlalchemy_relay import NoOutbox, Relay

        limit = settings.max_event_bytes
        try:
            with Publisher.from_url(
                settings.redis_url, prefix=settings.redis_prefix, max_event_bytes=limit
            ) as publisher:
                relay = Relay(url, given.table, publisher, limit)
                signals.call(relay.stop)
                shown = url.set(query={})  # drivers take passwords there too, which the URL's repr() does not hide
                print(f"sse-gateway: relaying {given.table} of {shown!r}.", file=sys.stderr, flush=True)
                relay.run()
        except ModuleNotFoundError as error:
            raise common.CommandError(
                f"The database's driver {error.name} is missing; install it with pip, or name another one in the URL."
            ) from None
        except (NoOutbox, ValueError) as error:
            raise common.CommandError(str(error), 2) from None
    return 0


def database(text: str) -> URL:
    """The URL of a database that can be asked from here. Raises :class:`CommandError`; no sentence shows a password."""
    try:
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError
    except ImportError:
        raise common.CommandError("The relay needs SQLAlchemy: pip install 'sse-gateway[sqlalchemy]'.") from None
    if not text:
        raise common.CommandError(f"Name the database with --database-url, or {VARIABLE} in the environment.", 2)
    try:
        url = make_url(text)
        dialect = url.get_dialect()
    except (ArgumentError, NoSuchModuleError, ValueError):
        raise common.CommandError(
            "The database URL cannot be read; it is dialect+driver://user:password@host:port/name, such as "
            "postgresql+psycopg://… or sqlite:///file.",
            2,
        ) from None
    if dialect.is_async:
        raise common.CommandError(
            f"The relay needs a blocking driver, and {url.drivername} is for asyncio; name another one, such as "
            "postgresql+psycopg or plain sqlite.",
            2,
        )
    return url
