"""A recipe: every stage's settings of a method in one model, read from YAML and changed by dotted keys.

A recipe file holds only what differs from the defaults, which live on the fields of each room's `config.py`. The
order of strength is: field default, recipe file, `overrides`, an arm's own overrides.
"""
