"""A real PostgreSQL of one's own, as Debian's package has it: started privately, and gone afterwards."""

from __future__ import annotations

import atexit
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psycopg

from tests.support.ports import HOST, free_port
from tests.support.waiting import wait_until

STOP_S = 30
RUN_S = 60


def find(program: str) -> str:
    """A program of PostgreSQL: on the path, or where Debian keeps it."""
    found = shutil.which(program)
    if found is None:
        folders = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"), key=lambda path: int(path.parts[4]))
        found = str(folders[-1]) if folders else None
    assert found is not None, "PostgreSQL is missing: apt-get install postgresql, or make tools as root."
    return found


class Postgres:
    """A server on a free loopback port that believes everybody, and writes nothing through to the disk. As root it is
    run by somebody else, which it insists on."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="sse-postgres-"))
        atexit.register(self.close)
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            os.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
        data = str(self._folder / "data")
        subprocess.run(
            [find("initdb"), "-D", data, "-U", "tests", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"],
            check=True,
            capture_output=True,
            timeout=RUN_S,
            cwd=self._folder,
            **self._as,
        )
        self.port = free_port()
        off = [f"-c{name}=off" for name in ("fsync", "synchronous_commit", "full_page_writes", "autovacuum")]
        self._process = subprocess.Popen(
            [find("postgres"), "-D", data, "-h", HOST, "-p", str(self.port), "-k", str(self._folder), *off],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
            **self._as,
        )
        wait_until(self._answers, "PostgreSQL")

    def database(self) -> str:
        """The URL (of SQLAlchemy) of a new, empty database."""
        name = f"t{secrets.token_hex(5)}"
        self.execute(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://tests@{HOST}:{self.port}/{name}"

    def execute(self, statement: str) -> list[Any]:
        """What a statement answers, outside of any transaction."""
        with psycopg.connect(host=HOST, port=self.port, user="tests", dbname="postgres", autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def close(self) -> None:
        """May be called twice."""
        atexit.unregister(self.close)
        process = getattr(self, "_process", None)
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGQUIT)
            process.wait(STOP_S)
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _answers(self) -> bool:
        assert self._process.poll() is None, "PostgreSQL ended while it started"
        try:
            self.execute("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True
