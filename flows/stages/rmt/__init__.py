"""Stages of reinforcement mid-training alone."""
