"""How HTTP is called from here: by the commands that speak to a node from outside, and for the key set."""
