"""How a run is followed while it goes on: on a terminal, in a pipe, on the page of its pipeline."""
