"""What a person runs, schedules or deploys; orchestration only."""
