-- What is stored but not yet on the pages, and when the pages last changed. One pass over the marks of waiting hours:
-- while a large import is being filled there are hundreds of thousands.
SELECT count(*) AS pending_buckets, min(bucket_start) AS oldest_pending_bucket, min(marked_at) AS pending_since,
       (SELECT max(filled_at) FROM fill_state) AS last_fill_at,
       (SELECT coalesce(sum(fills), 0)::bigint FROM fill_state) AS data_version
FROM (SELECT bucket_start, min(marked_at) AS marked_at FROM dirty_bucket GROUP BY bucket_start) AS waiting
