-- The entries of the prefixes of events that pass the conditions: one row an entry, an event's entries together and in
-- order. The time of the prefix table has bounds of its own, so that whole months of it can be passed over.
SELECT event_prefix.event_key, block.hash, block.tokens
FROM event_prefix
JOIN event AS facts
  ON facts.event_key = event_prefix.event_key AND facts.occurred_at = event_prefix.occurred_at,
     unnest(event_prefix.block_hashes, event_prefix.cumulative_tokens) WITH ORDINALITY AS block (hash, tokens, place)
WHERE {conditions} AND {prefix_conditions}
