"""The template tags of the component kit: `{% load kit %}`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, Literal

from django import template
from django.forms.boundfield import BoundField
from django.template.context import Context
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import slugify
from django.utils.translation import gettext as _

from entitlements.people.models import Person
from governance.console.tags import person_status, shape
from governance.tickets import rules, tickets

from .combobox import Combobox, initial
from .components import ActionForm, Crumb, Dialog, EmptyState, FigureCard, PageHeader, Panel, Tab, Tone

register = template.Library()

_FOLDER: Final = "console/kit"
_SPRITE: Final = "icons.svg"
_RADII: Final[Mapping[int, tuple[Tone, str]]] = {
    75: ("bad", "octagon"),
    50: ("warn", "triangle"),
    25: ("calm", "half"),
    0: ("calm", "ring"),
}
"""How a blast radius is shown, from its least number on."""


def _render(name: str, part: Any, context: Context | None = None) -> SafeString:  # noqa: ANN401 - any dataclass of the kit
    """Render a partial of the kit with the fields of its typed context."""
    values = {field: getattr(part, field) for field in part.__dataclass_fields__}
    request = context.get("request") if context is not None else None
    return render_to_string(f"{_FOLDER}/{name}.html", values, request=request)


@lru_cache(maxsize=1)
def _sprite() -> str:
    return static(_SPRITE)


@register.simple_tag
def icon(name: str) -> SafeString:
    """Draw an icon of the sprite. It says nothing by itself: a word stands beside it or hidden with it."""
    return format_html(
        '<svg class="icon" aria-hidden="true" focusable="false"><use href="{}#{}"></use></svg>', _sprite(), name
    )


@register.simple_tag
def badge(tone: Tone, drawing: str, text: object) -> SafeString:
    """Show a state as a shape and a word, in a tone."""
    return format_html('<span class="status {}">{}{}</span>', tone, shape(drawing), text)


@register.simple_tag
def blast_radius(score: int | None) -> SafeString:
    """Show the blast radius of an agent, from 0 to 100, as a shape and a number."""
    if score is None:
        return format_html('<span class="small">{}</span>', _("not computed yet"))
    least = next(least for least in _RADII if score >= least)
    return badge(*_RADII[least], score)


@register.simple_tag
def crumb(address: str, label: object, after: Sequence[Crumb] = ()) -> Sequence[Crumb]:
    """Name a page above this one, for `page_header`: `{% crumb address label as up %}`; `after` are those above it."""
    return (*after, Crumb(address, label))


@register.simple_block_tag(takes_context=True)
def page_header(
    context: Context,
    content: SafeString,
    title: object,
    lead: object = "",
    crumbs: Sequence[Crumb] = (),
) -> SafeString:
    """Begin a page: crumbs, title and sentence on the left, the actions inside the block on the right."""
    return _render("page_header", PageHeader(title, lead, crumbs, content), context)


@register.simple_block_tag
def page_meta(content: SafeString) -> SafeString:
    """Show facts and badges, each a list item, below the title of a page."""
    return format_html('<ul class="meta">{}</ul>', content)


@register.simple_block_tag
def tabs(content: SafeString, label: object) -> SafeString:
    """Show the tabs of a page; `label` names them for screen readers."""
    return format_html('<nav aria-label="{}"><ul class="tabs">{}</ul></nav>', label, content)


@register.simple_tag
def tab(label: object, address: str, *, current: object = False, count: int | None = None) -> SafeString:
    """Show one tab."""
    return _render("tab", Tab(label, address, bool(current), count))


@register.simple_block_tag
def panel(content: SafeString, title: object, more: SafeString | str = "", key: str = "") -> SafeString:
    """Show a part of a page with a heading. `more` stands on the right of the heading."""
    return _render("panel", Panel(title, key or f"h-{slugify(str(title))}", more, content))


@register.simple_block_tag
def empty_state(content: SafeString, title: object, icon: str = "inbox") -> SafeString:
    """Say that there is nothing, and inside the block what to do about it."""
    return _render("empty_state", EmptyState(title, icon, content))


@register.simple_block_tag(takes_context=True)
def action(context: Context, content: SafeString, label: object, address: str, **options: Any) -> SafeString:  # noqa: ANN401 - the fields of ActionForm
    """Offer an action: a button that opens a form with a reason and a confirmation; `options` as in ActionForm."""
    options.setdefault("key", f"act-{slugify(f'{label} {address}')}")
    return _render("action", ActionForm(label, address, content, **options), context)


@register.simple_block_tag
def dialog(content: SafeString, key: str, title: object) -> SafeString:
    """Show a dialog that a button with `data-dialog` opens."""
    return _render("dialog", Dialog(key, title, content))


@register.simple_tag
def figure_card(
    label: object, value: object, address: str = "", tone: Tone | Literal[""] = "", note: object = ""
) -> SafeString:
    """Show one figure: a number, what it counts, and the address of its rows."""
    return _render("figure_card", FigureCard(label, value, address, tone, note))


@register.simple_tag
def field(bound: BoundField) -> SafeString:
    """Show a form field with its label, help and errors."""
    return render_to_string(f"{_FOLDER}/field.html", {"field": bound})


@register.simple_tag
def combobox(kind: str, name: str, value: object = "", **attrs: object) -> SafeString:
    """Write the field that chooses a person, group, agent or system in a form outside the form classes.

    `value` is a row, a list of rows where the field takes `many`, or what was sent; the rest are attributes of the
    field, whose id is its name unless they say another.
    """
    many = bool(attrs.pop("many", False))
    given = {key.replace("_", "-"): each for key, each in attrs.items() if each}
    return Combobox(kind, many=many).render(name, initial(kind, value), {"id": name, **given})


@register.simple_tag
def person(someone: Person | None, without: object = "-") -> SafeString:
    """Show a person by display name, with a badge where they are no longer active."""
    if someone is None:
        return format_html('<span class="small">{}</span>', without)
    name = format_html('<bdi class="person">{}</bdi>', someone.name or someone.login)
    return name if someone.is_active else format_html("{} {}", name, person_status(someone))


@register.simple_tag(takes_context=True)
def ticket(context: Context, reference: str) -> SafeString:
    """Show a ticket reference, with the link to its tracker where its pattern has one; empty without a reference."""
    if not reference:
        return SafeString()
    pattern = rules.find(_tickets(context).patterns, reference)
    address = pattern.address(reference) if pattern else ""
    if not address:
        return format_html("<code>{}</code>", reference)
    return format_html('<a href="{}" rel="noopener noreferrer" target="_blank"><code>{}</code></a>', address, reference)


@register.simple_tag(takes_context=True)
def ticket_field(
    context: Context, place: str, value: str = "", key: str = "ticket", only_for: object = ""
) -> SafeString:
    """Show the field of a ticket reference where a place asks for one; `key` is its id.

    `only_for` is the button that needs it, in a form with other buttons.
    """
    now = _tickets(context)
    need = now.need(place)
    if need == tickets.Need.NEVER:
        return SafeString()
    names = ", ".join(pattern.name for pattern in now.patterns)
    return render_to_string(
        f"{_FOLDER}/ticket_field.html",
        {"value": value, "key": key, "names": names, "only_for": only_for, "required": need == tickets.Need.REQUIRED},
    )


def _tickets(context: Context) -> tickets.Settings:
    """Read the settings of ticket references once a request."""
    request = context.get("request")
    known: tickets.Settings | None = getattr(request, "_tickets", None)
    if known is None:
        known = tickets.current()
        if request is not None:
            request._tickets = known  # noqa: SLF001 - our own note on the request
    return known
