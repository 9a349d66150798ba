"""The method of reinforcement mid-training apart from its trainer (arXiv 2509.24375), in the paper's order."""
