"""Filters -> DataFrame: the only SQL of the read side. One question, one file in `sql/`."""
