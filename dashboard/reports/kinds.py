"""Which reports the worker makes for pages, and how: questions in, JSON values out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from dashboard.filters import Filters
from dashboard.pricebook import as_text
from dashboard.queries import causes as cause_queries
from dashboard.queries import replayed
from dashboard.queries.causes import Caused, Chain, Cost
from dashboard.queries.dividing import MOST_UNATTENDED
from dashboard.reports.decisions import REALISED, realised_report
from dashboard.reports.recommended import RECOMMENDATIONS, recommendations
from dashboard.reports.stored import Between, register
from ingest.core.cache.bill import EXACT_BASIS, Bill
from ingest.core.cache.reuse import ReuseTable

POLICIES = "policies"
CAUSES = "causes"


def policies(filters: Filters, between: Between = lambda: None) -> dict[str, Any]:
    """The body of GET /api/v1/cache/policies."""
    return policies_body(replayed.policies(filters, most=MOST_UNATTENDED, between=between))


def policies_body(found: replayed.Compared) -> dict[str, Any]:
    """A comparison as JSON has it: money as exact decimal text, rates to 12 places."""
    compared = found.comparison
    return {
        "basis": compared.basis,
        "requests": compared.requests,
        "exact_requests": compared.exact_requests,
        "sampled": str(found.sampled.normalize()),
        "observed": {**_bill(compared.observed), "prompt_step_premium": as_text(found.step_premium)},
        "policies": [
            {"policy": bill.policy, **_bill(bill), "low": as_text(low), "high": as_text(high)}
            for bill, (low, high) in zip(compared.bills, compared.ranges, strict=True)
        ],
        "best_per_chain": _bill(compared.best_per_chain),
        "floor": {
            "without_pings": as_text(compared.floors.without_pings),
            "with_pings": as_text(compared.floors.with_pings),
            "never_forgets": as_text(compared.floors.never_forgets),
        },
        "captured_share": rate_text(compared.captured_share),
        "reuse": None if compared.basis == EXACT_BASIS else _reuse(found.reuse),
        "unpriced": found.unpriced,
    }


def _reuse(table: ReuseTable) -> dict[str, Any]:
    """What estimates rest on: how much of a prompt is used again after a gap, with its range."""
    rows = [
        {
            "prompt": row.prompt,
            "gap": row.gap,
            "requests": row.requests,
            "share": rate_text(row.share),
            "low": rate_text(row.low),
            "high": rate_text(row.high),
        }
        for row in table.rows()
    ]
    return {"source": table.source, "rows": rows}


def causes(filters: Filters, between: Between = lambda: None) -> dict[str, Any]:
    """The body of GET /api/v1/cache/causes, and the sessions and prefixes in which writing again cost most."""
    found = cause_queries.causes(filters, most=MOST_UNATTENDED, between=between)
    return {
        **causes_body(found),
        "sessions": [_chain(each) for each in found.sessions_dearest],
        "prefixes": [_chain(each) for each in found.prefixes_dearest],
    }


def causes_body(found: Caused) -> dict[str, Any]:
    """An attribution as JSON has it: money as exact decimal text, times UTC."""
    bill = found.bill
    return {
        "basis": found.basis,
        "grain": found.grain,
        "requests": found.requests,
        "sampled": str(found.sampled.normalize()),
        "causes": [_cost(each) for each in found.causes],
        "rows": [_cost(each) for each in found.rows],
        "input": {
            "uncached_input_tokens": bill.uncached_input_tokens,
            "cache_read_input_tokens": bill.cache_read_input_tokens,
            "written_tokens": bill.written_tokens,
            "uncached_list_cost": as_text(bill.uncached_cost),
            "read_list_cost": as_text(bill.read_cost),
            "write_list_cost": as_text(bill.write_cost),
            "input_list_cost": as_text(bill.input_list_cost),
        },
        "dearest": [
            {
                "occurred_at": _time(each.occurred_at),
                "model": each.model,
                "workspace_id": each.workspace_id or None,
                "session_id": each.session_id or None,
                "cause": each.cause,
                "tokens": each.tokens,
                "extra_cost": as_text(each.extra_cost),
            }
            for each in found.requests_dearest
        ],
        "unpriced": found.unpriced,
    }


def _cost(cost: Cost) -> dict[str, Any]:
    start = cost.bucket_start
    return {
        **({"bucket_start": start.isoformat()} if start is not None else {}),
        "cause": cost.cause,
        "tokens": cost.tokens,
        "list_cost": as_text(cost.write_cost),
        "extra_cost": as_text(cost.extra_cost),
    }


def _chain(chain: Chain) -> dict[str, Any]:
    return {
        "name": chain.name,
        "model": chain.model,
        "workspace_id": chain.workspace_id,
        "sessions": chain.sessions,
        "requests": chain.requests,
        "prefix_tokens": chain.prefix_tokens,
        "cause": chain.cause,
        "tokens": chain.tokens,
        "extra_cost": as_text(chain.extra_cost),
        "start": _time(chain.start),
        "end": _time(chain.end),
    }


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def rate_text(value: float | None) -> str | None:
    """A share to 12 places as text, as all calls have them."""
    return None if value is None else f"{value:.12f}".rstrip("0").rstrip(".")


def _bill(bill: Bill) -> dict[str, Any]:
    uncached, read, write_5m, write_1h, pings = (int(count) for count in bill.sums.sum(axis=0))
    return {
        "input_list_cost": as_text(bill.input_list_cost),
        "token_hit_rate": rate_text(bill.token_hit_rate),
        "uncached_input_tokens": uncached,
        "cache_read_input_tokens": read,
        "cache_write_5m_input_tokens": write_5m,
        "cache_write_1h_input_tokens": write_1h,
        "ping_read_tokens": pings,
    }


register(POLICIES, policies)
register(CAUSES, causes)
register(RECOMMENDATIONS, lambda filters, between: recommendations(filters))
register(REALISED, lambda filters, between: realised_report(filters))
