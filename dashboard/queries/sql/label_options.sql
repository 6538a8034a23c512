-- Values to filter by, from the small dictionaries; never a scan of facts. Those that begin with the search come first.
SELECT value
FROM ({values}) AS known
WHERE value <> '' AND strpos(lower(value), lower(%(search)s::text)) > 0
ORDER BY strpos(lower(value), lower(%(search)s::text)), value
LIMIT %(limit)s
