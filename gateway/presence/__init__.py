"""Who is connected, over all nodes: counted in Redis, read back, and announced."""
