-- What is stored but not yet on the pages, and when the pages last changed.
SELECT (SELECT count(DISTINCT bucket_start) FROM dirty_bucket) AS pending_buckets,
       (SELECT min(bucket_start) FROM dirty_bucket) AS oldest_pending_bucket,
       (SELECT min(marked_at) FROM dirty_bucket) AS pending_since,
       (SELECT max(filled_at) FROM fill_state) AS last_fill_at,
       (SELECT coalesce(sum(fills), 0)::bigint FROM fill_state) AS data_version
