"""Sampling: which completions are wanted, the pool that keeps them, and the worker that makes what is missing."""
