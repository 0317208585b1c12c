"""The outbox: what a transaction announces is published if it commits, in order, whatever dies in between."""

from __future__ import annotations

import logging
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from sqlalchemy import Engine, MetaData, create_engine, make_url, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from gateway.commands import relay as command
from gateway.commands.common import CommandError
from publisher import Publisher
from publisher.integrations.sqlalchemy import Outbox
from publisher.integrations.sqlalchemy_relay import Relay
from tests.support.broker import Broker
from tests.support.commands import Running
from tests.support.node import ROOT
from tests.support.postgres import Postgres
from tests.support.publishers import Reader
from tests.support.waiting import wait_until

pytestmark = pytest.mark.xdist_group("postgres")  # one server for all of them

HOWTO = (ROOT / "docs/howto/outbox.md").read_text("utf-8")
LOCKS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
Relaying = Callable[..., Relay]


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with Postgres() as server:
        yield server


@pytest.fixture
def url(postgres: Postgres) -> str:
    return postgres.database()


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/shop.db"


@contextmanager
def shop(url: str) -> Iterator[tuple[Engine, Outbox]]:
    """An application with its outbox."""
    metadata = MetaData()
    outbox = Outbox(metadata)
    engine = create_engine(url, poolclass=NullPool)
    metadata.create_all(engine)
    yield engine, outbox
    engine.dispose()


@pytest.fixture
def relaying(redis_url: str, prefix: str) -> Iterator[Relaying]:
    """``relaying(url)`` runs a relay in a thread."""
    with ExitStack() as stack:

        def one(url: str, redis: str = redis_url, **more: Any) -> Relay:
            publisher = stack.enter_context(Publisher.from_url(redis, prefix=prefix))
            relay = Relay(make_url(url), "sse_outbox", publisher, 262_144, **more)
            thread = threading.Thread(target=relay.run)
            thread.start()
            stack.callback(thread.join, 30)
            stack.callback(relay.stop)
            return relay

        yield one


def said(reader: Reader, channel: str) -> list[Any]:
    return [orjson.loads(event.data) for event in reader.log(channel)]


def left(engine: Engine) -> int:
    with engine.connect() as connection:
        return int(connection.execute(text("SELECT count(*) FROM sse_outbox WHERE refused IS NULL")).scalar_one())


@pytest.mark.parametrize("database", ["sqlite", "url"])
def test_what_commits_is_announced_once_and_what_is_rolled_back_never(
    request: pytest.FixtureRequest, database: str, relaying: Relaying, reader: Reader
) -> None:
    url = request.getfixturevalue(database)
    with shop(url) as (engine, outbox):
        with Session(engine) as session:
            outbox.add(session, "topic:a", "t", "rolled back")
            session.flush()
            session.rollback()
        with Session(engine) as session, session.begin():
            for n in range(150):
                outbox.add(session, "topic:a", "t", n)
                outbox.add(session, "topic:b", "t", {"n": n})
            try:
                with session.begin_nested():
                    outbox.add(session, "topic:a", "t", "savepoint")
                    session.flush()
                    raise LookupError
            except LookupError:
                pass
            outbox.add(session, "topic:c", "t", 1, id="own")
        with Session(engine) as session, session.begin():
            outbox.add(session, "topic:c", "t", 2, id="own")  # said before
            outbox.add(session, "topic:c", "t", 3)
        assert left(engine) == 303
        relaying(url)
        wait_until(lambda: left(engine) == 0, "the outbox to be empty")
        assert said(reader, "topic:a") == list(range(150))
        assert said(reader, "topic:b") == [{"n": n} for n in range(150)]
        assert said(reader, "topic:c") == [1, 3]
        # A transaction later, while the relay waits.
        with Session(engine) as session, session.begin():
            outbox.add(session, "topic:c", "t", 4)
        wait_until(lambda: said(reader, "topic:c") == [1, 3, 4], "the event of a later transaction")


def test_what_cannot_be_published_is_refused_where_it_is_added(sqlite: str) -> None:
    with shop(sqlite) as (engine, outbox), Session(engine) as session:
        for channel, type, data, id, words in (
            ("nowhere", "t", 1, None, "A channel is client:ID"),
            ("topic:a", "t t", 1, None, "An event type must have"),
            ("topic:a", "job.done", 1, None, "belongs to the job calls"),
            ("topic:a", "t", object(), None, "JSON"),
            ("topic:a", "t", "x" * 300_000, None, "at most 262144 are allowed"),
            ("topic:a", "t", 1, "a\nb", "An event's own id must be"),
        ):
            with pytest.raises(ValueError, match=words):
                outbox.add(session, channel, type, data, id)
        session.commit()
        assert left(engine) == 0
    with pytest.raises(ValueError, match="The outbox's table must be a plain name"):
        Outbox(MetaData(), "sse outbox")


async def test_an_async_session_adds_with_the_same_call(url: str, relaying: Relaying, reader: Reader) -> None:
    """And the relay is woken by the commit: it does not look by itself for a minute."""
    with shop(url) as (_, outbox):
        relaying(url, listen_s=60)
        there = create_async_engine(url)
        for n in range(3):
            async with AsyncSession(there) as session, session.begin():
                outbox.add(session, "topic:a", "t", n)
                outbox.add(session, "topic:a", "t", n + 0.5)
            wait_until(lambda n=n: len(said(reader, "topic:a")) == 2 * n + 2, "both events")  # type: ignore[misc]
        await there.dispose()
        assert said(reader, "topic:a") == [0, 0.5, 1, 1.5, 2, 2.5]


def test_a_smaller_id_that_commits_later_is_waited_for(
    postgres: Postgres, url: str, relaying: Relaying, reader: Reader
) -> None:
    with shop(url) as (engine, outbox):
        with Session(engine) as slow, Session(engine) as fast:
            outbox.add(slow, "topic:a", "t", "first")
            slow.flush()
            outbox.add(fast, "topic:a", "t", "second")
            fast.commit()
            relaying(url)
            asks = f"datname = '{url.rpartition('/')[2]}' AND query LIKE 'SELECT DISTINCT virtualtransaction%'"
            waiting = f"SELECT count(*) FROM pg_stat_activity WHERE {asks}"
            wait_until(lambda: postgres.execute(waiting) == [(1,)], "the relay to wait")
            assert said(reader, "topic:a") == []
            slow.commit()
        wait_until(lambda: left(engine) == 0, "the outbox to be empty")
        assert said(reader, "topic:a") == ["first", "second"]


def test_a_transaction_that_does_not_end_holds_nobody_up_for_long(
    url: str, relaying: Relaying, reader: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    """One that is forgotten must not keep everybody's news."""
    with shop(url) as (engine, outbox), Session(engine) as stuck:
        outbox.add(stuck, "topic:a", "t", "late")
        stuck.flush()
        relaying(url, order_wait_s=0.1)
        for n in range(3):
            with Session(engine) as session, session.begin():
                outbox.add(session, "topic:a", "t", n)
            wait_until(lambda n=n: len(said(reader, "topic:a")) == n + 1, "the event")  # type: ignore[misc]
        stuck.commit()
        wait_until(lambda: said(reader, "topic:a") == [0, 1, 2, "late"], "the late one")
    assert caplog.text.count("published out of order") == 1


def test_rows_that_make_no_sense_are_set_aside_and_said_once(
    sqlite: str, relaying: Relaying, reader: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    with shop(sqlite) as (engine, outbox):
        with engine.begin() as connection:
            for channel, type, data, id in (
                ("topic:a", "t", "{broken", None),
                ("nowhere", "t", "1", None),
                ("topic:a", "t t", "1", None),
                ("topic:a", "t", '"' + "x" * 300_000 + '"', None),
                ("topic:a", "t", "1", ""),
                ("topic:a", "t", f"[{2**64}]", None),
                ("topic:a", "t", '{"by": "hand"}', None),
            ):
                statement = "INSERT INTO sse_outbox (channel, type, data, event_id) VALUES (:c, :t, :d, :i)"
                connection.execute(text(statement), {"c": channel, "t": type, "d": data, "i": id})
        with Publisher.from_url(reader.url, prefix=reader.prefix) as pub, pub.job("over", kind="k"):
            pass
        with Session(engine) as session, session.begin():
            outbox.add(session, "job:over", "t", "dropped")
            outbox.add(session, "topic:a", "t", "good")
        relaying(sqlite)
        wait_until(lambda: left(engine) == 0, "the outbox to be empty")
        with engine.connect() as connection:
            reasons = connection.execute(text("SELECT refused FROM sse_outbox ORDER BY id")).scalars().all()
    assert said(reader, "topic:a") == [{"by": "hand"}, "good"]
    words = (
        "unexpected character|line 1|JSON",
        "A channel is",
        "An event type",
        "has 300002 characters",
        "own id",
        "64 bits",
    )
    assert len(reasons) == len(words)
    assert all(re.search(word, reason) for word, reason in zip(words, reasons, strict=True)), reasons
    assert caplog.text.count("is set aside and not published") == len(words)
    assert "The job over is completed" in caplog.text


def test_a_channel_that_redis_does_not_take_holds_up_no_other(
    sqlite: str, relaying: Relaying, own_broker: Broker, prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The relay's user has no right to it, at first, and to no job, by which the relay looks whether Redis is there."""
    reader = Reader(own_broker.url, prefix)
    grant = ("ACL", "SETUSER", "relay", "on", ">secret", "allchannels", "+@all")
    reader.client.execute_command(*grant, f"~{prefix}:{{topic:good}}:*")
    with shop(sqlite) as (engine, outbox):
        with Session(engine) as session, session.begin():
            for n in range(150):
                outbox.add(session, "topic:bad", "t", n)
            outbox.add(session, "topic:good", "t", 1)
        relaying(sqlite, redis=own_broker.url.replace("//", "//relay:secret@"), retry_s=1)
        wait_until(lambda: said(reader, "topic:good") == [1], "the event behind those of the other channel")
        wait_until(lambda: left(engine) == 150, "its row to be gone")
        reader.client.execute_command(*grant, "allkeys")
        wait_until(lambda: left(engine) == 0, "the outbox to be empty")
    assert said(reader, "topic:bad") == list(range(150))
    assert "topic:bad waits for 1 s, and others go on" in caplog.text
    reader.close()


def test_no_lock_is_held_while_redis_is_away(
    postgres: Postgres, url: str, relaying: Relaying, own_broker: Broker, prefix: str
) -> None:
    with shop(url) as (engine, outbox):
        relaying(url, redis=own_broker.url)
        wait_until(lambda: postgres.execute(LOCKS) == [(1,)], "the relay to work")
        own_broker.stop()
        with Session(engine) as session, session.begin():
            outbox.add(session, "topic:a", "t", 1)
        wait_until(lambda: postgres.execute(LOCKS) == [(0,)], "the relay to let go")
        name = url.rpartition("/")[2]
        held = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}' AND xact_start IS NOT NULL"
        assert postgres.execute(held) == [(0,)]
        own_broker.start()
        wait_until(lambda: left(engine) == 0, "the outbox to be empty")
        found = Reader(own_broker.url, prefix)
        assert said(found, "topic:a") == [1]
        found.close()


def test_a_relay_with_nothing_to_publish_says_that_redis_is_away_and_back(
    sqlite: str, relaying: Relaying, own_broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "publisher.relay")
    own_broker.stop()
    with shop(sqlite):
        relaying(sqlite, redis=own_broker.url)
        wait_until(lambda: "Nothing is published, and is tried again" in caplog.text, "the warning")
        own_broker.start()
        wait_until(lambda: "Redis answers; what waits is published." in caplog.text, "the end of it")
    assert caplog.text.count("Nothing is published") == 1


def test_one_relay_works_at_a_time_and_another_takes_its_place(
    postgres: Postgres, url: str, relaying: Relaying, reader: Reader, caplog: pytest.LogCaptureFixture
) -> None:
    """Also where the database ends the connection of the first one."""
    caplog.set_level(logging.INFO)
    with shop(url) as (engine, outbox):
        first = relaying(url)
        wait_until(lambda: postgres.execute(LOCKS) == [(1,)], "the first relay to work")
        relaying(url)
        wait_until(lambda: "Another relay works on sse_outbox" in caplog.text, "the second relay to stand by")
        first.stop()
        with Session(engine) as session, session.begin():
            outbox.add(session, "topic:a", "t", 1)
        wait_until(lambda: said(reader, "topic:a") == [1], "the second relay to work")
        name = url.rpartition("/")[2]
        postgres.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'")
        with Session(engine) as session, session.begin():
            outbox.add(session, "topic:a", "t", 2)
        wait_until(lambda: said(reader, "topic:a") == [1, 2], "the relay to come back")
        assert caplog.text.count("The database cannot be asked") == 1


def test_a_relay_that_is_killed_loses_and_doubles_nothing(
    postgres: Postgres, url: str, redis_url: str, prefix: str, reader: Reader
) -> None:
    """By SIGKILL when it has published rows and could not delete them yet; the last one ends politely."""
    arguments = ("relay", "--database-url", url, "--redis-url", redis_url)
    first_row = text("SELECT id FROM sse_outbox ORDER BY id LIMIT 1 FOR UPDATE")
    blocked = f"FROM pg_stat_activity WHERE datname = '{url.rpartition('/')[2]}' AND wait_event_type = 'Lock'"
    with shop(url) as (engine, outbox):
        for turn in range(2):
            with Session(engine) as session, session.begin():
                for n in range(240):
                    outbox.add(session, f"topic:{n % 3}", "t", 240 * turn + n)
            rest = left(engine)
            with engine.connect() as holding, Running.command(*arguments, REDIS_PREFIX=prefix) as relay:
                holding.execute(first_row)
                wait_until(lambda: postgres.execute(f"SELECT count(*) {blocked}") == [(1,)], "the relay to delete")
                relay.process.kill()
                relay.wait()
                # The server would delete them all the same, as soon as it can.
                postgres.execute(f"SELECT pg_terminate_backend(pid) {blocked}")
                wait_until(lambda: postgres.execute(f"SELECT count(*) {blocked}") == [(0,)], "it to give up")
            assert left(engine) == rest
            assert len(reader.log("topic:0")) >= 30
        with Running.command(*arguments, REDIS_PREFIX=prefix) as relay:
            wait_until(lambda: left(engine) == 0, "the outbox to be empty")
            assert relay.end() == 0, relay.stderr
    for channel in range(3):
        assert said(reader, f"topic:{channel}") == [n for n in range(480) if n % 3 == channel]


def test_the_command_shows_no_password(tmp_path: Path, redis_url: str) -> None:
    """Drivers take one behind the question mark too."""
    url = f"sqlite:///{tmp_path}/none.db?password=hush"
    with (
        shop(url.partition("?")[0]),
        Running.command("relay", "--database-url", url, "--redis-url", redis_url) as relay,
    ):
        wait_until(lambda: "relaying sse_outbox" in relay.stderr, "the relay to start")
        assert "hush" not in relay.stderr


def test_the_command_names_what_is_wrong(sqlite: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for given, words in {
        "": "Name the database with --database-url, or SSE_GATEWAY_DATABASE_URL in the environment.",
        "what": "The database URL cannot be read; it is dialect+driver://",
        "nosuch://hush@x/y": "The database URL cannot be read; it is dialect+driver://",
        "sqlite+aiosqlite:///x": "The relay needs a blocking driver, and sqlite+aiosqlite is for asyncio; name another",
    }.items():
        with pytest.raises(CommandError, match=re.escape(words)):
            command.database(given)
    monkeypatch.setenv("SSE_GATEWAY_DATABASE_URL", sqlite)
    packages = "('starlette', 'uvicorn', 'httptools', 'hiredis', 'jwt', 'cryptography', 'prometheus_client', 'httpx')"
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({packages})); from gateway.cli import main; sys.exit(main())"
    )
    # Where the packages of the extra gateway cannot be imported, it gets as far.
    done = subprocess.run([sys.executable, "-c", program, "relay"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "sse-gateway: The database has no table sse_outbox; make it with metadata.create_all()" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_how_to_s_code_runs(sqlite: str, own_broker: Broker) -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", HOWTO, re.DOTALL))
    found: dict[str, Any] = {}
    code = code.replace("postgresql+psycopg://shop@127.0.0.1/shop", sqlite)
    exec(compile(code, "outbox.md", "exec", dont_inherit=True), found)
    (line,) = re.findall(r"```sh\nsse-gateway (relay .*)\n", HOWTO)
    arguments = line.replace("postgresql+psycopg://shop@127.0.0.1/shop", sqlite).split()
    reader = Reader(own_broker.url, "sse")
    with Running.command(*arguments, "--redis-url", own_broker.url) as relay:
        wait_until(lambda: reader.log("user:user-1"), "the event")
        assert relay.end(signal.SIGTERM) == 0
    assert said(reader, "user:user-1") == [{"order": 1}]
    reader.close()
