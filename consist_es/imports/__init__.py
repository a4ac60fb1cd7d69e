"""Takes over what another program recorded: its runs, files and their lineage, marked as imported."""
