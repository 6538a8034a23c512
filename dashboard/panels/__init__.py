"""Every panel by its slug. A panel is added by adding it to its topic's PANELS."""

from __future__ import annotations

from dashboard.panels import (
    cache,
    cache_causes,
    cache_chain,
    cache_policies,
    cache_ttl,
    common,
    cost,
    fits,
    headroom,
    look,
    overview,
    recommendations,
    reported,
    saved,
    spend,
    what_if,
)
from dashboard.panels.base import Ask, Content, Empty, KeyItem, Panel

REGISTRY: dict[str, Panel] = {
    panel.slug: panel
    for topic in (
        *(common, cost, overview, look, spend, reported, what_if, saved, headroom, fits),
        *(cache, cache_policies, cache_ttl, cache_causes, cache_chain),
        recommendations,
    )
    for panel in topic.PANELS
}

__all__ = ["REGISTRY", "Ask", "Content", "Empty", "KeyItem", "Panel"]
