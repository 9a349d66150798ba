"""Reinforcement mid-training (arXiv 2509.24375): reinforcement learning on the next token of plain text."""
