-- Requests and tokens by minute, lane and labels, in a few hours only: the one place where limits need events. Requests
-- with a short cached prefix stand apart by the step of the ladder that it stays under; below = 0: all others.
SELECT floor(extract(epoch FROM occurred_at) / 60)::bigint AS minute, lane_id, {label_set} AS label_set_id, below,
       sum(requests)::bigint AS requests,
       sum(uncached_input_tokens)::bigint AS uncached_input_tokens,
       sum(cache_read_input_tokens)::bigint AS cache_read_input_tokens,
       sum(cache_write_5m_input_tokens)::bigint AS cache_write_5m_input_tokens,
       sum(cache_write_1h_input_tokens)::bigint AS cache_write_1h_input_tokens,
       sum(output_tokens)::bigint AS output_tokens
FROM unnest(%(hours)s::timestamptz[]) AS hour
JOIN event ON occurred_at >= hour AND occurred_at < hour + interval '1 hour'
CROSS JOIN LATERAL (
    SELECT cache_read_input_tokens::bigint + cache_write_5m_input_tokens + cache_write_1h_input_tokens AS prefix_tokens
) AS sized
CROSS JOIN LATERAL (
    SELECT CASE WHEN prefix_tokens > 0 AND prefix_tokens < {longest}
                THEN ({steps}::int[])[1 + width_bucket(prefix_tokens, {steps}::bigint[])] ELSE 0 END AS below
) AS stepped
WHERE lane_id = ANY(%(lanes)s::int[]) AND {start_condition} AND {end_condition}
GROUP BY 1, 2, 3, 4
