-- Requests and tokens by minute, lane and labels, in a few hours only: the one place where limits need events.
SELECT date_trunc('minute', occurred_at, 'UTC') AS minute, lane_id, {label_set} AS label_set_id,
       sum(requests)::bigint AS requests,
       sum(uncached_input_tokens)::bigint AS uncached_input_tokens,
       sum(cache_read_input_tokens)::bigint AS cache_read_input_tokens,
       sum(cache_write_5m_input_tokens)::bigint AS cache_write_5m_input_tokens,
       sum(cache_write_1h_input_tokens)::bigint AS cache_write_1h_input_tokens,
       sum(output_tokens)::bigint AS output_tokens
FROM unnest(%(hours)s::timestamptz[]) AS hour
JOIN event ON occurred_at >= hour AND occurred_at < hour + interval '1 hour'
WHERE lane_id = ANY(%(lanes)s::int[]) AND {start_condition} AND {end_condition}
GROUP BY 1, 2, 3
