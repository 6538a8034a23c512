"""What to do about the cache bill: advice with dollars a month, how sure they are, and what came of it.

Pure: start at `find.find`. What advice says in words is made elsewhere, from the facts of a finding.
"""
