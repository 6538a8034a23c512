-- Tokens by gap bucket, lane and price period, over whole UTC days.
SELECT facts.lane_id, {price_period} AS price_period, facts.gap_bucket, bool_and(facts.exact) AS exact,
       sum(facts.tokens)::bigint AS tokens
FROM {table} AS facts
WHERE {conditions}
GROUP BY 1, 2, 3
