"""What a node says: the actions, how a record is taken apart, and where lines go."""
