"""Filtering: one verdict for every sample, and of each (question, heuristic) the best correct solution."""
