"""From one event to every connection that listens. Pure: nothing here awaits or does I/O."""
