-- Lanes that pass the filters.
SELECT id AS lane_id, provider, platform, model, service_tier, speed, inference_geo, routing, prompt_step, outcome
FROM lane
WHERE {conditions}
ORDER BY id
