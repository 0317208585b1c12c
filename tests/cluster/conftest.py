"""What runs here looks for what goes wrong, in lines that other tests run anyway: it is not measured."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _unmeasured(unmeasured: None) -> None:
    """Coverage would make nodes start and run at half their speed."""
