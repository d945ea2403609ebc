"""The component kit of the console: one small set of parts that every page is made of.

`{% load kit %}` in a template gives these tags. Each has a typed context (`components.py`) and one partial in
`templates/console/kit/`. A part that opens with a block tag puts what stands inside it where the comment says:

    {% crumb address _("Agents") as up %}
    {% page_header title lead up %} buttons, the primary one last {% endpage_header %}
    {% page_meta %} <li>facts and badges below the title</li> {% endpage_meta %}
    {% tabs _("About this agent") %}{% tab _("Access") address current=True count=3 %}{% endtabs %}
    {% panel _("Clients") more=link %} its body {% endpanel %}
    {% empty_state _("No agents yet") icon="bot" %} what to do about it {% endempty_state %}
    {% action _("Suspend") address reason="required" tone="danger" confirm=_("…") %} more fields {% endaction %}
    {% dialog "keys" _("Keyboard shortcuts") %} … {% enddialog %}   opened by <button data-dialog="keys">
    {% figure_card _("Orphaned agents") 12 address tone="warn" %}
    {% badge "warn" "triangle" text %}  {% status state %}  {% risk level %}  {% person someone %}
    {% blast_radius score %}            of an agent, from 0 to 100
    {% icon "bot" %}                    one of `static/icons.svg`, hidden from screen readers
    {% field form.reason %}             a form field with its label, help and errors
    {% combobox "person" "to" given.to required=True %}   chooses a person, group, agent or system, or several (`many`)
    {% ticket reference %}              a ticket reference, linked to its tracker
    {% ticket_field "request" %}        the field of one, where the place asks for it; `only_for` one of the buttons

Includes: `console/kit/chart.html` (plot, name), `console/kit/timeline.html` (timeline), `console/kit/diff.html`
(changes, name), `console/kit/form.html` (a whole page with one form). The list component is `kit/lists/`.
"""
