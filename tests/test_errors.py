"""Every named error is also the built-in one that a Python programmer would catch."""

import pytest

from minicompress import errors

BUILT_IN = {
    "ShapeError": ValueError, "DTypeError": TypeError, "RangeError": ValueError, "NonFiniteError": ArithmeticError,
    "LabelError": ValueError, "StateError": RuntimeError, "StorageError": OSError, "DataUnavailable": FileNotFoundError,
    "FormatError": ValueError, "TruncatedError": errors.FormatError, "ChecksumError": errors.FormatError,
    "VersionError": errors.FormatError, "LimitError": errors.FormatError,
}


@pytest.mark.parametrize(("name", "built_in"), BUILT_IN.items())
def test_errors_are_the_packages_and_the_built_in_ones(name: str, built_in: type[Exception]) -> None:
    kind = getattr(errors, name)
    assert issubclass(kind, errors.MiniCompressError)
    assert issubclass(kind, built_in)
    assert str(kind("what was given")) == "what was given"
    assert kind.__doc__


def test_no_error_is_missing_here() -> None:
    named = {name for name, kind in vars(errors).items() if isinstance(kind, type)}
    assert named == set(BUILT_IN) | {"MiniCompressError"}
