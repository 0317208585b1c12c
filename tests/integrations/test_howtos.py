"""The code of the how-tos runs as it stands there: a module of tasks, a worker, and what queues a task for somebody."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from publisher import Publisher
from tests.integrations.standing import has
from tests.integrations.worker import Worker
from tests.support.broker import Broker
from tests.support.node import MEASURED

HOWTOS = Path(__file__).parents[2] / "docs/howto"


@pytest.mark.parametrize(
    "queue",
    [pytest.param(name, marks=pytest.mark.xdist_group(f"queue-{name}")) for name in ("celery", "rq", "dramatiq")],
)
def test_the_how_to_s_code_runs(queue: str, own_broker: Broker, tmp_path: Path) -> None:
    page = (HOWTOS / f"{queue}.md").read_text("utf-8").replace("redis://localhost:6379/0", own_broker.url)
    tasks, enqueue = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    command, *arguments = shlex.split(re.findall(r"```bash\n(.*?)```", page, re.DOTALL)[1])
    (tmp_path / "tasks.py").write_text(tasks)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(HOWTOS.parents[1])])}
    environment.pop(MEASURED, None)
    module, log = {"rq": "rq.cli"}.get(command, command), tmp_path / "log"
    with (
        Worker([module, *arguments], environment, log, measured=False),
        Publisher.from_url(own_broker.url) as pub,
    ):
        told = subprocess.run(
            [sys.executable, "-c", f"{enqueue}\nprint(job_id)"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        print(told.stderr)
        job = has(pub, told.stdout.strip(), "completed")
    assert (job.owner, job.kind, job.result) == ("user-1", "picture", {"strokes": 10})
