-- The quantities as they are, for the read side to price again and again.
SELECT lane_id, price_period, requests, requests_with_read, requests_with_write, uncached_input_tokens,
       cache_read_input_tokens, cache_write_5m_input_tokens, cache_write_1h_input_tokens, output_tokens,
       thinking_tokens, web_search_requests
FROM grouped
