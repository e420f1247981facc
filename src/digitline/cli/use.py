"""digitline use: puts another data set to use."""

from digitline.config import own, params


def use(name: str) -> None:
    """Makes an entry of datasets the one in use."""
    print(own.use(params.FILE, name))
