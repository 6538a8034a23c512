"""Every panel by its slug. A panel is added by adding it to its topic's PANELS."""

from __future__ import annotations

from dashboard.panels import cache, common, cost, look, overview, spend, what_if
from dashboard.panels.base import Ask, Content, Empty, KeyItem, Panel

REGISTRY: dict[str, Panel] = {
    panel.slug: panel
    for topic in (common, cost, overview, look, spend, cache, what_if)
    for panel in topic.PANELS
}

__all__ = ["REGISTRY", "Ask", "Content", "Empty", "KeyItem", "Panel"]
