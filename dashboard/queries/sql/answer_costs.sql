-- Priced and added up over lanes and price periods. Prices are whole numbers of one small unit of money and `numeric`
-- is exact, so the sums are. What has no price stays apart, by the class that says why (unpriced_class; -1 = priced).
, prices AS (
    SELECT * FROM unnest({price_arrays}) AS listed(lane_id, price_period, lane_group, unpriced_class {price_names})
),
priced AS (
    SELECT
        grouped.bucket_start, prices.lane_group, grouped.label_group, grouped.session_key, prices.unpriced_class,
        sum(requests)::bigint AS requests,
        sum(requests_with_read)::bigint AS requests_with_read,
        sum(requests_with_write)::bigint AS requests_with_write,
        sum(uncached_input_tokens)::bigint AS uncached_input_tokens,
        sum(cache_read_input_tokens)::bigint AS cache_read_input_tokens,
        sum(cache_write_5m_input_tokens)::bigint AS cache_write_5m_input_tokens,
        sum(cache_write_1h_input_tokens)::bigint AS cache_write_1h_input_tokens,
        sum(output_tokens)::bigint AS output_tokens,
        sum(thinking_tokens)::bigint AS thinking_tokens,
        sum(web_search_requests)::bigint AS web_search_requests
        {amounts}
    FROM grouped JOIN prices USING (lane_id, price_period)
    GROUP BY 1, 2, 3, 4, 5
    LIMIT %(row_limit)s
)
SELECT priced.* {names}
FROM priced {name_joins}
