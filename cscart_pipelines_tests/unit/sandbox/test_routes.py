"""Addresses, credentials, privileges and the order in which a request is checked."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme

from cscart_pipelines.sandbox.shop.profiles import PROFILES
from cscart_pipelines_tests.support.shop.sandboxes import VERSIONS, Api, sample, small_shop


def refusal(response: requests.Response) -> Any:
    assert response.headers["Content-Type"] == "application/json"
    assert response.json()["status"] == response.status_code
    return response.json()


def test_both_url_styles_answer_the_same() -> None:
    with small_shop() as shop:
        api = Api(shop)
        pretty = api.call("GET", "api/2.0/orders?items_per_page=2")
        plain = api.call("GET", "api.php?_d=2.0/orders&items_per_page=2")
        old = api.call("GET", "api.php?q=2.0/orders&items_per_page=2")
    assert pretty.content == plain.content == old.content


def test_without_rewriting_the_web_server_says_404_in_html() -> None:
    with small_shop(rewrite="api.php") as shop:
        response = Api(shop).call("GET", "api/version")
        assert Api(shop).call("GET", "api.php?_d=version").status_code == 200
    assert response.status_code == 404 and "text/html" in response.headers["Content-Type"]


def test_a_shop_in_a_sub_directory_has_nothing_at_the_root() -> None:
    with small_shop(path="/shop") as shop:
        assert shop.url.endswith("/shop")
        assert Api(shop).call("GET", "api/version").status_code == 200
        root = Api(shop).session.get(shop.url.removesuffix("/shop") + "/api/version", timeout=9)
    assert root.status_code == 404 and "html" in root.text


def test_slashes_and_ids() -> None:
    with small_shop() as shop:
        codes = {
            path: Api(shop).call("GET", path).status_code
            for path in (
                "api/orders/",
                "api/orders//1001",
                "api/orders/1001/",
                "api/statuses/P",
                "api/orders/9",
            )
        }
    assert list(codes.values()) == [200, 404, 200, 404, 404]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("auth", [None, ("admin@example.com", "wrong"), ("who@example.com", "")])
def test_wrong_credentials_are_a_plain_401(version: str, auth: tuple[str, str] | None) -> None:
    with small_shop(version) as shop:
        api = Api(shop)
        api.session.auth = auth
        response = api.call("GET", "api/orders")
    assert response.json() == sample("error-401.synthetic") and response.status_code == 401
    assert response.headers["WWW-Authenticate"] == 'Basic realm="User email/API key"'


def test_a_disabled_user_is_refused_like_a_wrong_key() -> None:
    with small_shop() as shop:
        shop.api_user.status = "D"
        assert Api(shop).call("GET", "api/version").status_code == 401


def test_privileges_limit_entities_but_not_the_health_check() -> None:
    with small_shop(privileges={"view_orders"}) as shop:
        api = Api(shop)
        assert api.call("GET", "api/orders").status_code == 200
        assert api.call("GET", "api/version").status_code == 200
        forbidden = api.call("GET", "api/users?user_type=C")
        assert api.call("GET", "api/statuses").status_code == 403
        assert api.put("orders/1001", {"status": "C"}).status_code == 403
    assert forbidden.json() == sample("error-403.synthetic")


@pytest.mark.parametrize("version", ["4.7", "4.20"])
def test_error_texts_are_those_of_the_samples(version: str) -> None:
    old = version == "4.7"

    def expected(name: str) -> Any:
        body = sample(name)
        return {k: v for k, v in body.items() if k != "messages"} if old else body

    with small_shop(version) as shop:
        api = Api(shop)
        assert refusal(api.call("GET", "api/countries")) == expected("error-404-entity.synthetic")
        assert refusal(api.call("GET", "api/orders/7")) == expected("error-404.synthetic")
        assert refusal(api.put("orders", {"status": "C"})) == expected("error-405-no-id.synthetic")
        broken = api.call(
            "PUT", "api/orders/1001", data="{", headers={"Content-Type": "application/json"}
        )
        assert refusal(broken) == expected("error-400-bad-json.synthetic")
        media = api.call("PUT", "api/orders/1", data="<a/>", headers={"Content-Type": "text/xml"})
        assert refusal(media) == expected("error-415.synthetic")
        assert api.put("orders/1001", {}).status_code == 405
        assert api.post("orders/1001", {"a": 1}).status_code == 405
        assert api.call("PATCH", "api/orders/1001").status_code == 405


def test_checks_come_in_the_shops_order() -> None:
    with small_shop(api_https_only=True, privileges=set()) as shop:
        api = Api(shop)
        api.session.auth = None
        over_http = api.call("GET", "api/nothing")
    assert over_http.json() == sample("error-403-https-only.synthetic")
    with small_shop(privileges=set()) as shop:
        api = Api(shop)
        xml = {"Content-Type": "text/xml"}
        # Content type before entity, entity before id, id before method, method before privilege.
        assert api.call("PUT", "api/nothing/x", headers=xml).status_code == 415
        assert "Entity" in api.call("GET", "api/nothing/x").text
        assert api.call("PATCH", "api/orders/x").status_code == 404
        assert api.call("PATCH", "api/orders/1001").status_code == 405
        assert api.call("PUT", "api/orders", json={}).status_code == 403
        # Credentials before everything but HTTPS.
        api.session.auth = None
        assert api.call("PUT", "api/nothing/x", headers=xml).status_code == 401


def test_accept_header() -> None:
    with small_shop() as shop:
        api = Api(shop)
        html = api.call("GET", "api/orders", headers={"Accept": "text/html"})
        text = api.call("GET", "api/orders", headers={"Accept": "text/plain, */*"})
        both = api.call("GET", "api/orders", headers={"Accept": "text/html, application/json"})
    assert html.status_code == 406 and text.text == "Array" and both.json()["orders"]


def test_method_override_is_of_4_20_only() -> None:
    for version in VERSIONS:
        with small_shop(version) as shop:
            response = Api(shop).call("POST", "api/orders/1001?_METHOD=PUT", json={"status": "C"})
            changed = shop.store.orders[1001].status == "C"
        assert changed is PROFILES[version].method_override
        assert (response.status_code == 200) is changed


def test_options_is_known_since_4_11() -> None:
    with small_shop("4.12") as new, small_shop("4.7") as old:
        assert Api(new).call("OPTIONS", "api/orders").content == b""
        assert Api(old).call("OPTIONS", "api/orders").status_code == 405


def test_a_json_body_without_its_header_is_misread() -> None:
    with small_shop() as shop:
        response = Api(shop).call("PUT", "api/orders/1001", data=b'{"status":"C"}')
        assert response.status_code == 200  # read as one odd pair: a re-pricing without a change
        assert shop.store.orders[1001].status == "O"


def test_company_prefix_scopes_and_an_unknown_one_is_404() -> None:
    with small_shop() as shop:
        api = Api(shop)
        assert len(api.get("stores/1/orders")["orders"]) == 5
        assert api.call("GET", "api/stores/9/orders").status_code == 404
        shop.store.edit_order(1003, company_id=2)
        assert len(api.get("stores/1/orders")["orders"]) == 4


def test_forbidden_parameters_and_crashes() -> None:
    with small_shop("4.20") as shop:
        api = Api(shop)
        assert api.call("GET", "api/orders?version").text.startswith("CS-Cart 4.20")
        shop.faults.poison(1001)
        ajax = {"X-Requested-With": "XMLHttpRequest"}
        assert api.call("GET", "api/orders/1001", headers=ajax).json() == {
            "error": "Internal error"
        }


def test_tls_with_a_private_authority(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    bundle = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(bundle))
    with small_shop(tls=context, api_https_only=True) as shop:
        assert shop.url.startswith("https://")
        response = Api(shop).call("GET", "api/version", verify=str(bundle))
        assert response.status_code == 200
        with pytest.raises(requests.exceptions.SSLError):
            Api(shop).call("GET", "api/version")


def test_the_record_of_requests_counts_calls() -> None:
    with small_shop() as shop:
        api = Api(shop)
        api.get("orders", page=1)
        api.get("orders", page=2)
        api.put("orders/1001", {"status": "C"})
        assert shop.requests.count(path="/orders", method="GET") == 2
        assert shop.requests.count(query="page=2") == 1
        assert [each.status for each in shop.requests] == [200, 200, 200]
        shop.requests.clear()
        assert len(shop.requests) == 0
