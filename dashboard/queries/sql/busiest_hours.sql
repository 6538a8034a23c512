-- The same by hour, on a few days only.
SELECT bucket_start AS moment, lane_id, sum(requests)::bigint AS requests,
       sum(uncached_input_tokens + cache_write_5m_input_tokens + cache_write_1h_input_tokens)::bigint AS input,
       sum(cache_read_input_tokens)::bigint AS reads, sum(output_tokens)::bigint AS output
FROM unnest(%(days)s::timestamptz[]) AS day
JOIN rollup_hour ON bucket_start >= day AND bucket_start < day + interval '1 day'
WHERE lane_id = ANY(%(lanes)s::int[]) AND {start_condition} AND {end_condition}
GROUP BY 1, 2
