"""Prompts of a question's own in the place of heuristics: approaches that the model lists, or a solution to reword."""
