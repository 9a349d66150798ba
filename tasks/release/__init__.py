"""Releases of base models: where they are looked for, the outcome of each, and which one leads."""
