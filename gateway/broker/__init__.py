"""The way to Redis: commands and scripts, the history, and the pub/sub connections."""
