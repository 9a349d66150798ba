"""Prompts: the text that a model sees before a solution, the same in generation, training and evaluation."""
