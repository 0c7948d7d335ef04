"""handwriting_lib: the library of the book *A Machine That Writes*."""

__version__ = "0.1.0"
