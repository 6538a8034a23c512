-- Rows of a rollup of short prefixes whose buckets begin in [start, end).
SELECT bucket_start AS moment, label_set_id, lane_id, 0 AS session_key, below, requests,
       cache_read_input_tokens, cache_write_5m_input_tokens, cache_write_1h_input_tokens
FROM {table}
WHERE {start_condition} AND {end_condition}
