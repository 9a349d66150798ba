"""The report: one page, one summary and tables for a terminal, all from the manifests of evaluations."""
