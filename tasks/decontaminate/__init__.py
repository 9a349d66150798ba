"""Contamination: questions and documents to train on that hold what a benchmark asks are found, listed, left out."""
