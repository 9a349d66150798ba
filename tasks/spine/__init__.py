"""The spine: identity, store, stages and lineage; knows no stage and no room above."""
