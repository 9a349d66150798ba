"""Cost of a recipe before it runs: tokens, operations, device-hours, disk and memory."""
