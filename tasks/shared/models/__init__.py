"""Base models: from a hub, a folder, S3 or this package, known by their weights and never by their name."""
