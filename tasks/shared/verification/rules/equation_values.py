"""What equations and chains need of computer algebra: multiples of an equation, and the value of a constant."""

from fractions import Fraction

from sympy import Expr, N, simplify, together

from tasks.shared.verification.algebra import Parsed


def equal_equations(gold: Parsed, answer: Parsed) -> bool:
    """Whether two equations, each parsed as left minus right side, are multiples of one another by a constant."""
    if not gold or not answer:
        return False
    try:
        numerators = [together(side.objects[0]).as_numer_denom()[0] for side in (gold, answer)]
        ratio = simplify(numerators[0] / numerators[1])
        return bool(ratio.is_number and ratio.is_finite and not ratio.is_zero)
    except MemoryError:
        raise
    except Exception:
        # SymPy raises where it cannot divide one kind of object by another: they are not equal.
        return False


def numeric_value(parsed: Parsed) -> Fraction | None:
    """Value of a real constant to 30 digits; None for anything else."""
    if not parsed or not isinstance(parsed.objects[0], Expr) or not parsed.objects[0].is_number:
        return None
    value = N(parsed.objects[0], 30)
    return Fraction(str(value)) if value.is_real and value.is_finite else None
