"""A person at a browser, as far as the code flow needs one: follow, fill in the form, press the button."""

from __future__ import annotations

import base64
import hashlib
import secrets
from html.parser import HTMLParser
from urllib.parse import parse_qs, urlencode, urljoin, urlsplit

import httpx2

from scripts.demo.story.agent_client import AgentClient

CALLBACK = "http://localhost:47613/callback"
"""Nothing listens there: the code is read from the redirect. Loopback redirects match on any port (RFC 8252)."""
REDIRECTS = 8


class Form(HTMLParser):
    """The fields of a page's first form that already have values."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self._forms = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take in the inputs of the first form."""
        self._forms += tag == "form"
        attributes = dict(attrs)
        if tag == "input" and self._forms == 1 and attributes.get("name"):
            self.fields[str(attributes["name"])] = attributes.get("value") or ""


async def sign_in(player: AgentClient, person: str, password: str) -> str:
    """Sign a person in at our own identity issuer by code and PKCE (RFC 7636), and return the ID token.

    The player's client must have CALLBACK (or its like on another port) as a redirect address. Raises Refused.
    """
    issuer, verifier, state = player.world["idp"]["issuer"], secrets.token_urlsafe(48), secrets.token_urlsafe(16)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    parameters = {
        "response_type": "code",
        "client_id": player.credentials.client_id,
        "redirect_uri": CALLBACK,
        "scope": "openid",
        "state": state,
        "nonce": secrets.token_urlsafe(16),
        "code_challenge": challenge,
        "code_challenge_method": "S256",
    }
    async with player.http() as http:
        page = await _follow(http, "GET", f"{issuer}/authorize?{urlencode(parameters)}")
        filled = {**Form(page.text).fields, "login": person, "password": password}
        page = await _follow(http, "POST", str(page.url), filled)
        back = await _follow(http, "POST", str(page.url), {**Form(page.text).fields, "allow": "1"})
    answered = parse_qs(urlsplit(back.headers["location"]).query)
    assert (answered["state"], answered["iss"]) == ([state], [issuer]), (
        f"the answer is not for this question: {answered}"
    )
    form = {"grant_type": "authorization_code", "code": answered["code"][0], "redirect_uri": CALLBACK}
    answer = await player.post(f"{issuer}/token", issuer, {**form, "code_verifier": verifier})
    return player.noted(answer["id_token"])


async def _follow(
    http: httpx2.AsyncClient, method: str, url: str, form: dict[str, str] | None = None
) -> httpx2.Response:
    """Load a page, following redirects until one leads back to the client, which is returned itself."""
    for _ in range(REDIRECTS):
        answer = await http.request(
            method, url, data=form, headers={"Origin": "{0.scheme}://{0.netloc}".format(urlsplit(url))}
        )
        where = answer.headers.get("location", "")
        if not answer.is_redirect or where.startswith(CALLBACK):
            return answer
        method, url, form = "GET", urljoin(url, where), None
    raise AssertionError(f"too many redirects, the last to {url}")
