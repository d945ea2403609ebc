"""More of the workbench in a real browser: several at once by keys, two windows on one item, what a reload keeps."""

from __future__ import annotations

import re
from typing import Literal
from uuid import UUID

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import PASSWORD, Visitor, complaints

pytestmark = pytest.mark.timeout(300)

WORK = "/reviews/q4/work/?view=agent"


@pytest.fixture
def review(transactional_db: None) -> None:  # noqa: ARG001 - the server reads what is committed
    from tests.browser import review_world  # noqa: PLC0415 - the product can be imported only now

    review_world.fill(PASSWORD, items=12)


def _complaints(visitor: Visitor) -> list[str]:
    """Look at the page wide and light, then narrow and dark; return what is wrong with it."""
    found: list[str] = []
    ways: tuple[tuple[Literal["light", "dark"], int], ...] = (("light", 1440), ("dark", 320))
    for scheme, width in ways:
        visitor.page.emulate_media(color_scheme=scheme, forced_colors="none", reduced_motion="reduce")
        visitor.page.set_viewport_size({"width": width, "height": 900})
        found += [f"{width} {each}" for each in complaints(visitor.page, looks=visitor.looks)]
        across = visitor.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        found += [f"{width}: scrolls {across} px to the side"] if across > 0 else []
    visitor.page.emulate_media(color_scheme="light")
    visitor.page.set_viewport_size({"width": 1440, "height": 900})
    return found + visitor.violations()


def _first(visitor: Visitor) -> None:
    """Come to the first item by `j`, which works from anywhere on the page."""
    visitor.page.keyboard.press("j")
    expect(visitor.page.locator("tr[data-item]:focus")).to_have_count(1)


def test_several_are_selected_and_revoked_together_by_keys_alone(visitor: Visitor, review: None) -> None:  # noqa: ARG001
    from governance.reviews.decisions.models import Draft  # noqa: PLC0415

    page, keys = visitor.page, visitor.page.keyboard
    visitor.sign_in("sofia")
    visitor.go(WORK)
    _first(visitor)
    keys.press("x")
    keys.press("Shift+J")
    keys.press("]")
    keys.press("x")
    assert page.locator("tr[aria-selected=true]").count() == 3
    keys.press("r")
    page.wait_for_url("**/bulk/")
    wrong = _complaints(visitor)
    page.get_by_label("Reason").focus()
    keys.type("The project")
    keys.press("Tab")
    keys.press("Enter")
    page.get_by_label("Type 3 to confirm").wait_for()
    wrong += _complaints(visitor)
    page.get_by_label("Type 3 to confirm").focus()
    keys.type("3")
    keys.press("Enter")
    page.get_by_text("3 decisions are drafted.").wait_for()
    assert {each.bulk_op for each in Draft.objects.filter(verb="revoke")} == set(
        Draft.objects.values_list("bulk_op", flat=True)
    )
    assert (Draft.objects.count(), wrong, visitor.wrong) == (3, [], [])


def test_an_item_that_changed_in_another_window_keeps_both_until_one_is_confirmed(
    visitor: Visitor,
    review: None,  # noqa: ARG001
) -> None:
    from governance.reviews.decisions.models import Draft  # noqa: PLC0415

    visitor.sign_in("sofia")
    visitor.go(WORK)
    other = visitor.page.context.new_page()
    other.goto(visitor.address + WORK)
    mine, theirs = (page.locator("tr[data-item]").nth(3) for page in (visitor.page, other))
    theirs.focus()
    other.keyboard.press("r")
    theirs.locator("select").select_option("project_ended")
    other.locator("form[data-drafted='1']").wait_for()
    mine.focus()
    visitor.page.keyboard.press("u")
    mine.locator("select").select_option("need_info")
    mine.get_by_text("changed elsewhere at").wait_for()
    said = Draft.objects.get()
    assert said.verb == "revoke", "what the other window said stands"
    assert mine.get_attribute("data-verb") == "abstain", "what was pressed here is still here"
    assert _complaints(visitor) == []
    mine.get_by_role("button", name="Keep mine").click()
    mine.locator("[data-conflict]").wait_for(state="hidden")
    mine.get_by_text("Draft saved").wait_for()
    kept = Draft.objects.get()
    assert (kept.verb, kept.reason_code, kept.rev) == ("abstain", "need_info", said.rev + 1)


def test_what_was_not_sent_before_a_reload_is_sent_after_it(visitor: Visitor, review: None) -> None:  # noqa: ARG001
    from governance.reviews.decisions.models import Draft  # noqa: PLC0415

    page = visitor.page
    visitor.sign_in("sofia")
    visitor.go(WORK)
    page.route("**/draft/", lambda route: route.abort())
    row = page.locator("tr[data-item]").nth(2)
    row.focus()
    page.keyboard.press("u")
    row.locator("select").select_option("dont_understand")
    page.locator("[data-banner]").wait_for()
    page.on("dialog", lambda dialog: dialog.accept())
    page.reload()
    page.unroute("**/draft/")
    page.locator("form[data-drafted='1']").wait_for()
    assert (Draft.objects.get().verb, Draft.objects.get().reason_code) == ("abstain", "dont_understand")


def test_the_details_follow_the_focus_and_escape_leads_back(visitor: Visitor, review: None) -> None:  # noqa: ARG001
    page, keys = visitor.page, visitor.page.keyboard
    visitor.sign_in("sofia")
    visitor.go(WORK)
    _first(visitor)
    keys.press("o")
    first = page.locator("aside h2").inner_text()
    keys.press("j")
    expect(page.locator("aside h2")).not_to_have_text(first)
    keys.press("Enter")
    assert page.evaluate("document.activeElement.matches('aside')")
    keys.press("Escape")
    assert page.evaluate("document.activeElement.matches('tr[data-item]')")
    keys.press(",")
    keys.type("Ask Otto.")
    keys.press("Escape")
    keys.press("c")
    expect(page.locator("aside [data-say]")).to_be_focused()
    keys.type("c is a letter here")
    expect(page.locator("aside [data-say]")).to_have_value("c is a letter here")
    keys.press("Escape")
    keys.press("/")
    keys.type("nothing like it")
    page.get_by_text("0 items shown").wait_for()
    page.get_by_label("Agent, system or tool").fill("")
    keys.press("Escape")
    keys.press("g")
    expect(page.locator("aside [data-to], aside:focus")).to_be_focused()
    assert visitor.wrong == []


def test_the_keys_are_shown_and_what_is_unticked_is_replayed_at_once(
    visitor: Visitor,
    review: None,  # noqa: ARG001
) -> None:
    page, keys = visitor.page, visitor.page.keyboard
    visitor.sign_in("sofia")
    visitor.go(WORK)
    row, help_ = page.locator("tr[data-item]:focus"), page.locator("dialog#keys")
    page.get_by_role("link", name="Add to calendar").focus()
    keys.press("?")  # from anywhere
    expect(help_).to_be_in_viewport()
    keys.press("Escape")
    _first(visitor)
    keys.press("?")
    expect(help_).to_be_in_viewport()
    keys.press("Escape")
    expect(help_).not_to_be_visible()
    expect(row).to_be_focused()
    keys.press("o")
    beside = page.locator("aside [data-narrow] input[name=keep]")
    expect(beside.first).to_be_checked()
    keys.press("e")
    here = page.locator("tr[data-item]:has(details[open]) input[name^='keep:'], aside input:focus")
    was = beside.first.is_checked()
    keys.press("Space")
    expect(beside.first).to_be_checked(checked=not was)
    expect(here).to_have_count(1)  # it is ticked once: beside the list while the details are open
    expect(page.locator("aside [data-would]")).to_contain_text("would have been denied")
    for box in beside.all():
        box.uncheck()
    keys.press("Enter")  # to keep some is not to keep nothing
    expect(page.locator("tr[data-verb]")).to_have_count(0)
    assert (visitor.wrong, visitor.violations()) == ([], [])


def test_a_comment_is_made_by_keys_alone_and_the_details_stay(visitor: Visitor, review: None) -> None:  # noqa: ARG001
    from governance.reviews.discussion.models import ReviewComment  # noqa: PLC0415

    page, keys = visitor.page, visitor.page.keyboard
    visitor.sign_in("sofia")
    visitor.go(WORK)
    _first(visitor)
    keys.press("j")
    page.evaluate("window.stays = true")
    keys.press("c")
    expect(page.locator("aside [data-say]")).to_be_focused()
    keys.type("=1+1 <b>Otto</b> knows.")
    keys.press("Enter")
    page.locator("aside #talk").get_by_text("=1+1 <b>Otto</b> knows.").wait_for()
    expect(page.locator("aside [data-say]")).to_be_focused()
    expect(page.locator("aside [data-say]")).to_have_value("")
    assert page.locator("[data-status]").inner_text() == page.locator("aside [data-told]").inner_text()
    assert page.evaluate("window.stays"), "the page was not loaded anew"
    assert ReviewComment.objects.get().text == "=1+1 <b>Otto</b> knows."
    assert visitor.wrong == []


def test_limits_and_another_reviewer_are_set_beside_the_list(visitor: Visitor, review: None) -> None:  # noqa: ARG001
    from governance.reviews.decisions.models import Draft  # noqa: PLC0415
    from governance.reviews.reviewers.models import Assignment  # noqa: PLC0415

    page, keys = visitor.page, visitor.page.keyboard
    visitor.sign_in("sofia")
    visitor.go(WORK)
    page.evaluate("window.stays = true")
    row = page.locator("tr[data-item]:has(input[name^='keep:'] ~ *, input[name^='keep:'])").first
    row.focus()
    keys.press("o")
    form = page.locator("aside [data-narrow]")
    form.locator("input[name=keep]").first.uncheck()
    form.locator("summary", has_text="Keep some, or tighten limits").click()
    form.locator("select[name=reason]").select_option("wrong_scope")
    form.get_by_role("button", name="Save the draft").click()
    page.locator("aside [data-told]").wait_for()
    expect(row).to_have_attribute("data-verb", "reduce")
    assert Draft.objects.get().reason_code == "wrong_scope"
    page.locator("form[data-drafted='1']").wait_for()
    name, before = row.get_attribute("id"), page.locator("tr[data-item]").count()
    page.locator("aside #b-reason").fill("She knows the system.")
    page.locator("aside").get_by_role("button", name="Reassign", exact=True).click()
    expect(page.locator(f"#{name}")).to_have_count(0)
    expect(page.locator("tr[data-item]:focus")).to_have_count(1)
    assert page.locator("tr[data-item]").count() == before - 1
    assert Assignment.objects.filter(item=UUID(str(name).removeprefix("item-")), state="reassigned").exists()
    assert page.evaluate("window.stays"), "the page was not loaded anew"
    assert (visitor.wrong, visitor.violations()) == ([], [])


HEIGHT = "row => row.getBoundingClientRect().height"


def test_a_critical_item_does_not_grow_when_its_reason_is_asked_for(visitor: Visitor, review: None) -> None:  # noqa: ARG001
    page = visitor.page
    visitor.sign_in("sofia")
    visitor.go(WORK)
    row = page.locator("tr[data-words]").first
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        row.evaluate(
            "row => { row.dataset.verb = 'certify'; row.querySelector('.answer').classList.remove('wordless'); }"
        )
        before = row.evaluate(HEIGHT)
        row.evaluate("row => row.querySelector('.answer').classList.add('wordless')")
        expect(row.locator(".words")).to_be_visible()
        assert row.evaluate(HEIGHT) == before


def test_what_changes_while_the_last_change_is_being_kept_is_kept_after_it(visitor: Visitor, review: None) -> None:  # noqa: ARG001
    from governance.reviews.decisions.models import Draft  # noqa: PLC0415

    page = visitor.page
    page.add_init_script(
        "const read = Response.prototype.json; Response.prototype.json = async function () {"
        " await new Promise((done) => { setTimeout(done, 1500); }); return read.call(this); };"
    )
    visitor.sign_in("sofia")
    visitor.go(WORK)
    row = page.locator("tr[data-item]").nth(2)
    row.focus()
    with page.expect_response("**/draft/"):
        page.keyboard.press("u")
    with page.expect_response("**/draft/") as second:
        row.locator("select").select_option("dont_understand")
    assert second.value.status == 200
    row.get_by_text("Draft saved").wait_for()
    assert (Draft.objects.get().rev, Draft.objects.get().reason_code) == (2, "dont_understand")
    assert visitor.wrong == []


def test_who_is_signed_out_loses_no_answer_and_is_told(visitor: Visitor, review: None) -> None:  # noqa: ARG001
    from governance.reviews.decisions.models import Draft  # noqa: PLC0415

    page = visitor.page
    visitor.sign_in("sofia")
    visitor.go(WORK)
    page.context.clear_cookies()  # as whose session is over
    row = page.locator("tr[data-item]").nth(2)
    row.focus()
    page.keyboard.press("u")
    row.locator("select").select_option("dont_understand")
    page.get_by_text("You are signed out.").first.wait_for()
    assert row.locator("[data-said]").inner_text() == ""
    assert page.locator("[data-banner] [data-out=no]").is_hidden()
    assert not Draft.objects.exists()
    page.get_by_role("button", name="Submit…").click()
    expect(page.get_by_role("link", name="Sign in again")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"/login/\?next="))
    visitor.until("document.activeElement.matches('input')")
    page.keyboard.type("sofia")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url("**" + WORK)
    page.locator("form[data-drafted='1']").wait_for()
    assert (Draft.objects.get().verb, Draft.objects.get().reason_code) == ("abstain", "dont_understand")


def test_who_signed_in_anew_elsewhere_loses_no_answer(visitor: Visitor, review: None) -> None:  # noqa: ARG001
    """The form of this page counts no more, since its token was that of the session before."""
    from governance.reviews.decisions.models import Draft  # noqa: PLC0415

    page = visitor.page
    visitor.sign_in("sofia")
    visitor.go(WORK)
    page.context.clear_cookies()
    other = Visitor(page.context.new_page(), visitor.address)
    other.sign_in_by_keys("sofia")
    page.locator("tr[data-item]").nth(2).focus()
    page.keyboard.press("u")
    page.get_by_text("You are signed out.").first.wait_for()
    page.get_by_role("link", name="Sign in again").click()
    page.wait_for_url("**" + WORK)
    page.locator("form[data-drafted='1']").wait_for()
    assert Draft.objects.get().verb == "abstain"


def test_an_answer_that_the_server_could_not_take_is_sent_again(visitor: Visitor, review: None) -> None:  # noqa: ARG001
    from governance.reviews.decisions.models import Draft  # noqa: PLC0415

    page = visitor.page
    visitor.sign_in("sofia")
    visitor.go(WORK)
    page.route("**/draft/", lambda route: route.fulfill(status=502, body="Bad gateway"), times=1)
    page.locator("tr[data-item]").nth(2).focus()
    page.keyboard.press("u")
    page.get_by_text("No connection.").first.wait_for()
    page.locator("form[data-drafted='1']").wait_for()
    assert page.locator("[data-banner]").is_hidden()
    assert Draft.objects.get().verb == "abstain"


def test_what_was_not_sent_takes_the_place_of_nothing_that_was_said_elsewhere_since(
    visitor: Visitor,
    review: None,  # noqa: ARG001
) -> None:
    from governance.reviews.decisions.models import Draft  # noqa: PLC0415

    page = visitor.page
    visitor.sign_in("sofia")
    visitor.go(WORK)
    page.route("**/draft/", lambda route: route.abort())
    mine = page.locator("tr[data-item]").nth(2)
    mine.focus()
    page.keyboard.press("u")
    page.locator("[data-banner]").wait_for()
    other = page.context.new_page()
    other.goto(visitor.address + WORK)
    theirs = other.locator("tr[data-item]").nth(2)
    theirs.focus()
    other.keyboard.press("r")
    theirs.locator("select").select_option("project_ended")
    other.locator("form[data-drafted='1']").wait_for()
    page.on("dialog", lambda dialog: dialog.accept())
    page.unroute("**/draft/")
    for _ in range(2):  # and what is not confirmed is still there after another reload
        page.reload()
        mine.get_by_text("changed elsewhere at").wait_for()
        assert mine.get_attribute("data-verb") == "abstain"
    page.wait_for_timeout(600)
    assert Draft.objects.get().verb == "revoke"
    mine.get_by_role("button", name="Keep mine").click()
    mine.get_by_text("Draft saved").wait_for()
    assert Draft.objects.get().verb == "abstain"


def test_a_key_that_is_held_down_answers_once(visitor: Visitor, review: None) -> None:  # noqa: ARG001
    page = visitor.page
    visitor.sign_in("sofia")
    visitor.go("/reviews/q4/work/")  # the harmless ones stand together, last
    harmless = "tr[data-item]:not([data-unseen]):not([data-weighty])"
    page.locator(f"{harmless}:has(+ {harmless})").first.focus()
    for _ in range(4):  # a key that goes down again without coming up is held
        page.keyboard.down("a")
    page.keyboard.up("a")
    page.locator("form[data-drafted='1']").wait_for()
    assert page.locator("tr[data-verb]").count() == 1
