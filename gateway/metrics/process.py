"""What the process itself uses, in the names that every Prometheus client gives it.

prometheus-client's own collector also counts open files, which takes milliseconds with tens of thousands of streams.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

STARTED_AT: Final = time.time()


def families() -> Iterator[Metric]:
    """CPU time and start, and on Linux the memory."""
    times = os.times()
    yield CounterMetricFamily("process_cpu_seconds", "CPU time used.", value=times.user + times.system)
    yield GaugeMetricFamily("process_start_time_seconds", "Start, since the Unix epoch.", value=STARTED_AT)
    memory = resident_bytes()
    if memory is not None:
        yield GaugeMetricFamily("process_resident_memory_bytes", "Bytes in memory.", value=memory)


def resident_bytes() -> int | None:
    """Bytes in memory; None where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    except OSError:
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
