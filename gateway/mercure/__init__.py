"""A Mercure hub: the protocol of 0.x and of 1.0 over the node's own fan-out."""
