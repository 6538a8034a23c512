-- What providers reported for buckets that begin in [start, end). A day of one report can have been reported in several
-- groupings or bucket widths, each of them its whole: then only the one that came last is shown, so that sums hold.
WITH wanted AS (
    SELECT reported.*, source.name AS source,
           date_trunc('day', reported.bucket_start AT TIME ZONE 'UTC') AS utc_day,
           reported.bucket_end - reported.bucket_start AS width
    FROM {table} AS reported JOIN source ON source.id = reported.source_id
    WHERE (%(start)s::timestamptz IS NULL OR reported.bucket_start >= %(start)s)
      AND (%(end)s::timestamptz IS NULL OR reported.bucket_start < %(end)s)
      AND (%(kind)s = '' OR reported.kind = %(kind)s)
      AND (%(providers)s::text[] IS NULL OR reported.provider = ANY(%(providers)s))
), latest AS (
    SELECT DISTINCT ON (source_id, kind, provider, utc_day)
           source_id, kind, provider, utc_day, wanted."grouping", width
    FROM wanted
    WHERE wanted."grouping" <> ''
    ORDER BY source_id, kind, provider, utc_day, received_at DESC, wanted."grouping", width
)
SELECT {columns}
FROM wanted LEFT JOIN latest USING (source_id, kind, provider, utc_day)
WHERE (wanted."grouping" = '' OR (wanted."grouping" = latest."grouping" AND wanted.width = latest.width))
{tail}
