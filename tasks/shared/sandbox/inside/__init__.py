"""What runs inside the sandbox. It needs the standard library alone and imports nothing else of the project."""
