"""A fork of the template is what the command itself would be."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.commands import environment
from tests.support.node import ROOT
from tests.support.template import Fork, Template
from tests.support.tokens import SECRET
from tests.support.waiting import wait_until

SETTINGS: dict[str, object] = {"JWT_KEY": SECRET, "REDIS_URL": "redis://127.0.0.1:1/0", "DRAIN_S": 0}


@pytest.fixture(scope="module")
def template() -> Iterator[Template]:
    made = Template()
    yield made
    made.close()


def forked(template: Template, arguments: list[str], output: Path, **settings: object) -> Fork:
    with output.open("wb") as file:
        return template.fork(arguments, environment({**SETTINGS, **settings}), file.fileno())


@pytest.mark.parametrize(
    ("arguments", "settings"),
    [(["--version"], {}), (["fly"], {}), (["serve", "--help"], {}), (["serve"], {"DRAIN_S": "often"})],
    ids=["versions", "bad command", "help", "bad setting"],
)
def test_it_says_and_returns_what_the_command_does(
    template: Template, tmp_path: Path, arguments: list[str], settings: dict[str, object]
) -> None:
    command = [sys.executable, "-m", "gateway", *arguments]
    environ = environment({**SETTINGS, **settings})
    real = subprocess.run(command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
    fork = forked(template, arguments, tmp_path / "out", **settings)
    assert fork.wait(60) == real.returncode
    assert (tmp_path / "out").read_bytes() == real.stdout


def test_it_is_a_child_of_the_test_in_its_group_with_the_usual_signals(template: Template, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "gateway", "serve", "--port", "0"]
    real = subprocess.Popen(command, cwd=ROOT, env=environment(SETTINGS), stderr=subprocess.DEVNULL)
    out = tmp_path / "out"
    fork = forked(template, ["serve", "--port", "0"], out)
    try:
        wait_until(partial(has_started, out), "the node")
        wait_until(lambda: signals(real.pid) == signals(fork.pid), "the same signals")
        assert f"PPid:\t{os.getpid()}\n" in Path(f"/proc/{fork.pid}/status").read_text()
        assert os.getpgid(fork.pid) == os.getpgrp() and os.getsid(fork.pid) == os.getsid(0)
        assert fork.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            fork.wait(0)
    finally:
        real.kill()
        real.wait()
        fork.kill()
    assert fork.wait(60) == fork.poll() == -signal.SIGKILL
    fork.send_signal(signal.SIGTERM)


def test_the_test_may_have_more_files_than_select_knows(template: Template, tmp_path: Path) -> None:
    with contextlib.ExitStack() as files:
        for _ in range(1100):
            files.enter_context(open(os.devnull, "rb"))
        assert forked(template, ["--version"], tmp_path / "out").wait(60) == 0


def has_started(out: Path) -> bool:
    return "node.started" in out.read_text()


def signals(pid: int) -> list[str]:
    """Which are blocked, ignored and caught."""
    return re.findall(r"^Sig(?:Blk|Ign|Cgt):.*$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)


def test_forks_share_nothing_that_is_meant_to_be_their_own(template: Template, tmp_path: Path) -> None:
    outs = [tmp_path / "a", tmp_path / "b"]
    forks = [forked(template, ["serve", "--port", "0"], out) for out in outs]
    try:
        for out in outs:
            wait_until(partial(has_started, out), "the node")
        ids = {re.findall(r" id=(\w+)", out.read_text())[0] for out in outs}
        assert len(ids) == 2
    finally:
        for fork in forks:
            fork.send_signal(signal.SIGTERM)
    assert [fork.wait(60) for fork in forks] == [0, 0]
