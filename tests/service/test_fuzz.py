"""Generated requests for every operation; make fuzz sends tens of thousands."""

from pathlib import Path

import pytest

from service import schema
from tests import fuzz, warm

pytestmark = pytest.mark.slow


def test_no_generated_request_makes_it_fail_and_real_digits_are_answered(tmp_path: Path) -> None:
    """Valid and invalid requests: no 500, no undocumented answer, and no operation that is never answered well."""
    with fuzz.service(tmp_path / "clone", python=f"{warm.folder()}/python") as server:
        found = fuzz.sent(server, seed=1, examples=4)
    assert not found.failed, found.report
    operations = schema.openapi()["paths"]
    assert found.operations == sum(len(methods) for methods in operations.values())
    answered = {path for path, status in found.answers if status in (200, 201)}  # OPTIONS is answered with 204
    assert {path for path in operations if "{" not in path} <= answered
