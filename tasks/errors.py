"""The error that a retry cannot mend."""


class Permanent(Exception):
    """An error that a retry cannot mend: bad configuration, bad data, a model that does not fit."""
