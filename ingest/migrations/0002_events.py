"""Events, identities, rollups and the dirty-bucket ledger, as written in `sql/0002_events.sql`."""

from __future__ import annotations

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parents[1] / "sql" / "0002_events.sql"
TABLES = "event, event_identity, event_prefix, dirty_bucket, fill_state, rollup_hour, rollup_day, rollup_lane_day"


class Migration(migrations.Migration):
    dependencies = [("ingest", "0001_small_tables")]

    operations = [
        migrations.RunSQL(
            SQL.read_text(encoding="utf-8"),
            reverse_sql=f"DROP TABLE {TABLES}; DROP SEQUENCE event_key_block;",
        )
    ]
