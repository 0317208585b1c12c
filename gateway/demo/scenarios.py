"""What the demo's jobs do, one scenario per kind, and how quick they are. Pure data and a few pictures."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import quote
from zlib import crc32

SPEEDS: Final[Mapping[str, float]] = {"quick": 0.25, "slow": 1.0, "slowest": 3.0}
"""How long a step takes, in seconds, by the speed that a job's meta names."""
DEFAULT_SPEED: Final = "quick"


def step_s(meta: Mapping[str, Any]) -> float:
    """Seconds from one step of this job to the next; a speed that there is not is the default one."""
    speed = meta.get("speed")
    return SPEEDS.get(speed if isinstance(speed, str) else DEFAULT_SPEED, SPEEDS[DEFAULT_SPEED])


class DemoStep(NamedTuple):
    """One step of a job: its stage, what it says, how many there are, and the file it is about."""

    number: int
    total: int
    stage: str
    message: str
    filename: str = ""
    file_progress: int = 0


class Scenario(NamedTuple):
    """``stages`` are (stage, message, number of steps); with ``files`` each of them goes through all stages."""

    stages: tuple[tuple[str, str, int], ...]
    result: Callable[[str, Mapping[str, Any]], Any]
    files: tuple[str, ...] = ()

    def steps(self) -> Iterator[DemoStep]:
        """All of it, in order."""
        per_file = sum(count for _, _, count in self.stages)
        total = per_file * max(1, len(self.files))
        number = 0
        for filename in self.files or ("",):
            done = 0
            for stage, message, count in self.stages:
                for _ in range(count):
                    number, done = number + 1, done + 1
                    yield DemoStep(number, total, stage, message, filename, round(100 * done / per_file))


def picture(words: str) -> str:
    """A small picture that depends on the words, as a ``data:`` URL: it needs no storage and no other host."""
    hue = crc32(words.encode()) % 360
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 64 64" width="256" height="256">'
        f'<rect width="64" height="64" fill="hsl({hue} 60% 85%)"/><circle cx="32" cy="26" r="13" '
        f'fill="hsl({(hue + 140) % 360} 55% 45%)"/><path d="M10 64a22 22 0 0 1 44 0" fill="hsl({hue} 55% 40%)"/></svg>'
    )
    return "data:image/svg+xml;base64," + b64encode(svg.encode()).decode()


def _character(job_id: str, meta: Mapping[str, Any]) -> Any:
    return {"characterId": f"c-{job_id}", "imageUrl": picture(job_id)}


def _media(job_id: str, meta: Mapping[str, Any]) -> Any:
    return {"mediaId": f"m-{job_id}", "url": picture(job_id), "width": 256, "height": 256}


def _generation(job_id: str, meta: Mapping[str, Any]) -> Any:
    return {"output": [picture(f"{meta.get('prompt', '')} {number}") for number in (1, 2)]}


def _task(job_id: str, meta: Mapping[str, Any]) -> Any:
    return {"files": len(SCENARIOS["task"].files), "report": "data:text/plain," + quote("Three files, no errors.")}


def _video(job_id: str, meta: Mapping[str, Any]) -> Any:
    return {"poster": picture(job_id), "duration_s": 12}


SCENARIOS: Final[Mapping[str, Scenario]] = {
    "character": Scenario(
        (("concept", "Sketching the character", 6), ("render", "Painting", 10), ("finish", "Adding light", 4)),
        _character,
    ),
    "media": Scenario((("upload", "Reading the file", 4), ("convert", "Making sizes", 8)), _media),
    "generation": Scenario((("prompt", "Reading the prompt", 3), ("denoise", "Drawing", 15)), _generation),
    "task": Scenario(
        (("read", "Reading", 3), ("check", "Checking", 4)), _task, ("report.pdf", "figures.csv", "photo.png")
    ),
    "video": Scenario(
        (("script", "Writing the script", 4), ("voice", "Speaking", 5), ("frames", "Drawing frames", 11)), _video
    ),
}
