"""Sources that are fetched on a schedule: the Anthropic Admin API's reports, and watched folders of log files."""
