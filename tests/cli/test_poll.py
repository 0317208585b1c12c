"""``sse-gateway poll``: a program's poller in processes of its own, of which any may die."""

from __future__ import annotations

import re
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.commands import poll
from gateway.commands.common import CommandError
from publisher import AsyncPublisher
from publisher.asyncio import poll_shift
from publisher.core import polls
from publisher.polling import Poll, Poller
from tests.support.broker import Broker
from tests.support.commands import GATEWAY, Running, run
from tests.support.node import ROOT
from tests.support.waiting import until, wait_until

HOWTO = (ROOT / "docs/howto/poll-a-provider.md").read_text("utf-8")
MODULE = "tests.cli.poll_module:poller"


class Polling:
    """Processes that poll, and a file of what they asked for."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "asked"

    def start(self) -> Running:
        return Running.command("poll", MODULE)

    def by(self, process: Running, job_id: str) -> bool:
        return self.file.exists() and f"{process.process.pid} {job_id}\n" in self.file.read_text()

    def let_end(self) -> None:
        Path(f"{self.file}.done").touch()


@pytest.fixture
def polling(tmp_path: Path, redis_url: str, prefix: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Polling]:
    found = Polling(tmp_path)
    for name, value in {"ASKED": str(found.file), "EVENTS_URL": redis_url, "PREFIX": prefix}.items():
        monkeypatch.setenv(name, value)
    yield found


@pytest.fixture
async def pub(redis_url: str, prefix: str) -> AsyncIterator[AsyncPublisher]:
    async with AsyncPublisher.from_url(redis_url, prefix=prefix) as found:
        yield found


async def never(job: object) -> Poll:
    raise AssertionError("this process does not run its poller")


async def test_the_jobs_of_a_killed_poller_are_polled_on_within_ten_seconds(
    polling: Polling, pub: AsyncPublisher
) -> None:
    """Also one that was being asked for at that moment; those of a poller that ends politely at once."""
    assert polls.POLL_LEASE_S + poll_shift.IDLE_S < 10
    web = Poller(pub, never)
    for job_id in ("runs", "hangs"):
        await web.watch(job_id, kind="k")
    with polling.start() as first:
        await until(lambda: polling.by(first, "runs") and polling.by(first, "hangs"), "the first poller to ask")
        with polling.start() as second:
            first.process.kill()
            await until(lambda: polling.by(second, "runs") and polling.by(second, "hangs"), "the second one to ask")
            with polling.start() as third:
                assert second.end() == 0
                await until(lambda: polling.by(third, "runs") and polling.by(third, "hangs"), "the third one to ask")
                polling.let_end()

                async def ended() -> bool:
                    job = await pub.get_job("runs")
                    return job is not None and job.status == "completed"

                await until(ended, "the end of the job")
                assert third.end(signal.SIGINT) == 0
                assert "Traceback" not in third.stderr + second.stderr


def test_what_is_no_poller_is_answered_with_one_sentence(
    polling: Polling, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "needy.py").write_text("import no_such_library")
    monkeypatch.syspath_prepend(tmp_path)
    for place, sentence in {
        "poller": "Name the poller as module:attribute, such as pictures:poller, not 'poller'.",
        "tests.nowhere.x:poller": "There is no module tests.nowhere here; run this in the folder of your program, ",
        "tests.cli.poll_module:nobody": "The module tests.cli.poll_module has no nobody; give its poller that name, ",
        "tests.cli.poll_module:number": "tests.cli.poll_module:number is not a Poller but int; make it with ",
        "needy:poller": "The module needy needs no_such_library, which is not installed.",
    }.items():
        with pytest.raises(CommandError, match=re.escape(sentence)):
            poll.find(place)
    done = run("poll", "nowhere:poller")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("sse-gateway: There is no module nowhere here; ")
    assert done.stderr.count("\n") == 1


def test_the_extra_gateway_is_not_needed(polling: Polling) -> None:
    """Where its packages cannot be imported, the command runs all the same."""
    packages = "('starlette', 'uvicorn', 'httptools', 'hiredis', 'jwt', 'cryptography', 'prometheus_client', 'httpx')"
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({packages})); from gateway.cli import main; "
        f"sys.exit(main(['poll', '{MODULE}']))"
    )
    with Running([sys.executable, "-c", program]) as running:
        said = f"sse-gateway: {MODULE} runs, and tells Redis at 127.0.0.1:"
        wait_until(lambda: said in running.stderr or running.process.poll() is not None, "the poller")
        assert running.end() == 0, running.stderr


async def test_the_how_to_s_code_runs(own_broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, order = re.findall(r"```python\n(.*?)```", HOWTO, re.DOTALL)
    provider = (
        "async def ask_the_provider(id):\n    return {'state': 'done', 'url': f'https://pictures.example/{id}'}\n\n\n"
    )
    (tmp_path / "pictures.py").write_text(provider + module.replace("redis://localhost:6379/0", own_broker.url))
    monkeypatch.syspath_prepend(tmp_path)
    found: dict[str, Any] = {}
    exec(order, found)
    job_id = await found["order"]("user-1", "p1")
    await found["poller"].publisher.close()
    (command,) = re.findall(r"```sh\nsse-gateway (.*)\n", HOWTO)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Running([*GATEWAY, *command.split()]) as process:  # Python reads its path as it starts
        async with AsyncPublisher.from_url(own_broker.url) as pub:

            async def ended() -> bool:
                job = await pub.get_job(job_id)
                return job is not None and job.result == {"url": "https://pictures.example/p1"}

            await until(ended, "the end of the job")
        assert process.end() == 0
