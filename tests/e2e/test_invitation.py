"""An invitation in a browser, from the link to the inbox: with a mail server and without, in both languages."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from email import message_from_bytes
from email.policy import default
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.e2e.conftest import DESKTOP, PHONE, watch
from tests.mailbox import Mailbox
from tests.stack import ROOT, Stack, free_port

pytestmark = [pytest.mark.stack, pytest.mark.browser]
OWN = "my own long one"
# Hashing a password takes its time on a busy machine, and the events come when they come.
PATIENT_MS = 60_000
Opener = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, faults: list[str]) -> Iterator[Opener]:
    """open_page(url, size=, **context) -> a page of a fresh browser profile."""
    contexts: list[Any] = []

    def run(url: str, size: dict[str, int] = DESKTOP, **context: Any) -> Page:
        contexts.append(browser.new_context(viewport=size, **context))  # type: ignore[arg-type]
        contexts[-1].set_default_timeout(PATIENT_MS)
        page = watch(contexts[-1].new_page(), faults)
        page.goto(url)
        return page

    yield run
    for context in contexts:
        context.close()
    assert faults == []


def _invite(
    stack: Stack, email: str, *, base: str = "", other: bool = False, role: str = "agent", language: str = "en"
) -> Any:
    with stack.client(other=other) as client:
        answer = client.post(
            f"{base}/api/v1/accounts/members",
            json={"email": email, "name": "Ben", "role": role},
            headers={"Accept-Language": language},
        )
    assert answer.status_code == 201, answer.text
    return answer.json()


def _sign_in(page: Page, email: str, password: str) -> None:
    page.locator("input[name=login]").fill(email)
    page.locator("input[type=password]").fill(password)
    page.keyboard.press("Enter")


def _shows(page: Page, heading: str) -> None:
    expect(page.get_by_role("heading", name=heading)).to_be_visible(timeout=PATIENT_MS)


def _organization(page: Page, base: str) -> str:
    return page.request.get(f"{base}/api/v1/accounts/me").json()["organization"]["name"]


def _shots(page: Page, path: Path) -> None:
    """Four pictures: wide and narrow, light and dark."""
    for (name, size), scheme in product((("desktop", DESKTOP), ("phone", PHONE)), ("dark", "light")):
        page.set_viewport_size(size)  # type: ignore[arg-type]
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
        page.screenshot(path=f"{path}-{name}-{scheme}.png")
    page.set_viewport_size(DESKTOP)  # type: ignore[arg-type]


def test_a_new_person_chooses_a_password_and_is_in(stack: Stack, open_page: Opener, shots: Path) -> None:
    page = open_page(_invite(stack, "new@b.example")["link"])
    expect(page.get_by_role("heading", name="Join nlpsuite demo")).to_be_focused(timeout=PATIENT_MS)
    assert "#" not in page.url
    _shots(page, shots / "invitation-new")
    page.get_by_label("Password", exact=True).fill("1234567890123")
    page.get_by_role("button", name="Join").click()
    expect(page.get_by_role("alert")).to_contain_text("entirely numeric", timeout=PATIENT_MS)
    page.get_by_label("Your name").fill("Benjamin")
    page.get_by_label("Password", exact=True).fill(OWN)
    page.get_by_role("button", name="Join").click()
    page.wait_for_url(f"{stack.base}/inbox/")
    assert _organization(page, stack.base) == "nlpsuite demo"


def test_the_page_is_in_chinese_on_a_phone_in_the_dark(stack: Stack, open_page: Opener, shots: Path) -> None:
    link = _invite(stack, "zh@b.example")["link"]
    page = open_page(link, PHONE, locale="zh-CN", color_scheme="dark")
    _shows(page, "加入 nlpsuite demo")
    wide = page.evaluate("document.documentElement.scrollWidth")
    page.screenshot(path=str(shots / "invitation-new-zh-phone-dark.png"), full_page=True)
    assert wide <= PHONE["width"]
    page.get_by_label("密码", exact=True).fill(OWN)
    page.get_by_role("button", name="加入", exact=True).click()
    page.wait_for_url(f"{stack.base}/inbox/")


def test_a_change_of_language_keeps_the_invitation(stack: Stack, open_page: Opener) -> None:
    page = open_page(_invite(stack, "switch@b.example")["link"])
    _shows(page, "Join nlpsuite demo")
    page.get_by_role("button", name="简体中文").click()
    _shows(page, "加入 nlpsuite demo")
    page.reload()
    _shows(page, "加入 nlpsuite demo")


def test_who_has_an_account_signs_in_and_comes_back(stack: Stack, open_page: Opener, shots: Path) -> None:
    owner = stack.demo["owner"]
    page = open_page(_invite(stack, owner["email"], other=True)["link"])
    _shows(page, "Sign in to join Quarry Goods")
    expect(page.locator("input[type=password]")).to_have_count(0)
    page.screenshot(path=str(shots / "invitation-sign-in-light.png"))
    page.get_by_role("link", name="Sign in", exact=True).click()
    _sign_in(page, owner["email"], owner["password"])
    _shows(page, "Join Quarry Goods")
    page.screenshot(path=str(shots / "invitation-ready-light.png"))
    page.get_by_role("button", name="Join").click()
    page.wait_for_url(f"{stack.base}/inbox/")
    assert _organization(page, stack.base) == "Quarry Goods"


def test_somebody_else_signs_out_first(stack: Stack, open_page: Opener, shots: Path) -> None:
    analyst, agent = stack.demo["analyst"], stack.demo["agent"]
    page = open_page(f"{stack.base}/accounts/login/", PHONE, color_scheme="dark")
    _sign_in(page, analyst["email"], analyst["password"])
    page.wait_for_url(f"{stack.base}/inbox/")
    page.goto(_invite(stack, agent["email"], other=True, role="analyst")["link"])
    _shows(page, "This invitation is for somebody else")
    page.screenshot(path=str(shots / "invitation-wrong-phone-dark.png"), full_page=True)
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("link", name="Sign in", exact=True).click()
    _sign_in(page, agent["email"], agent["password"])
    page.get_by_role("button", name="Join").click()
    page.wait_for_url(f"{stack.base}/studio/")
    assert _organization(page, stack.base) == "Quarry Goods"


def test_a_link_that_is_dead_or_cut_says_so(stack: Stack, open_page: Opener, shots: Path) -> None:
    made = _invite(stack, "dead@b.example")
    with stack.client() as client:
        assert client.delete(f"/api/v1/accounts/invitations/{made['id']}").status_code == 204
    page = open_page(made["link"])
    _shows(page, "This invitation no longer works")
    page.screenshot(path=str(shots / "invitation-dead-light.png"))
    cut = open_page(made["link"].partition("#")[0])
    _shows(cut, "Open the link of your invitation")


def test_a_server_that_is_away_can_be_asked_again(stack: Stack, open_page: Opener) -> None:
    page = open_page(f"{stack.base}/accounts/login/")
    page.route("**/invitations/preview", lambda route: route.abort())
    page.goto(_invite(stack, "away@b.example")["link"])
    expect(page.get_by_text("The server cannot be reached.")).to_be_visible(timeout=PATIENT_MS)
    page.unroute("**/invitations/preview")
    page.get_by_role("button", name="Try again").click()
    _shows(page, "Join nlpsuite demo")


def test_an_unproven_account_is_told_what_to_do(stack: Stack, open_page: Opener, shots: Path) -> None:
    page = open_page(_invite(stack, "unproven@b.example")["link"])
    page.get_by_label("Password", exact=True).fill(OWN)
    page.get_by_role("button", name="Join").click()
    page.wait_for_url(f"{stack.base}/inbox/")
    page.goto(_invite(stack, "unproven@b.example", other=True)["link"])
    _shows(page, "First show that the address is yours")
    expect(page.locator("code")).to_have_text("manage.py account_verify unproven@b.example")
    page.screenshot(path=str(shots / "invitation-unproven-light.png"))


def test_no_token_is_in_the_log(stack: Stack, open_page: Opener) -> None:
    link = _invite(stack, "log@b.example")["link"]
    page = open_page(link)
    page.get_by_label("Password", exact=True).fill(OWN)
    page.get_by_role("button", name="Join").click()
    page.wait_for_url(f"{stack.base}/inbox/")
    assert link.partition("#")[2] not in stack.log()
    assert OWN not in stack.log()


# -- with a mail server ----------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def mailbox() -> Iterator[Mailbox]:
    with Mailbox() as running:
        yield running


@pytest.fixture(scope="module")
def mailing(stack: Stack, mailbox: Mailbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a second web process of the same installation, which has a mail server."""
    port = free_port()
    dropped = {"DATABASE_URL", "REDIS_URL", "PUBLIC_URL", "SECRET_KEY", "HOST", "DB_ROLE"}
    env = {name: value for name, value in os.environ.items() if name not in dropped}
    env |= {"DATA_DIR": str(stack.data), "PORT": str(port), "EMAIL_HOST": "127.0.0.1", "EMAIL_PORT": str(mailbox.port)}
    log = (tmp_path_factory.mktemp("mailing") / "web.log").open("wb")
    process = subprocess.Popen([sys.executable, "manage.py", "web"], cwd=ROOT, env=env, stdout=log, stderr=log)
    base, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 180
    while not _alive(base):
        assert process.poll() is None, Path(log.name).read_text()
        assert time.monotonic() < deadline, "the web process did not answer"
        time.sleep(0.2)
    yield base
    process.terminate()
    process.wait(60)
    log.close()


def _alive(base: str) -> bool:
    try:
        return httpx.get(f"{base}/healthz", timeout=5).status_code == 200
    except httpx.HTTPError:
        return False


def _mail(mailbox: Mailbox, number: int) -> tuple[str, str]:
    """Subject and link of the message of that number, when it has come."""
    deadline = time.monotonic() + 60
    while len(mailbox.kept) <= number:
        assert time.monotonic() < deadline, "no message came"
        time.sleep(0.05)
    message = message_from_bytes(mailbox.kept[number], policy=default)
    text = message.get_body().get_content()  # type: ignore[union-attr]
    return message["Subject"], next(line for line in text.splitlines() if line.startswith("http"))


def test_a_mailed_invitation_leads_in_and_proves_the_address(
    stack: Stack, mailing: str, mailbox: Mailbox, open_page: Opener
) -> None:
    number = len(mailbox.kept)
    assert "link" not in _invite(stack, "mailed@b.example", base=mailing, language="zh-hans")
    subject, link = _mail(mailbox, number)
    assert subject == "nlpsuite demo 邀请您使用 nlpsuite"
    page = open_page(link, PHONE, locale="zh-CN")
    page.get_by_label("密码", exact=True).fill(OWN)
    page.get_by_role("button", name="加入", exact=True).click()
    page.wait_for_url(f"{mailing}/inbox/")
    rows = stack.query("SELECT email_verified_at IS NOT NULL FROM accounts_user WHERE email = 'mailed@b.example'")
    assert rows == [(True,)]


def test_an_unproven_account_proves_its_address_by_a_new_password(
    stack: Stack, mailing: str, mailbox: Mailbox, open_page: Opener, shots: Path
) -> None:
    """As after an update: somebody else made the account, and may know its password."""
    first, number = "old@b.example", len(mailbox.kept)
    _invite(stack, first, base=mailing)
    token = _mail(mailbox, number)[1].partition("#")[2]
    known = {"token": token, "password": "what the inviter knows"}
    answer = httpx.post(f"{mailing}/api/v1/accounts/invitations/accept", json=known, timeout=60)
    assert answer.status_code == 200, answer.text
    stack.execute("UPDATE accounts_user SET email_verified_at = NULL WHERE email = 'old@b.example'")
    _invite(stack, first, base=mailing, other=True)
    link = _mail(mailbox, number + 1)[1]
    page = open_page(link)
    page.get_by_role("link", name="Sign in", exact=True).click()
    _sign_in(page, first, known["password"])
    _shows(page, "First show that the address is yours")
    page.screenshot(path=str(shots / "invitation-unproven-mail-light.png"))
    page.get_by_role("link", name="Send me a link").click()
    page.locator("input[name=email]").fill(first)
    page.get_by_role("button", name="Send the link").click()
    _shows(page, "Check your e-mail")
    page.goto(_mail(mailbox, number + 2)[1])
    page.locator("input[name=password1]").fill(OWN)
    page.locator("input[name=password2]").fill(OWN)
    page.get_by_role("button", name="Save the password").click()
    # A new password signs in; opening the invitation again is then enough.
    page.wait_for_url(f"{mailing}/inbox/")
    page.goto(link)
    page.get_by_role("button", name="Join").click()
    page.wait_for_url(f"{mailing}/inbox/")
    assert _organization(page, mailing) == "Quarry Goods"
