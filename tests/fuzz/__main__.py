"""Coverage-guided fuzzing of every target: ``python -m tests.fuzz SECONDS [NAME …]``, SECONDS for each.

What was found stays in ``build/fuzz/NAME`` and is where the next run begins; an input that breaks a promise is written
to ``build/fuzz/NAME-crash-…`` and its traceback is shown.
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from tests.fuzz.targets import SEEDS, TARGETS

FOLDER: Final = Path("build/fuzz")
MAX_BYTES: Final = 4096


def fuzz(name: str, seconds: int) -> bool:
    """Whether the target held; prints how many inputs were tried."""
    corpus = FOLDER / name
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(SEEDS[name]):
        (corpus / f"seed-{number}").write_bytes(seed)
    options = [f"-max_total_time={seconds}", f"-max_len={MAX_BYTES}", "-print_final_stats=1", "-rss_limit_mb=1024"]
    command = [
        sys.executable,
        "-m",
        "tests.fuzz.one",
        name,
        *options,
        f"-artifact_prefix={FOLDER}/{name}-",
        str(corpus),
    ]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=seconds + 120)
    output = done.stdout + done.stderr
    tried = re.search(r"number_of_executed_units: (\d+)", output)
    held = done.returncode == 0
    print(f"{name:20} {int(tried[1]) if tried else 0:>10,} inputs  {'held' if held else 'BROKEN'}", flush=True)
    if not held:
        print("\n".join(output.splitlines()[-40:]))
    return held


def main(arguments: list[str]) -> str | None:
    if not arguments or not arguments[0].isdigit() or not set(arguments[1:]) <= TARGETS.keys():
        return f"Usage: python -m tests.fuzz SECONDS [NAME …], with names out of: {' '.join(TARGETS)}"
    if find_spec("atheris") is None:
        return "The fuzzer is missing: pip install atheris (it exists for Linux and macOS)."
    results = [fuzz(name, int(arguments[0])) for name in arguments[1:] or TARGETS]
    return None if all(results) else "Some promises were broken; the inputs are in build/fuzz."


sys.exit(main(sys.argv[1:]))
