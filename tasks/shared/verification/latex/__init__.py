"""Own reading of the common subset of LaTeX: trees, their values at points, and their SymPy objects.

`reader`, over `expressions` and `tokens`, gives a tree, or None for anything outside of the subset, which the grammar
of latex2sympy reads instead; `values` and `refutation` tell trees apart without an algebra system; `objects` builds
what Math-Verify compares.
"""
