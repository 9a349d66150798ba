"""The report: numbers (`summarise`), sections that make tables and figures of them, renderers that show those."""
