"""Base models as they come out: where they are looked for, what became of each, which one leads."""
