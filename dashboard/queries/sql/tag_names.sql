-- Names of tags that any event carries.
SELECT DISTINCT name FROM label_value WHERE kind = 'tag' ORDER BY name
