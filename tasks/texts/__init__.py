"""Texts: any plain-text or solution corpus in; checked documents in a training and a held-out split out."""
