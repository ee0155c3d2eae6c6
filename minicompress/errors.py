"""Every error of the package: what was given, what is allowed, one hint.

Each class is also the built-in error that a Python programmer would expect, so `except ValueError` works as usual.
"""


class MiniCompressError(Exception):
    """The base of all errors that minicompress raises on purpose."""


class ShapeError(MiniCompressError, ValueError):
    """An array has the wrong number of axes or the wrong size."""


class DTypeError(MiniCompressError, TypeError):
    """A value is of a kind that cannot be used here."""


class RangeError(MiniCompressError, ValueError):
    """A number lies outside its interval, or a name is not in its list."""


class NonFiniteError(MiniCompressError, ArithmeticError):
    """A number is NaN or infinite."""


class LabelError(MiniCompressError, ValueError):
    """Class labels have the wrong shape, kind or values."""


class StateError(MiniCompressError, RuntimeError):
    """A call came at the wrong moment: backward before forward, a step with a stale optimizer."""


class StorageError(MiniCompressError, OSError):
    """A file could not be read from or written to the disk."""


class DataUnavailable(MiniCompressError, FileNotFoundError):
    """A data set is neither on this machine nor to be had from its mirrors."""


class FormatError(MiniCompressError, ValueError):
    """The bytes are not a valid file."""


class TruncatedError(FormatError):
    """The file ends too early."""


class ChecksumError(FormatError):
    """The bytes were changed after they were written."""


class VersionError(FormatError):
    """The file was written by a newer release."""


class LimitError(FormatError):
    """The file announces more than this reader is willing to allocate."""
