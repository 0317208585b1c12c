"""The processes of the case ``answers``: who writes them, and what people write by hand."""
