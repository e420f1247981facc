"""The service behind a real nginx with TLS, which serves it under a prefix, and with a key."""

import json
import re
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import bentoml
import httpx
import numpy as np
import pytest
from playwright.sync_api import Browser, expect
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.testclient import TestClient

from digitline.base.digest import digest
from digitline.base.errors import InputError
from digitline.cli import status
from service import proxy
from tests import warm
from tests.served import Server, error, free_port, new_clone, started, stopped

KEY = "a-key-of-this-test"
CONFIGURATION = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/errors;
events {{ }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port} ssl; ssl_certificate {folder}/certificate; ssl_certificate_key {folder}/key;
        location /digits/ {{ proxy_pass {url}/; proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme; proxy_set_header X-Forwarded-Host $http_host;
            proxy_set_header X-Forwarded-Prefix /digits; }}
        location /kept/ {{ proxy_pass {url}; proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header Forwarded "for=$remote_addr;proto=$scheme;host=\\"$http_host\\"";
            proxy_set_header X-Forwarded-For ""; proxy_set_header X-Forwarded-Prefix /kept; }}
        location /plain/ {{ proxy_pass {url}/; }}  # with nginx's defaults
    }}
}}
"""


class Site(NamedTuple):
    server: Server
    url: str  # of nginx
    key: Path
    trust: ssl.SSLContext


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """nginx in front of the service with a key."""
    nginx, openssl = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/bin"), shutil.which("openssl")
    if not nginx or not openssl:
        pytest.skip("there is no nginx or no openssl; apt-get install nginx-light openssl")  # CI has both
    folder = tmp_path_factory.mktemp("nginx")
    key = folder / "keys"
    key.write_text(f"{KEY}\n")
    settings = {"DIGITLINE_KEY_FILE": str(key), "DIGITLINE_FEEDBACK": "kept", "DIGITLINE_PROXIES": "127.0.0.1"}
    tracing = {"OTEL_TRACES_EXPORTER": "console", "OTEL_BSP_SCHEDULE_DELAY": "100"}
    server = started(new_clone(folder / "clone"), python=f"{warm.folder()}/python", **settings, **tracing)
    words = (
        f"req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout {folder}/key -out {folder}/certificate"
    )
    subprocess.run([openssl, *words.split()], check=True, capture_output=True)
    port = free_port()
    (folder / "conf").write_text(CONFIGURATION.format(folder=folder, port=port, url=server.url))
    process = subprocess.Popen([nginx, "-p", folder, "-c", folder / "conf", "-e", folder / "errors"])
    trust = ssl.create_default_context(cafile=folder / "certificate")
    site = Site(server, f"https://localhost:{port}", key, trust)
    for _ in range(100):
        with suppress(httpx.TransportError):
            ask(site, "GET", "/")
            break
        time.sleep(0.05)
    yield site
    process.terminate()
    process.wait(10)
    stopped(server)


def ask(site: Site, method: str, path: str, key: str = KEY, **options: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}", **options.pop("headers", {})}
    return httpx.request(method, f"{site.url}{path}", headers=headers, verify=site.trust, **options)


@pytest.mark.slow
@pytest.mark.parametrize("prefix", ["digits", "kept", "plain"])
def test_the_pages_work_under_a_prefix_and_ask_for_the_key(site: Site, browser: Browser, prefix: str) -> None:
    """From the address without a slash to a kept correction, and the page of the API: by https under the prefix."""
    with browser.new_context(ignore_https_errors=True) as context:
        page, troubles = context.new_page(), []
        page.on("pageerror", lambda each: troubles.append(str(each)))
        page.goto(f"{site.url}/{prefix}/ui")
        assert page.url == f"{site.url}/{prefix}/ui/"
        for word in ("wrong", KEY):
            page.locator("#key").fill(word)
            page.locator("#entrance button").click()
            expect(page.locator("#refused")).to_be_visible(visible=word == "wrong")
        page.wait_for_selector(".layer")
        page.locator("#pad").click()
        for pressed in ("Space", "ArrowRight", "ArrowRight", "ArrowDown", "Space"):
            page.keyboard.press(pressed)
        page.get_by_role("button", name="class 3").click()
        expect(page.locator("#kept")).to_have_text("Kept as class 3. Thank you.")
        page.goto(f"{site.url}/{prefix}/")
        expect(page.locator(".opblock-summary-path", has_text="predict").first).to_be_visible()
        page.locator(".opblock-summary-path", has_text="lineage").click()
        page.get_by_role("button", name="Try it out").click()
        with page.expect_response(f"{site.url}/{prefix}/lineage") as answered:
            page.get_by_role("button", name="Execute").click()
        assert answered.value.status == 200
        assert troubles == []


@pytest.mark.slow
def test_sentences_name_paths_as_the_client_knows_them(site: Site) -> None:
    for prefix in ("digits", "kept"):
        for path in ("nothing", "ui/nothing", "static_content/nothing"):
            sentence = f"there is no /{prefix}/{path}; see /{prefix}/docs.json for the paths"
            assert error(ask(site, "GET", f"/{prefix}/{path}")) == sentence
        assert error(ask(site, "GET", f"/{prefix}/predict")).startswith(f"/{prefix}/predict does not accept GET")
        assert ask(site, "GET", f"/{prefix}/docs.json").json()["servers"] == [{"url": "."}]
    assert 'route="/predict",status="405"' in ask(site, "GET", "/digits/metrics").text


@pytest.mark.slow
def test_only_health_and_the_pages_files_are_open(site: Site) -> None:
    """Everything else needs the key, also paths that do not exist."""
    for path in ("livez", "readyz", "healthz", "", "ui/", "ui/main.js", "static_content/swagger-ui.css"):
        assert httpx.get(f"{site.server.url}/{path}").status_code == 200, path
    for path in ("metrics", "docs.json", "lineage", "network", "predict", "nothing", "ui/../metrics", "//metrics"):
        answer = httpx.get(f"{site.server.url}/{path}")
        assert answer.status_code == 401, path
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert error(answer) == "this service needs a key, expected the header Authorization: Bearer KEY"
    for word in ("wrong", KEY[:-1], f"{KEY}x", "\u00e9".encode().decode("latin1")):
        answer = httpx.get(f"{site.server.url}/metrics", headers={b"Authorization": f"Bearer {word}".encode("latin1")})
        assert answer.status_code == 401
    for scheme in ("Bearer", "bearer"):
        headers = {"Authorization": f"{scheme} {KEY}"}
        assert httpx.get(f"{site.server.url}/metrics", headers=headers).status_code == 200


@pytest.mark.slow
def test_a_request_is_a_span_of_its_caller_s_trace(site: Site) -> None:
    """With OpenTelemetry's usual variables; the exporter of this test writes to the log."""
    above = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}
    ask(site, "POST", "/digits/predict", headers=above, json={"images": []})
    log = site.server.clone.folder / "log"
    for _ in range(50):
        found = re.findall(r"^\{\n.*?^\}$", log.read_text(), re.MULTILINE | re.DOTALL)
        spans = [each for each in map(json.loads, found) if each["parent_id"] == "0x00f067aa0ba902b7"]
        if spans:
            break
        time.sleep(0.1)
    [span] = spans
    assert span["name"] == "POST /predict"
    assert span["context"]["trace_id"] == "0x4bf92f3577b34da6a3ce929d0e0e4736"
    assert span["attributes"] == {
        "http.request.method": "POST",
        "url.scheme": "https",
        "client.address": "127.0.0.1",
        "url.path": "/digits/predict",
        "digitline.model": "",
        "http.route": "/predict",
        "http.response.status_code": 400,
    }
    assert span["resource"]["attributes"]["service.name"] == "digitline"


@pytest.mark.slow
def test_keys_are_rotated_without_a_restart(site: Site) -> None:
    """With two keys in the file both count; a damaged file changes nothing."""
    try:
        site.key.write_text(f"\nanother\n{KEY}\n")
        assert [ask(site, "GET", "/digits/lineage", key).status_code for key in (KEY, "another")] == [200, 200]
        site.key.write_text("another\n")
        assert [ask(site, "GET", "/digits/lineage", key).status_code for key in (KEY, "another")] == [401, 200]
        site.key.write_text("\n")
        assert [ask(site, "GET", "/digits/lineage", key).status_code for key in (KEY, "another")] == [401, 200]
    finally:
        site.key.write_text(f"{KEY}\n")
    assert "kept the old keys: " in (site.server.clone.folder / "log").read_text()


@pytest.mark.slow
def test_bentoml_s_client_sends_the_key_as_its_token(site: Site) -> None:
    with bentoml.SyncHTTPClient(site.server.url, token=KEY) as client:
        assert len(client.predict(images=np.zeros((2, 28, 28)))["predictions"]) == 2


@pytest.mark.slow
def test_digitline_status_asks_with_the_key(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="asks for a key; name its file with DIGITLINE_KEY_FILE"):
        status.serving(site.server.url)
    monkeypatch.setenv("DIGITLINE_KEY_FILE", str(site.key))
    [place] = status.serving(site.server.url)
    assert place.sha256 == digest(site.server.clone.folder / "models/champion/model.safetensors")


# What a trusted proxy says


async def told(scope: Any, receive: Any, send: Any) -> None:
    request = Request(scope)
    place = {"client": scope["client"][0], "url": str(request.url), "prefix": scope["root_path"]}
    answer: Response = JSONResponse(place)
    await answer(scope, receive, send)


def seen(headers: dict[str, str], path: str = "/ui/", peer: str = "10.0.0.1") -> httpx.Response:
    """What the service sees of a request that comes from that peer."""
    app = proxy.Behind(told, proxy.networks("10.0.0.0/24, ::1"))
    found: httpx.Response = TestClient(app, client=(peer, 1)).get(path, headers=headers)
    return found


X = {"X-Forwarded-For": "1.2.3.4", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "example.org"}


def test_only_a_trusted_proxy_is_believed() -> None:
    forwarded = {"Forwarded": 'for="[2001:db8::1]:4711";proto=https;host=example.org'}
    corrected = {"url": "https://example.org/ui/", "prefix": ""}
    for peer in ("10.0.0.1", "::1", "::ffff:10.0.0.1"):
        assert seen(X, peer=peer).json() == {"client": "1.2.3.4", **corrected}
        assert seen(forwarded, peer=peer).json() == {"client": "2001:db8::1", **corrected}
        assert seen({}, peer=peer).json() == {"client": peer, "url": "http://testserver/ui/", "prefix": ""}
    for headers in (X, forwarded, {"X-Forwarded-Prefix": "/digits"}):
        assert seen(headers, peer="10.0.1.1").json() == {
            "client": "10.0.1.1",
            "url": "http://testserver/ui/",
            "prefix": "",
        }


def test_the_client_is_the_last_address_that_is_no_trusted_proxy() -> None:
    """What stands before it could be the client's invention, as is Forwarded beside the proxy's X-Forwarded-For."""
    for chain in ("6.6.6.6, 1.2.3.4", "6.6.6.6,1.2.3.4, 10.0.0.7", "1.2.3.4:555", "unknown, 1.2.3.4"):
        invented = {"Forwarded": "for=7.7.7.7;host=evil.example"}
        assert seen({"X-Forwarded-For": chain, **invented}).json()["client"] == "1.2.3.4"
    assert seen({"Forwarded": "for=6.6.6.6, for=1.2.3.4;proto=http,for=10.0.0.7"}).json()["client"] == "1.2.3.4"


@pytest.mark.parametrize("path", ["/ui/", "/digits/ui/"])
def test_a_prefix_counts_whether_the_proxy_strips_it_or_not(path: str) -> None:
    found = seen({**X, "X-Forwarded-Prefix": "/digits/"}, path).json()
    assert (found["url"], found["prefix"]) == ("https://example.org/digits/ui/", "/digits")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Forwarded-Proto", "ftp"),
        ("X-Forwarded-Host", "evil.example/path"),
        ("X-Forwarded-Prefix", "//evil.example"),
        ("X-Forwarded-Prefix", "digits"),
        ("Forwarded", "nonsense"),
        ("Forwarded", 'for="1.2.3.4'),
    ],
)
def test_an_invalid_word_of_the_proxy_is_refused(name: str, value: str) -> None:
    answer = seen({name: value})
    assert answer.status_code == 400
    assert error(answer).startswith("the proxy's ")
    assert "expected" in error(answer)


def test_proxies_that_are_no_addresses_are_refused() -> None:
    with pytest.raises(InputError, match="DIGITLINE_PROXIES is invalid, 'nginx'"):
        proxy.networks("127.0.0.1 nginx")
    assert proxy.said(Headers()) == ([], "", "", "")
