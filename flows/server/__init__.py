"""Everything about Prefect servers: the environment of runs, deployments, automations, the pages."""

PREFECT_PORT, MLFLOW_PORT = 4200, 5000
"""Where `midtrain ui` serves, unless told otherwise."""
