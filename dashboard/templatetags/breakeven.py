"""Template tags: icons and meter bars as inline SVG (no inline styles), a figure's JSON."""

from __future__ import annotations

from typing import Any

from django import template
from django.utils.html import escape, format_html, format_html_join
from django.utils.safestring import SafeString, mark_safe

from dashboard.panels.base import PATHS
from dashboard.tables import Cell, Column, Row, Table

register = template.Library()

# 24x24 strokes, drawn for this product.
ICONS = {
    "overview": "M4 19V11M10 19V5M16 19v-6M21 19H3",
    "spend": (
        "M12 3v18"
        "M16.5 7.5C15.5 6 14 5.5 12 5.5c-2.5 0-4.5 1.2-4.5 3.2 0 4.5 9.5 2.3 9.5 6.800 0 2-2 3.2-5 "
        "3.2-2.3 0-4-.8-5-2.4"
    ),
    "cache": (
        "M4 6.5C4 4.6 7.6 3 12 3s8 1.6 8 3.5S16.4 10 12 10 4 8.4 4 6.5z"
        "M4 6.5v11C4 19.4 7.6 21 12 21s8-1.6 8-3.5v-11M4 12c0 1.9 3.6 3.5 8 3.5s8-1.6 8-3.5"
    ),
    "what_if": (
        "M4 7h9M19 7h1M4 17h1M11 17h9M16 4.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5z"
        "M8 14.5a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5z"
    ),
    "recommendations": (
        "M9 18.5h6M10 21.5h4"
        "M8.5 15.500C6.700 14.300 5.5 12.300 5.5 10a6.500 6.500 0 0 1 13 0c0 2.300-1.200 4.300-3 5.500z"
    ),
    "settings": (
        "M12 8.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7zM12 2.5v3M12 18.5v3M2.5 12h3M18.5 12h3"
        "M5.3 5.3l2.100 2.100M16.6 16.6l2.100 2.100M18.700 5.3l-2.100 2.100M7.4 16.6l-2.100 2.100"
    ),
    "upload": "M12 16V4.5M7.5 9L12 4.5 16.5 9M4 15v5h16v-5",
    "remove": "M5 5l14 14M19 5L5 19",
    "filter": "M4 5h16l-6.5 7.5V19l-3-1.5v-5z",
    "download": "M12 4v11M7.5 11L12 15.5 16.5 11M4 20h16",
    "theme": "M12 3.5a8.5 8.5 0 1 0 0 17zM12 3.5a8.5 8.5 0 0 1 0 17",
    "keyboard": "M3 7h18v11H3zM7 11h.01M11 11h.01M15 11h.01M8 15h8",
    "sign_out": "M14 4H5v16h9M10 12h11M17.5 8.5L21 12l-3.5 3.5",
    "earlier": "M14.5 6L8.5 12l6 6",
    "later": "M9.5 6l6 6-6 6",
}


@register.simple_tag
def icon(name: str) -> SafeString:
    """A 16 px icon beside a word; it says nothing that the word does not."""
    return format_html(
        '<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d="{}"/></svg>', ICONS[name]
    )


@register.simple_tag(takes_context=True)
def page_link(context: dict[str, Any], page: str) -> str:
    """Another page about the same range and filters; from a page without a question, the page alone."""
    ask = context.get("ask")
    return str(ask.link(page=page)) if ask else PATHS[page]


@register.simple_tag
def logo() -> SafeString:
    """Two costs over time, crossing where the cache has paid for itself."""
    return mark_safe(
        '<svg viewBox="0 0 24 24" aria-hidden="true" fill="none" stroke="currentColor" stroke-linecap="round">'
        '<path d="M3 18.5C9 18 14.5 12 21 5.5" stroke-width="2.4"/>'
        '<path d="M3 8.5c6 2 11 6.5 18 8" stroke-width="2.4" opacity=".5"/>'
        '<circle cx="12.3" cy="12.9" r="2.4" fill="currentColor" stroke="none"/></svg>'
    )


@register.simple_tag
def meter_bar(segments: Any, title: str = "") -> SafeString:
    """Stretches of a bar as an SVG: widths are attributes, so that no inline style is needed."""
    rects = format_html_join(
        "",
        '<rect class="fill" data-role="{}" x="{}" y="0" width="{}" height="1"><title>{}</title></rect>',
        ((part.role, part.start, part.width, part.title) for part in segments),
    )
    return format_html(
        '<svg class="meter-bar" viewBox="0 0 100 1" preserveAspectRatio="none" role="img" aria-label="{}">{}</svg>',
        title,
        rects,
    )


@register.simple_tag
def table_rows(table: Table) -> SafeString:
    """The body of a data table and its total row. Written here and not in a template, because a page has thousands of
    cells and each would cost a template a dozen look-ups."""
    body = "".join(_row(table, row) for row in table.rows)
    foot = f"<tfoot>{_row(table, table.total)}</tfoot>" if table.total else ""
    return mark_safe(f"<tbody>{body}</tbody>{foot}")


def _row(table: Table, row: Row) -> str:
    attributes = f' data-href="{escape(row.href)}"' if row.href else ""
    attributes += " data-current" if row.current else ""
    attributes += ' class="unpriced"' if row.unpriced else ""
    head, *cells = zip(table.columns, row.cells, strict=True)
    inner = _cell(*head, 'th scope="row"') + "".join(_cell(column, cell, "td") for column, cell in cells)
    return f"<tr{attributes}>{inner}</tr>"


def _cell(column: Column, cell: Cell, tag: str) -> str:
    kinds = (("text", column.text), ("hide-narrow", column.hide_narrow), ("bar", column.bar))
    classes = [name for name, on in kinds if on]
    title = f' title="{escape(cell.title)}"' if cell.title and not cell.segments else ""
    inner = meter_bar(cell.segments, cell.title) if cell.segments else _text(cell)
    of_class = f' class="{" ".join(classes)}"' if classes else ""
    return f"<{tag}{of_class}{title}>{inner}</{tag[:2]}>"


def _text(cell: Cell) -> str:
    text = str(escape(cell.text))
    if cell.tone:
        text = f'<span class="delta" data-tone="{escape(cell.tone)}">{text}</span>'
    if cell.role:
        text = f'<span class="swatch" data-role="{escape(cell.role)}"></span>{text}'
    if cell.href:
        text = f'<a class="name" href="{escape(cell.href)}">{text}</a>'
    elif cell.role:
        text = f'<span class="name">{text}</span>'
    if cell.badge:
        text = f'{text} <span class="badge" data-tone="warning">{escape(cell.badge)}</span>'
    return text
