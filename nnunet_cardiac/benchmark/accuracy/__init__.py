"""The table of all systems: rows, budgets, one command for a row, records and the generated table."""
