"""How a stream begins, lives and ends: the route, the first read, catching up, the farewell."""
