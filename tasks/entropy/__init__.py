"""Entropy: how sure a model is of the next token, at every position of the texts."""
