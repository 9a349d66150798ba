"""Materialising: kept solutions in; the mid-training table, the RL question table and a dataset card out."""
