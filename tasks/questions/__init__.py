"""Questions: any source of (question, answer) rows in; one checked, deduplicated table with stable ids out."""
