-- Requests by UTC day, the latest first: to choose a sample of days of a bounded size.
SELECT date_trunc('day', bucket_start, 'UTC') AS day, sum(requests)::bigint AS requests
FROM rollup_lane_day
WHERE {start_condition} AND {end_condition}
GROUP BY 1
ORDER BY 1 DESC
LIMIT 400
