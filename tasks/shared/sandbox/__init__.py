"""Sandbox: programs that nobody has read run without network, home and other processes, within limits."""
