"""Student's t distribution, for intervals of means over few people."""

_T_975 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)


def t_975(degrees: int) -> float:
    """The 97.5 % point of Student's t distribution.

    From a table up to 9 degrees, then the expansion of Abramowitz and Stegun, 1964, 26.7.5, right to 3 digits.
    """
    if degrees <= len(_T_975):
        return _T_975[degrees - 1]
    z = 1.959964
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / degrees + second / degrees**2 + third / degrees**3
