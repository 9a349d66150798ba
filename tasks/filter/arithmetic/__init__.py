"""The arithmetic of a chain: its equations are found, recomputed exactly, and counted."""
