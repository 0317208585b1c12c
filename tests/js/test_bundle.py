"""The browser client as one file is what its modules are, and the modules are small and stand in no circle."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.web.bundle import BUNDLE, SOURCES, BundleError, bundle, modules

COMMAND = "python -m gateway.web.bundle > gateway/web/client/sse-client.js"


def test_the_file_is_made_of_its_modules_as_they_are() -> None:
    assert BUNDLE.read_text("utf-8") == bundle(modules()), f"run: {COMMAND}"


def test_the_file_says_where_to_edit_and_what_to_run() -> None:
    head = BUNDLE.read_text("utf-8").split("\n\n")[0]
    assert f"Generated from src/; edit there, then: {COMMAND}" in head


def test_the_command_prints_the_file() -> None:
    printed = subprocess.run([sys.executable, "-m", "gateway.web.bundle"], capture_output=True, check=True)
    assert printed.stdout == BUNDLE.read_bytes()


def test_the_file_needs_no_other_and_exports_what_its_types_declare() -> None:
    text = BUNDLE.read_text("utf-8")
    assert re.findall(r"(?m)^import\b.*|\bimport\(.*", text) == []
    exported = re.findall(r"(?m)^export (?:async )?(?:function|class|const) (\w+)", text)
    types = BUNDLE.with_suffix(".d.ts").read_text("utf-8")
    declared = re.findall(r"(?m)^export (?:declare )?(?:function|class|const) (\w+)", types)
    assert sorted(exported) == sorted(set(declared))


@pytest.mark.parametrize("path", [pytest.param(path, id=name) for name, path in ((n, SOURCES / n) for n in modules())])
def test_a_module_is_small_and_says_what_it_is(path: Path) -> None:
    lines = path.read_text("utf-8").splitlines()
    assert len(lines) <= 250
    assert lines[0].startswith("// ") and lines[0].endswith((".", ":"))


def made(tmp_path: Path, **files: str) -> str:
    for name, text in files.items():
        path = tmp_path / f"{name.replace('__', '/')}.js"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, "utf-8")
    return bundle(modules(tmp_path))


def test_a_module_stands_once_and_after_those_that_it_imports(tmp_path: Path) -> None:
    text = made(
        tmp_path,
        index='export { top } from "./top.js";\n',
        top='import { low } from "./deep/low.js";\nimport { middle } from "./middle.js";\nexport const top = 1;\n',
        middle='import {\n  low,\n} from "./deep/low.js";\n\nexport const middle = low;\nconst own = 1;\n',
        deep__low="export const low = 1;\n",
    )
    assert re.findall(r"(?m)^// (\S+) -+$", text) == ["deep/low.js", "middle.js", "top.js"]
    assert re.findall(r"(?m)^.*const .*$", text) == [
        "const low = 1;",
        "const middle = low;",
        "const own = 1;",
        "export const top = 1;",
    ]


A = "export const a = 1;\nexport const hidden = 2;\n"


@pytest.mark.parametrize(
    ("message", "files"),
    [
        ("circle: b.js → a.js → b.js", {"a": 'import { b } from "./b.js";\nexport const a = 1;\n'}),
        ("There is no module c.js, which b.js needs", {"b": 'import { c } from "./c.js";\nexport const b = 1;\n'}),
        ("b.js imports hidden, which a.js does not export", {"a": "const hidden = 1;\nexport const a = 1;\n"}),
        ("a.js and b.js both have a helper", {"a": f"{A}const helper = 1;\n"}),
        ("Nothing imports lost.js", {"lost": "export const lost = 1;\n"}),
        ("write 'export default 1;'", {"a": "export default 1;\n"}),
        ("write 'import * as b from", {"a": 'import * as b from "./b.js";\n'}),
        ("write 'import x from", {"a": 'import x from "elsewhere";\n'}),
    ],
    ids=["circle", "absent", "hidden", "twice", "unused", "default", "all", "elsewhere"],
)
def test_what_cannot_stand_in_one_file_is_told(tmp_path: Path, message: str, files: dict[str, str]) -> None:
    sound = {
        "index": 'export { b } from "./b.js";\n',
        "a": A,
        "b": 'import { a, hidden } from "./a.js";\n\nexport const b = a;\nfunction helper() {}\n',
    }
    made(tmp_path, **sound)
    with pytest.raises(BundleError, match=re.escape(message)):
        made(tmp_path, **sound | files)
