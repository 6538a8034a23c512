-- Rows of a rollup whose buckets begin in [start, end).
SELECT bucket_start AS moment, label_set_id, lane_id, 0 AS session_key, requests, requests_with_read, requests_with_write,
       uncached_input_tokens, cache_read_input_tokens, cache_write_5m_input_tokens, cache_write_1h_input_tokens,
       output_tokens, thinking_tokens, web_search_requests
FROM {table}
WHERE {start_condition} AND {end_condition}
