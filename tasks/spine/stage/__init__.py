"""The anatomy of a stage: look up, lease, build, publish; plans; worker processes."""
