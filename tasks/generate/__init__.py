"""Generation: several candidate solutions of every question under every heuristic, each sampled once and kept."""
