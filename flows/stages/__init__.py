"""One flow per stage, each named as its room and deployable alone."""
