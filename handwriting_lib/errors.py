"""The errors that the library raises on purpose.

Each derives from `HandwritingError` and from the built-in exception that a Python
program expects in its place, so `except ValueError` and `except FileNotFoundError` work
as well. A message names the file or the value, and says what would be right.
"""

from __future__ import annotations


class HandwritingError(Exception):
    """The base of every error that the library raises on purpose."""


class InputError(HandwritingError, ValueError):
    """An argument, a text, ink or a file's content is not what it should be."""


class MissingFileError(HandwritingError, FileNotFoundError):
    """A file or folder that was named does not exist."""


class MissingPackageError(HandwritingError, ImportError):
    """An optional package is not installed."""


class NumericalError(HandwritingError, FloatingPointError):
    """A loss, a gradient or a likelihood is not finite."""
