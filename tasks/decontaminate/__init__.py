"""Contamination: questions to train on that a benchmark asks too are found, listed and left out."""
