"""The OpenAPI document: the files in ``gateway/api`` put together. What a route takes and answers stands there."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any, Final

import orjson

PARTS: Final = (
    "info",
    "native",
    "streams",
    "cluster",
    "node",
    "dialects",
    "responses",
    "schemas",
    "dialect_schemas",
)


@cache
def document(version: str, root_path: str = "", *, mercure: bool = False) -> bytes:
    """The document as JSON text, for the node that runs as ``version`` below ``root_path``, with its Mercure hub if it
    has one."""
    whole: dict[str, Any] = {}
    for part in (*PARTS, "mercure") if mercure else PARTS:
        _merge(whole, orjson.loads(files("gateway").joinpath("api", f"{part}.json").read_bytes()))
    whole["info"]["version"] = version
    whole["servers"][0]["url"] = root_path or "/"
    return orjson.dumps(whole)


def _merge(whole: dict[str, Any], part: dict[str, Any]) -> None:
    """Objects grow together at any depth; anything else may be said once only."""
    for name, value in part.items():
        if name not in whole:
            whole[name] = value
        elif isinstance(value, dict) and isinstance(whole[name], dict):
            _merge(whole[name], value)
        else:
            raise ValueError(f"Two parts of the API's description say what {name} is.")
