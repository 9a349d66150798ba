"""Renderers: the same tables, figures and paragraphs for a terminal, as Markdown and as a page."""
