"""What the rooms of the publisher may import, and that its two sides and its public names are what they should be."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path
from typing import Any, get_type_hints

import pytest
import redis

import publisher
from publisher import AsyncJobHandle, AsyncPublisher, JobHandle, Publisher
from publisher.core.given import PublisherOptions
from publisher.core.options import Options
from publisher.core.scripts import (
    JobArgs,
    LeaseArgs,
    ManyChannel,
    ManyEvent,
    ManyHead,
    OwnerArgs,
    PollHead,
    PollHold,
    PollRelease,
    PollWatchArgs,
    PublishArgs,
)
from publisher.testing import RecordingPublisher

ROOT = Path(publisher.__file__).parent
WAITING = {"asyncio", "threading", "socket", "ssl", "selectors", "concurrent", "multiprocessing", "subprocess", "redis"}
MAY_IMPORT = {
    "": set[str](),
    "core": {"core"},
    "redis": {"redis", "core"},
    "blocking": {"blocking", "redis", "core"},
    "asyncio": {"asyncio", "redis", "core"},
    "integrations": {"integrations", "blocking", "asyncio", "redis", "core"},
}
FACES = {"__init__.py", "polling.py", "testing.py"}
"""Public modules that show what the rooms make."""
ONE_SIDED = {"batcher.py", "flights.py", "home.py", "lane.py", "poll_shift.py", "poller.py"}
"""Only in an event loop do calls come in while another is under way in the same thread, do many questions wait for
their answers at once, and may there be another loop tomorrow."""
MODULES = sorted(ROOT.rglob("*.py"))


@cache
def imports(path: Path) -> list[str]:
    """Every module that a file imports, wherever in it; ``from package import module`` as its module."""
    return list(_imports(path))


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import could mean publisher.redis or redis; name the package"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(path: Path) -> str:
    inside = path.relative_to(ROOT)
    return inside.parts[0] if len(inside.parts) > 1 else ""


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_room_imports_only_itself_and_those_below(path: Path) -> None:
    if relative(path) in FACES:
        return
    found = {name.split(".")[1] for name in imports(path) if name.startswith("publisher.")}
    rooms = found & (MAY_IMPORT.keys() - {""})
    assert rooms <= MAY_IMPORT[room_of(path)]


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_nothing_imports_the_node_or_its_libraries(path: Path) -> None:
    """A worker has redis-py and orjson, and nothing else is asked of it."""
    top = {name.split(".")[0] for name in imports(path)}
    queue = {path.stem.split("_")[0]} if room_of(path) == "integrations" else set[str]()  # knows its own queue alone
    assert top <= {*sys.stdlib_module_names, "publisher", "redis", "orjson", "opentelemetry", *queue}


@pytest.mark.parametrize("path", [path for path in MODULES if room_of(path) in ("", "core")], ids=relative)
def test_what_decides_waits_for_nothing(path: Path) -> None:
    """No socket, no thread, no loop, and nothing of redis-py: both sides use it."""
    assert not {name.split(".")[0] for name in imports(path)} & WAITING


def test_both_sides_have_the_same_files() -> None:
    blocking, asyncio = ({path.name for path in (ROOT / room).glob("*.py")} for room in ("blocking", "asyncio"))
    assert blocking - {"exits.py"} == asyncio - ONE_SIDED  # an event loop cannot run when the interpreter has ended


@pytest.mark.parametrize("path", MODULES, ids=relative)
def test_a_file_is_short(path: Path) -> None:
    assert len(path.read_text("utf-8").splitlines()) < 300


def test_only_one_file_spells_redis_keys() -> None:
    """What begins with the prefix, or ends as the keys of a channel do."""
    key = re.compile(r"""prefix\}:(?!\*)|[}"']:(?:log|meta|ids0|ids1|jobs|active|revoked|nodes|outbox)["']""")
    files = [*(ROOT.parent / "gateway").rglob("*.py"), *MODULES]
    assert [path for path in files if key.search(path.read_text("utf-8"))] == [ROOT / "keys.py"]


@pytest.mark.parametrize(
    ("script", "layouts"),
    [
        ("publish", [PublishArgs]),
        ("publish_many", [ManyHead, ManyChannel, ManyEvent]),
        ("job", [JobArgs]),
        ("owner_main", [OwnerArgs]),
        ("lease", [LeaseArgs]),
        ("poll", [PollHead, PollRelease, PollHold]),
        ("poll_watch", [PollWatchArgs]),
    ],
)
def test_a_script_says_the_same_of_its_arguments(script: str, layouts: list[Any]) -> None:
    """The head of the Lua file and the named tuples that calls are built with."""
    text = (ROOT / "redis" / "scripts" / f"{script}.lua").read_text("utf-8")
    head = (
        text.partition("-- ARGV:")[2]
        .split("-- Reply:")[0]
        .split("-- op:")[0]
        .split("\nlocal")[0]
        .split("| field json")[0]
    )
    words = re.findall(r"\w+", re.sub(r"\(.*?\)|per \w+:|--", "", head))
    assert words == [name for layout in layouts for name in layout._fields]


def test_the_named_options_are_those_that_there_are() -> None:
    """``cluster`` and ``db`` are found out, not given."""
    assert set(get_type_hints(PublisherOptions)) == {each.name for each in fields(Options)} - {"cluster", "db"}


@pytest.mark.parametrize("side", [Publisher, AsyncPublisher])
def test_an_option_that_there_is_not_is_refused(side: Callable[..., object]) -> None:
    """As an unknown argument would be; also ``cluster``, which nobody may claim."""
    with pytest.raises(TypeError, match="does not take cluster, histroy_events; it takes buffer_bytes, "):
        side(redis.Redis(), histroy_events=1, cluster=True)


def test_a_field_that_a_job_has_not_is_refused() -> None:
    with RecordingPublisher() as pub, pub.job("j", kind="k") as job:
        wrong: Any = {"mesage": "x"}
        with pytest.raises(TypeError, match="progress\\(\\) does not take mesage"):
            job.progress(1, **wrong)
        with pytest.raises(TypeError, match="item\\(\\) does not take mesage"):
            job.item("f", **wrong)
        with pytest.raises(TypeError, match="update_job\\(\\) does not take mesage"):
            pub.update_job("j", **wrong)


@pytest.mark.parametrize(("blocking", "asyncio"), [(Publisher, AsyncPublisher), (JobHandle, AsyncJobHandle)])
def test_both_sides_say_the_same(blocking: type, asyncio: type) -> None:
    """Docstrings stand twice, so that editors show them; only how to start, loop over and close differs."""
    own = {"__init__", "close", "job", "track"}
    for name in methods(blocking).keys() - own:
        assert inspect.getdoc(getattr(blocking, name)) == inspect.getdoc(getattr(asyncio, name)), name


def test_importing_the_package_does_not_import_redis() -> None:
    """Whoever only needs an exception or a Job does not wait for it."""
    code = "import sys, publisher; print(sorted({'redis', 'asyncio'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["publisher", "publisher.polling", "publisher.testing"])
def test_the_list_of_public_names_is_complete(name: str) -> None:
    """A public class or function that is missing in ``__all__`` fails, and so does a name that is not there."""
    module = importlib.import_module(name)
    tree = ast.parse(Path(str(module.__file__)).read_text("utf-8"))
    assert sorted(module.__all__) == sorted(set(public_names(tree, own=name == "publisher.testing")))
    assert all(getattr(module, each) is not None for each in module.__all__)


def public_names(tree: ast.Module, *, own: bool) -> Iterator[str]:
    """What a module defines; of a face, what it imports from the rooms behind it."""
    for node in ast.walk(tree):
        if own and isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield node.name
        if not own and isinstance(node, ast.ImportFrom) and str(node.module).startswith("publisher."):
            yield from (alias.asname or alias.name for alias in node.names)


@pytest.mark.parametrize(("blocking", "asyncio"), [(Publisher, AsyncPublisher), (JobHandle, AsyncJobHandle)])
def test_both_sides_offer_the_same(blocking: type, asyncio: type) -> None:
    mine, theirs = methods(blocking), methods(asyncio)
    assert mine.keys() == theirs.keys()
    assert {name: arguments(each) for name, each in mine.items()} == {
        name: arguments(each) for name, each in theirs.items()
    }


def methods(of: type) -> dict[str, object]:
    return {name: getattr(of, name) for name in dir(of) if not name.startswith("_") or name == "__init__"}


def arguments(of: object) -> list[tuple[str, object, object]] | None:
    """Names, kinds and defaults; None for a property. Types may differ: an asyncio method takes an asyncio client."""
    if not callable(of):
        return None
    return [(each.name, each.kind, each.default) for each in inspect.signature(of).parameters.values()]
