"""Where the queue and its events are; ``EVENTS_URL`` decides whether the empty tasks are jobs."""

from __future__ import annotations

import os
from typing import Any, Final

from publisher import job_headers

QUEUE_URL: Final = os.environ["QUEUE_URL"]
EVENTS_URL: Final = os.environ.get("EVENTS_URL")
HEADERS: Final[dict[str, Any]] = job_headers(owner="ann") if EVENTS_URL else {}
