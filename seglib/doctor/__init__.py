"""Is a folder fit to train on? `examine` says all that is wrong with it. Explained in 13_your_own_data."""

from seglib.doctor.report import Report, examine

__all__ = ["Report", "examine"]
