"""The ways existing front ends speak: one file each, an encoder and its routes."""
