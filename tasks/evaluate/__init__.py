"""Evaluation: unbiased pass@k and greedy accuracy with intervals, on any benchmark that is a question set."""
