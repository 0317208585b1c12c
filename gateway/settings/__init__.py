"""Every setting: its row, its value, and which kinds of key fit together."""
