"""Adherence: how well a solution follows its heuristic, by one of several scorers behind one interface."""
