"""Who asks and what they may do: tokens, tickets, keys, revocations, and the table of who may read what."""
