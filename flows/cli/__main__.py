"""`python -m flows.cli`: the command where its script is not on the PATH."""

from flows.cli.app import app

app()
