"""The event loop that a publisher works in. Its connections, tasks and locks belong to that loop."""

from __future__ import annotations

import asyncio

from publisher.exceptions import PublisherError


class Home:
    """Notices when calls come from another loop, as after ``asyncio.run()`` has been called a second time."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def moved(self) -> bool:
        """Whether the loop that earlier calls came from is closed, and this one is the new one. Raises
        :class:`PublisherError` where the other one is still open: its tasks may send at any time."""
        loop = asyncio.get_running_loop()
        if loop is self._loop:
            return False
        if self._loop is not None and not self._loop.is_closed():
            raise PublisherError(
                "This AsyncPublisher works in another event loop, which is still open. Make one for each loop, or call "
                "it in its own one with asyncio.run_coroutine_threadsafe()."
            )
        if self._loop is None:
            self._loop = loop
        return loop is not self._loop

    def settle(self) -> None:
        """The running loop is the one from now on."""
        self._loop = asyncio.get_running_loop()
