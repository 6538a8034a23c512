"""The rollups of gaps and of short prefixes, as written in `sql/0006_cache_tuning.sql`."""

from __future__ import annotations

from pathlib import Path

from django.db import migrations

SQL = Path(__file__).parents[1] / "sql" / "0006_cache_tuning.sql"


class Migration(migrations.Migration):
    dependencies = [("ingest", "0005_column_mapping")]

    operations = [
        migrations.RunSQL(
            SQL.read_text(encoding="utf-8"),
            reverse_sql="DROP TABLE rollup_gap, rollup_lane_gap, gap_state,"
            " rollup_short_prefix_hour, rollup_short_prefix, rollup_lane_short_prefix;",
        )
    ]
