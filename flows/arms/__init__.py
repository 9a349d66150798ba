"""Arms: the ways from a base model to an evaluated one, stage by stage."""
