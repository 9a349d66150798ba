"""Everything about Prefect servers: the environment of runs, deployments, automations, the pages."""
