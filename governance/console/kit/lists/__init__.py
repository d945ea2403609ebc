"""The list of the console: columns, facets, search, views, pages by key, acts on several rows, and files.

A list is declared once, as data, and shown by one call. Its address holds all of it, so that it can be kept and sent:
`?q=&<facet>=<value>&sort=<column>|-<column>&columns=a,b&view=<name>&cursor=<place>&export=csv|jsonl`.

    from governance.console.kit.lists import cells, lists
    from governance.console.kit.lists.layout import Choice, Column, Facet, Layout, View

    LAYOUT: Final[Layout[System, System]] = Layout(
        name="systems",                          # names the file, the ids and the part that htmx swaps
        label=gettext_lazy("Systems"),
        columns=(
            Column("system", gettext_lazy("System"), "name", sorts="name", cell=cells.link("name", "system", "slug"),
                   main=True),
            Column("owner", gettext_lazy("Owner"), "owner__name", sorts="owner__name", cell=cells.person("owner")),
            Column("tools", gettext_lazy("Tools"), "tool_count", number=True),        # an annotation, not sorted
            Column("added", gettext_lazy("Added"), "created_at", sorts="created_at", usual=False),
        ),
        order="system",                          # "-added": the latest first
        facets=(
            Facet("kind", gettext_lazy("Kind"), "kind", choices=System.Kind.choices),  # field = value
            Facet("tools", gettext_lazy("Tools"), choices=(Choice("waiting", _("Wait for review"), Q(...)),)),
            Facet("owner", gettext_lazy("Owner"), "owner__login", reference="person"),  # looked up, not counted
            Facet("agent", gettext_lazy("Used by"), reference="agent", narrow=read.used_by),  # (rows, value) -> rows
        ),
        search=("slug", "name"),                 # or a function: (rows, text) -> rows
        search_label=gettext_lazy("Name"),
        views=(View("waiting", gettext_lazy("Wait for review"), "tools=waiting&sort=-added"),),
        empty="console/catalog/no_systems.html", # or a sentence: there is nothing at all
    )

    @require_safe
    @doors.page
    def listing(request: HttpRequest) -> HttpResponseBase:
        return lists.show(request, LAYOUT, read.listed(doors.caller(request)), "console/catalog/systems.html", {...})

The template extends `console/base.html` and says `{% include "console/kit/list.html" %}` once below its page header.

- `rows` is everything that the person may see: no order, nothing filtered. The component narrows, orders and pages it.
- `value` is a path of fields and annotations, which files read fastest, or a function of the row; `stored` is what a
  file reads instead of such a function, as fast.
- `describe=(request, rows) -> shown rows` adds what is read for a page at once; `value` and `cell` then get those.
- `bulk=(Bulk(label, address, allowed, is_danger=True),)` offers an act on ticked rows: `address` is a page that gets
  `key` of each by POST, `allowed(caller, rows)` the keys that the person may do it to.
- `selection.offer(LAYOUT, rows)` lets the acts take in all that match; their page reads `selection.matching`.
- A facet with a `reference` is a combobox (`kit/combobox.py`); it takes a display name, and its rows hold short names.
- A column that is `greatest_first`, or a number, is first sorted from the greatest down.
- `cells` has the usual cells: `link`, `person`, `status`, `risk`, `moment`, `code`, `text`. Without a cell the value is
  drawn by its type. A `cell` may also be a template, which gets `row`.

Sort only by what an index or a narrow table can order: a column without `sorts` has a plain heading.
"""
