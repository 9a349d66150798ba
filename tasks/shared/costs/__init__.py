"""Costs of the kinds of work that stages are made of, on a device."""
