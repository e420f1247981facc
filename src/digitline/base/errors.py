"""The error that a user can cause and fix."""


class InputError(ValueError):
    """One sentence that says what is wrong and what was expected."""
