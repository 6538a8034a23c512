-- The quantities as they are, with the labels that tell classes of calls apart.
, priced AS (
    SELECT lane_id, price_period, label_group, session_key, requests, requests_with_read, requests_with_write,
           uncached_input_tokens, cache_read_input_tokens, cache_write_5m_input_tokens, cache_write_1h_input_tokens,
           output_tokens, thinking_tokens, web_search_requests
    FROM grouped
    LIMIT %(row_limit)s
)
SELECT priced.* {names}
FROM priced {name_joins}
