"""What a recipe costs before it runs: tokens, operations, device-hours, disk and memory."""
