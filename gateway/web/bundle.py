"""The browser client in one file, made of its modules.

``python -m gateway.web.bundle > gateway/web/client/sse-client.js``: the modules stand one after the other, each after
those that it imports, so that the file reads as they do. That asks little of them, and what they do not keep to is an
error: they import and export by name, never in a circle, and no two use a name for something of their own.
"""

from __future__ import annotations

import posixpath
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

SOURCES: Final = Path(__file__).parent / "client" / "src"
BUNDLE: Final = SOURCES.parent / "sse-client.js"
ENTRY: Final = "index.js"
WIDTH: Final = 120

_HEAD = """\
// Follows Server-Sent Events of sse-gateway (and of other servers) over fetch: resume, backoff, liveness, fresh
// credentials, one connection for all tabs. One module without dependencies; its types are in sse-client.d.ts.
//
// Generated from src/; edit there, then: python -m gateway.web.bundle > gateway/web/client/sse-client.js
"""
_FROM = re.compile(r'^(import|export) \{([^}]*)\} from "(\.[^"]*)";\n', re.MULTILINE)
_DECLARED = re.compile(r"^(export )?((?:async )?function\*?|class|const|let) (\w+)", re.MULTILINE)
_OTHER_WORDS = re.compile(r"^(?:import|export)\b.*", re.MULTILINE)


class BundleError(Exception):
    """The modules cannot stand in one file; the message says which, and why."""


class Module:
    """One file: its code, the names that it has at its top, and where it has other names from."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.text = text
        found = [(word, _names(names), _resolved(name, path)) for word, names, path in _FROM.findall(text)]
        self.sources: list[tuple[str, list[str]]] = [(path, names) for _, names, path in found]
        self.passed_on = [each for word, names, _ in found if word == "export" for each in names]
        self.own = {name: bool(export) for export, _, name in _DECLARED.findall(text)}
        self.code = _FROM.sub("", text)
        if odd := _OTHER_WORDS.search(_DECLARED.sub("", self.code)):
            raise BundleError(f"{name}: write {odd[0]!r} as names in braces, or in front of a declaration.")

    def shown(self, public: set[str]) -> str:
        """The code as it stands in the bundle, which exports nothing but the public names."""
        head = f"// {self.name} "
        code = _DECLARED.sub(lambda found: found[0] if found[3] in public else f"{found[2]} {found[3]}", self.code)
        code = re.sub(r"\n{3,}", "\n\n", code).strip()
        return f"{head}{'-' * (WIDTH - len(head))}\n\n{code}\n"


def modules(folder: Path = SOURCES) -> Mapping[str, Module]:
    """All modules of a folder, by their path in it."""
    paths = sorted(folder.rglob("*.js"))
    names = [path.relative_to(folder).as_posix() for path in paths]
    return {name: Module(name, path.read_text("utf-8")) for name, path in zip(names, paths, strict=True)}


def bundle(found: Mapping[str, Module]) -> str:
    """What ``index.js`` exports, with everything that it needs, as one file. Raises :class:`BundleError`."""
    ordered = _order(found, ENTRY, [])
    _check(found, ordered)
    public = set(found[ENTRY].passed_on)
    return "\n".join([_HEAD, *(found[name].shown(public) for name in ordered if name != ENTRY)])


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _resolved(importer: str, path: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(importer), path))


def _order(found: Mapping[str, Module], name: str, done: list[str], above: tuple[str, ...] = ()) -> list[str]:
    """Add a module to ``done`` after all that it needs, each once."""
    if name in above:
        raise BundleError(
            f"The modules import each other in a circle: {' → '.join([*above[above.index(name) :], name])}."
        )
    if name not in found:
        raise BundleError(f"There is no module {name}, which {above[-1] if above else 'the bundle'} needs.")
    if name not in done:
        for path, _ in found[name].sources:
            _order(found, path, done, (*above, name))
        done.append(name)
    return done


def _check(found: Mapping[str, Module], ordered: list[str]) -> None:
    if unused := sorted(set(found) - set(ordered)):
        raise BundleError(f"Nothing imports {', '.join(unused)}.")
    owners: dict[str, str] = {}
    for name in ordered:
        for path, imported in found[name].sources:
            if missing := [each for each in imported if not found[path].own.get(each)]:
                raise BundleError(f"{name} imports {', '.join(missing)}, which {path} does not export.")
        for own in found[name].own:
            if own in owners:
                raise BundleError(f"{owners[own]} and {name} both have a {own}: rename one.")
            owners[own] = name


if __name__ == "__main__":
    sys.stdout.buffer.write(bundle(modules()).encode())
