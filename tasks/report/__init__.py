"""The report, in three steps: `numbers/` computes a summary, `sections/` make tables, figures and words of it,
`render/` shows the same ones in a terminal, as Markdown and as a page."""
