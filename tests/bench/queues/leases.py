"""``python -m tests.bench.queues.leases URL PREFIX KIND COUNT LEASE_S``: a worker that has begun so many jobs and holds
their leases (``none``: has none) until its standard input ends. Says ``held`` when it has begun all.
"""

from __future__ import annotations

import sys

from publisher import Publisher


def main(url: str, prefix: str, kind: str, count: int, lease_s: float | None) -> None:
    with Publisher.from_url(url, prefix=prefix) as publisher:
        jobs = [publisher.job(str(number), kind=kind, lease_s=lease_s) for number in range(count)]
        print("held", flush=True)
        sys.stdin.read()
        del jobs


if __name__ == "__main__":
    url, prefix, kind, count, lease_s = sys.argv[1:]
    main(url, prefix, kind, int(count), None if lease_s == "none" else float(lease_s))
