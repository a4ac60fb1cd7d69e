"""The record in formats of others: OpenLineage, PROV-JSON, RO-Crate, Parquet, Chrome trace, Mermaid and DOT."""
