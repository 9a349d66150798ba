"""The command line: `midtrain` and what its commands print."""
