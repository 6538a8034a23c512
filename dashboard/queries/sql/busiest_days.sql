-- Requests and tokens by UTC day and lane: from these the busiest days of every limit class are chosen.
SELECT date_trunc('day', bucket_start, 'UTC') AS moment, lane_id, sum(requests)::bigint AS requests,
       sum(uncached_input_tokens + cache_write_5m_input_tokens + cache_write_1h_input_tokens)::bigint AS input,
       sum(cache_read_input_tokens)::bigint AS reads, sum(output_tokens)::bigint AS output
FROM rollup_lane_day
WHERE lane_id = ANY(%(lanes)s::int[]) AND {start_condition} AND {end_condition}
GROUP BY 1, 2
