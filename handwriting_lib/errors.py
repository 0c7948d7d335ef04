"""The errors that the library raises on purpose.

Each derives from `HandwritingError` and from the built-in exception that Python code
expects in such a case, so `except ValueError` and `except FileNotFoundError` work as
well. A message names the file or the value and says what would be right.
"""

from __future__ import annotations


class HandwritingError(Exception):
    """The base class of every error that the library raises on purpose."""


class InputError(HandwritingError, ValueError):
    """An argument, a text, a line of ink or the content of a file is invalid."""


class MissingFileError(InputError, FileNotFoundError):
    """A named file or folder does not exist."""


class MissingPackageError(HandwritingError, ImportError):
    """An optional package is not installed."""


class NumericalError(HandwritingError, FloatingPointError):
    """A loss, a gradient or a likelihood is not finite."""
