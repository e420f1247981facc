import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.request import urlopen

import pytest
import requests

from digitline.base.loopback import bypass_proxy
from tests.served import free_port


class Hello(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *words: object) -> None:
        pass


def test_no_request_to_this_machine_goes_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")  # where nobody listens
    monkeypatch.setenv("NO_PROXY", "example.com")
    with HTTPServer(("127.0.0.1", 0), Hello) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}"
        with pytest.raises(requests.RequestException):
            requests.get(url, timeout=5)
        bypass_proxy()
        assert requests.get(url, timeout=5).status_code == 200
        with urlopen(url, timeout=5) as answer:
            assert answer.status == 200
        server.shutdown()
    assert os.environ["no_proxy"].startswith("example.com,")
