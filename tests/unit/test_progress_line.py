"""A job's line in the terminal shows what the job says, and no more than fits."""

from __future__ import annotations

import pytest

from gateway.commands.progress_line import progress_line


@pytest.mark.parametrize(
    ("job", "line"),
    [
        ({}, "  0 % " + "░" * 24),
        ({"progress": 50, "status": "active"}, " 50 % " + "█" * 12 + "░" * 12 + " active"),
        ({"progress": 100, "status": "completed"}, "100 % " + "█" * 24 + " completed"),
        ({"progress": 250, "current": 3, "total": 3.5}, "100 % " + "█" * 24 + " 3/3.5"),
        ({"progress": "x", "current": 3, "stage": "read", "message": "a"}, "  0 % " + "░" * 24 + " 3 read: a"),
        ({"status": "failed", "error": {"message": "no\x1b[2J"}}, "  0 % " + "░" * 24 + " failed no�[2J"),
    ],
)
def test_a_line_shows_the_job(job: dict[str, object], line: str) -> None:
    assert progress_line(job, 100) == line


def test_a_line_fits_the_terminal() -> None:
    assert len(progress_line({"message": "x" * 200}, 40)) == 39
