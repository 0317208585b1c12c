"""What requests that are not streams have in common: bodies, validation, responses, errors, paths."""
