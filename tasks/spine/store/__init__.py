"""The spine: identity, store, manifests, leases, the stage anatomy and lineage."""
