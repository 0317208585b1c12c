"""Jobs at a provider that can only be asked: ``Poller(publisher, fetch)``, with one question per job and interval over
all processes and viewers."""

from publisher.asyncio.poller import Poller
from publisher.core.polls import Poll

__all__ = ["Poll", "Poller"]
