"""Publishers and processes: forks, and the end of an interpreter."""

from __future__ import annotations

import multiprocessing
import multiprocessing.synchronize
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from publisher import Publisher
from tests.support.broker import Broker
from tests.support.publishers import Reader

pytestmark = pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")

ROOT = Path(__file__).parents[2]


def test_a_forked_child_goes_on_with_the_same_publisher(redis_url: str, prefix: str) -> None:
    pub = Publisher.from_url(redis_url, prefix=prefix)
    pub.publish("topic:a", "t", "before")

    def work(name: str) -> None:
        for n in range(20):
            pub.publish("topic:a", "t", [name, n])

    children = [multiprocessing.get_context("fork").Process(target=work, args=(name,)) for name in "ab"]
    for child in children:
        child.start()
    work("parent")
    for child in children:
        child.join(30)
    assert [child.exitcode for child in children] == [0, 0]
    reader = Reader(redis_url, prefix)
    log = reader.log("topic:a")
    assert [event.seq for event in log] == list(range(1, 62))
    assert len({event.mark for event in log}) == 61
    reader.close()
    pub.close()


def test_what_waits_at_a_fork_is_sent_by_the_parent_alone(own_broker: Broker, prefix: str) -> None:
    pub = Publisher.from_url(own_broker.url, prefix=prefix, on_error="buffer")
    own_broker.kill()
    for n in range(10):
        pub.publish("topic:a", "t", n)
    child = os.fork()
    if not child:
        code = 1
        try:
            pub.publish("topic:b", "t", "child")
            pub.close()
            code = 0
        finally:
            os._exit(code)
    own_broker.start()
    pub.close()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    reader = Reader(own_broker.url, prefix)
    assert [event.data for event in reader.log("topic:a")] == [b"%d" % n for n in range(10)]
    assert reader.types("topic:b") == ["t"]
    reader.close()


def test_a_job_goes_on_in_a_child_although_a_thread_held_its_lock(own_broker: Broker, prefix: str) -> None:
    with Publisher.from_url(own_broker.url, prefix=prefix) as pub, pub.job("j", kind="k") as job:
        server = own_broker.pid
        own_broker.freeze()
        stuck = threading.Thread(target=job.progress, args=(1,))
        stuck.start()
        child = os.fork()
        if not child:
            code = 1
            try:
                os.kill(server, signal.SIGCONT)
                job.emit("token", "child")
                code = 0
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        stuck.join()
    reader = Reader(own_broker.url, prefix)
    assert sorted(reader.types("job:j")) == ["job.completed", "job.created", "job.progress", "job.started", "token"]
    reader.close()


def test_what_waits_is_sent_before_the_interpreter_ends(own_broker: Broker, prefix: str) -> None:
    own_broker.kill()
    code = (
        "import sys; from publisher import Publisher\n"
        f"pub = Publisher.from_url({own_broker.url!r}, prefix={prefix!r}, on_error='buffer', flush_timeout_s=20)\n"
        "pub.broadcast('t', 1); print('waiting', flush=True)\n"
    )
    worker = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE)
    assert worker.stdout is not None
    assert worker.stdout.readline() == b"waiting\n"
    own_broker.start()
    assert worker.wait(30) == 0
    worker.stdout.close()
    reader = Reader(own_broker.url, prefix)
    assert reader.types("broadcast") == ["t"]
    reader.close()


def _publish_and_end(url: str, prefix: str, waiting: multiprocessing.synchronize.Event) -> None:
    """A child's whole work: its event waits for Redis when it ends."""
    pub = _inherited or Publisher.from_url(url, prefix=prefix, on_error="buffer", flush_timeout_s=20)
    globals()["_kept"] = pub
    pub.broadcast("t", "child")
    waiting.set()


_inherited: Publisher | None = None


@pytest.mark.parametrize(
    ("method", "inherited"), [("fork", True), ("fork", False), ("spawn", False), ("forkserver", False)]
)
def test_what_waits_is_sent_before_a_multiprocessing_child_ends(
    own_broker: Broker, prefix: str, method: str, inherited: bool
) -> None:
    """multiprocessing ends its children without ``atexit``."""
    global _inherited
    url = own_broker.url
    pub = Publisher.from_url(url, prefix=prefix, on_error="buffer", flush_timeout_s=20)
    pub.publish("topic:parent", "t", 1)
    own_broker.kill()
    context: Any = multiprocessing.get_context(method)
    waiting = context.Event()
    _inherited = pub if inherited else None
    try:
        child = context.Process(target=_publish_and_end, args=(url, prefix, waiting))
        child.start()
    finally:
        _inherited = None
    assert waiting.wait(60)
    own_broker.start()
    child.join(60)
    assert child.exitcode == 0
    pub.close()
    reader = Reader(url, prefix)
    assert reader.types("broadcast") == ["t"]
    reader.close()


def test_what_is_lost_with_a_multiprocessing_child_is_told(own_broker: Broker, prefix: str) -> None:
    own_broker.kill()
    code = (
        "import multiprocessing; from publisher import Publisher\n"
        f"pub = Publisher.from_url({own_broker.url!r}, prefix={prefix!r}, on_error='buffer', flush_timeout_s=0)\n"
        "child = multiprocessing.get_context('fork').Process(target=pub.broadcast, args=('t', 1))\n"
        "child.start(); child.join()\n"
    )
    worker = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert worker.stderr.count("1 events could not be sent") == 1
