"""The files of the pages: a list made once at start, from two folders of the package. Nothing else can be had.

A file's tag is its content's digest, and browsers ask each time: who runs another version never sees parts of two.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final, NamedTuple

FOLDERS: Final = ("web/client", "web/pages")
TYPES: Final = {
    ".js": "text/javascript; charset=utf-8",
    ".d.ts": "text/plain; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
}


class Asset(NamedTuple):
    """``tag`` is the value of the header ``ETag``."""

    body: bytes
    media_type: str
    tag: str

    def is_known(self, if_none_match: str | None) -> bool:
        """Whether the caller has this very content already, as the header ``If-None-Match`` says."""
        if if_none_match is None:
            return False
        known = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
        return "*" in known or self.tag in known


@cache
def assets() -> Mapping[str, Asset]:
    """All of them, by file name."""
    found: dict[str, Asset] = {}
    for folder in FOLDERS:
        place = files("gateway").joinpath(*folder.split("/"))
        for file in sorted(place.iterdir(), key=lambda each: each.name) if place.is_dir() else ():
            media_type = next((kind for end, kind in TYPES.items() if file.name.endswith(end)), None)
            if media_type is None or not file.is_file():
                continue
            if file.name in found:
                raise ValueError(f"Two folders have a file {file.name}.")
            body = file.read_bytes()
            found[file.name] = Asset(body, media_type, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
    return found
