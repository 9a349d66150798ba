"""Weights between those of a mid-trained model and of the base model that it was trained from; nothing is trained."""
