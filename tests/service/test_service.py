"""What the service uses of BentoML though its documentation does not name it: an upgrade that changes it fails here.

What a running server shows of it is in test_server.py (the hook `prepare` runs before the port is opened, BentoML takes
uvicorn's default protocol, its configuration reaches the service, the files of its page) and test_clients.py (the
requests of its client, its own routes behind ours).
"""

import inspect
from typing import Any

import bentoml
from starlette.applications import Starlette


def test_a_class_of_services_can_make_its_own_app() -> None:
    own: Any = type("Own", (bentoml.Service,), {})
    service = bentoml.service(name="own", service_class=own)(type("Empty", (), {}))
    assert type(service) is own
    assert list(inspect.signature(service.to_asgi).parameters) == ["is_main"]
    assert isinstance(service.to_asgi(), Starlette)  # whose middleware is read
