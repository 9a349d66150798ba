"""Engines: three ways to turn prompts into completions, behind one small protocol."""
