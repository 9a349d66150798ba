"""Tracing in MLflow and Prefect: what a pipeline passed, where to look at it."""
