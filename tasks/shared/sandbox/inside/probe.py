"""A program that only says that it was reached."""


def main() -> None:
    """Say so."""
    print("inside", flush=True)
