"""Sources: rows out of files, object stores and the hub, one at a time, each with the place where it stood."""
