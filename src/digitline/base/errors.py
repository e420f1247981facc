"""The error a user can cause and mend."""


class InputError(ValueError):
    """One sentence that names what was wrong and what was expected."""
