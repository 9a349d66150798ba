"""Parts that trainers share: settings, launching, loading and saving, resuming, the scoring head."""
